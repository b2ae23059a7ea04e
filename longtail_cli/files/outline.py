"""What kind of file it is, and what it names: from its first bytes alone, whatever it is called."""

from __future__ import annotations

import csv
import io
import json
import pickletools
import re
import zipfile
from collections import deque
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from longtail_cli.files.arrays import SUFFIX, header_of
from longtail_cli.files.reading import FIX_COPY, reading
from longtail_cli.files.source import open_file

Container = Literal[
    "json list", "json object", "json lines", "parquet", "arrow", "csv", "text", "npy", "npz", "torch", "pickle",
    "safetensors", "folder",
]  # fmt: skip

HEAD_BYTES = 1 << 16
"""How much of a file is looked at."""

MOST_HEADER_BYTES = 100_000_000
"""Of a safetensors file, as its library has it."""

_PICKLE = re.compile(rb"\x80|\([ld]p\d+\n|[\]}]q\0")
"""How a pickle begins: with its protocol since 2, before that with a list or a dict."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickled number with which torch.save began before 1.6; `_LEGACY_PICKLES` pickles come before that of the object
(pytorch/pytorch, torch/serialization.py, `_legacy_save`)."""
_LEGACY_PICKLES = 3
_ZIP = b"PK"
ARROW = b"ARROW1"
"""How an Arrow file begins, which Feather files are; a stream of record batches begins with `_ARROW_STREAM`."""
_ARROW_STREAM = b"\xff\xff\xff\xff"
_DELIMITERS = (",", "\t", ";")
_KEY = re.compile(r'"([^"\\]*)"\s*:')


@dataclass(frozen=True, slots=True)
class Outline:
    """A glance at an input, which may still turn out to be damaged."""

    path: Path
    container: Container
    names: tuple[str, ...] = ()
    """The keys of the first entry (json list, json lines) or of the object (json object, as far as they were seen); the
    columns (parquet, arrow, csv), arrays (npz, safetensors), texts in order (torch, pickle), or file names (folder)."""
    first: Mapping[str, Any] = field(default_factory=dict)
    """The first entry (json list, json lines), the first row as text (csv), shapes by name (npz, npy as ``""``), or
    types by column (parquet, arrow)."""
    delimiter: str = ","
    """What is between two cells (csv)."""
    globals: tuple[str, ...] = ()
    """The objects that a pickle refers to, such as ``numpy.dtype``; none is ever loaded for this."""
    nesting: tuple[str, ...] = ()
    """The containers with which a pickle begins, the outermost first: ``list``, ``dict``. Tuples do not show."""


def outline_of(path: Path) -> Outline:
    """The outline of a file, plain or ``.gz``, or of a folder. Raises InputError if it cannot be read, or is empty."""
    if path.is_dir():
        return Outline(path, "folder", _files(path))
    with closing(open_file(path)) as content, content.stream() as stream:
        head = stream.read(HEAD_BYTES)
    if head.startswith(_ZIP):
        return _of_zip(path)
    if head.startswith(b"\x93NUMPY"):
        with reading(str(path), "a NumPy file"):
            shape = header_of(io.BytesIO(head), path.stat().st_size, "the file").shape
        return Outline(path, "npy", ("",), {"": shape})
    if head.startswith(b"PAR1"):
        return _of_parquet(path)
    if head.startswith(ARROW):
        return _of_arrow(path, stream=False)
    if head.startswith(_ARROW_STREAM) and 0 < int.from_bytes(head[4:8], "little", signed=True) < path.stat().st_size:
        return _of_arrow(path, stream=True)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= min(path.stat().st_size, MOST_HEADER_BYTES):
        return _of_safetensors(path, head)
    if _PICKLE.match(head):
        return _of_pickle(path, "pickle", head)
    return _of_text(path, head.decode("utf-8-sig", "replace"), whole=len(head) < HEAD_BYTES)


def _files(folder: Path) -> tuple[str, ...]:
    with reading(str(folder), "a folder that can be listed", "check the path and its permissions", where="folder"):
        return tuple(sorted(one.name for one in folder.iterdir()))


def _of_zip(path: Path) -> Outline:
    """A file of torch.save, or arrays."""
    with reading(str(path), "a complete zip archive"), zipfile.ZipFile(path) as archive:
        members = archive.namelist()
        pickled = next((name for name in members if name.endswith("/data.pkl")), None)
        if pickled is not None:
            with archive.open(pickled) as stream:
                return _of_pickle(path, "torch", stream.read(HEAD_BYTES))
        shapes = {}
        for member in archive.infolist():
            if member.filename.endswith(SUFFIX):
                with archive.open(member) as stream:
                    shapes[member.filename.removesuffix(SUFFIX)] = header_of(
                        stream, member.file_size, member.filename
                    ).shape
    return Outline(path, "npz", tuple(shapes), shapes)


def _of_parquet(path: Path) -> Outline:
    import pyarrow
    import pyarrow.parquet

    with reading(str(path), "a whole Parquet file", FIX_COPY, pyarrow.ArrowException):
        schema = pyarrow.parquet.read_schema(path)
    return Outline(path, "parquet", tuple(schema.names), {one.name: str(one.type) for one in schema})


def _of_arrow(path: Path, *, stream: bool) -> Outline:
    import pyarrow
    import pyarrow.ipc

    with reading(str(path), "a whole Arrow file", FIX_COPY, pyarrow.ArrowException), pyarrow.OSFile(str(path)) as file:
        opened = pyarrow.ipc.open_stream(file) if stream else pyarrow.ipc.open_file(file)
        schema = opened.schema
    return Outline(path, "arrow", tuple(schema.names), {one.name: str(one.type) for one in schema})


def _of_safetensors(path: Path, head: bytes) -> Outline:
    length = int.from_bytes(head[:8], "little")
    with path.open("rb") as file, reading(str(path), "a complete safetensors file"):
        file.seek(8)
        entries = json.loads(file.read(length))
        shapes = {name: tuple(one["shape"]) for name, one in entries.items() if name != "__metadata__"}
    return Outline(path, "safetensors", tuple(shapes), shapes)


def _of_pickle(path: Path, container: Container, head: bytes) -> Outline:
    """What the first bytes of a pickle name. It is taken apart, not loaded."""
    names: list[str] = []
    found: list[str] = []
    nesting: list[str] = []
    begun = False
    stream = io.BytesIO(head)
    try:
        if head.startswith(_LEGACY):
            for _ in range(_LEGACY_PICKLES):
                deque(pickletools.genops(stream), 0)
        for opcode, argument, _ in pickletools.genops(stream):
            if opcode.name in ("EMPTY_LIST", "EMPTY_DICT", "LIST", "DICT") and not begun:
                nesting.append(opcode.name.removeprefix("EMPTY_").lower())
            elif "UNICODE" in opcode.name:
                names.append(str(argument))
                begun = True
            elif opcode.name == "GLOBAL":
                found.append(str(argument).replace(" ", "."))
                begun = True
            elif opcode.name == "STACK_GLOBAL":
                found.append(".".join(names[-2:]))
                begun = True
            elif opcode.name not in ("PROTO", "FRAME", "MARK", "PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
                begun = True
    except (ValueError, IndexError, UnicodeDecodeError):  # cut off, or no pickle: whoever reads it says so
        pass
    return Outline(path, container, tuple(names), globals=tuple(dict.fromkeys(found)), nesting=tuple(nesting))


def _of_text(path: Path, text: str, *, whole: bool) -> Outline:
    text = text.lstrip(" \r\n")  # a tab may stand for a first cell without a name
    if text.lstrip()[:1] == "[":
        first = _first_entry(text.lstrip()[1:].lstrip())
        return Outline(path, "json list", tuple(first), first)
    if text.lstrip()[:1] == "{":
        text = text.lstrip()
        first = _first_entry(text)
        line, _, rest = text.partition("\n")
        following = rest.lstrip()[:1]
        lines = first and line.rstrip().endswith("}") and following in ("{", "") and (rest or whole)
        several = following == "{" or not isinstance(next(iter(first.values()), None), list | dict)
        return Outline(path, "json lines" if lines and several else "json object", tuple(first) or _keys(text), first)
    header, _, rest = text.partition("\n")
    delimiter = max(_DELIMITERS, key=header.count)
    cells = _cells(header, delimiter)
    if len(cells) > 1 or " " not in header.strip():
        row = dict(zip(cells, _cells(rest.partition("\n")[0], delimiter), strict=False))
        return Outline(path, "csv", tuple(cells), row, delimiter=delimiter)
    return Outline(path, "text", tuple(header.split()))


def _cells(line: str, delimiter: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line.rstrip("\r")], delimiter=delimiter), [])]
    except csv.Error:
        return []


def _first_entry(text: str) -> dict[str, Any]:
    """The JSON object at the start of `text`; what can be seen of its keys if it is cut off, each without a value."""
    try:
        value, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return dict.fromkeys(_keys(text[:HEAD_BYTES].partition("}")[0]))
    return value if isinstance(value, dict) else {}


def _keys(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_KEY.findall(text)))
