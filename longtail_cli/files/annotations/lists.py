"""The lists of an annotation file, read by the engine.

It reads what files are like; anything else is left to `typed_json`, which also says what is wrong with it.
"""

from __future__ import annotations

import mmap

import msgspec
import numpy as np
import numpy.typing as npt

from longtail_cli.engine.json_records import BOX, CLOSED, FLAG, INTEGER, PAIRED, REAL, START, VALUE, member, scan, skip
from longtail_cli.files.annotations.columns import CategoryEntry, ImageT, Lists, Objects
from longtail_cli.files.masks import Pieces
from longtail_cli.tables import Bools, Longs

_KEYS = ("images", "categories", "annotations")
_IMAGES, _CATEGORIES, _ANNOTATIONS = range(3)
_FIELDS = {  # kind, column among those of its kind, column of its span
    "image_id": (INTEGER, 0, -1),
    "category_id": (INTEGER, 1, -1),
    "iscrowd": (FLAG, 2, -1),
    "ignore": (FLAG, 3, -1),
    "id": (INTEGER, 4, -1),
    "area": (REAL, 0, -1),
    "bbox": (BOX, 0, -1),
    "segmentation": (VALUE, 0, 0),
}
_COUNTED = 4  # the first of these are read for counting
_ROWS = 1 << 16


def _names(words: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    width = max(map(len, words)) + 1
    return np.array([list(word.encode().ljust(width, b"\0")) for word in words], np.uint8)


_KEY_NAMES = _names(_KEYS)
_FIELD_NAMES = _names(tuple(_FIELDS))


def read_lists(
    content: bytearray | mmap.mmap, image_type: type[ImageT], *, counting: bool = False, masks: bool = False
) -> Lists[ImageT] | None:
    """The lists of the file, or None if it is not read here; `content` is changed meanwhile, but not in the end.

    counting: whether only the fields that counting needs are read. masks: whether segmentations are.
    """
    data = np.frombuffer(content, np.uint8)
    last = len(data) - 1
    while last > 0 and data[last] in b" \t\r\n":
        last -= 1
    if data[last] != ord("}"):
        return None
    data[last] = 0  # the kernels stop there
    try:
        return _lists(data, last, image_type, counting, masks)
    finally:
        data[last] = ord("}")


def _lists(
    data: npt.NDArray[np.uint8], last: int, image_type: type[ImageT], counting: bool, masks: bool
) -> Lists[ImageT] | None:
    sections: dict[int, memoryview] = {}
    objects: Objects | None = None
    end = _blank(data, 0)
    opening = ord("{")
    while data[end] == opening:
        opening = ord(",")
        begin, key = member(data, end + 1, _KEY_NAMES, PAIRED)
        if begin < 0 or key in sections or (key == _ANNOTATIONS and objects is not None):
            return None
        if key == _ANNOTATIONS:
            found = _objects(data, begin, last, counting, masks)
            if found is None:
                return None
            objects, end = found
            end = _blank(data, end)
        else:
            end = skip(data, begin, PAIRED)
            if end < 0:
                return None
            if key in (_IMAGES, _CATEGORIES):
                sections[key] = data[begin:end].data
    if end != last or objects is None or len(sections) != 2:
        return None
    try:
        images = msgspec.json.decode(sections[_IMAGES], type=list[image_type])  # type: ignore[valid-type]
        categories = msgspec.json.decode(sections[_CATEGORIES], type=list[CategoryEntry])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return Lists(images, categories, objects)


def _blank(data: npt.NDArray[np.uint8], i: int) -> int:
    """The end of the white space at `i`."""
    while data[i] in b" \t\r\n":
        i += 1
    return i


def _objects(
    data: npt.NDArray[np.uint8], begin: int, last: int, counting: bool, masks: bool
) -> tuple[Objects, int] | None:
    """The list of annotations at `begin`, and where it ends."""
    number = _COUNTED if counting else len(_FIELDS) - (not masks)
    fields = np.array(list(_FIELDS.values())[:number], np.int32)
    required = 0b11 if counting else 0b1110011 | masks << 7  # all but iscrowd and ignore
    spans = 1 if masks else 0
    state, parts = START, []
    while state != CLOSED:
        part = (
            np.empty((5, _ROWS), np.int64), np.empty((1, _ROWS)), np.empty((_ROWS, 4)),
            np.empty((spans, _ROWS, 2), np.int64), np.empty(_ROWS, np.int64),
        )  # fmt: skip
        _, state, begin, _, rows = scan(
            data, last, begin, state, _FIELD_NAMES[:number], fields, required, PAIRED, *part
        )
        if (rows < _ROWS and state != CLOSED) or (part[4][:rows] >= 0).any():
            return None
        parts.append((rows, part))
    integers = np.concatenate([part[0][:, :rows] for rows, part in parts], axis=1)
    objects = Objects(
        image_id=integers[0],
        category_id=integers[1],
        crowd=_flags(integers[2]),
        ignore=_flags(integers[3]),
        id=integers[4][: 0 if counting else None],
        bbox=np.concatenate([part[2][: 0 if counting else rows] for rows, part in parts]),
        area=np.concatenate([part[1][0, : 0 if counting else rows] for rows, part in parts]),
        segmentations=Pieces(data, np.concatenate([part[3][0, :rows] for rows, part in parts])) if masks else None,
    )
    return objects, begin


def _flags(values: Longs) -> Bools:
    return values.astype(np.bool_)
