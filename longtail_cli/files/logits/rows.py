"""The small columns of a logits file, read and checked before any work starts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at, raise_faults
from longtail_cli.files.label_arrays import IGNORE_VALUES, IGNORED
from longtail_cli.files.logits.checks import box_faults, label_faults, objectness_faults
from longtail_cli.files.logits.layout import Layout
from longtail_cli.files.logits.shards import Shard
from longtail_cli.tables import Longs

_ROWS = 1 << 16
_FIX_TOGETHER = "write all rows of an image one after another, into one shard"


def row_counts(shards: Sequence[Shard], layout: Layout) -> list[int]:
    """The number of rows of each shard."""
    return [shard.tensors[layout.content].shape[0] for shard in shards]


def read_rows(shards: Sequence[Shard], layout: Layout, classes: int) -> tuple[Longs | None, Longs | None]:
    """`image_id` and `labels` [rows] of all shards, None for those that the file lacks; `IGNORED` for no class.

    Boxes (if one per row) and objectness are checked on the way and not kept.
    Raises InputError, naming shard and row, for an invalid value.
    """
    names = [name for name in layout.columns if name != "features" and not (name == "boxes" and layout.per_class_boxes)]
    kept: dict[str, list[Longs]] = {name: [np.zeros(0, np.int64)] for name in names if name in ("image_id", "labels")}
    for shard, rows in zip(shards, row_counts(shards, layout), strict=True):
        start = 0
        for block in shard.blocks(names, pieces(rows, _ROWS)) if names else ():
            columns = {
                name: (tensor.float() if tensor.is_floating_point() else tensor).numpy()  # NumPy has no bfloat16
                for name, tensor in block.items()
            }
            faults: list[Fault] = []
            if "boxes" in columns:
                faults += box_faults(columns["boxes"], start)
            if "objectness" in columns:
                faults += objectness_faults(columns["objectness"], start)
            if "labels" in columns:
                labels = columns["labels"].astype(np.int64)
                columns["labels"] = np.where(np.isin(labels, IGNORE_VALUES), IGNORED, labels)
                faults += label_faults(columns["labels"], classes, start)
            raise_faults(str(shard.path), faults)
            for name, parts in kept.items():
                parts.append(columns[name].astype(np.int64))
            start += len(block[names[0]])
    read = {name: np.concatenate(parts) for name, parts in kept.items()}
    return read.get("image_id"), read.get("labels")


def pieces(rows: int, size: int) -> Iterator[int]:
    """`rows` in pieces of `size`, the last one smaller."""
    for start in range(0, rows, size):
        yield min(size, rows - start)


def run_starts(ids: Longs) -> Longs:
    """int64 [R + 1], the start of each run of equal `ids` [N], and N."""
    if not len(ids):
        return np.zeros(1, np.int64)
    return np.concatenate([[0], np.flatnonzero(ids[1:] != ids[:-1]) + 1, [len(ids)]])


def batch_sizes(ids: Longs | None, count: int, rows: int) -> Iterator[int]:
    """Sizes of batches of `count` rows: at most `rows` each, or one image of `ids` with more; images stay whole."""
    if ids is None:
        yield from pieces(count, rows)
        return
    starts = run_starts(ids)
    begin = 0
    while begin < len(starts) - 1:
        end = max(int(np.searchsorted(starts, starts[begin] + rows, side="right")) - 1, begin + 1)
        yield int(starts[end] - starts[begin])
        begin = end


def count_images(ids: Longs, shards: Sequence[Shard], counts: Sequence[int], source: str) -> int:
    """The number of images in `ids` [rows of all shards]. Raises InputError if rows of an image are apart."""
    offsets = np.cumsum([0, *counts])
    starts = np.concatenate(
        [offset + run_starts(ids[offset : offset + count])[:-1] for offset, count in zip(offsets, counts, strict=False)]
    )
    order = np.argsort(ids[starts], kind="stable")
    ordered = ids[starts[order]]
    again = np.flatnonzero(ordered[1:] == ordered[:-1]) + 1
    before = dict(zip(order[again].tolist(), order[again - 1].tolist(), strict=True))

    def location(run: int) -> str:
        shard = int(np.searchsorted(offsets, starts[run], side="right")) - 1
        row = starts[run] - offsets[shard]
        return f"{shards[shard].path.name}, row {row}" if len(shards) > 1 else f"row {row}"

    def describe(run: int) -> Problem:
        found = f"image {ids[starts[run]]} again, which has rows from {location(before[run])} on"
        return Problem(f"tensor `image_id`, {location(run)}", "all rows of an image together in one shard", found)

    bad = np.zeros(len(starts), np.bool_)
    bad[order[again]] = True
    raise_faults(source, faults_at(bad, describe, _FIX_TOGETHER))
    return len(starts)
