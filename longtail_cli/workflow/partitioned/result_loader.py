"""Reads the detections of a part from result files, and adjusts them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from longtail_cli.choices import BoxFormat
from longtail_cli.files.results.rows import joined_results
from longtail_cli.methods.scores import AdjustableScores, MovedScores
from longtail_cli.methods.steps import ScoreStep
from longtail_cli.tables import Convention, Floats, GroundTruth, Longs, Results
from longtail_cli.workflow.conventions import with_pixel_boxes
from longtail_cli.workflow.detection_inputs import Adjustments, RunInput, Source
from longtail_cli.workflow.locate_detections import box_areas, locate
from longtail_cli.workflow.partitioned.division import Piece
from longtail_cli.workflow.partitioned.image_parts import Loaded
from longtail_cli.workflow.partitioned.shards import no_results
from longtail_cli.workflow.rescore_results import AdjustableResults


@dataclass(frozen=True, slots=True)
class ResultLoader:
    """Reads the detections of a part from the shards that have them."""

    source: str
    fields: frozenset[str]
    boxes: BoxFormat
    """What the numbers of the boxes are."""
    pieces: tuple[LocatedPiece, ...]
    adjustments: Adjustments
    category_id: Longs
    """int64 [c], ascending, the categories of the whole input."""
    names: tuple[str, ...]
    """Of the runs."""
    moved: tuple[MovedScores | None, ...]
    """For each method the scores that it moves among all detections; None if the part has all of them."""

    def load(self, truth: GroundTruth) -> Loaded:
        """See `Loader`."""
        results = self._read(self.fields, truth)
        methods = self.adjustments.methods
        located = locate(results, truth)
        assert results.entry is not None
        if not methods:
            source = Source(self.source, None, (RunInput(self.names[0], None, located),))
            return Loaded(source, (results.entry,))
        adjustable = self._adjustable(results, truth)
        runs = []
        for name, method, moved in zip(self.names, methods, self.moved, strict=True):
            one = adjustable.adjusted(method, moved)
            kept = None if np.array_equal(one.results.score, located.score) else one.order_kept
            runs.append(RunInput(name, method.spec, replace(located, score=one.results.score), one.notes, kept))
        return Loaded(Source(self.source, None, tuple(runs)), (results.entry,) * len(runs))

    @property
    def changes_scores(self) -> bool:
        """Whether a method changes any scores. Raises as `AdjustableResults.adjusted`."""
        none = AdjustableResults(
            no_results(self.source, Convention()), self.adjustments.table, self.adjustments.score_space,
            lambda: np.zeros(0), self.category_id,
        )  # fmt: skip
        return any(none.in_cells(method) is not None for method in self.adjustments.methods)

    def in_cells(self, truth: GroundTruth) -> list[tuple[AdjustableScores, list[ScoreStep]] | None]:
        """For each method, see `AdjustableResults.in_cells`."""
        adjustable = self._adjustable(self._read(frozenset(), truth), truth)
        return [adjustable.in_cells(method) for method in self.adjustments.methods]

    def _adjustable(self, results: Results, truth: GroundTruth) -> AdjustableResults:
        table, space = self.adjustments.table, self.adjustments.score_space
        return AdjustableResults(results, table, space, partial(self._areas, results, truth), self.category_id)

    def _read(self, fields: frozenset[str], truth: GroundTruth) -> Results:
        """The detections with ids of the annotations, and boxes as xywh in pixels."""
        found = joined_results([piece.read(fields) for piece in self.pieces], self.source, fields)
        return with_pixel_boxes(found, self.boxes, truth)

    def _areas(self, results: Results, truth: GroundTruth) -> Floats:
        return box_areas(results if results.bbox is not None else self._read(frozenset({"bbox"}), truth))


@dataclass(frozen=True, slots=True)
class LocatedPiece:
    """What a part reads of a shard, and what the keys there mean."""

    piece: Piece
    image_id: Longs
    """int64, the id in the annotations of each image of the piece."""
    category: Longs
    """int64 [c], ascending, the categories of the shard in its own words."""
    category_id: Longs
    """int64 [c], the id in the annotations of each of them."""
    first_row: int
    """The number of the first detection of the shard among those of the whole input."""

    def read(self, fields: frozenset[str]) -> Results:
        """The detections with ids of the annotations, and their numbers in the whole input."""
        found = self.piece.selected.read(fields)
        assert found.entry is not None
        image = np.searchsorted(self.piece.selected.image, found.image_id)
        category = np.searchsorted(self.category, found.category_id)
        return replace(
            found,
            image_id=self.image_id[image],
            category_id=self.category_id[category],
            convention=Convention(),
            entry=found.entry + self.first_row,
        )
