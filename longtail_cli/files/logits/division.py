"""Detection logits in parts of whole images, each with the shards that it needs alone, so that others can read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.logits.rows import batch_sizes, run_starts
from longtail_cli.files.logits.shards import SafetensorsShard, Shard
from longtail_cli.tables import Longs


def divided(file: LogitsFile, rows: int, batch: int) -> list[LogitsFile]:
    """Consecutive parts of about `rows` rows, at least one part; read one after another they are the file.

    A part has whole shards, or some rows of one shard if that is a safetensors file with more rows. A shard of another
    kind is never divided. Cuts are where `LogitsFile.batches(batch)` of the whole file begins a batch. So the batches
    of all parts are those of the file, and with them every bit of what is computed from them: the last bits of a
    sigmoid or of a product of matrices may depend on where a row is in its batch.
    """
    groups: list[list[tuple[Shard, int]]] = [[]]
    held = 0
    for shard, number in _pieces(file, rows, batch):
        if groups[-1] and held + number > rows:
            groups.append([])
            held = 0
        groups[-1].append((shard, number))
        held += number
    ends = np.cumsum([sum(number for _, number in group) for group in groups])
    return [
        _part(file, [shard for shard, _ in group] or file.parts[:1], int(end) - sum(number for _, number in group), end)
        for group, end in zip(groups, ends.tolist(), strict=True)
    ]


def row_bytes(file: LogitsFile) -> int:
    """The size of the logits of one row."""
    return file.width * int(getattr(torch, file.parts[0].tensors[file.content].dtype).itemsize)


def _pieces(file: LogitsFile, rows: int, batch: int) -> Iterator[tuple[Shard, int]]:
    """The shards that have rows, large ones in pieces, and the number of rows of each."""
    first = 0
    for shard in file.parts:
        number = shard.tensors[file.content].shape[0]
        if isinstance(shard, SafetensorsShard) and number > rows:
            start = 0
            for size in _sizes(file, first, number, rows, batch):
                yield shard.rows(start, size, file.streamed), size
                start += size
        elif number:
            yield shard, number
        first += number


def _sizes(file: LogitsFile, first: int, number: int, rows: int, batch: int) -> Iterator[int]:
    """The sizes of pieces of a shard: batches up to `rows` rows together, or one batch with more."""
    ids = None if file.image_id is None else file.image_id[first : first + number]
    held = 0
    for size in batch_sizes(ids, number, batch):
        if held and held + size > rows:
            yield held
            held = 0
        held += size
    if held:
        yield held


def _part(file: LogitsFile, shards: Sequence[Shard], begin: int, end: int) -> LogitsFile:
    """The rows from `begin` to `end`, which are those of `shards`."""
    image_id: Longs | None = None if file.image_id is None else file.image_id[begin:end].copy()
    return replace(
        file,
        rows=end - begin,
        images=None if image_id is None else len(run_starts(image_id)) - 1,
        labels=None if file.labels is None else file.labels[begin:end].copy(),
        image_id=image_id,
        classifier=None,
        parts=tuple(shards),
        row_names=(),
        notes=(),
    )
