"""Score-only adjustment: one score per detection, mapped class by class, with the order within each class kept.

A map may also depend on the area of the box. Then the order is kept among the boxes of a class in one bin of areas, and
boxes of different bins may change their order.

Far from 0 the sigmoid rounds different logits to the same float: with an IIF weight of 10 every score above 0.98 would
become 1.0, and the order of these detections would be lost. So scores that become equal, or swap by rounding, are moved
to neighbouring floats. This keeps the order exactly, and with it every metric of a single category.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import ScoreSpace
from longtail_cli.engine import ordering
from longtail_cli.engine import scores as engine
from longtail_cli.methods.area_bins import area_edges, by_cell, cells_of
from longtail_cli.methods.steps import ColumnAffine, ScoreBeta, ScoreFactor, ScoreKnots, ScoreStep
from longtail_cli.parallel import cuts_of, in_parts, in_threads
from longtail_cli.tables import Bools, Floats, Ints, Longs

Complexes = npt.NDArray[np.complex128]

MIN_SCORE: dict[ScoreSpace, float] = {"prob": 0.0, "logit": -float(np.finfo(np.float64).max)}
"""The lowest score of each space."""

_SIGN = -(2**63)  # the bits of -0.0 as an integer
_MOST_SCORES = 1 << 40  # of a class
_BLOCK = 1 << 16  # scores that are mapped at once, in temporary arrays that stay in the cache


def logit(score: Floats) -> Floats:
    """The binary logit ln(s / (1 - s)) of s in [0, 1], finite: 0 and 1 count as the nearest floats inside (0, 1)."""
    right, wrong = logs(score)
    return right - wrong


def sigmoid(z: Floats) -> Floats:
    """1 / (1 + e^-z) in [0, 1], for any z except NaN, without overflow."""
    small = np.exp(-np.abs(z))
    return np.where(z < 0, small, 1.0) / (1.0 + small)


@dataclass(frozen=True, slots=True)
class MovedScores:
    """What scores become that a map makes equal, or lets swap, among all detections of a file: n different ones."""

    key: Complexes
    """complex128 [n], the class and the score, ascending."""
    value: Floats
    """float64 [n]."""

    @classmethod
    def of(cls, category: Ints, score: Floats, value: Floats) -> MovedScores:
        """Of the classes and scores of some detections, perhaps several times the same."""
        key, first = np.unique(_pairs(category, score), return_index=True)
        return cls(key, value[first])

    @classmethod
    def joined(cls, parts: Sequence[MovedScores]) -> MovedScores:
        """Those of all parts, none of which share a class and score."""
        key = np.concatenate([np.zeros(0, np.complex128), *(one.key for one in parts)])
        order = np.argsort(key)
        return cls(key[order], np.concatenate([np.zeros(0), *(one.value for one in parts)])[order])

    def __len__(self) -> int:
        return len(self.key)

    def applied(self, category: Ints, score: Floats, mapped: Floats) -> Floats:
        """The mapped scores, float64 [N], in their new positions."""
        if not len(self.key):
            return mapped
        key = _pairs(category, score)
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[at] == key, self.value[at], mapped)


class AdjustableScores:
    """The scores of N detections, and their order within each class, which all adjustments share."""

    def __init__(
        self,
        score: Floats,
        category: Longs | Ints,
        space: ScoreSpace,
        area: Callable[[], Floats] | None = None,
    ) -> None:
        """score: float64 [N], in [0, 1] for ``prob``, finite for ``logit``. category: int [N], from 0.

        area: called for the areas of the boxes, float64 [N] in square pixels, when a map depends on them.
        """
        self._score, self._category, self._space = score, category.astype(np.int32, copy=False), space
        self._area = area

    def adjusted(self, *steps: ScoreStep) -> Floats:
        """The score of each detection after `steps`, float64 [N]; the scores themselves if nothing changes.

        A `ColumnAffine` with a_c, b_c of the class of a detection makes sigmoid(a_c logit(s) + b_c) of its score in
        ``prob``, a_c s + b_c in ``logit``. The other steps map the score s in ``prob``; in ``logit`` they map the
        sigmoid, and the result is the logit of what they make of it.

        The scores of a class and area bin that no step changes stay bit-identical. Different scores of a class and area
        bin stay different and in order (reversed if a_c < 0), also where a map is constant, as of knots that are all 0;
        only a_c = 0 makes them equal.

        Raises ValueError if a map depends on the area, and there is no `area`.
        """
        if not steps:
            return self._score
        own, of_cells = self.in_cells(*steps)
        return own._kept_apart(of_cells, own.mapped(of_cells))

    def adjusted_among(self, moved: MovedScores, *steps: ScoreStep) -> Floats:
        """As `adjusted`, if these are some of the detections. moved: of all of them."""
        if not steps:
            return self._score
        own, of_cells = self.in_cells(*steps)
        return moved.applied(own._category, own._score, own.mapped(of_cells))

    def in_cells(self, *steps: ScoreStep) -> tuple[AdjustableScores, list[ScoreStep]]:
        """The scores with each class and bin of areas as a class of its own, and at least one step for these classes.

        Raises ValueError if a map depends on the area, and there is no `area`.
        """
        edges = area_edges(steps, _classes(steps[0]))
        of_cells = [by_cell(step, edges) for step in steps]
        if not edges.shape[1]:
            return self, of_cells
        if self._area is None:
            raise ValueError("these steps depend on the area of the boxes")
        return AdjustableScores(self._score, cells_of(self._category, self._area(), edges), self._space), of_cells

    @property
    def different(self) -> tuple[Ints, Floats]:
        """Each class and score once, int32 [n] and float64 [n]: by class, from the highest score to the lowest."""
        row = self._best_first[1]
        category, score = self._category[row], self._score[row]
        new = np.append(True, (category[1:] != category[:-1]) | (score[1:] != score[:-1]))[: len(row)]
        return category[new], score[new]

    def mapped(self, steps: Sequence[ScoreStep]) -> Floats:
        """The score of each detection after steps that do not depend on the area; equal ones are not kept apart."""
        changed = _changed(steps)
        if not changed.any():
            return self._score
        adjusted = np.empty(len(self._score))

        def adjust(first: int, last: int) -> None:
            for low in range(first, last, _BLOCK):
                rows = slice(low, min(low + _BLOCK, last))
                own, values = self._category[rows], self._score[rows]
                mapped = values
                for step in steps:
                    mapped = _mapped(mapped, step, own, self._space)
                adjusted[rows] = np.where(changed[own], mapped + 0.0, values)  # -0.0 becomes 0.0

        in_parts(adjust, len(adjusted))
        return adjusted

    def _kept_apart(self, steps: Sequence[ScoreStep], adjusted: Floats) -> Floats:
        """The mapped scores, which are moved in place, as far apart as they have to be."""
        changed = _changed(steps)
        if not changed.any():
            return adjusted
        start, row = self._best_first
        moved = np.where(changed, direction(steps, len(changed)), 0.0)
        least = _least(self._space)

        def keep_apart(first: int, last: int) -> None:
            engine.keep_apart(first, last, start, row, self._score, moved, least, _SIGN, adjusted.view(np.int64))

        in_threads(keep_apart, cuts_of(start))
        return adjusted

    @cached_property
    def _best_first(self) -> tuple[Longs, Longs]:
        """Where each class starts, int64 [C + 1], and the rows by class, best first, int64 [N]."""
        classes = int(self._category.max(initial=-1)) + 1
        start, row = np.zeros(classes + 1, np.int64), np.empty(len(self._score), np.int64)
        ordering.by_category(self._category, start, row)
        bits = self._score.view(np.int64)
        in_threads(lambda first, last: ordering.best_first(first, last, start, bits, _SIGN, row), cuts_of(start))
        return start, row


class MovedInOrder:
    """The scores that have to move to be kept apart, found as they come, in the order of what they become.

    `engine.scores.keep_apart` moves scores down as far as those above them require. For that the last score so
    far is enough. Then it moves the lowest up again, if there are not enough floats below them, so the few scores to
    which this can happen are held until all are known. Exact for classes with less than 2^40 scores.
    """

    def __init__(self, space: ScoreSpace, steps: Sequence[ScoreStep]) -> None:
        """steps: at least one, that do not depend on the area."""
        changed = _changed(steps)
        self._steps, self._space, self._least = steps, space, _least(space)
        self._scale = np.where(changed & (direction(steps, len(changed)) != 0), 1.0, 0.0)
        self._last = _Moving(np.zeros(0, np.int32), np.zeros(0), *np.zeros((2, 0), np.int64))
        self._low: list[_Moving] = []
        self._found: list[MovedScores] = []

    def add(self, category: Ints, score: Floats) -> None:
        """The next scores, none of them twice: by class, and from the highest to the lowest in what they become.

        So they ascend in the `reversed_classes`, and descend in others. category: int32 [n]. score: float64 [n].
        """
        own = np.flatnonzero(self._scale[category])
        if not len(own):
            return
        category, score = category[own], score[own]
        mapped = AdjustableScores(score, category, self._space).mapped(self._steps).view(np.int64)
        every = _Moving.joined([self._last, _Moving(category, score, mapped, mapped)])
        lower = every.kept_apart(self._scale, np.iinfo(np.int64).min)
        new, self._last = lower.at(slice(len(self._last.score), None)), lower.at(slice(-1, None))
        low = _ordinals(new.value) < self._least + _MOST_SCORES
        self._low.append(new.at(low))
        self._found.append(new.at(~low).moved)

    def moved(self) -> MovedScores:
        """The scores that have to move, of all that were added."""
        low = _Moving.joined([self._last.at(slice(0)), *self._low]).kept_apart(self._scale, self._least)
        return MovedScores.joined([*self._found, low.moved])


@dataclass(frozen=True, slots=True)
class _Moving:
    """Different scores of the same classes, in order, while they are moved. Floats as integers of the same bits."""

    category: Ints
    """int32 [n]."""
    score: Floats
    """float64 [n], before the map."""
    mapped: Longs
    """int64 [n]."""
    value: Longs
    """int64 [n], what they become; below the lowest float for a while."""

    @classmethod
    def joined(cls, parts: Sequence[_Moving]) -> _Moving:
        """At least one part, one after another."""
        columns = ("category", "score", "mapped", "value")
        return cls(*(np.concatenate([getattr(one, name) for one in parts]) for name in columns))

    def at(self, row: slice | Bools) -> _Moving:
        return _Moving(self.category[row], self.score[row], self.mapped[row], self.value[row])

    def kept_apart(self, scale: Floats, least: int) -> _Moving:
        """The same, moved further. scale: float64 [C] > 0. least: the ordinal of the lowest score."""
        start = np.searchsorted(self.category, np.arange(len(scale) + 1))
        row, value = np.arange(len(self.value)), self.value.copy()
        engine.keep_apart(0, len(scale), start, row, self.score, scale, least, _SIGN, value)
        return replace(self, value=value)

    @property
    def moved(self) -> MovedScores:
        """Those that are not where the map puts them."""
        row = self.value != self.mapped
        return MovedScores.of(self.category[row], self.score[row], self.value[row].view(np.float64))


def _least(space: ScoreSpace) -> int:
    """The ordinal of the lowest score."""
    return int(_ordinals(np.array(MIN_SCORE[space]).view(np.int64)))


def _ordinals(bits: Longs) -> Longs:
    """Floats, seen as integers, as integers in the same order: consecutive for consecutive floats, and 0 for 0.0."""
    return np.where(bits >= 0, bits, _SIGN - bits)


def _changed(steps: Sequence[ScoreStep]) -> Bools:
    """Bool [C], the classes that some step changes. The steps have no area bins."""
    return np.asarray(np.any([_changes(step) for step in steps], axis=0))


def _classes(step: ScoreStep) -> int:
    """C, the number of classes of a step."""
    return len(step.edges if isinstance(step, ScoreBeta | ScoreKnots) else step.shift)


def direction(steps: Sequence[ScoreStep], classes: int) -> Floats:
    """float64 [C]: above 0 for a class whose detections keep their order, below for one whose order is reversed.

    0 for a class whose order is not kept: all its scores become equal, or its map depends on the area.
    """
    sign = np.ones(classes)
    for step in steps:
        if isinstance(step, ColumnAffine):
            sign *= np.sign(step.scale)
    return np.where(np.isfinite(area_edges(steps, classes)).any(axis=1), 0.0, sign)


def reversed_classes(steps: Sequence[ScoreStep]) -> Bools:
    """Bool [C], the classes whose order is reversed by steps, at least one."""
    return direction(steps, _classes(steps[0])) < 0


def _changes(step: ScoreStep) -> Bools:
    """Bool [C], the classes that a step without area bins changes."""
    if isinstance(step, ScoreKnots):
        return np.asarray(np.diff(step.start)[step.curve[:, 0]] > 0)
    if isinstance(step, ScoreBeta):
        return np.asarray((step.rise != 1) | (step.fall != 1) | (step.shift != 0))[:, 0]
    changed: Bools = step.shift != 0
    return changed | (step.scale != 1) if isinstance(step, ColumnAffine) else changed


def _mapped(score: Floats, step: ScoreStep, category: Ints, space: ScoreSpace) -> Floats:
    """The scores after a step without area bins, in which different ones may have become equal."""
    if isinstance(step, ScoreKnots):
        if space == "prob":
            return _interpolated(score, step, category)
        return np.where(_changes(step)[category], logit(_interpolated(sigmoid(score), step, category)), score)
    if isinstance(step, ScoreBeta):
        rise, fall, shift = (values[category, 0] for values in (step.rise, step.fall, step.shift))
        right, wrong = logs(score) if space == "prob" else (_log_sigmoid(score), _log_sigmoid(-score))
        with np.errstate(over="ignore"):
            z = rise * right - fall * wrong + shift
        return sigmoid(z) if space == "prob" else _bounded(z)
    shift = step.shift[category]
    if isinstance(step, ScoreFactor):
        return score * np.exp(shift) if space == "prob" else _bounded(_binary_logit(_log_sigmoid(score) + shift))
    with np.errstate(over="ignore"):
        z = step.scale[category] * (logit(score) if space == "prob" else score) + shift
    return sigmoid(z) if space == "prob" else _bounded(z)


def _interpolated(score: Floats, step: ScoreKnots, category: Ints) -> Floats:
    """The scores on the curve of their class; as they are if it has no knots."""
    if not len(step.x):
        return score
    curve = step.curve[category, 0]
    first, last = step.start[curve], step.start[curve + 1] - 1
    own = np.repeat(np.arange(len(step.start) - 1), np.diff(step.start))
    after = np.searchsorted(_pairs(own, step.x), _pairs(curve, score), side="right")
    known = last >= first
    below, above = (np.where(known, np.clip(knot, first, np.maximum(first, last)), 0) for knot in (after - 1, after))
    run, rise = step.x[above] - step.x[below], step.y[above] - step.y[below]
    share = np.divide(score - step.x[below], run, out=np.zeros(len(score)), where=run > 0)
    return np.where(known, np.minimum(step.y[below] + share * rise, step.y[above]), score)


def _pairs(first: Longs | Ints, second: Floats) -> Complexes:
    """Pairs in the order of NumPy's complex numbers: by the first, then by the second."""
    pairs = np.empty(len(first), np.complex128)
    pairs.real, pairs.imag = first, second
    return pairs


def logs(score: Floats) -> tuple[Floats, Floats]:
    """Ln s and ln(1 - s) of s in [0, 1], finite: 0 and 1 count as the nearest floats inside (0, 1)."""
    inside = np.clip(score, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))
    return np.log(inside), np.log1p(-inside)


def _log_sigmoid(z: Floats) -> Floats:
    return -np.logaddexp(0.0, -z)


def _binary_logit(log_score: Floats) -> Floats:
    """Ln s - ln(1 - s) from ln s <= 0; infinite at 0."""
    with np.errstate(divide="ignore"):
        z: Floats = log_score - np.log(-np.expm1(log_score))
    return z


def _bounded(z: Floats) -> Floats:
    return np.clip(z, MIN_SCORE["logit"], -MIN_SCORE["logit"])
