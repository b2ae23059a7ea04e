"""The files that hold logits or scores, opened by what is in them; their names say nothing unless they are damaged."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from longtail_cli.errors import InputError, LtcalError, Problem, UsageError
from longtail_cli.files.logits.contents import Contents, contents_of
from longtail_cli.files.logits.metadata import Metadata, read_sidecar
from longtail_cli.files.logits.ranks import check_ranks, written_by_ranks
from longtail_cli.files.logits.shards import (
    MemoryShard,
    NpyShard,
    NpzShard,
    SafetensorsShard,
    Shard,
    TorchShard,
    holds_tensors,
)
from longtail_cli.files.logits.tables import read_csv, read_parquet
from longtail_cli.files.outline import outline_of
from longtail_cli.files.paths import LOGIT_SUFFIXES, sidecars
from longtail_cli.files.pickles import load_saved
from longtail_cli.files.source import check_readable
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores import download, found, listed
from longtail_cli.files.texts import named_as_given, renamed
from longtail_cli.files.urls import STORES, is_url, local_path

_BINARY: Mapping[str, Callable[[Path], Shard]] = {
    ".safetensors": SafetensorsShard.open,
    ".npz": NpzShard.open,
    ".pt": TorchShard.open,
    ".pth": TorchShard.open,
}
"""How a file is opened that cannot be recognised, so that its errors say what it should be."""

_TEXT = ("csv", "text", "json list", "json object", "json lines")
_URL_AS_PATH = re.compile(rf"\b({'|'.join(STORES)}):/(?!/)")
_FIX = "pass a .safetensors, .npz, .npy, .pt, .pkl, .csv or .parquet file, or a folder of shards"


@dataclass(frozen=True, slots=True)
class OpenedSource:
    """A file or a folder of shards."""

    name: str
    """The path or URL as the user gave it."""
    shards: list[Shard]
    beside: list[tuple[str, Metadata]]
    """The metadata in JSON files beside the shards."""
    sidecar: str | None
    """The JSON file that may state what is missing."""
    by_ranks: bool
    """Whether several processes wrote the shards."""


def opened_source(source: Path | str, keys: Mapping[str, str]) -> OpenedSource:
    """What is at a path or, as text, at a URL; as `opened_shards`.

    At a URL only safetensors files are read: their headers now, ranges of their rows later. Raises UsageError for
    others.
    """
    if isinstance(source, str):
        path = Path(source) if not is_url(source) else local_path(source)
        if path is None:
            return _stored_source(source)
        source = path
    beside = sidecars(source)
    folder = source.is_dir()
    return OpenedSource(
        str(source),
        opened_shards(source, keys),
        [(path.name, read_sidecar(path)) for path in beside],
        "meta.json in the folder" if folder else beside[0].name if beside else None,
        written_by_ranks(source),
    )


def with_urls(text: str) -> str:
    """A text with URLs for the paths that stand for them in `Shard.path`, which have one slash less."""
    return _URL_AS_PATH.sub(r"\1://", text)


@contextmanager
def naming_urls() -> Iterator[None]:
    """Give errors of the block the URLs of shards, see `with_urls`."""
    try:
        yield
    except LtcalError as error:
        raise renamed(error, with_urls) from error


def _stored_source(location: str) -> OpenedSource:
    files = listed(location, (*LOGIT_SUFFIXES, ".json"))
    shards = [file for file in files if not file.name.endswith(".json")]
    others = [file.name for file in shards if not file.name.endswith(".safetensors")]
    if others or not shards:
        problem = Problem("files", "safetensors files, of which ranges can be read", ", ".join(others[:1]) or "none")
        raise UsageError(location, [problem], "convert them, or leave out `engine=` and `memory=`, which copies them")
    folder = len(files) > 1 or files[0].location != location.rstrip("/")
    beside = [file for file in files if file.name.endswith(".json")]
    if not folder:
        beside = [one for one in [found(f"{location.removesuffix('.safetensors')}.meta.json")] if one is not None]
    with private_folder(temporary_folder()) as copies:
        for file in beside:
            download(file, copies / file.name)
        with named_as_given({str(copies): location if folder else location.rpartition("/")[0]}):
            check_ranks(copies, [copies / file.name for file in shards])
            names = [file.name for file in beside if file.name == "meta.json" or file.name.endswith(".meta.json")]
            stated = [(name, read_sidecar(copies / name)) for name in names]
        by_ranks = written_by_ranks(copies)
    sidecar = "meta.json in the folder" if folder else Path(shards[0].name).with_suffix(".meta.json").name
    return OpenedSource(location, list(map(SafetensorsShard.open_stored, shards)), stated, sidecar, by_ranks)


def opened_shards(path: Path, keys: Mapping[str, str]) -> list[Shard]:
    """The file, or the shards in a folder, by the names in the file.

    keys: as for `naming_of`; in a table they name columns.
    Raises InputError for what cannot be read, and unless all shards in a folder have one suffix.
    """
    return [_opened(one, keys) for one in _paths(path)]


def _paths(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    try:
        shards = sorted(one for one in path.iterdir() if one.suffix in LOGIT_SUFFIXES and one.is_file())
    except OSError as error:
        problem = Problem("folder", "a folder that can be read", error.strerror or str(error))
        raise InputError(str(path), [problem], "check the path and its permissions") from error
    check_ranks(path, shards)
    suffixes = sorted({one.suffix for one in shards})
    if len(suffixes) != 1:
        found = " and ".join(suffixes) or "none"
        raise InputError(str(path), [Problem("folder", "shards of one kind, or text files of detections", found)], _FIX)
    return shards


def _opened(path: Path, keys: Mapping[str, str]) -> Shard:
    check_readable(path)
    container = outline_of(path).container
    if container in _TEXT and path.suffix in _BINARY:
        return _BINARY[path.suffix](path)
    if container == "safetensors":
        return SafetensorsShard.open(path)
    if container == "npz":
        return NpzShard.open(path)
    if container == "npy":
        return NpyShard.open(path)
    if container == "torch" and holds_tensors(path):
        return TorchShard.open(path)
    if container in ("torch", "pickle"):
        return _in_memory(contents_of(load_saved(path), str(path)), path)
    if container == "parquet":
        return _in_memory(read_parquet(path, keys), path)
    if container in ("csv", "text"):
        return _in_memory(read_csv(path, keys), path)
    raise InputError(str(path), [Problem("content", "logits or scores", container)], _FIX)


def _in_memory(contents: Contents, path: Path) -> Shard:
    return MemoryShard.open(contents.arrays, str(path), dict(contents.metadata))
