"""Damages files of arrays and tables: .npy, .npz, .safetensors, .pt and Parquet."""

from __future__ import annotations

import io
import json
import pickletools
import warnings
import zipfile
from collections.abc import Callable
from itertools import pairwise
from random import Random

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from fuzz.mutations import damage_bytes, damage_json

Array = npt.NDArray[np.generic]

_DTYPES = (
    "f2", "f4", "f8", "g", ">f4", ">i8", "i1", "u1", "i2", "i4", "i8", "u8", "c8", "?", "S4", "U3", "V4", "M8[s]",
    "m8[s]", "O", [("a", "f4"), ("b", "i8")],
)  # fmt: skip
_VALUES = (
    np.nan, np.inf, -np.inf, 0.0, -0.0, 3.4e38, -3.4e38, 1e300, 65504.0, -65504.0, 1e-45, -1.0, 1e7, 2.0**31, 2.0**63,
)  # fmt: skip
_SHAPES = (
    "(999999999999,)", "(1, 500000000)", "(0, 500000000)", "(2, -1)", "()", "(4611686018427387904, 4)", "(2.0,)",
)  # fmt: skip
_OPCODES = (
    b"N", b"]", b"}", b")", b"(", b"0", b"1", b"2", b".", b"R", b"b", b"t", b"\x85", b"\x81", b"\x8f", b"Q", b"h\0",
    b"j\xff\xff\xff\x7f", b"r\xff\xff\xff\xff", b"X\xff\xff\xff\x7f", b"\x8e" + b"\xff" * 7 + b"\x7f",
    b"J\xff\xff\xff\xff",
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f", b"G\x7f\xf0\0\0\0\0\0\0", b"G\x7f\xf8\0\0\0\0\0\0", b"K\xff", b"M\xff\xff",
    b"cos\nsystem\n", b"cnumpy\nndarray\n", b"c_codecs\nencode\n", b"\x95" + b"\xff" * 8, b"X\x01\0\0\0a", b"B\0\0\0\0",
)  # fmt: skip
"""Of which each means something to a reader, with arguments that promise much."""
_PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)


def damage_array(rng: Random, array: Array) -> Array:
    """Another type, shape, order, or values."""
    match rng.randrange(8):
        case 0 | 1:
            with np.errstate(all="ignore"), warnings.catch_warnings(action="ignore"):
                try:
                    return array.astype(rng.choice(_DTYPES))
                except (ValueError, TypeError):
                    return np.zeros(array.shape, "f4")
        case 2 | 3 if array.size and array.dtype.kind in "iuf":
            changed = array.copy()
            for _ in range(rng.choice((1, 1, array.shape[-1] if array.ndim else 1))):
                changed.flat[rng.randrange(array.size)] = _cast(rng.choice(_VALUES), array.dtype)
            return changed
        case 4 if array.ndim:
            rows = rng.choice((0, 1, len(array) // 2, 2 * len(array)))
            return np.resize(array, (rows, *array.shape[1:]))
        case 5:
            return rng.choice((array.ravel(), array[None], array[..., None], array.T, np.asfortranarray(array)))
        case 6 if array.ndim == 2:
            return rng.choice((array[:, :-1], np.pad(array, ((0, 0), (0, 1))), array[:, :0]))
        case _:
            return array[::-1] if array.ndim else array


def _cast(value: float, dtype: npt.DTypeLike) -> Array:
    """The value as another type, whatever becomes of it there."""
    with np.errstate(all="ignore"):
        return np.array(value).astype(dtype)


def damage_npy(rng: Random, content: bytes) -> bytes:
    if rng.random() < 0.5:
        return _npy(damage_array(rng, np.load(io.BytesIO(content))))
    return _damage_npy_header(rng, content)


def _npy(array: Array) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def _damage_npy_header(rng: Random, content: bytes) -> bytes:
    """Another shape or type is stated, with the length of the header corrected; or its first bytes are damaged."""
    if rng.random() < 0.3:
        return damage_bytes(rng, content[:128]) + content[128:]
    end = 10 + int.from_bytes(content[8:10], "little")
    header = content[10:end].decode("latin-1")
    stated = {"'shape': " + header.split("'shape': ")[1].split(", }")[0]: "'shape': " + rng.choice(_SHAPES)}
    stated |= {"'fortran_order': False": "'fortran_order': True"} if rng.random() < 0.3 else {}
    for old, new in stated.items():
        header = header.replace(old, new)
    if rng.random() < 0.2:
        header = header.replace("'<", "'" + rng.choice((">", "|", "=")))
    return content[:8] + len(header).to_bytes(2, "little") + header.encode("latin-1") + content[end:]


def damage_npz(rng: Random, content: bytes) -> bytes:
    """One member is damaged, dropped, renamed, or packed in another way."""
    return _damage_archive(rng, content, damage_npy)


def damage_fitted(rng: Random, content: bytes) -> bytes:
    """The document in a fitted file is damaged, as JSON."""
    with np.load(io.BytesIO(content)) as arrays:
        members = dict(arrays)
    document = damage_json(rng, members["document"].tobytes())
    file = io.BytesIO()
    np.savez(file, allow_pickle=False, **{**members, "document": np.frombuffer(document, np.uint8)})
    return file.getvalue()


def _damage_archive(rng: Random, content: bytes, damage_member: Callable[[Random, bytes], bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = [(name, archive.read(name)) for name in archive.namelist()]
    at = rng.randrange(len(members))
    name, member = members[at]
    match rng.randrange(10):
        case 0:
            del members[at]
        case 1:
            members[at] = rng.choice(members)[0], member
        case 2:
            members[at] = (
                rng.choice(("labels", "labels.npy", "x.npy", "../x.npy", "logits.npy", "", "a" * 5000)),
                member,
            )
        case 3:
            members[at] = name, rng.choice((b"", b"text", member[:-1], member + b"x", damage_bytes(rng, member)))
        case 4:
            pass
        case _:
            members[at] = name, damage_member(rng, member)
    file = io.BytesIO()
    with warnings.catch_warnings(action="ignore"), zipfile.ZipFile(file, "w", rng.choice(_PACKINGS)) as archive:
        for one, text in members:
            archive.writestr(zipfile.ZipInfo(one), text, archive.compression)
    return damage_bytes(rng, file.getvalue()) if rng.random() < 0.2 else file.getvalue()


def damage_safetensors(rng: Random, content: bytes) -> bytes:
    """The header, with its length corrected, or the values."""
    end = 8 + int.from_bytes(content[:8], "little")
    header, data = content[8:end], content[end:]
    match rng.randrange(6):
        case 0:
            return damage_bytes(rng, content)
        case 1:
            at = rng.randrange(0, len(data), 4)
            special = _cast(rng.choice(_VALUES), rng.choice(("f2", "f4", "i8")))
            data = data[:at] + special.tobytes() + data[at + special.nbytes :]
        case 2:
            tensors = json.loads(header)
            name = rng.choice([name for name in tensors if name != "__metadata__"])
            other = rng.choice(("F16", "BF16", "F32", "F64", "I8", "I64", "U64", "BOOL", "F8_E5M2", "C64"))
            tensors[name]["dtype"] = other
            header = json.dumps(tensors).encode()
        case 3:
            header += b" " * rng.choice((1, 7, 100_000))
        case _:
            header = damage_json(rng, header)
    return len(header).to_bytes(8, "little") + header + data


def damage_pickle(rng: Random, content: bytes) -> bytes:
    """Opcodes are left out, written twice, exchanged, or given other arguments; or any bytes are damaged."""
    if rng.random() < 0.3 or not content.startswith(b"\x80"):
        return damage_bytes(rng, content)
    ends = [position for _, _, position in pickletools.genops(content)] + [len(content)]
    pieces = [content[begin:end] for begin, end in pairwise(ends)]
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(1, len(pieces))
        match rng.randrange(5):
            case 0:
                pieces[at] = b""
            case 1:
                pieces[at] *= rng.choice((2, 3, 1000))
            case 2:
                pieces[at] = rng.choice(pieces)
            case 3:
                pieces[at] = rng.choice(_OPCODES)
            case _:
                pieces[at] = pieces[at][:1] + bytes(rng.randrange(256) for _ in pieces[at][1:])
    return b"".join(pieces)


def damage_saved(rng: Random, content: bytes) -> bytes:
    """The pickle in a file of torch.save, mostly; or its archive."""
    if rng.random() < 0.2:
        return _damage_archive(rng, content, damage_pickle)
    file = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as archive, zipfile.ZipFile(file, "w") as damaged:
        for name in archive.namelist():
            member = archive.read(name)
            damaged.writestr(name, damage_pickle(rng, member) if name.endswith("data.pkl") else member)
    return file.getvalue()


def damage_pt(rng: Random, content: bytes) -> bytes:
    """One tensor is of another kind, or the archive is damaged."""
    if rng.random() < 0.3:
        return _damage_archive(rng, content, lambda rng, member: damage_bytes(rng, member[:400]) + member[400:])
    return _saved(_damaged(rng, torch.load(io.BytesIO(content), weights_only=True)), content)


def damage_images(rng: Random, content: bytes) -> bytes:
    """As `damage_pt`, in one of a list of dicts."""
    if rng.random() < 0.3:
        return _damage_archive(rng, content, lambda rng, member: damage_bytes(rng, member[:400]) + member[400:])
    images = torch.load(io.BytesIO(content), weights_only=True)
    number = rng.randrange(len(images))
    images[number] = _damaged(rng, images[number])
    return _saved(images, content)


def _damaged(rng: Random, values: dict[str, object]) -> object:
    """The dict with another value, or another object in its place."""
    name = rng.choice(list(values))
    try:
        with warnings.catch_warnings(action="ignore"):
            values[name] = _other_value(rng, values[name])
    except (RuntimeError, TypeError, ValueError, AttributeError, IndexError, NotImplementedError):
        del values[name]
    if rng.random() < 0.1:
        return rng.choice((list(values.values()), values.get(name), {0: 1}, "text"))
    return values


def _saved(values: object, content: bytes) -> bytes:
    """What torch.save makes of the values; `content` if they are of kinds that cannot be saved."""
    file = io.BytesIO()
    try:
        torch.save(values, file)
    except (RuntimeError, NotImplementedError):
        return content
    return file.getvalue()


def _other_value(rng: Random, value: object) -> object:
    if not isinstance(value, torch.Tensor):
        return rng.choice(
            (None, "text", {"head": "softmax"}, [1, 2], 2**70, float("nan"), {"a": {"b": [[]] * 3}}, b"x")
        )
    ordinary: list[Callable[[torch.Tensor], object]] = [
        lambda one: torch.from_numpy(np.ascontiguousarray(damage_array(rng, one.numpy()))),
        lambda one: one.to(rng.choice((torch.bfloat16, torch.float16, torch.complex64, torch.float8_e5m2, torch.bool))),
    ]
    kinds: list[Callable[[torch.Tensor], object]] = [
        lambda one: one.t().contiguous().t(),
        lambda one: one[::2],
        lambda one: one[:1].expand(one.shape),
        lambda one: one.to_sparse(),
        lambda one: one.to_sparse_csr(),
        lambda one: torch.nested.nested_tensor([one, one]),
        lambda one: torch.quantize_per_tensor(one.float(), 0.1, 0, torch.qint8),
        lambda one: torch.complex(one.float(), one.float()).conj(),
        lambda one: torch.complex(one.float(), one.float()).conj().imag,  # with the negative bit
        lambda one: one.to("meta"),
        lambda one: torch.nn.Parameter(one.float()),
        lambda one: one.float().requires_grad_(),
        lambda one: one.tolist(),
        lambda one: one.numpy(),
        lambda one: one.as_strided((10**9, 4), (0, 0)),
        lambda one: None,
        lambda one: torch.zeros(0),
    ]
    return rng.choice(ordinary if rng.random() < 0.5 else kinds)(value)


def damage_parquet(rng: Random, content: bytes) -> bytes:
    """One column is of another type or has other values; or the file is written or packed in another way."""
    if rng.random() < 0.2:
        return damage_bytes(rng, content)
    table = pq.read_table(io.BytesIO(content))
    for _ in range(rng.choice((0, 1, 1, 2))):
        table = _damage_table(rng, table)
    if rng.random() < 0.1:
        keys = dict(table.schema.metadata or {b"num_images": b"1"})
        keys[rng.choice(list(keys))] = rng.choice((b"", b"9" * 5000, b"\xff", b"{}", b"[" * 3000, b"1e999", b"-1"))
        table = table.replace_schema_metadata(keys)
    file = io.BytesIO()
    options = {
        "row_group_size": rng.choice((1, 2, 1000)),
        "compression": rng.choice(("none", "snappy", "gzip", "zstd", "lz4", "brotli")),
        "use_dictionary": rng.random() < 0.5,
        "data_page_version": rng.choice(("1.0", "2.0")),
        "version": rng.choice(("1.0", "2.4", "2.6")),
        "write_statistics": rng.random() < 0.5,
        "store_schema": rng.random() < 0.7,
    }
    try:
        pq.write_table(table, file, **options)
    except (pa.ArrowException, OSError):  # of types that cannot be stored
        return content
    return file.getvalue()


def _damage_table(rng: Random, table: pa.Table) -> pa.Table:
    if not table.num_columns:
        return table
    at = rng.randrange(table.num_columns)
    name = table.column_names[at]
    match rng.randrange(8):
        case 0:
            return table.remove_column(at)
        case 1:
            return table.append_column(rng.choice((name, "extra", "a" * 5000, "\x1b[31m")), table.column(at))
        case 2:
            return table.slice(0, rng.choice((0, 1)))
        case 3:
            return pa.concat_tables([table] * rng.choice((2, 30)))
    try:
        return table.set_column(at, name, _other_column(rng, table.column(at).combine_chunks()))
    except (pa.ArrowException, TypeError, OverflowError, ValueError, AttributeError):
        return table


def _other_column(rng: Random, column: pa.Array) -> pa.Array:
    values = column.to_pylist()
    kinds: list[Callable[[], pa.Array]] = [
        lambda: column.cast(
            rng.choice(
                (pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.large_string(), pa.bool_())
            ),
            safe=False,
        ),
        lambda: column.cast(rng.choice((pa.string(), pa.decimal128(38, 2), pa.timestamp("ns"), pa.binary()))),
        lambda: column.dictionary_encode(),
        lambda: pa.array([None if rng.random() < 0.3 else one for one in values], column.type),
        lambda: pa.nulls(len(column)),
        lambda: pa.nulls(len(column), column.type),
        lambda: pa.array([[one] for one in values]),
        lambda: pa.array([{"a": one} for one in values]),
        lambda: pa.array([[[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]] for _ in values]),
        lambda: pa.array([float("nan")] * len(column)),
        lambda: pa.array([b"\xff\xfe"] * len(column), pa.binary()).view(pa.string()),
        lambda: pa.array([rng.choice(_VALUES) for _ in values]),
        lambda: pa.array([rng.choice((0, -1, 2**31, 2**53 + 1, 2**63 - 1, -(2**63))) for _ in values]),
        lambda: pa.array([rng.choice(("", "\0", "\n::error::x", "a" * 5000, "1", "[1,2,3,4]")) for _ in values]),
        lambda: pa.FixedSizeListArray.from_arrays(pa.array([1.0] * 4 * len(column)), 4),
        lambda: pa.array([{"size": [8, 10], "counts": rng.choice(("04", "\xff", "~" * 500, ""))} for _ in values]),
        lambda: pa.array([{"size": [8, 10], "counts": [2**32 - 1] * 50} for _ in values]),
    ]
    return rng.choice(kinds)()
