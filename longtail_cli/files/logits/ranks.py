"""One folder of logits that several processes write, each its own files, so that no two ever write the same one.

Rank 3 leaves its shards ``rank00003-00000.safetensors``, ... and then ``rank00003.json``, which lists them and says how
many processes there are. A file gets its name when it is complete. When the last rank is done, ``meta.json`` says what
the whole folder holds; whoever finds all ranks done writes it, always with the same content.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch

from longtail_cli.errors import InputError, OutputError, Problem, UsageError
from longtail_cli.files.logits.metadata import FORMAT
from longtail_cli.files.output import cannot_write
from longtail_cli.files.reading import reading
from longtail_cli.files.source import check_readable
from longtail_cli.files.staging import private_folder

MOST_RANKS = 100_000
"""Processes that write to one folder."""

SUFFIX = ".safetensors"
_MANIFEST = re.compile(r"rank\d{5}\.json")
_WHOLE = "meta.json"
_FIX_INCOMPLETE = (
    "wait until every process has closed its writer, or run those again that did not; if one process wrote all, "
    "open it as LogitsWriter(..., rank=0, world_size=1)"
)

_Rank = Annotated[int, msgspec.Meta(ge=0, lt=MOST_RANKS)]
_WorldSize = Annotated[int, msgspec.Meta(ge=1, le=MOST_RANKS)]


@dataclass(frozen=True, slots=True)
class Rank:
    """One of several processes that write to the same folder."""

    number: int
    """From 0 to `world_size` - 1."""
    world_size: int
    """How many processes there are, at least 2."""

    @property
    def prefix(self) -> str:
        """With which the names of its files begin."""
        return f"rank{self.number:05d}"

    def shard(self, number: int) -> str:
        """The name of one of its shards."""
        return f"{self.prefix}-{number:05d}{SUFFIX}"


def rank_of(number: int | None, world_size: int | None) -> Rank | None:
    """The number of this process among those that write to a folder, None if it is the only one.

    Both are those of `torch.distributed` if they are None and it is initialised. Raises UsageError if only one of them
    is stated, or they do not fit together.
    """
    if number is None and world_size is None:
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        number, world_size = (
            (torch.distributed.get_rank(), torch.distributed.get_world_size()) if distributed else (0, 1)
        )
    if number is None or world_size is None or not 0 <= number < world_size <= MOST_RANKS:
        expected = f"a rank from 0 to below the world size, which is at most {MOST_RANKS}"
        problem = Problem("rank, world_size", expected, f"rank {number}, world_size {world_size}")
        raise UsageError("LogitsWriter", [problem], "pass both, as `torch.distributed` numbers processes, or neither")
    return None if world_size == 1 else Rank(number, world_size)


class Manifest(msgspec.Struct, frozen=True):
    """What one rank wrote."""

    rank: _Rank
    world_size: _WorldSize
    shards: tuple[str, ...]
    """The names of its shards, in the order in which they were written; empty if it had no rows."""
    format: str = FORMAT


@contextmanager
def rank_folder(folder: Path, rank: Rank, metadata: Mapping[str, Any]) -> Iterator[Path]:
    """A temporary folder beside `folder` for the shards of one rank, which appear in `folder` when the context ends.

    After an exception nothing appears. metadata: of the logits, the same for every rank.
    Raises OutputError if `folder` holds files of this rank already, or others than those of ranks, or it cannot be
    written to.
    """
    check_free_for(folder, rank)
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(private_folder(folder.parent)) / folder.name
            temporary.mkdir()
        except OSError as error:
            raise cannot_write(folder, error) from error
        yield temporary
        check_free_for(folder, rank)
        try:
            _publish(temporary, folder, rank, metadata)
        except OSError as error:
            raise cannot_write(folder, error) from error


def check_free_for(folder: Path, rank: Rank) -> None:
    """Raise OutputError unless `folder` is new, or holds files of other ranks alone."""
    try:
        names = sorted(one.name for one in folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise cannot_write(folder, error) from error
    bad = [name for name in names if not name.startswith("rank") or name.startswith(rank.prefix)]
    if bad:
        problem = Problem("folder", f"none, or one with files of other ranks than {rank.number}", f"`{bad[0]}` in it")
        raise OutputError(str(folder), [problem], "choose another folder for all ranks, or remove this one")


def _publish(temporary: Path, folder: Path, rank: Rank, metadata: Mapping[str, Any]) -> None:
    """Give the files of a rank their names in `folder`, the manifest last. Raises OSError."""
    shards = sorted(temporary.glob(f"*{SUFFIX}"))
    folder.mkdir(exist_ok=True)
    for one in shards:
        one.rename(folder / one.name)
    own = Manifest(rank.number, rank.world_size, tuple(one.name for one in shards))
    _write(temporary, folder / f"{rank.prefix}.json", own)
    manifests = _manifests(folder)
    if len(manifests) == rank.world_size:
        names = [name for one in manifests for name in one.shards]
        _write(temporary, folder / _WHOLE, {**metadata, "world_size": rank.world_size, "shards": names})


def _write(temporary: Path, path: Path, document: object) -> None:
    staged = temporary / path.name
    staged.write_bytes(msgspec.json.encode(document))
    staged.replace(path)


def written_by_ranks(folder: Path) -> bool:
    """Whether several processes wrote the shards in a folder."""
    return folder.is_dir() and any(_MANIFEST.fullmatch(one.name) for one in folder.iterdir())


def check_ranks(folder: Path, shards: Sequence[Path]) -> None:
    """Raise InputError if `shards`, all those in `folder`, are not those that all its ranks wrote.

    A folder that no ranks wrote to is not checked.
    """
    manifests = _manifests(folder)
    if not manifests:
        return
    sizes = sorted({one.world_size for one in manifests})
    if len(sizes) > 1:
        found = " and ".join(map(str, sizes))
        raise _incomplete(folder, "files of processes that were started together", f"those of {found} processes")
    missing = sorted(set(range(sizes[0])) - {one.rank for one in manifests})
    if missing:
        shown = ", ".join(map(str, missing[:10])) + (f" and {len(missing) - 10} more" if len(missing) > 10 else "")
        raise _incomplete(folder, f"what all {sizes[0]} ranks wrote", f"nothing complete of rank {shown}")
    listed, present = {name for one in manifests for name in one.shards}, {one.name for one in shards}
    for names, found in ((listed - present, "no"), (present - listed, "also")):
        if names:
            raise _incomplete(folder, "the shards that its ranks list", f"{found} `{min(names)}`")


def _manifests(folder: Path) -> list[Manifest]:
    """What the ranks say that they wrote, in order of rank. Raises InputError for a damaged manifest."""
    found = []
    for path in sorted(one for one in folder.iterdir() if _MANIFEST.fullmatch(one.name)):
        check_readable(path)
        with reading(str(path), "what one rank wrote", "run this rank again, into a new folder"):
            found.append(msgspec.json.decode(path.read_bytes(), type=Manifest))
    return found


def _incomplete(folder: Path, expected: str, found: str) -> InputError:
    return InputError(str(folder), [Problem("folder", expected, found)], _FIX_INCOMPLETE)
