"""The matches of some of the images as rows of a table: all that the metrics need of them.

No two images share an object, so the matches of a part of the images are those of the whole. A category's metrics
follow from the rows of that category alone, and from those that a fix of their Cls error moves to it. So rows can go
from where their images are matched to where their categories are reduced, and boxes stay behind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation import tide
from longtail_cli.evaluation.detections import Candidates, Evaluation
from longtail_cli.evaluation.geometry import Overlaps, rows_of
from longtail_cli.evaluation.matching import Matches, match
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import AREA_NAMES
from longtail_cli.evaluation.selection import Scored, Selection, by_category, capped, in_order, within_limits
from longtail_cli.parallel import Scalar, take
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

CAPPED = np.uint8(1)
"""Within the limits of the protocol."""
COUNTED = np.uint8(2)
"""Can count in Fixed AP and pooled AP: a candidate, whatever the limit per image."""
MOVED = np.uint8(4)
"""On the curve of `category` only where a fix of its Cls error moves it there."""
FALSE = np.uint8(8)
"""Within the limits of the protocol, and a false positive at IoU 0.5 over all sizes."""

POSITION_BITS = 32
_NO_LIMIT = np.iinfo(np.int32).max
_FURTHEST_RANK = np.iinfo(np.uint8).max


@dataclass(frozen=True, slots=True)
class MatchedRows:
    """N rows of one run and one IoU type. Columns that nothing to be computed needs are None.

    A detection that a fix moves to another category has two rows, one in its own and one in that of the object.

    A row takes 37 bytes, under COCO one more, with TIDE five more, with Fixed AP or pooled AP eight more, and with
    calibration errors or thresholds another eight.
    """

    category: Ints
    """int32 [N], the category whose metrics the row belongs to."""
    score: Floats
    """float64 [N]."""
    tie: Longs
    """int64 [N], the index of the image, times 2^32, plus the position of the detection in its image: equal scores of a
    category are ordered by it. Ascending within the rows of a part."""
    flags: npt.NDArray[np.uint8]
    """uint8 [N] of the bits `CAPPED`, `COUNTED`, `MOVED` and `FALSE`; 0 for a detection that its image does not judge,
    but that counts towards the 10,000 of Fixed AP."""
    true_positive: npt.NDArray[np.uint64]
    """uint64 [N], four area ranges side by side, see `Matches.true_positive`."""
    ignored: npt.NDArray[np.uint64]
    """uint64 [N], as `Matches.ignored`."""
    rank: npt.NDArray[np.uint8] | None = None
    """uint8 [N], see `Selection.rank`, 255 for any from there on; None under LVIS."""
    kind: npt.NDArray[np.int8] | None = None
    """int8 [N], the TIDE error (`tide.Errors.kind`), `NO_ERROR` beyond the limits; None without TIDE."""
    object: Ints | None = None
    """int32 [N], a row of the `Objects` of all images: the object of a true positive at IoU 0.5, or that of
    `tide.Errors.fixed_object`, for a Cls error only in its `MOVED` row. Else `NO_OBJECT`. None without TIDE."""
    file_row: Longs | None = None
    """int64 [N], the position among all detections of the run, which decides ties at the limit of Fixed AP; None
    without Fixed AP and pooled AP."""
    iou: Floats | None = None
    """float64 [N], the IoU of a true positive at IoU 0.5 with its object, else 0; None without calibration errors and
    thresholds."""

    def __len__(self) -> int:
        return len(self.score)

    @property
    def image(self) -> Ints:
        """int32 [N], the index of the image."""
        return (self.tie >> POSITION_BITS).astype(np.int32)

    @property
    def columns(self) -> dict[str, npt.NDArray[Any]]:
        """Those that are not None."""
        every = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: values for name, values in every.items() if values is not None}

    def at(self, rows: Longs | Bools | slice) -> MatchedRows:
        """Some of the rows; those of a slice are not copied."""
        return MatchedRows(**{name: values[rows] for name, values in self.columns.items()})

    def where(self, chosen: Bools) -> MatchedRows:
        """The rows that are `chosen`; not copied if all are."""
        return self if chosen.all() else self.at(np.flatnonzero(chosen))

    def in_order(self) -> MatchedRows:
        """The rows by `tie`."""
        ascending = (self.tie[1:] >= self.tie[:-1]).all()
        return self if ascending else self.at(np.argsort(self.tie, kind="stable"))

    def in_order_of_evaluation(self) -> MatchedRows:
        """The rows by category, then score from high to low, then `tie`."""
        if self._are_in_order_of_evaluation():
            return self
        ascending = (self.tie[1:] >= self.tie[:-1]).all()
        by_tie = None if ascending else np.argsort(self.tie, kind="stable")
        order, _ = by_category(self.category, self.score, by_tie, int(self.category.max()) + 1)
        return MatchedRows(**{name: take(values, order) for name, values in self.columns.items()})

    def _are_in_order_of_evaluation(self) -> bool:
        rising = np.diff(self.score)
        wrong = (rising > 0) | (rising == 0) & (self.tie[1:] < self.tie[:-1])
        step = np.diff(self.category)
        return not ((step < 0) | (step == 0) & wrong).any()

    def with_rows(self, more: MatchedRows) -> MatchedRows:
        """These rows, in order of `tie`, and a few `more` in any order, all in order."""
        few = more.in_order()
        at = np.searchsorted(self.tie, few.tie, side="right")
        return MatchedRows(**{name: np.insert(values, at, few.columns[name]) for name, values in self.columns.items()})

    @classmethod
    def joined(cls, parts: Sequence[MatchedRows]) -> MatchedRows:
        """At least one part, one after another, all with the same columns."""
        if len(parts) == 1:
            return parts[0]
        return cls(**{name: np.concatenate([one.columns[name] for one in parts]) for name in parts[0].columns})


def bits_of(values: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint16]:
    """The area ranges of `MatchedRows.true_positive` or `MatchedRows.ignored`, uint64 [N]: uint16 [N, 4]."""
    return values.view(np.uint16).reshape(-1, len(AREA_NAMES))


@dataclass(frozen=True, slots=True)
class Whole:
    """What the images and objects of a part are in the whole."""

    image: Longs
    """int64 [i], ascending, the index in the whole of each image of the part."""
    object: Ints
    """int32 [g], the row in the `Objects` of the whole of each object of the part."""
    file_row: Longs
    """int64 [N], ascending, the position in the whole of each detection of the part."""


def matched_rows(evaluation: Evaluation, detections: Detections, candidates: Candidates, whole: Whole) -> MatchedRows:
    """The rows of the detections of a part. evaluation: of its images. candidates: of its detections.

    Rows beyond the limits of the protocol are left out unless Fixed AP or pooled AP is computed.
    """
    within = within_limits(detections, evaluation.protocol.max_dets if evaluation.protocol.federated else None)
    matches, inside = _matches(evaluation, detections, candidates, within)
    part = _Part(evaluation, detections, candidates, whole, _ties(detections.image, whole.image))
    selection, wide = matches.selection, evaluation.options.beyond_limits
    chosen = candidates.row[selection.row]
    position = np.full(len(detections), len(chosen))  # of each detection in the selection, or past its end
    position[chosen] = np.arange(len(chosen))
    row = np.arange(len(detections)) if wide else np.flatnonzero(position < len(chosen))
    position = position[row]

    def by_row(values: npt.NDArray[Scalar], missing: int) -> npt.NDArray[Scalar]:
        """`values`, [M] in the order of the selection, by row; `missing` for a detection that is not selected."""
        return take(np.append(values, np.array([missing], values.dtype)), position)

    found = replace(
        part.blank(row),
        flags=by_row(_flags(matches, inside), 0),
        true_positive=by_row(matches.true_positive.view(np.uint64).ravel(), 0),
        ignored=by_row(matches.ignored.view(np.uint64).ravel(), 0),
        rank=None if selection.rank is None else by_row(_small(selection.rank), 0),
        iou=by_row(_matched_iou(candidates.overlaps, matches), 0) if _needs_iou(evaluation.options) else None,
    )
    if evaluation.options.tide != "aligned":
        return found.in_order()
    errors = _errors(part, matches, inside, within)
    kind, target = by_row(errors.kind, tide.NO_ERROR), by_row(errors.object, tide.NO_OBJECT)
    return replace(found, kind=kind, object=target).in_order().with_rows(errors.moved)


def _matches(
    evaluation: Evaluation, detections: Detections, candidates: Candidates, within: Bools | None
) -> tuple[Matches, Bools]:
    """The M matches, and which of them are within the limits of the protocol: bool [M].

    within: bool [N], the detections within the limits per image, or None for all.
    """
    protocol, wide = evaluation.protocol, evaluation.options.beyond_limits
    scored = Scored(candidates.image, candidates.category, take(detections.score, candidates.row))
    own = None if within is None else within[candidates.row]
    number = len(evaluation.ground_truth.categories)
    selection = in_order(scored, None if wide else own, number)
    if not protocol.federated:
        selection = capped(selection, scored, _NO_LIMIT if wide else protocol.max_dets)
    inside = np.ones(len(selection.row), bool) if own is None else own[selection.row]
    if selection.rank is not None:
        inside &= selection.rank < protocol.max_dets
    matches = match(
        selection, candidates.overlaps, evaluation.objects, candidates.category, candidates.area,
        candidates.not_exhaustive, number,
    )  # fmt: skip
    return matches, inside


def _ties(image: Ints, of_whole: Longs) -> Longs:
    """See `MatchedRows.tie`: int64 [N]. image: int32 [N], in the part."""
    number = np.bincount(image, minlength=len(of_whole))
    position = np.empty(len(image), np.int64)
    position[np.argsort(image, kind="stable")] = np.arange(len(image)) - np.repeat(np.cumsum(number) - number, number)
    return of_whole[image] << POSITION_BITS | position


@dataclass(frozen=True, slots=True)
class _Part:
    """The detections of a part of the images."""

    evaluation: Evaluation
    detections: Detections
    candidates: Candidates
    whole: Whole
    tie: Longs
    """int64 [N], see `MatchedRows.tie`."""

    def blank(self, row: Longs) -> MatchedRows:
        """Rows of the detections `row` (int64 [n]) that are on no curve and have no error."""
        options, number = self.evaluation.options, len(row)
        tide_columns = options.tide == "aligned"
        return MatchedRows(
            category=self.detections.category[row],
            score=self.detections.score[row],
            tie=self.tie[row],
            flags=np.zeros(number, np.uint8),
            true_positive=np.zeros(number, np.uint64),
            ignored=np.zeros(number, np.uint64),
            rank=None if self.evaluation.protocol.federated else np.zeros(number, np.uint8),
            kind=np.full(number, tide.NO_ERROR, np.int8) if tide_columns else None,
            object=np.full(number, tide.NO_OBJECT, np.int32) if tide_columns else None,
            file_row=self.whole.file_row[row] if options.beyond_limits else None,
            iou=np.zeros(number) if _needs_iou(options) else None,
        )

    def objects(self, own: Ints) -> Ints:
        """int32 [n], the rows in the `Objects` of the whole; `NO_OBJECT` stays. own: int32 [n], those in the part's."""
        found: Ints = np.append(self.whole.object, np.int32(tide.NO_OBJECT))[own]
        return found


def _flags(matches: Matches, inside: Bools) -> npt.NDArray[np.uint8]:
    """See `MatchedRows.flags`: uint8 [M]. inside: bool [M], those within the limits of the protocol."""
    counted = (matches.true_positive[:, 0] | matches.ignored[:, 0]) & 1 != 0
    flags: npt.NDArray[np.uint8] = COUNTED | inside * CAPPED | (inside & ~counted) * FALSE
    return flags


def _needs_iou(options: EvaluationOptions) -> bool:
    return options.reliability or options.thresholds


def _small(rank: Longs) -> npt.NDArray[np.uint8]:
    """See `MatchedRows.rank`."""
    return np.minimum(rank, _FURTHEST_RANK).astype(np.uint8)


def _matched_iou(pairs: Overlaps, matches: Matches) -> Floats:
    """The IoU of each true positive at IoU 0.5 with its object, 0 for others: float64 [M]."""
    iou, hits = np.zeros(len(matches.taken)), np.flatnonzero(matches.true_positive[:, 0] & 1)
    own = rows_of(pairs, matches.selection.row[hits])
    iou[hits] = own.iou[own.object == np.repeat(matches.taken[hits], np.diff(own.start))]
    return iou


@dataclass(frozen=True, slots=True)
class _Errors:
    """The TIDE errors of M matched detections, in the order of the selection."""

    kind: npt.NDArray[np.int8]
    """int8 [M], see `MatchedRows.kind`."""
    object: Ints
    """int32 [M], see `MatchedRows.object`."""
    moved: MatchedRows
    """The detections that a fix moves to another category, as rows of that category."""


def _errors(part: _Part, matches: Matches, inside: Bools, within: Bools | None) -> _Errors:
    """inside: bool [M], the matched detections within the limits of the protocol. within: bool [N] of all, or None."""
    evaluation, detections, candidates = part.evaluation, part.detections, part.candidates
    kept = np.flatnonzero(inside)
    own = _matches_at(matches, kept)
    outcomes = tide.outcomes(candidates.overlaps, evaluation.objects, own)
    others = tide.best_unjudged(detections, tide.under_cap(candidates.unjudged, within), outcomes.used)
    row = candidates.row[own.selection.row]
    points = tide.aligned_points(detections, row, own.selection.start, evaluation.objects, outcomes, others)
    errors, number = points.errors, len(row)
    is_cls = errors.kind == tide.CLS
    fixed = np.where(is_cls[:number], tide.NO_OBJECT, errors.fixed_object[:number])
    kind = np.full(len(inside), tide.NO_ERROR, np.int8)
    kind[kept] = errors.kind[:number]
    found = np.full(len(inside), tide.NO_OBJECT, np.int32)
    found[kept] = part.objects(np.where(outcomes.hit, own.taken, fixed))
    moving = np.flatnonzero((errors.fixed_object != tide.NO_OBJECT) & is_cls)
    goal = errors.fixed_object[moving]
    moved = replace(
        part.blank(np.concatenate([row, others.row])[moving]),
        category=points.object_category[goal],
        flags=np.full(len(moving), MOVED),
        kind=errors.kind[moving],
        object=part.objects(goal),
    )
    return _Errors(kind, found, moved)


def _matches_at(matches: Matches, kept: Longs) -> Matches:
    """The matches of some of the selected detections, int64 [m], ascending."""
    if len(kept) == len(matches.taken):
        return matches
    selection = matches.selection
    return Matches(
        Selection(selection.row[kept], np.searchsorted(kept, selection.start), None),
        matches.true_positive[kept],
        matches.ignored[kept],
        matches.taken[kept],
        matches.num_objects,
        matches.counts,
    )
