"""The files that hold logits or scores, opened by what is in them; their names say nothing unless they are damaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.contents import Contents, contents_of
from longtail_cli.files.logits.ranks import check_ranks
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
from longtail_cli.files.paths import LOGIT_SUFFIXES
from longtail_cli.files.pickles import load_saved
from longtail_cli.files.source import check_readable

_BINARY: Mapping[str, Callable[[Path], Shard]] = {
    ".safetensors": SafetensorsShard.open,
    ".npz": NpzShard.open,
    ".pt": TorchShard.open,
    ".pth": TorchShard.open,
}
"""How a file is opened that cannot be recognised, so that its errors say what it should be."""

_TEXT = ("csv", "text", "json list", "json object", "json lines")
_FIX = "pass a .safetensors, .npz, .npy, .pt, .pkl, .csv or .parquet file, or a folder of shards"


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
