"""Maps that differ by the area of the box: each class and bin of areas becomes a cell, a class of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.methods.steps import ColumnAffine, ScoreBeta, ScoreFactor, ScoreKnots, ScoreStep
from longtail_cli.parallel import in_parts
from longtail_cli.tables import Floats, Ints, Longs


def area_edges(steps: Sequence[ScoreStep], classes: int) -> Floats:
    """The areas at which a step passes to another map: float64 [C, S - 1], ascending, infinite where a class has fewer.

    S = 1 if no map depends on the area.
    """
    every = [step.edges for step in steps if isinstance(step, ScoreBeta | ScoreKnots)]
    edges: Floats = np.sort(np.concatenate([np.empty((classes, 0)), *every], axis=1), axis=1)
    return edges[:, np.isfinite(edges).any(axis=0)]


def cells_of(category: Ints, area: Floats, edges: Floats) -> Ints:
    """The cell of each detection, ``category * S`` + its bin: int32 [N].

    category: int32 [N], rows of `edges`. area: float64 [N], square pixels. edges: float64 [C, S - 1].
    """
    cell = np.empty(len(category), np.int32)

    def fill(first: int, last: int) -> None:
        own, size = category[first:last], area[first:last]
        bins = sum((size >= column[own] for column in edges.T), np.zeros(last - first, np.int32))
        cell[first:last] = own * (edges.shape[1] + 1) + bins

    in_parts(fill, len(category))
    return cell


def by_cell(step: ScoreStep, edges: Floats) -> ScoreStep:
    """The step with the C S cells for classes, and without bins. edges: of `area_edges` of all steps."""
    bins = edges.shape[1] + 1
    if isinstance(step, ColumnAffine):
        return ColumnAffine(np.repeat(step.scale, bins), np.repeat(step.shift, bins))
    if isinstance(step, ScoreFactor):
        return ScoreFactor(np.repeat(step.shift, bins))
    own, none = _own_bins(step.edges, edges), np.empty((len(edges) * bins, 0))
    if isinstance(step, ScoreBeta):
        rise, fall, shift = (values.ravel()[own, None] for values in (step.rise, step.fall, step.shift))
        return ScoreBeta(none, rise, fall, shift)
    return replace(step, edges=none, curve=step.curve.ravel()[own, None])


def _own_bins(own: Floats, edges: Floats) -> Longs:
    """Which map of a step each cell has, counted through all classes: int64 [C S].

    own: float64 [C, T - 1], the edges of the step, all of which are in `edges`.
    """
    least = np.concatenate([np.full((len(edges), 1), -np.inf), edges], axis=1)
    number = (own[:, None, :] <= least[:, :, None]).sum(axis=2)
    return np.asarray(number + np.arange(len(own))[:, None] * (own.shape[1] + 1)).ravel()
