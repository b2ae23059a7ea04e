"""Maps from the scores of detections to how often such detections are right, for each class and bin of box areas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.fitting.fitted import Fitted
from longtail_cli.fitting.methods import BetaCalibration, Platt, ScoresFit
from longtail_cli.fitting.score_curves import Beta, Curve, Knots, fit_curve, quantile_edges
from longtail_cli.methods.base import Note
from longtail_cli.methods.steps import ScoreBeta, ScoreKnots, ScoreStep
from longtail_cli.tables import Bools, Floats, FrequencyTable, Ints, LogitColumns, Longs

NONE: Floats = np.empty(0)


_LOGIT_OF_0 = -1000.0
"""A binary logit whose sigmoid is exactly 0 in float64."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """N detections that the evaluation counts as right or wrong."""

    score: Floats
    """float64 [N] in [0, 1]; the sigmoid of scores that are logits."""
    category: Ints
    """int32 [N], row of the frequency table."""
    right: Bools
    """bool [N], whether the detection is matched to an object that counts."""
    area: Floats
    """float64 [N], see `Detections.area`."""

    def __len__(self) -> int:
        return len(self.score)


@dataclass(frozen=True, slots=True)
class _Maps:
    """The maps of a class, a group or all classes."""

    edges: Floats
    """float64 [T - 1], the areas between the bins; none if all have the same map."""
    curves: tuple[Curve, ...]
    """T, for each bin."""
    sparse: bool = False
    """Whether a bin has too few detections for a map of its own."""


@dataclass(frozen=True, slots=True)
class _OfClass:
    """The maps that a class takes, and where they come from."""

    maps: _Maps | None
    """None for none."""
    origin: str
    """``class``, ``group`` or ``all``; without maps what happens to the scores, ``keep`` or ``zero``."""


def fit_scores(method: ScoresFit, rows: ScoredRows, table: FrequencyTable) -> Fitted:
    """The maps of `method`, learned from `rows`.

    A class has a map of its own if it has at least `least` right and `least` wrong detections; see `ScoresFit` for the
    others, and for `by`. A group with fewer takes the map of all classes, and a bin of areas with fewer that of its
    class without bins. ``fallback=zero`` gives a class the score 0; its detections keep their order, as scores that
    become equal are moved to neighbouring floats.

    Raises InputError if there are not enough detections for any map.
    """
    found = _of_classes(method, rows, table)
    learned = [curve for one in found if one.maps is not None for curve in one.maps.curves]
    if not learned:
        raise _too_few(method, rows)
    searched = [curve for curve in learned if isinstance(curve, Beta)]
    return Fitted(
        steps=(_step(method, found),),
        columns=LogitColumns("sigmoid", "none", table.category_id),
        settings=MappingProxyType({}),
        tried=(),
        curve=(),
        passes=max((curve.passes for curve in searched), default=1),
        converged=all(curve.converged for curve in searched),
        notes=_notes(method, found),
    )


def _of_classes(method: ScoresFit, rows: ScoredRows, table: FrequencyTable) -> list[_OfClass]:
    """The maps that each class takes."""
    row = np.lexsort((rows.score, rows.category))
    start = np.searchsorted(rows.category[row], np.arange(len(table) + 1))
    group = np.array(table.group)

    @cache
    def learned(kind: str, number: int, name: str) -> _Maps | None:
        if kind == "class":
            return _learned(method, rows, row[start[number] : start[number + 1]])
        inside = (group == name)[rows.category] if kind == "group" else np.ones(len(rows), bool)
        own = np.flatnonzero(inside)
        return _learned(method, rows, own[np.argsort(rows.score[own], kind="stable")])

    def of_class(number: int) -> _OfClass:
        coarser = {"group": ("group", "all"), "all": ("all",)}.get(method.fallback, ())
        for kind in (method.by, *coarser):
            maps = learned(kind, number if kind == "class" else -1, table.group[number] if kind == "group" else "")
            if maps is not None:
                return _OfClass(maps, kind)
        return _OfClass(None, method.fallback)

    return [of_class(number) for number in range(len(table))]


def _learned(method: ScoresFit, rows: ScoredRows, row: Longs) -> _Maps | None:
    """The maps of the rows, int64 [n], whose scores ascend; None if there are too few of them."""
    if not _enough(method, rows.right[row]):
        return None
    edges = _area_edges(rows.area[row], int(method.sizes))
    bins = np.searchsorted(edges, rows.area[row], side="right")
    parts = [row[bins == number] for number in range(len(edges) + 1)]
    full = [_enough(method, rows.right[part]) for part in parts]
    whole = None if all(full) else _curve(method, rows, row)
    if whole is not None and not any(full):
        return _Maps(NONE, (whole,), sparse=True)
    curves = [
        _curve(method, rows, part) if ok or whole is None else whole for part, ok in zip(parts, full, strict=True)
    ]
    return _Maps(edges, tuple(curves), sparse=not all(full))


def _area_edges(area: Floats, sizes: int) -> Floats:
    """The areas, float64 [T - 1], that cut `area` into T <= `sizes` bins, about equally full."""
    if sizes == 1:
        return NONE
    ascending = np.sort(area)
    return ascending[quantile_edges(ascending, sizes)]


def _enough(method: ScoresFit, right: Bools) -> bool:
    hits = int(right.sum())
    return min(hits, len(right) - hits) >= method.least


def _curve(method: ScoresFit, rows: ScoredRows, row: Longs) -> Curve:
    return fit_curve(method, rows.score[row], rows.right[row])


def _step(method: ScoresFit, found: Sequence[_OfClass]) -> ScoreStep:
    """The maps of the classes as one step, which keeps the scores of a class without, or makes them 0."""
    maps = [one.maps for one in found]
    bins = max(len(one.curves) for one in maps if one is not None)
    without: dict[str, Curve] = {"keep": Knots(NONE, NONE), "zero": Knots(np.zeros(1), np.zeros(1))}
    if isinstance(method, Platt | BetaCalibration):
        without = {"keep": Beta(1.0, 1.0, 0.0), "zero": Beta(0.0, 0.0, _LOGIT_OF_0)}
    edges = np.full((len(maps), bins - 1), np.inf)
    curves = [without["zero" if one.origin == "zero" else "keep"] for one in found for _ in range(bins)]
    for number, one in enumerate(maps):
        if one is not None:
            edges[number, : len(one.edges)] = one.edges
            curves[number * bins : number * bins + len(one.curves)] = one.curves
    betas = [(one.rise, one.fall, one.shift) for one in curves if isinstance(one, Beta)]
    if betas:
        rise, fall, shift = np.array(betas).T.reshape(3, len(maps), bins)
        return ScoreBeta(edges, rise, fall, shift)
    knots = tuple(dict.fromkeys(one for one in curves if isinstance(one, Knots)))
    index_of = {one: index for index, one in enumerate(knots)}
    curve = np.array([index_of[one] for one in curves if isinstance(one, Knots)]).reshape(len(maps), bins)
    start = np.cumsum([0, *(len(one.x) for one in knots)])
    x, y = (np.concatenate(values) for values in zip(*((one.x, one.y) for one in knots), strict=True))
    return ScoreKnots(edges, curve, start, x, y)


def _too_few(method: ScoresFit, rows: ScoredRows) -> InputError:
    """The error for detections that are not enough for any map."""
    pools = {"class": "a class", "group": "a frequency group", "all": "all classes"}
    pool = pools[method.by if method.fallback in ("keep", "zero") else "all"]
    right = int(rows.right.sum())
    problem = Problem(
        f"detections of {pool}",
        f"at least {method.least:g} right and {method.least:g} wrong ones",
        f"fewer; {right} right and {len(rows) - right} wrong ones in all",
    )
    return InputError("detections", [problem], "fit on more images, or lower `least`")


def _notes(method: ScoresFit, found: Sequence[_OfClass]) -> tuple[Note, ...]:
    """On the classes without a map of their own, and on those with bins without one."""
    few = f"fewer than {method.least:g} right or {method.least:g} wrong detections"
    lacking = f"in groups with {few}" if method.by == "group" else f"with {few}"
    taken = {
        "group": "take the map of their frequency group",
        "all": "take the map of all classes",
        "keep": "keep their scores",
        "zero": "get the score 0, in the same order",
    }
    masks = {
        f"{lacking} {text}": [one.origin == origin != method.by for one in found] for origin, text in taken.items()
    }
    masks[f"have bins of the box area with {few}, which take the map without bins"] = [
        one.maps is not None and one.maps.sparse for one in found
    ]
    return tuple(Note(np.array(mask), text) for text, mask in masks.items() if any(mask))
