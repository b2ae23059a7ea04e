"""Images that two processes wrote: a sampler repeats some, so that all processes get the same number."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch

from longtail_cli.errors import Problem
from longtail_cli.files.faults import faults_among, raise_faults
from longtail_cli.files.logits.layout import Layout
from longtail_cli.files.logits.rows import row_counts, run_starts
from longtail_cli.files.logits.shards import Shard, TensorBlock
from longtail_cli.files.logits.views import KeptRows
from longtail_cli.tables import Longs

_FIX = (
    "let one process write each image: give process r of w the images torch.utils.data.Subset(dataset, range(r, n, w)) "
    "instead of a DistributedSampler, which repeats some"
)


def without_repeats(
    shards: Sequence[Shard], layout: Layout, image_id: Longs
) -> tuple[list[Shard], Longs, tuple[str, ...]]:
    """The shards without the images that an earlier one holds too, their image ids, and a note on how many there were.

    image_id: int64 [N], of all shards. Images that one shard holds twice stay.
    Raises InputError, naming both shards, if the rows of an image differ between them.
    """
    counts = row_counts(shards, layout)
    ends = np.cumsum([0, *counts])
    starts = [run_starts(image_id[begin:end]) for begin, end in pairwise(ends)]
    repeats = _repeats([image_id[end + start[:-1]] for end, start in zip(ends[:-1], starts, strict=True)])
    if not repeats:
        return list(shards), image_id, ()
    _check_same(repeats, shards, layout, starts)
    kept = np.ones(len(image_id), np.bool_)
    for again in repeats:
        begin, end = ends[again.shard] + starts[again.shard][again.run : again.run + 2]
        kept[begin:end] = False
    parts = zip(shards, np.split(kept, ends[1:-1]), strict=True)
    whole = [shard if own.all() else KeptRows.of(shard, own, layout.names) for shard, own in parts]
    number = f"{len(repeats)} image{'s' * (len(repeats) > 1)}"
    return whole, image_id[kept], (f"{number} written by two processes, with the same rows, counted once",)


@dataclass(frozen=True, slots=True)
class _Repeat:
    """An image that a shard holds again."""

    image: int
    first: tuple[int, int]
    """The shard that holds it first, and the number of the run of its rows there."""
    shard: int
    run: int


def _repeats(ids: Sequence[Longs]) -> list[_Repeat]:
    """All images that an earlier shard holds. ids: of the runs of rows of one image in each shard."""
    first: dict[int, tuple[int, int]] = {}
    found = []
    for shard, own in enumerate(ids):
        for run, image in enumerate(own.tolist()):
            before = first.setdefault(image, (shard, run))
            if before[0] != shard:
                found.append(_Repeat(image, before, shard, run))
    return found


def _check_same(repeats: Sequence[_Repeat], shards: Sequence[Shard], layout: Layout, starts: Sequence[Longs]) -> None:
    """Raise InputError if the rows of an image differ. starts: of the runs of rows of one image in each shard."""
    wanted = {one.first for one in repeats} | {(one.shard, one.run) for one in repeats}
    digests = {
        (number, run): digest
        for number, (shard, start) in enumerate(zip(shards, starts, strict=True))
        for run, digest in _digests(shard, layout, start, {run for own, run in wanted if own == number})
    }
    problems = [
        Problem(
            f"image {one.image}",
            f"in {shards[one.shard].path.name} the rows that it has in {shards[one.first[0]].path.name}",
            "others",
        )
        for one in repeats
        if digests[one.first] != digests[one.shard, one.run]
    ]
    raise_faults(str(shards[0].path.parent), faults_among(problems, _FIX))


def _digests(shard: Shard, layout: Layout, starts: Longs, wanted: set[int]) -> Iterator[tuple[int, bytes]]:
    """Each run that is `wanted` with a digest of its rows; the shard is only read if there is one."""
    if wanted:
        names = [name for name in layout.names if name != "image_id"]
        for run, block in enumerate(shard.blocks(names, np.diff(starts).tolist())):
            if run in wanted:
                yield run, _digest(block)


def _digest(block: TensorBlock) -> bytes:
    """Of the shapes, types and numbers of all tensors."""
    found = hashlib.sha256()
    for name in sorted(block):
        found.update(f"{name} {block[name].dtype} {list(block[name].shape)}".encode())
        found.update(block[name].contiguous().view(torch.uint8).numpy().data)
    return found.digest()
