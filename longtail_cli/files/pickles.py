"""Pickles and the files of `torch.save`, read as data: arrays, tensors and plain containers, without running anything.

Formats: Python's pickle protocols 0 to 5, with arrays as NumPy 1 and 2 pickle them (numpy/numpy:
numpy/_core/src/multiarray/methods.c, array_reduce); torch.save since 1.6, a zip archive of a pickle and one file for
each storage (pytorch/pytorch: torch/serialization.py, _save); and before, which tensors in plain pickles still use:
a row of pickles, followed by the storages (_legacy_save).
"""

from __future__ import annotations

import io
import mmap
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.pickle_machine import Machine, Named
from longtail_cli.files.pickle_objects import STORAGES, ByteOrder, Objects, Storage, storage_of
from longtail_cli.files.reading import FIX_COPY, reading
from longtail_cli.files.source import Content, Reader, open_file

_ZIP = b"PK"
_HEADER_BYTES = 30
"""Of a member of a zip archive; the lengths of what follows come last."""
_LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The pickle of the number with which torch.save began before 1.6."""
_STORAGE = re.compile(
    rb"\x80\x02\(X\x07\0\0\0storageq\0ctorch\n(\w+)\nq\x01X.\0\0\0(\d+)q\x02X\x03\0\0\0cpuq\x03(?:K.|M..|J....)Ntq\x04Q\."
    rb"\x80\x02\]q\0X.\0\0\0(\d+)q\x01a\.(.{8})",
    re.DOTALL,
)
"""A storage in a plain pickle as torch writes it: its type, its name, the name in the list of storages, its length."""
_PICKLE = "a whole pickle of arrays, tensors, and plain containers"


def load_saved(path: Path) -> Any:
    """The content of a pickle or of a file of torch.save, plain or ``.gz``; its first bytes tell which.

    Lists, dicts (also for OrderedDict, defaultdict and Counter), tuples (also for named tuples and torch.Size), sets,
    text, bytes, numbers, True, False, None; NumPy arrays and scalars, read-only; torch tensors as arrays, of bfloat16
    as float32; `Instances` and `Boxes` of detectron2 and `EvalPrediction` of transformers as dicts of their attributes.
    Raises InputError if the file is damaged, names any other object, or holds arrays of Python objects.
    """
    content = open_file(path)
    try:
        return load_content(content)
    finally:
        content.close()


def load_content(content: Content) -> Any:
    """As `load_saved`, of a file that is open."""
    with content.unchanged():
        plain = content.unpacked()
        beginning = bytearray(len(_LEGACY))
        plain.read_at(memoryview(beginning), 0)
        if beginning.startswith(_ZIP):
            with _opened(plain) as archive:
                return archive.load()
        with plain.mapped() as mapped:
            stream = mapped if isinstance(mapped, mmap.mmap) else io.BytesIO(mapped)
            with reading(content.source, _PICKLE, FIX_COPY):
                return _load_stream(stream, content.source)


@contextmanager
def pickled(content: Content) -> Iterator[npt.NDArray[np.uint8]]:
    """The bytes of a pickle, uint8, or of that in an archive of torch.save; valid within the block.

    Raises InputError as `load_saved` for what can be seen without reading the pickle.
    """
    plain = content.unpacked()
    with plain.mapped() as mapped:
        data = np.frombuffer(mapped, np.uint8)
        if data[: len(_ZIP)].tobytes() == _ZIP:
            with _opened(plain) as archive:
                data = archive.mapped("data.pkl", data)
        yield data


def load_pickle(data: bytes, source: str) -> Any:
    """As `load_saved`, of bytes. source: what errors call them."""
    with reading(source, _PICKLE, FIX_COPY):
        return _load_stream(io.BytesIO(data), source)


def _load_stream(stream: Any, source: str) -> Any:
    if stream.read(len(_LEGACY)) == _LEGACY:
        return _load_legacy(stream, source)
    stream.seek(0)
    return Machine(stream, Objects(source, nested=_Nested(source))).run()


@contextmanager
def _opened(content: Content) -> Iterator[_Archive]:
    """What torch.save wrote as a zip archive."""
    source = content.source
    whole = reading(source, "a whole zip archive of `torch.save`")
    with whole, zipfile.ZipFile(io.BufferedReader(Reader(content))) as archive:
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if name is None:
            found = ", ".join(archive.namelist()[:5]) or "no file"
            raise InputError(source, [Problem("archive", "a file data.pkl", found)], "save it with `torch.save`")
        yield _Archive(archive, name.removesuffix("data.pkl"), content)


class _Archive:
    """The archive, and the storages that were read."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, content: Content) -> None:
        self.archive, self.folder, self.content = archive, folder, content
        self.storages: dict[tuple[str, str], Storage] = {}
        order = self.member("byteorder") if f"{folder}byteorder" in archive.namelist() else b"little"
        self.order: ByteOrder = ">" if order == b"big" else "<"

    def load(self) -> Any:
        objects = Objects(self.content.source, self.storage)
        return Machine(io.BytesIO(self.member("data.pkl")), objects).run()

    def member(self, name: str) -> bytes:
        return self.archive.read(self.info(name))

    def mapped(self, name: str, data: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
        """A member within the bytes of the whole archive."""
        info = self.info(name)
        with self.archive.open(info):  # compares its own header with that in the directory
            pass
        header = data[info.header_offset : info.header_offset + _HEADER_BYTES].tobytes()
        begin = info.header_offset + _HEADER_BYTES + sum(struct.unpack("<HH", header[-4:]))  # of its name, and extras
        member = data[begin : begin + info.file_size]
        if len(member) < info.file_size or zlib.crc32(member.data) != info.CRC:
            raise zipfile.BadZipFile(f"Bad CRC-32 for file {info.filename!r}")
        return member

    def info(self, name: str) -> zipfile.ZipInfo:
        """Of a member that is stored as it is."""
        info = self.archive.getinfo(f"{self.folder}{name}")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size > self.content.size:
            expected, fix = "files that are stored as they are", "write the file again with `torch.save`"
            problem = Problem(f"`{info.filename}`", expected, f"one that unpacks to {info.file_size:,} bytes")
            raise InputError(self.content.source, [problem], fix)
        return info

    def storage(self, key: Any) -> Storage:
        kind, name, numbers = _storage_key(key)
        if (name, kind) not in self.storages:
            self.storages[name, kind] = storage_of(self.member(f"data/{name}"), kind, numbers, self.order)
        return self.storages[name, kind]


def _storage_key(key: Any) -> tuple[str, str, Any]:
    """The type, name, and stated length of the storage with a persistent id."""
    if not isinstance(key, tuple) or len(key) < 5 or key[0] != "storage" or not isinstance(key[1], Named):
        raise ValueError("a reference to data that is no storage")
    _, kind, name, _, numbers = key[:5]
    return STORAGES[kind.name.rpartition(".")[2]], str(name), numbers


def _load_legacy(stream: Any, source: str) -> Any:
    """What torch.save wrote before 1.6, after the number with which it begins."""
    order = _legacy_order(stream, source)
    begin = stream.tell()
    _, storages = _legacy_storages(stream, source, order)
    stream.seek(begin)
    return Machine(stream, Objects(source, lambda key: storages[_storage_key(key)[1]])).run()


def _legacy_order(stream: Any, source: str) -> ByteOrder:
    """What two pickles before that of the object say: the version of the protocol, and the system."""
    Machine(stream, Objects(source)).run()
    return "<" if Machine(stream, Objects(source)).run()["little_endian"] else ">"


def _legacy_storages(stream: Any, source: str, order: ByteOrder) -> tuple[Any, dict[str, Storage]]:
    """The pickled object with `_Reference` in place of storages, and these by name; they follow after it."""
    kinds: dict[str, str] = {}

    def refer(key: Any) -> _Reference:
        kind, name, _ = _storage_key(key)
        kinds[name] = kind
        return _Reference(name)

    found = Machine(stream, _StoragesOnly(source, refer)).run()
    storages = {}
    for name in Machine(stream, Objects(source)).run():
        width = 2 if kinds[name] == "bfloat16" else np.dtype(kinds[name]).itemsize
        count = int.from_bytes(stream.read(8), "little" if order == "<" else "big")
        storages[name] = storage_of(stream.read(count * width), kinds[name], count, order)
    return found, storages


@dataclass(frozen=True, slots=True)
class _Reference:
    """Stands for a storage while only the storages are looked for."""

    name: str


class _StoragesOnly(Objects):
    """Makes nothing but what is needed to come across all storages."""

    def made(self, named: Named, arguments: tuple[Any, ...]) -> Any:
        return None if named.name.startswith("torch.") else super().made(named, arguments)


class _Nested:
    """Reads storages of tensors in a plain pickle: each is a legacy file of its own, and most begin alike."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.head = b""
        self.order: ByteOrder = "<"

    def __call__(self, data: bytes) -> Storage:
        stream = io.BytesIO(data)
        if self.head and data.startswith(self.head):
            stream.seek(len(self.head))
        elif stream.read(len(_LEGACY)) == _LEGACY:
            self.order = _legacy_order(stream, self.source)
            self.head = data[: stream.tell()]
        else:
            raise ValueError("a tensor that was not saved as torch does")
        alone = _STORAGE.match(data, stream.tell())
        if alone is not None and alone[2] == alone[3]:  # the usual case, at several times the speed
            count = int.from_bytes(alone[4], "little" if self.order == "<" else "big")
            return storage_of(data[alone.end() :], STORAGES[alone[1].decode("ascii")], count, self.order)
        found, storages = _legacy_storages(stream, self.source, self.order)
        if not isinstance(found, _Reference):
            raise ValueError("a tensor without a storage")
        return storages[found.name]
