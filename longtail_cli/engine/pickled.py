"""Readers of three kinds of pickles, as frameworks save detections, into columns.

They take the opcodes of protocol 2 in the order in which a pickler writes such lists, and stop at anything else: then
the pickle has to be read in another way. A function takes the position of an opcode and returns the one after what it
read, or -1.

An object is written once and then referred to by its number among the remembered objects. A pickler numbers them in
order, so that they need only be counted; of what recurs, the numbers of the last spellings are kept.
"""

import cython
import numpy as np

Bytes = cython.typedef(cython.const[cython.uchar][::1])
Names = cython.typedef(cython.const[cython.uchar][:, ::1])
Integers = cython.typedef(cython.longlong[::1])
Bits = cython.typedef(cython.ulonglong[::1])
Boxes = cython.typedef(cython.ulonglong[:, ::1])
Spans = cython.typedef(cython.longlong[:, ::1])
Written = cython.typedef(cython.uchar[::1])

NAMES = np.array(
    [
        [*name.ljust(16, b"\0")]
        for name in (
            b"image_id",
            b"instances",
            b"category_id",
            b"bbox",
            b"score",
            b"segmentation",
            b"size",
            b"counts",
            b"img_id",
            b"pred_instances",
            b"labels",
            b"scores",
            b"bboxes",
        )
    ],
    np.uint8,
)
_NAMES = cython.declare(Names, NAMES)
IMAGE, INSTANCES, CATEGORY, BOX, SCORE, MASK, SIZE, COUNTS, IMG, PREDICTED, LABELS, SCORES, BOXES, OTHER = range(14)
_IMAGE = cython.declare(cython.int, IMAGE)
_INSTANCES = cython.declare(cython.int, INSTANCES)
_CATEGORY = cython.declare(cython.int, CATEGORY)
_BOX = cython.declare(cython.int, BOX)
_SCORE = cython.declare(cython.int, SCORE)
_MASK = cython.declare(cython.int, MASK)
_SIZE = cython.declare(cython.int, SIZE)
_COUNTS = cython.declare(cython.int, COUNTS)
_IMG = cython.declare(cython.int, IMG)
_PREDICTED = cython.declare(cython.int, PREDICTED)
_LABELS = cython.declare(cython.int, LABELS)
_BOXES = cython.declare(cython.int, BOXES)
_OTHER = cython.declare(cython.int, OTHER)

# what `state` holds
ROWS, IMAGES, REMEMBERED = range(3)
_ROWS = cython.declare(cython.int, ROWS)
_IMAGES = cython.declare(cython.int, IMAGES)
_REMEMBERED = cython.declare(cython.int, REMEMBERED)
_KEYS = cython.declare(cython.int, 3)  # from here on, the number of each of `NAMES`, then those of other keys
_OTHERS = cython.declare(cython.int, 16)
_OLDER = cython.declare(cython.int, 32)  # and the numbers of `NAMES` that were spelled before
_STATE = cython.declare(cython.int, 46)  # its last holds the number of the name of the image
_FILLED = cython.declare(cython.int, 3)  # bytes of values, where arrays are read

SHORTEST_DETECTION, SHORTEST_IMAGE, SHORTEST_ARRAY, SHORTEST_LIST = 60, 6, 24, 1
"""The fewest bytes of a detection, of an image with none, of an array, and of a list of none."""

# opcodes
_MARK = cython.declare(cython.int, ord("("))
_LIST = cython.declare(cython.int, ord("]"))
_DICT = cython.declare(cython.int, ord("}"))
_APPEND = cython.declare(cython.int, ord("a"))
_APPENDS = cython.declare(cython.int, ord("e"))
_SETITEM = cython.declare(cython.int, ord("s"))
_SETITEMS = cython.declare(cython.int, ord("u"))
_FLOAT = cython.declare(cython.int, ord("G"))
_BYTE = cython.declare(cython.int, ord("K"))
_SHORT = cython.declare(cython.int, ord("M"))
_INT = cython.declare(cython.int, ord("J"))
_LONG = cython.declare(cython.int, 0x8A)
_TEXT = cython.declare(cython.int, ord("X"))
_GET = cython.declare(cython.int, ord("h"))
_LONG_GET = cython.declare(cython.int, ord("j"))
_PUT = cython.declare(cython.int, ord("q"))
_LONG_PUT = cython.declare(cython.int, ord("r"))
_STOP = cython.declare(cython.int, ord("."))
_PROTO = cython.declare(cython.int, 0x80)

_TUPLE = cython.declare(cython.int, ord("t"))
_ONE = cython.declare(cython.int, 0x85)
_TWO = cython.declare(cython.int, 0x86)
_THREE = cython.declare(cython.int, 0x87)
_TRUE = cython.declare(cython.int, 0x88)
_FALSE = cython.declare(cython.int, 0x89)
_NONE = cython.declare(cython.int, ord("N"))
_NOTHING = cython.declare(cython.int, ord(")"))
_REDUCE = cython.declare(cython.int, ord("R"))
_BUILD = cython.declare(cython.int, ord("b"))

_MAX_DEPTH = cython.declare(cython.int, 32)

_SPELLINGS = (
    b"cnumpy._core.multiarray\n_reconstruct\n", b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\nndarray\n",
    b"cnumpy\ndtype\n", b"c_codecs\nencode\n", b"X\x06\0\0\0latin1", b"c__builtin__\nbytes\n", b"X\x02\0\0\0f4",
    b"X\x01\0\0\0<", b"X\x01\0\0\0b", b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\0t",
    b"ctorch._utils\n_rebuild_tensor_v2\n", b"ctorch.storage\n_load_from_bytes\n", b"ccollections\nOrderedDict\n",
)  # fmt: skip
_SPELLED = cython.declare(Names, np.array([[*spelling.ljust(40, b"\0")] for spelling in _SPELLINGS], np.uint8))
_SPELLED_LENGTH = cython.declare(Integers, np.array([len(spelling) for spelling in _SPELLINGS], np.int64))

# what is referred to again; the first fourteen are spelled as above
_NEW = cython.declare(cython.int, 0)
_OLD = cython.declare(cython.int, 1)
_ARRAY = cython.declare(cython.int, 2)
_DTYPE = cython.declare(cython.int, 3)
_ENCODE = cython.declare(cython.int, 4)
_LATIN = cython.declare(cython.int, 5)
_BYTES = cython.declare(cython.int, 6)
_F4 = cython.declare(cython.int, 7)
_LITTLE = cython.declare(cython.int, 8)
_B = cython.declare(cython.int, 9)
_REST = cython.declare(cython.int, 10)  # of the state of a dtype
_REBUILD = cython.declare(cython.int, 11)
_LOAD = cython.declare(cython.int, 12)
_HOOKS = cython.declare(cython.int, 13)
_CODE = cython.declare(cython.int, 14)  # the bytes b"b"
_EMPTY = cython.declare(cython.int, 15)  # no bytes
_TYPES = cython.declare(cython.int, 16)  # from here on, the numbers of dtypes: each process of a run has its own
_MOST_TYPES = cython.declare(cython.int, 64)

# a storage as torch.save wrote it before 1.6, around its type, its name, its length and its name again
_PIECES = (
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}q\0(X\x10\0\0\0protocol_versionq\x01M\xe9\x03"
    b"X\r\0\0\0little_endianq\x02\x88X\n\0\0\0type_sizesq\x03}q\x04(X\x05\0\0\0shortq\x05K\x02X\x03\0\0\0intq\x06K\x04"
    b"X\x04\0\0\0longq\x07K\x04uu.\x80\x02(X\x07\0\0\0storageq\0ctorch\n",
    b"LongStorage\nq\x01", b"FloatStorage\nq\x01", b"q\x02X\x03\0\0\0cpuq\x03", b"Ntq\x04Q.\x80\x02]q\0", b"q\x01a.",
)  # fmt: skip
_PIECE = cython.declare(Names, np.array([[*piece.ljust(256, b"\0")] for piece in _PIECES], np.uint8))
_PIECE_LENGTH = cython.declare(Integers, np.array([len(piece) for piece in _PIECES], np.int64))
_BEGIN = cython.declare(cython.int, 0)
_LONGS = cython.declare(cython.int, 1)
_FLOATS = cython.declare(cython.int, 2)
_DEVICE = cython.declare(cython.int, 3)
_LISTED = cython.declare(cython.int, 4)
_END = cython.declare(cython.int, 5)

Number = cython.struct(end=cython.Py_ssize_t, value=cython.longlong)
Text = cython.struct(end=cython.Py_ssize_t, begin=cython.Py_ssize_t, stop=cython.Py_ssize_t)


def scan_detections(
    data: Bytes,
    image_id: Integers,
    image_name: Spans,
    image_rows: Integers,
    category: Integers,
    score: Bits,
    box: Boxes,
    size: Spans,
    counts: Spans,
) -> tuple[int, int, int]:
    """Read a list of images with their detections, as detectron2 saves it.

        [{"image_id": 1, "instances": [{"image_id": 1, "category_id": 2, "bbox": [...], "score": 0.5}, ...]}, ...]

    Returns the number of images and of detections, and where the pickle ended, or -1 if it is unlike this.

    data: uint8.
    image_id: int64 [I], filled; 0 for an image that has a name. image_name: int64 [I, 2], filled with the begin and end
        of the name as UTF-8 in `data`; zeros without one. image_rows: int64 [I], filled with the number of its
        detections; -1 for an image without a list of them.
    category: int64 [R], filled. score: uint64 [R], filled with the bits of a float64. box: uint64 [R, 4], as well.
    size: int64 [R, 2], filled with (height, width) of a mask. counts: int64 [R, 2], filled with the begin and end of
        its counts in `data`; zeros without a mask.

    I is at least ``len(data) // SHORTEST_IMAGE + 1``, R ``len(data) // SHORTEST_DETECTION + 1``.
    """
    state: Integers = np.full(_STATE, -1, np.int64)
    i: cython.Py_ssize_t
    state[_ROWS] = state[_IMAGES] = state[_REMEMBERED] = 0
    with cython.nogil:
        i = _images(data, state, image_id, image_name, image_rows, category, score, box, size, counts)
    return state[_IMAGES], state[_ROWS], i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _images(
    data: Bytes,
    state: Integers,
    image_id: Integers,
    image_name: Spans,
    image_rows: Integers,
    category: Integers,
    score: Bits,
    box: Boxes,
    size: Spans,
    counts: Spans,
) -> cython.Py_ssize_t:
    i: cython.Py_ssize_t
    marked: cython.bint
    if _opcode(data, 0) != _PROTO or _opcode(data, 2) != _LIST:
        return -1
    i = _remember(data, 3, state)
    while i >= 0 and _opcode(data, i) in (_MARK, _DICT):
        marked = _opcode(data, i) == _MARK
        i += marked
        while i >= 0 and _opcode(data, i) == _DICT:
            i = _image(data, i, state, image_id, image_name, image_rows, category, score, box, size, counts)
            if not marked:
                break
        if i < 0 or _opcode(data, i) != (_APPENDS if marked else _APPEND):
            return -1
        i += 1
    return i + 1 if i >= 0 and _opcode(data, i) == _STOP else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _image(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    image_id: Integers,
    image_name: Spans,
    image_rows: Integers,
    category: Integers,
    score: Bits,
    box: Boxes,
    size: Spans,
    counts: Spans,
) -> cython.Py_ssize_t:
    image: cython.longlong = state[_IMAGES]
    marked: cython.bint
    named: cython.bint = False
    listed: cython.bint = False
    key: Number
    image_rows[image] = -1
    i = _remember(data, i + 1, state)
    if i < 0:
        return -1
    marked = _opcode(data, i) == _MARK
    i += marked
    while i >= 0 and _opcode(data, i) != _SETITEMS:
        key = _key(data, i, state)
        i = key.end
        if i < 0:
            return -1
        if key.value == _IMAGE and not named:
            i = _identity(data, i, state, image, image_id, image_name)
            named = True
        elif key.value == _INSTANCES and named and not listed:
            i = _detections(data, i, state, image, image_id, image_name, image_rows, category, score, box, size, counts)
            listed = True
        elif key.value == _OTHER:
            i = _skip(data, i, state, 0)
        else:
            return -1
        if not marked:
            break
    if i < 0 or not named or _opcode(data, i) != (_SETITEMS if marked else _SETITEM):
        return -1
    state[_IMAGES] += 1
    return i + 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _identity(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, image: cython.longlong, image_id: Integers, image_name: Spans
) -> cython.Py_ssize_t:
    """The id of an image, or its name."""
    number: Number
    text: Text
    image_id[image] = image_name[image, 0] = image_name[image, 1] = 0
    if _opcode(data, i) != _TEXT:
        number = _integer(data, i)
        image_id[image] = number.value
        return number.end
    text = _text(data, i)
    if text.end < 0 or text.stop == text.begin or _name(data, text.begin, text.stop) != _OTHER:
        return -1
    image_id[image] = 0
    image_name[image, 0] = text.begin
    image_name[image, 1] = text.stop
    # where the name is referred to from its detections, its number is expected in `state`
    state[_STATE - 1] = state[_REMEMBERED]
    i = _remember(data, text.end, state)
    return i if i != text.end else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _detections(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    image: cython.longlong,
    image_id: Integers,
    image_name: Spans,
    image_rows: Integers,
    category: Integers,
    score: Bits,
    box: Boxes,
    size: Spans,
    counts: Spans,
) -> cython.Py_ssize_t:
    first: cython.longlong = state[_ROWS]
    marked: cython.bint
    if _opcode(data, i) != _LIST:
        return -1
    i = _remember(data, i + 1, state)
    while i >= 0 and _opcode(data, i) in (_MARK, _DICT):
        marked = _opcode(data, i) == _MARK
        i += marked
        while i >= 0 and _opcode(data, i) == _DICT:
            i = _detection(data, i, state, image, image_id, image_name, category, score, box, size, counts)
            if not marked:
                break
        if i < 0 or _opcode(data, i) != (_APPENDS if marked else _APPEND):
            return -1
        i += 1
    image_rows[image] = state[_ROWS] - first
    return i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _detection(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    image: cython.longlong,
    image_id: Integers,
    image_name: Spans,
    category: Integers,
    score: Bits,
    box: Boxes,
    size: Spans,
    counts: Spans,
) -> cython.Py_ssize_t:
    row: cython.longlong = state[_ROWS]
    seen: cython.int = 0
    key: Number
    number: Number
    i = _remember(data, i + 1, state)
    if i < 0 or _opcode(data, i) != _MARK:
        return -1
    i += 1
    counts[row, 0] = counts[row, 1] = 0
    while _opcode(data, i) != _SETITEMS:
        key = _key(data, i, state)
        i = key.end
        if i < 0:
            return -1
        if key.value == _OTHER:
            i = _skip(data, i, state, 0)
            if i < 0:
                return -1
            continue
        if seen >> key.value & 1:
            return -1
        seen |= 1 << key.value
        if key.value == _IMAGE:
            i = _same_image(data, i, state, image, image_id, image_name)
        elif key.value == _CATEGORY:
            number = _integer(data, i)
            category[row] = number.value
            i = number.end
        elif key.value == _SCORE:
            if _opcode(data, i) != _FLOAT or i + 9 > data.shape[0]:
                return -1
            score[row] = _bits(data, i + 1)
            i += 9
        elif key.value == _BOX:
            i = _box(data, i, row, state, box)
        elif key.value == _MASK:
            i = _mask(data, i, row, state, size, counts)
        else:
            return -1
        if i < 0:
            return -1
    if seen & 29 != 29:  # image_id, category_id, bbox and score; 1 + 4 + 8 + 16
        return -1
    state[_ROWS] += 1
    return i + 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _same_image(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, image: cython.longlong, image_id: Integers, image_name: Spans
) -> cython.Py_ssize_t:
    number: Number
    if image_name[image, 1] > 0:
        number = _reference(data, i)
        return number.end if number.value == state[_STATE - 1] else -1
    number = _integer(data, i)
    return number.end if number.value == image_id[image] else -1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _box(data: Bytes, i: cython.Py_ssize_t, row: cython.longlong, state: Integers, box: Boxes) -> cython.Py_ssize_t:
    side: cython.int
    if _opcode(data, i) != _LIST:
        return -1
    i = _remember(data, i + 1, state)
    if i < 0 or i + 38 > data.shape[0] or data[i] != _MARK:
        return -1
    i += 1
    for side in range(4):
        if data[i] != _FLOAT:
            return -1
        box[row, side] = _bits(data, i + 1)
        i += 9
    return i + 1 if data[i] == _APPENDS else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _mask(
    data: Bytes, i: cython.Py_ssize_t, row: cython.longlong, state: Integers, size: Spans, counts: Spans
) -> cython.Py_ssize_t:
    seen: cython.int = 0
    side: cython.int
    key: Number
    number: Number
    text: Text
    if _opcode(data, i) != _DICT:
        return -1
    i = _remember(data, i + 1, state)
    if i < 0 or _opcode(data, i) != _MARK:
        return -1
    i += 1
    while _opcode(data, i) != _SETITEMS:
        key = _key(data, i, state)
        i = key.end
        if i < 0:
            return -1
        if key.value == _SIZE and not seen & 1:
            seen |= 1
            if _opcode(data, i) != _LIST:
                return -1
            i = _remember(data, i + 1, state)
            if i < 0 or _opcode(data, i) != _MARK:
                return -1
            i += 1
            for side in range(2):
                number = _integer(data, i)
                i = number.end
                if i < 0:
                    return -1
                size[row, side] = number.value
            if _opcode(data, i) != _APPENDS:
                return -1
            i += 1
        elif key.value == _COUNTS and not seen & 2:
            seen |= 2
            if _opcode(data, i) != _TEXT:
                return -1
            text = _text(data, i)
            if text.end < 0:
                return -1
            counts[row, 0] = text.begin
            counts[row, 1] = text.stop
            i = _remember(data, text.end, state)
            if i < 0:
                return -1
        else:
            return -1
    return i + 1 if seen == 3 else -1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _opcode(data: Bytes, i: cython.Py_ssize_t) -> cython.int:
    """The byte, or -1 at the end."""
    return data[i] if i < data.shape[0] else -1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _bits(data: Bytes, i: cython.Py_ssize_t) -> cython.ulonglong:
    """Eight bytes, the highest first."""
    bits: cython.ulonglong = 0
    byte: cython.int
    for byte in range(8):
        bits = bits << 8 | cython.cast(cython.ulonglong, data[i + byte])
    return bits


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _unsigned(data: Bytes, i: cython.Py_ssize_t, width: cython.int) -> cython.longlong:
    """Up to four bytes, the lowest first."""
    value: cython.longlong = 0
    byte: cython.int
    for byte in range(width):
        value |= cython.cast(cython.longlong, data[i + byte]) << (8 * byte)
    return value


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _integer(data: Bytes, i: cython.Py_ssize_t) -> Number:
    """An integer of up to eight bytes."""
    number: Number = Number(end=-1, value=0)
    code: cython.int = _opcode(data, i)
    width: cython.Py_ssize_t
    byte: cython.Py_ssize_t
    if code == _BYTE and i + 2 <= data.shape[0]:
        number.end = i + 2
        number.value = cython.cast(cython.longlong, data[i + 1])
    elif code == _SHORT and i + 3 <= data.shape[0]:
        number.end = i + 3
        number.value = _unsigned(data, i + 1, 2)
    elif code == _INT and i + 5 <= data.shape[0]:
        number.end = i + 5
        number.value = _unsigned(data, i + 1, 4)
        if data[i + 4] >= 128:
            number.value -= cython.cast(cython.longlong, 1) << 32
    elif code == _LONG and i + 2 <= data.shape[0]:
        width = cython.cast(cython.Py_ssize_t, data[i + 1])
        if 0 < width < 8 and i + 2 + width <= data.shape[0] and data[i + 1 + width] < 128:  # not negative
            for byte in range(width):
                number.value |= cython.cast(cython.longlong, data[i + 2 + byte]) << (8 * byte)
            number.end = i + 2 + width
    return number


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _remember(data: Bytes, i: cython.Py_ssize_t, state: Integers) -> cython.Py_ssize_t:
    """After the number that an object gets, if it gets one, which is that of the objects before it."""
    code: cython.int = _opcode(data, i)
    number: cython.longlong
    width: cython.int
    if code != _PUT and code != _LONG_PUT:
        return i
    width = 1 if code == _PUT else 4
    if i + 1 + width > data.shape[0]:
        return -1
    number = _unsigned(data, i + 1, width)
    if number != state[_REMEMBERED]:
        return -1
    state[_REMEMBERED] = number + 1
    return i + 1 + width


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _reference(data: Bytes, i: cython.Py_ssize_t) -> Number:
    """The number of the object that is referred to."""
    number: Number = Number(end=-1, value=-1)
    code: cython.int = _opcode(data, i)
    if code == _GET and i + 2 <= data.shape[0]:
        number.end = i + 2
        number.value = cython.cast(cython.longlong, data[i + 1])
    elif code == _LONG_GET and i + 5 <= data.shape[0]:
        number.end = i + 5
        number.value = _unsigned(data, i + 1, 4)
    return number


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _text(data: Bytes, i: cython.Py_ssize_t) -> Text:
    text: Text = Text(end=-1, begin=0, stop=0)
    length: cython.longlong
    if i + 5 <= data.shape[0]:
        length = _unsigned(data, i + 1, 4)
        if i + 5 + length <= data.shape[0]:
            text.begin = i + 5
            text.stop = text.end = text.begin + length
    return text


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _key(data: Bytes, i: cython.Py_ssize_t, state: Integers) -> Number:
    """A key, as an index into `NAMES`, or `OTHER`."""
    key: Number = Number(end=-1, value=-1)
    name: cython.int
    found: Number
    text: Text
    if _opcode(data, i) != _TEXT:
        found = _reference(data, i)
        for name in range(_STATE - 1 - _KEYS):
            if found.end >= 0 and state[_KEYS + name] == found.value:
                key.end = found.end
                key.value = _OTHER
                if name < _OTHER:
                    key.value = name
                elif name >= _OLDER - _KEYS:
                    key.value = name - (_OLDER - _KEYS)
                return key
        return key
    text = _text(data, i)
    if text.end < 0:
        return key
    key.value = _name(data, text.begin, text.stop)
    if key.value == _OTHER and not _is_utf8(data, text.begin, text.stop):
        return key
    i = _remember(data, text.end, state)
    if i < 0:
        return key
    if i > text.end:
        name = key.value
        if name == _OTHER:  # instead of the one that was seen longest ago
            for name in range(_OLDER - 1, _OTHERS, -1):
                state[name] = state[name - 1]
            state[_OTHERS] = state[_REMEMBERED] - 1
        else:
            state[_OLDER + name] = state[_KEYS + name]
            state[_KEYS + name] = state[_REMEMBERED] - 1
    key.end = i
    return key


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _name(data: Bytes, begin: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.int:
    """Which of `NAMES` a text is, or `OTHER`."""
    name: cython.int
    at: cython.Py_ssize_t
    if stop - begin >= _NAMES.shape[1]:
        return _OTHER
    for name in range(_NAMES.shape[0]):
        at = 0
        while at < stop - begin and data[begin + at] == _NAMES[name, at]:
            at += 1
        if at == stop - begin and _NAMES[name, at] == 0:
            return name
    return _OTHER


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _is_utf8(data: Bytes, at: cython.Py_ssize_t, stop: cython.Py_ssize_t) -> cython.bint:
    """Whether a text is well-formed; halves of surrogate pairs are, as for a pickler."""
    first: cython.int
    more: cython.int
    byte: cython.int
    while at < stop:
        first = cython.cast(cython.int, data[at])
        more = (first >= 0xC2) + (first >= 0xE0) + (first >= 0xF0)
        if 0x80 <= first < 0xC2 or first > 0xF4 or at + more >= stop:
            return False
        for byte in range(more):
            if data[at + 1 + byte] & 0xC0 != 0x80:
                return False
        if (first == 0xE0 and data[at + 1] < 0xA0) or (first == 0xF0 and data[at + 1] < 0x90):  # could be shorter
            return False
        if first == 0xF4 and data[at + 1] >= 0x90:  # beyond U+10FFFF
            return False
        at += 1 + more
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _skip(data: Bytes, i: cython.Py_ssize_t, state: Integers, depth: cython.int) -> cython.Py_ssize_t:
    """After a number, a text, or a list or dict of such."""
    code: cython.int = _opcode(data, i)
    number: Number
    text: Text
    end: cython.Py_ssize_t
    if depth > _MAX_DEPTH:
        return -1
    if code == _FLOAT:
        return i + 9 if i + 9 <= data.shape[0] else -1
    if code in (_NONE, _TRUE, _FALSE):
        return i + 1
    if code == _TEXT:
        text = _text(data, i)
        if text.end < 0 or _name(data, text.begin, text.stop) != _OTHER or not _is_utf8(data, text.begin, text.stop):
            return -1
        return _remember(data, text.end, state)
    if code in (_GET, _LONG_GET):
        number = _reference(data, i)
        return number.end if number.value < state[_REMEMBERED] else -1
    if code in (_LIST, _DICT):
        end = _APPENDS if code == _LIST else _SETITEMS
        i = _remember(data, i + 1, state)
        while i >= 0 and _opcode(data, i) == _MARK:
            i += 1
            while i >= 0 and _opcode(data, i) != end:
                i = _skip(data, i, state, depth + 1)
            i += i >= 0
        return i
    number = _integer(data, i)
    return number.end


def scan_arrays(data: Bytes, arrays: Integers, rows: Integers, values: Written) -> tuple[int, int, int, int]:
    """Read a list of lists of arrays, float32 [n, 5], as MMDetection 2 saves boxes: one for each class of each image.

    data: uint8.
    arrays: int64 [I], filled with the number of arrays of each image. rows: int64 [A], filled with n of each array.
    values: uint8, filled with the bytes of all arrays one after another; room for as many as `data` has.

    I is at least ``len(data) // SHORTEST_LIST + 1``, A ``len(data) // SHORTEST_ARRAY + 1``.

    Returns the number of images, arrays, and bytes of values, and where the pickle ended, or -1 if it is unlike this.
    """
    known: Integers = np.full(_TYPES + _MOST_TYPES + 1, -1, np.int64)
    state: Integers = np.zeros(4, np.int64)
    i: cython.Py_ssize_t
    with cython.nogil:
        i = _lists(data, state, known, arrays, rows, values)
    return state[_IMAGES], state[_ROWS], state[_FILLED], i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _lists(
    data: Bytes, state: Integers, known: Integers, arrays: Integers, rows: Integers, values: Written
) -> cython.Py_ssize_t:
    i: cython.Py_ssize_t
    marked: cython.bint
    if _opcode(data, 0) != _PROTO or _opcode(data, 2) != _LIST:
        return -1
    i = _remember(data, 3, state)
    while i >= 0 and _opcode(data, i) in (_MARK, _LIST):
        marked = _opcode(data, i) == _MARK
        i += marked
        while i >= 0 and _opcode(data, i) == _LIST:
            i = _list(data, i, state, known, arrays, rows, values)
            if not marked:
                break
        if i < 0 or _opcode(data, i) != (_APPENDS if marked else _APPEND):
            return -1
        i += 1
    return i + 1 if i >= 0 and _opcode(data, i) == _STOP else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _list(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    known: Integers,
    arrays: Integers,
    rows: Integers,
    values: Written,
) -> cython.Py_ssize_t:
    """The arrays of one image."""
    first: cython.longlong = state[_ROWS]
    marked: cython.bint
    i = _remember(data, i + 1, state)
    while i >= 0 and (_opcode(data, i) == _MARK or _is_again(data, i)):
        marked = _opcode(data, i) == _MARK
        i += marked
        while i >= 0 and _is_again(data, i):
            i = _array(data, i, state, known, rows, values)
            if not marked:
                break
        if i < 0 or _opcode(data, i) != (_APPENDS if marked else _APPEND):
            return -1
        i += 1
    arrays[state[_IMAGES]] = state[_ROWS] - first
    state[_IMAGES] += 1
    return i


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _is_again(data: Bytes, i: cython.Py_ssize_t) -> cython.bint:
    """Whether a name follows, which begins an array."""
    return _opcode(data, i) in (_GET, _LONG_GET, ord("c"))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _array(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, rows: Integers, values: Written
) -> cython.Py_ssize_t:
    """``_reconstruct(ndarray, (0,), b"b")``, and then its state, ``(1, (n, 5), dtype, False, bytes)``."""
    number: Number
    row: cython.longlong = state[_ROWS]
    filled: cython.longlong = state[_FILLED]
    name: cython.Py_ssize_t = _spelled(data, i, state, known, _NEW)
    i = name if name >= 0 else _spelled(data, i, state, known, _OLD)
    i = _spelled(data, i, state, known, _ARRAY)
    if i < 0 or i + 3 > data.shape[0] or data[i] != _BYTE or data[i + 1] != 0 or data[i + 2] != _ONE:
        return -1
    i = _code(data, _remember(data, i + 3, state), state, known)
    i = _after(data, i, _THREE, state)
    i = _after(data, i, _REDUCE, state)
    if i < 0 or i + 3 > data.shape[0] or data[i] != _MARK or data[i + 1] != _BYTE or data[i + 2] != 1:
        return -1
    number = _integer(data, i + 3)
    i = number.end
    if i < 0 or number.value < 0 or number.value > data.shape[0]:
        return -1
    rows[row] = number.value
    if i + 3 > data.shape[0] or data[i] != _BYTE or data[i + 1] != 5 or data[i + 2] != _TWO:
        return -1
    i = _dtype(data, _remember(data, i + 3, state), state, known)
    if i < 0 or _opcode(data, i) != _FALSE:
        return -1
    i = _content(data, i + 1, state, known, values)
    i = _after(data, i, _TUPLE, state)
    if i < 0 or _opcode(data, i) != _BUILD or state[_FILLED] - filled != 20 * rows[row]:
        return -1
    state[_ROWS] += 1
    return i + 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _after(data: Bytes, i: cython.Py_ssize_t, code: cython.int, state: Integers) -> cython.Py_ssize_t:
    """After an opcode that makes an object."""
    if i < 0 or _opcode(data, i) != code:
        return -1
    return _remember(data, i + 1, state)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _spelled(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, name: cython.int
) -> cython.Py_ssize_t:
    """One of `_SPELLINGS`, in full or by its number."""
    found: Number
    at: cython.Py_ssize_t
    if i < 0:
        return -1
    found = _reference(data, i)
    if found.end >= 0:
        return found.end if found.value == known[name] else -1
    if i + _SPELLED_LENGTH[name] > data.shape[0]:
        return -1
    for at in range(_SPELLED_LENGTH[name]):
        if data[i + at] != _SPELLED[name, at]:
            return -1
    return _noted(data, i + _SPELLED_LENGTH[name], state, known, name)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _noted(data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, name: cython.int) -> cython.Py_ssize_t:
    """After the number of an object that may be referred to again."""
    before: cython.longlong = state[_REMEMBERED]
    i = _remember(data, i, state)
    if i >= 0 and state[_REMEMBERED] > before:
        known[name] = before
    return i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _code(data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers) -> cython.Py_ssize_t:
    """The bytes ``b"b"``."""
    found: Number
    if i < 0:
        return -1
    found = _reference(data, i)
    if found.end >= 0 and found.value == known[_CODE]:
        return found.end
    i = _spelled(data, i, state, known, _ENCODE)
    i = _spelled(data, i, state, known, _B)
    i = _spelled(data, i, state, known, _LATIN)
    i = _after(data, i, _TWO, state)
    if i < 0 or _opcode(data, i) != _REDUCE:
        return -1
    return _noted(data, i + 1, state, known, _CODE)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _dtype(data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers) -> cython.Py_ssize_t:
    """float32, the lowest byte first."""
    found: Number
    kind: cython.int
    at: cython.int
    if i < 0:
        return -1
    found = _reference(data, i)
    if found.end >= 0:
        for kind in range(_TYPES, _TYPES + _MOST_TYPES):
            if known[kind] == found.value:
                return found.end
            if known[kind] < 0:
                break
    i = _spelled(data, i, state, known, _DTYPE)
    i = _spelled(data, i, state, known, _F4)
    if i < 0 or i + 3 > data.shape[0] or data[i] != _FALSE or data[i + 1] != _TRUE or data[i + 2] != _THREE:
        return -1
    i = _remember(data, i + 3, state)
    if i < 0 or _opcode(data, i) != _REDUCE:
        return -1
    kind = _TYPES
    while known[kind] >= 0:
        kind += 1
    if kind == _TYPES + _MOST_TYPES:
        return -1
    i = _noted(data, i + 1, state, known, kind)
    if i < 0 or i + 3 > data.shape[0] or data[i] != _MARK or data[i + 1] != _BYTE or data[i + 2] != 3:
        return -1
    i = _spelled(data, i + 3, state, known, _LITTLE)
    if i < 0:
        return -1
    for at in range(3):
        if _opcode(data, i + at) != _NONE:
            return -1
    i = _spelled(data, i + 3, state, known, _REST)
    return i + 1 if i >= 0 and _opcode(data, i) == _BUILD else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _content(data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, values: Written) -> cython.Py_ssize_t:
    """The bytes of an array, which are text in Latin-1, written in UTF-8."""
    found: Number = _reference(data, i)
    at: cython.Py_ssize_t
    text: Text
    if found.end >= 0 and found.value == known[_EMPTY]:
        return found.end
    if found.end < 0 or found.value == known[_BYTES]:
        at = _spelled(data, i, state, known, _BYTES)
        if at >= 0:
            if _opcode(data, at) != _NOTHING or _opcode(data, at + 1) != _REDUCE:
                return -1
            return _noted(data, at + 2, state, known, _EMPTY)
    text = _encoded(data, i, state, known, values, state[_FILLED])
    state[_FILLED] = text.stop
    return text.end


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _encoded(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, values: Written, filled: cython.Py_ssize_t
) -> Text:
    """Bytes as text in Latin-1, written in UTF-8: where they were put in `values`, from `filled` on."""
    found: Text = Text(end=-1, begin=filled, stop=filled)
    at: cython.Py_ssize_t
    text: Text
    i = _spelled(data, i, state, known, _ENCODE)
    if i < 0 or _opcode(data, i) != _TEXT:
        return found
    text = _text(data, i)
    if text.end < 0:
        return found
    at = text.begin
    while at < text.stop:
        if data[at] < 0x80:
            values[filled] = data[at]
            at += 1
        else:
            if data[at] & 0xFE != 0xC2 or at + 1 == text.stop or data[at + 1] & 0xC0 != 0x80:
                return found
            values[filled] = (data[at] & 0x03) << 6 | (data[at + 1] & 0x3F)
            at += 2
        filled += 1
    found.stop = filled
    i = _spelled(data, _remember(data, text.end, state), state, known, _LATIN)
    i = _after(data, i, _TWO, state)
    found.end = _after(data, i, _REDUCE, state)
    return found


def scan_tensors(data: Bytes, image_id: Integers, image_rows: Integers, values: Written) -> tuple[int, int, int]:
    """Read a list of images with tensors, as MMDetection 3 saves boxes.

        [{"img_id": 1, "pred_instances": {"labels": int64 [n], "scores": float32 [n], "bboxes": float32 [n, 4]}}, ...]

    Images may have other fields, of text, numbers, and tuples of one to three numbers. Tensors are contiguous.

    Returns the number of images and of detections, and where the pickle ended, or -1 if it is unlike this.

    data: uint8 [M].
    image_id: int64 [I], filled. image_rows: int64 [I], filled with n of each image.
    values: uint8 [3 M], filled with the bytes of all labels from 0, of all scores from M, and of all boxes from 2 M on.

    I is at least ``M // SHORTEST_IMAGE + 1``.
    """
    state: Integers = np.full(_STATE, -1, np.int64)
    known: Integers = np.full(_TYPES, -1, np.int64)
    decoded: Bytes = values
    i: cython.Py_ssize_t
    state[_ROWS] = state[_IMAGES] = state[_REMEMBERED] = 0
    with cython.nogil:
        i = _predictions(data, state, known, image_id, image_rows, values, decoded)
    return state[_IMAGES], state[_ROWS], i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _predictions(
    data: Bytes,
    state: Integers,
    known: Integers,
    image_id: Integers,
    image_rows: Integers,
    values: Written,
    decoded: Bytes,
) -> cython.Py_ssize_t:
    i: cython.Py_ssize_t
    marked: cython.bint
    if _opcode(data, 0) != _PROTO or _opcode(data, 2) != _LIST:
        return -1
    i = _remember(data, 3, state)
    while i >= 0 and _opcode(data, i) in (_MARK, _DICT):
        marked = _opcode(data, i) == _MARK
        i += marked
        while i >= 0 and _opcode(data, i) == _DICT:
            i = _prediction(data, i, state, known, image_id, image_rows, values, decoded)
            if not marked:
                break
        if i < 0 or _opcode(data, i) != (_APPENDS if marked else _APPEND):
            return -1
        i += 1
    return i + 1 if i >= 0 and _opcode(data, i) == _STOP else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _prediction(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    known: Integers,
    image_id: Integers,
    image_rows: Integers,
    values: Written,
    decoded: Bytes,
) -> cython.Py_ssize_t:
    """One image."""
    image: cython.longlong = state[_IMAGES]
    seen: cython.int = 0
    key: Number
    number: Number
    i = _remember(data, i + 1, state)
    if i < 0 or _opcode(data, i) != _MARK:
        return -1
    i += 1
    while i >= 0 and _opcode(data, i) != _SETITEMS:
        key = _key(data, i, state)
        i = key.end
        if i < 0:
            return -1
        if key.value == _IMG and not seen & 1:
            seen |= 1
            number = _integer(data, i)
            image_id[image] = number.value
            i = number.end
        elif key.value == _PREDICTED and not seen & 2:
            seen |= 2
            number = _tensors(data, i, state, known, values, decoded)
            image_rows[image] = number.value
            i = number.end
        elif key.value == _OTHER:
            i = _pass(data, i, state)
        else:
            return -1
    if i < 0 or seen != 3:
        return -1
    state[_ROWS] += image_rows[image]
    state[_IMAGES] += 1
    return i + 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _pass(data: Bytes, i: cython.Py_ssize_t, state: Integers) -> cython.Py_ssize_t:
    """After a text or a number, or a tuple of one to three numbers."""
    code: cython.int = _opcode(data, i)
    count: cython.int = 0
    if code in (_LIST, _DICT):
        return -1
    if code not in (_FLOAT, _BYTE, _SHORT, _INT, _LONG):
        return _skip(data, i, state, 0)
    while i >= 0 and _opcode(data, i) in (_FLOAT, _BYTE, _SHORT, _INT, _LONG):
        i = _skip(data, i, state, 0)
        count += 1
    if i < 0:
        return -1
    if _opcode(data, i) in (_ONE, _TWO, _THREE):
        return _remember(data, i + 1, state) if _opcode(data, i) - _ONE + 1 == count else -1
    return i if count == 1 else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _tensors(
    data: Bytes, i: cython.Py_ssize_t, state: Integers, known: Integers, values: Written, decoded: Bytes
) -> Number:
    """The detections of an image: after them, and their number."""
    found: Number = Number(end=-1, value=-1)
    seen: cython.int = 0
    key: Number
    rows: Number
    if _opcode(data, i) != _DICT:
        return found
    i = _remember(data, i + 1, state)
    if i < 0 or _opcode(data, i) != _MARK:
        return found
    i += 1
    while _opcode(data, i) != _SETITEMS:
        key = _key(data, i, state)
        if key.end < 0 or key.value < _LABELS or key.value > _BOXES or seen >> key.value & 1:
            return found
        seen |= 1 << key.value
        rows = _tensor(data, key.end, state, known, key.value - _LABELS, values, decoded)
        i = rows.end
        if i < 0 or (found.value >= 0 and found.value != rows.value):
            return found
        found.value = rows.value
    if seen >> _LABELS == 7:
        found.end = i + 1
    return found


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _tensor(
    data: Bytes,
    i: cython.Py_ssize_t,
    state: Integers,
    known: Integers,
    field: cython.longlong,
    values: Written,
    decoded: Bytes,
) -> Number:
    """``_rebuild_tensor_v2(storage, offset, shape, strides, False, OrderedDict())``: after it, and its rows.

    field: 0, 1, 2 for labels, scores, boxes.
    """
    rows: Number = Number(end=-1, value=-1)
    columns: cython.longlong = 4 if field == 2 else 1
    joined: cython.int = _TWO if columns == 4 else _ONE
    width: cython.longlong = 8 if field == 0 else 4
    offset: Number
    text: Text
    storage: Number
    at: cython.Py_ssize_t
    i = _spelled(data, i, state, known, _REBUILD)
    if i < 0 or _opcode(data, i) != _MARK:
        return rows
    i = _spelled(data, i + 1, state, known, _LOAD)
    text = _encoded(data, i, state, known, values, field * data.shape[0] + state[_ROWS] * columns * width)
    i = _after(data, text.end, _ONE, state)
    i = _after(data, i, _REDUCE, state)
    if i < 0:
        return rows
    storage = _storage(decoded, text.begin, text.stop, _LONGS if field == 0 else _FLOATS)
    offset = _integer(data, i)
    if storage.end < 0 or offset.end < 0 or storage.end + storage.value * width != text.stop:
        return rows
    rows = _integer(data, offset.end)
    i = _after(data, _exactly(data, rows.end, 4) if columns == 4 else rows.end, joined, state)
    i = _exactly(data, _exactly(data, i, 4) if columns == 4 else i, 1)  # strides
    i = _after(data, i, joined, state)
    rows.end = -1
    if i < 0 or _opcode(data, i) != _FALSE:
        return rows
    i = _spelled(data, i + 1, state, known, _HOOKS)
    if i < 0 or _opcode(data, i) != _NOTHING:
        return rows
    i = _after(data, i + 1, _REDUCE, state)
    i = _after(data, i, _TUPLE, state)
    i = _after(data, i, _REDUCE, state)
    if i < 0 or not 0 <= rows.value <= storage.value or not 0 <= offset.value <= storage.value:
        return rows
    if offset.value + rows.value * columns > storage.value:
        return rows
    for at in range(rows.value * columns * width):
        values[text.begin + at] = values[storage.end + offset.value * width + at]
    rows.end = i
    return rows


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _exactly(data: Bytes, i: cython.Py_ssize_t, value: cython.longlong) -> cython.Py_ssize_t:
    """After an integer that has to be this one."""
    number: Number
    if i < 0:
        return -1
    number = _integer(data, i)
    return number.end if number.value == value else -1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _storage(decoded: Bytes, i: cython.Py_ssize_t, stop: cython.Py_ssize_t, kind: cython.int) -> Number:
    """A storage of one of two types: where its numbers begin, and how many there are; -1 if there is anything else."""
    found: Number = Number(end=-1, value=-1)
    name: Text
    again: Text
    number: Number
    at: cython.Py_ssize_t
    i = _piece(decoded, _piece(decoded, i, stop, _BEGIN), stop, kind)
    if i < 0 or i >= stop or decoded[i] != _TEXT:
        return found
    name = _text(decoded, i)
    i = _piece(decoded, name.end, stop, _DEVICE)
    if i < 0:
        return found
    number = _integer(decoded, i)
    i = _piece(decoded, number.end, stop, _LISTED)
    if i < 0 or i >= stop or decoded[i] != _TEXT:
        return found
    again = _text(decoded, i)
    i = _piece(decoded, again.end, stop, _END)
    if i < 0 or i + 8 > stop or again.stop - again.begin != name.stop - name.begin:
        return found
    for at in range(name.stop - name.begin):
        if decoded[name.begin + at] != decoded[again.begin + at] or not 48 <= decoded[name.begin + at] <= 57:  # digits
            return found
    if number.value < 0 or _unsigned(decoded, i, 4) != number.value or _unsigned(decoded, i + 4, 4) != 0:
        return found
    found.end = i + 8
    found.value = number.value
    return found


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _piece(decoded: Bytes, i: cython.Py_ssize_t, stop: cython.Py_ssize_t, piece: cython.int) -> cython.Py_ssize_t:
    """After one of `_PIECES`."""
    at: cython.Py_ssize_t
    if i < 0 or i + _PIECE_LENGTH[piece] > stop:
        return -1
    for at in range(_PIECE_LENGTH[piece]):
        if decoded[i + at] != _PIECE[piece, at]:
            return -1
    return i + _PIECE_LENGTH[piece]
