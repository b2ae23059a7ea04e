"""Scores that a method would make equal are kept apart by what lies between them in the whole file, not in a part.

So before the parts are adjusted, the scores are shuffled by class, and each class is adjusted as a whole. What differs
from the map of each score by itself goes to all parts. Methods that divide the detections alike, as all do whose maps
do not depend on the area of the box, share the scores and their order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from longtail_cli.choices import ScoreSpace
from longtail_cli.execution.base import BUCKET, Execution, NamedPart, Produced, Progress
from longtail_cli.methods.scores import AdjustableScores, MovedScores
from longtail_cli.methods.steps import ScoreStep
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.result_loader import ResultLoader

Parts = tuple[NamedPart[ImagePart], ...]
Cells = tuple[tuple[int, tuple[ScoreStep, ...]], ...]
"""Methods that divide the detections into the same cells: the number of each, and its steps for these cells."""


def with_moved_scores(parts: Parts, buckets: int, execution: Execution, progress: Progress) -> Parts:
    """The parts, whose loaders know which scores each method moves. parts: at least one, with methods.

    buckets: over which the scores are spread, for the methods that share them.
    """
    loader = _loader(parts[0].content)
    if not loader.changes_scores:
        return parts
    with execution.mapped(ShuffleScores(buckets), parts, "ordering scores of", progress) as mapped:
        work = KeepApart(mapped.found[0], buckets, loader.adjustments.score_space)
        found = [one for of_bucket in mapped.reduced(work, progress) for one in of_bucket]
    moved = tuple(
        MovedScores.joined([own for number, own in found if number == method])
        for method in range(len(loader.adjustments.methods))
    )
    return tuple(
        replace(one, content=replace(one.content, loader=replace(_loader(one.content), moved=moved))) for one in parts
    )


@dataclass(frozen=True, slots=True)
class ShuffleScores:
    """Called with a part: its cells and scores, shuffled by cell; and the methods of each division into cells."""

    buckets: int
    """B: cell c of the d-th division goes to bucket d * B + c % B."""

    def __call__(self, part: ImagePart) -> Produced[tuple[Cells, ...]]:
        divisions: list[tuple[AdjustableScores, list[tuple[int, tuple[ScoreStep, ...]]]]] = []
        for number, found in enumerate(_loader(part).in_cells(part.truth)):
            if found is None:
                continue
            own, steps = found
            methods = next((methods for scores, methods in divisions if scores is own), None)
            if methods is None:
                methods = []
                divisions.append((own, methods))
            methods.append((number, tuple(steps)))
        tables = [self._table(number, scores) for number, (scores, _) in enumerate(divisions)]
        return Produced(tuple(tuple(methods) for _, methods in divisions), pa.concat_tables(tables))

    def _table(self, number: int, scores: AdjustableScores) -> pa.Table:
        cell, score = scores.columns
        bucket = (number * self.buckets + cell % self.buckets).astype(np.int32)
        return pa.table({BUCKET: bucket, "cell": cell, "score": score})


@dataclass(frozen=True, slots=True)
class KeepApart:
    """Called with the rows of a bucket: for each method, its number and the scores of these cells that it moves."""

    divisions: tuple[Cells, ...]
    buckets: int
    """See `ShuffleScores`."""
    space: ScoreSpace

    def __call__(self, bucket: int, rows: pa.Table) -> list[tuple[int, MovedScores]]:
        cell, score = (rows.column(name).to_numpy() for name in ("cell", "score"))
        scores = AdjustableScores(score, cell, self.space)
        return [(number, scores.moved(*steps)) for number, steps in self.divisions[bucket // self.buckets]]


def _loader(part: ImagePart) -> ResultLoader:
    assert isinstance(part.loader, ResultLoader)
    return part.loader
