"""Scores that a method would make equal are kept apart by what lies between them in the whole file, not in a part.

So before the parts are adjusted, the scores are shuffled by class, and each class is adjusted as a whole. What differs
from the map of each score by itself goes to all parts. Methods that divide the detections alike, as all do whose maps
do not depend on the area of the box, and that reverse the order of the same classes, if any, share the scores.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from longtail_cli.choices import ScoreSpace
from longtail_cli.execution.base import BUCKET, Execution, NamedPart, Order, Produced, Progress
from longtail_cli.methods.scores import AdjustableScores, MovedInOrder, MovedScores, reversed_classes
from longtail_cli.methods.steps import ScoreStep
from longtail_cli.tables import Bools
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.partitioned.result_loader import ResultLoader

Parts = tuple[NamedPart[ImagePart], ...]
Cells = tuple[tuple[int, tuple[ScoreStep, ...]], ...]
"""Methods that divide the detections into the same cells and order them alike: the number of each, and its steps for
these cells."""


def moved_scores(
    parts: Parts, buckets: int, sizes: Sizes, execution: Execution, progress: Progress
) -> tuple[MovedScores, ...]:
    """The scores that each method moves; none if no method changes any. parts: at least one, with methods.

    buckets: over which the scores are spread, for the methods that share them.
    Raises UsageError if the scores do not fit into the memory, see `Sizes.beside_moved`.
    """
    loader = _loader(parts[0].content)
    if not loader.changes_scores:
        return ()
    found: list[tuple[int, MovedScores]] = []
    # Pieces of half the size leave room for what is found.
    with execution.mapped(ShuffleScores(buckets), parts, "ordering scores of", progress) as mapped:
        work = KeepApart(mapped.found[0], buckets, loader.adjustments.score_space, max(1, sizes.piece // 2))
        for of_bucket in mapped.reduced(work, progress):
            found += of_bucket
            sizes.beside_moved(sum(len(one) for _, one in found))  # refused before more is collected
    return tuple(
        MovedScores.joined([own for number, own in found if number == method])
        for method in range(len(loader.adjustments.methods))
    )


def with_moved(parts: Parts, moved: tuple[MovedScores, ...]) -> Parts:
    """The parts, whose loaders know which scores each method moves."""
    return tuple(
        replace(one, content=replace(one.content, loader=replace(_loader(one.content), moved=moved))) for one in parts
    )


@dataclass(frozen=True, slots=True)
class ShuffleScores:
    """Called with a part: its cells and scores, shuffled by cell; and the methods of each division into cells.

    Each score of a cell has one row, with the columns

        cell   int32
        score  float64, of the opposite sign in cells that the methods reverse, so that what is highest becomes highest
    """

    buckets: int
    """B: cell c of the d-th division goes to bucket d * B + c % B."""

    def __call__(self, part: ImagePart) -> Produced[tuple[Cells, ...]]:
        divisions: list[_Division] = []
        for number, found in enumerate(_loader(part).in_cells(part.truth)):
            if found is None:
                continue
            scores, steps = found
            own = _Division(scores, reversed_classes(steps))
            known = next((one for one in divisions if one.equals(own)), None)
            if known is None:
                divisions.append(known := own)
            known.methods.append((number, tuple(steps)))
        tables = [one.table(number, self.buckets) for number, one in enumerate(divisions)]
        return Produced(tuple(tuple(one.methods) for one in divisions), pa.concat_tables(tables))


@dataclass(frozen=True, slots=True)
class _Division:
    """The scores of a part in cells, for methods that share them."""

    scores: AdjustableScores
    is_reversed: Bools
    """bool [C], the cells whose order the methods reverse."""
    methods: list[tuple[int, tuple[ScoreStep, ...]]] = field(default_factory=list)

    def equals(self, other: _Division) -> bool:
        return self.scores is other.scores and np.array_equal(self.is_reversed, other.is_reversed)

    def table(self, number: int, buckets: int) -> pa.Table:
        """See `ShuffleScores`. number: of the division."""
        cell, score = self.scores.different
        bucket = (number * buckets + cell % buckets).astype(np.int32)
        return pa.table({BUCKET: bucket, "cell": cell, "score": np.where(self.is_reversed[cell], -score, score)})


@dataclass(frozen=True, slots=True)
class KeepApart:
    """Called with the rows of a bucket: for each method, its number and the scores of these cells that it moves."""

    divisions: tuple[Cells, ...]
    buckets: int
    """See `ShuffleScores`."""
    space: ScoreSpace
    most_rows: int
    """See `longtail_cli.execution.base.Reduction`."""

    @property
    def order(self) -> Order:
        return Order(("cell", "score"), (False, True))

    def __call__(self, bucket: int, rows: pa.Table) -> list[tuple[int, MovedScores]]:
        return self.in_pieces(bucket, [rows])

    def in_pieces(self, bucket: int, pieces: Iterable[pa.Table]) -> list[tuple[int, MovedScores]]:
        """The same, of rows in order."""
        methods = self.divisions[bucket // self.buckets]
        is_reversed = reversed_classes(methods[0][1])
        moving = [MovedInOrder(self.space, steps) for _, steps in methods]
        for rows in pieces:
            cell, score = AdjustableScores(
                rows.column("score").to_numpy(), rows.column("cell").to_numpy(), self.space
            ).different
            score = np.where(is_reversed[cell], -score, score)
            for one in moving:
                one.add(cell, score)
        return [(number, one.moved()) for (number, _), one in zip(methods, moving, strict=True)]


def _loader(part: ImagePart) -> ResultLoader:
    assert isinstance(part.loader, ResultLoader)
    return part.loader
