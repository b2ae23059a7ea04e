"""What the numbers of logits or scores say, read before any work starts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.layout import MOST_COLUMNS
from longtail_cli.files.logits.rows import pieces
from longtail_cli.files.logits.shards import Shard
from longtail_cli.files.logits.views import SUM_TOLERANCE, NamedShard

_ROWS = 1000
"""How many rows are looked at."""
_PIECE = 1 << 20
"""Numbers that are read together."""


def look_of(shards: Sequence[Shard], name: str) -> Literal["logits", "probabilities", "scores"]:
    """What the first rows of a tensor [N, K] look like; logits without rows.

    Probabilities are 0 or more and add up to 1 in each row, K > 1. Scores are from 0 to 1, as those of a sigmoid
    are, and not 0 alone.
    """
    for shard in shards:
        rows, columns = shard.tensors[name].shape
        if rows and 0 < columns <= MOST_COLUMNS:
            (block,) = shard.blocks([name], [_rows_looked_at(rows, columns)])
            first = block[name].double()
            if not (first >= 0).all() or not first.any():
                return "logits"
            if columns > 1 and ((first.sum(dim=1) - 1).abs() <= SUM_TOLERANCE).all():
                return "probabilities"
            return "scores" if (first <= 1).all() else "logits"
    return "logits"


def check_scores(shards: Sequence[Shard]) -> None:
    """Raise InputError if the first rows of `scores` [N, C] have a number that is far from 0 to 1; NaN is left."""
    for shard in shards:
        (block,) = shard.blocks(["scores"], [_rows_looked_at(*shard.tensors["scores"].shape)])
        first = block["scores"].float()
        beyond = ((first < -SUM_TOLERANCE) | (first > 1 + SUM_TOLERANCE)).nonzero()
        if len(beyond):
            row, column = beyond[0].tolist()
            name = shard.names["scores"] if isinstance(shard, NamedShard) else "scores"
            where, found = f"tensor `{name}`, row {row}, column {column}", f"{first[row, column]:g}"
            problem = Problem(where, "a score from 0 to 1", found)
            raise InputError(str(shard.path), [problem], f"if these are logits, say so: `keys='logits={name}'`")


def _rows_looked_at(rows: int, columns: int) -> int:
    return min(rows, _ROWS, max(1, _PIECE // columns))


def narrowing_notes(shards: Sequence[Shard], name: str) -> tuple[str, ...]:
    """What is lost when the float64 tensor `name` becomes float32; nothing for tensors of other types.

    Raises InputError for a number beyond float32, which is finite in float64.
    """
    rows = tied = 0
    for shard in shards:
        if isinstance(shard, NamedShard) and shard.shard.tensors[shard.names[name]].dtype == "float64":
            theirs = shard.names[name]
            count, columns = shard.tensors[name].shape
            start = 0
            for block in shard.shard.blocks([theirs], pieces(count, max(1, _PIECE // columns))):
                wide = block[theirs]
                tied += _tied(wide, wide.float(), f"{shard.path}", name, start)
                start += len(wide)
            rows += count
    if not tied:
        return ()
    text = f"`{name}` of float64 became float32: in {tied:,} of {rows:,} rows the largest now equals another"
    return (f"{text}, and the class that comes first wins",)


def _tied(wide: torch.Tensor, narrow: torch.Tensor, source: str, name: str, first: int) -> int:
    """The rows whose largest number equals another in float32 and not in float64."""
    beyond = (torch.isfinite(wide) & ~torch.isfinite(narrow)).nonzero()
    if len(beyond):
        row, column = beyond[0].tolist()
        where = f"tensor `{name}`, row {first + row}, column {column}"
        problem = Problem(where, f"a number within {torch.finfo(torch.float32).max:.2g} of 0", f"{wide[row, column]:g}")
        raise InputError(source, [problem], "divide the logits by a constant before saving them", total=len(beyond))
    same = (narrow == narrow.amax(dim=1, keepdim=True)).sum(dim=1)
    return int((same > (wide == wide.amax(dim=1, keepdim=True)).sum(dim=1)).sum())
