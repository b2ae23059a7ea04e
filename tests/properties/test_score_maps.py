"""Beta maps and curves by class and area bin, against a plain loop; and the order that they keep."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.choices import SCORE_SPACES, ScoreSpace
from longtail_cli.methods.scores import AdjustableScores, direction, logit, sigmoid
from longtail_cli.methods.steps import ScoreBeta, ScoreKnots, ScoreStep
from longtail_cli.tables import Floats

CLASSES = 2
few = settings(max_examples=40)
unit = st.one_of(st.sampled_from([0.0, 5e-324, 0.25, 0.5, 1.0, 1 - 2**-53]), st.floats(0, 1))
areas = st.sampled_from([0.0, 1.0, 4.0, 9.0, 16.0, 1e150])
rows = st.lists(st.tuples(unit, st.integers(0, CLASSES - 1), areas), max_size=25)


@st.composite
def edges(draw: st.DrawFn) -> Floats:
    bins = draw(st.integers(1, 3))
    bounds = st.lists(st.sampled_from([1.0, 4.0, 9.0, math.inf]), min_size=bins - 1, max_size=bins - 1).map(sorted)
    return np.array([draw(bounds) for _ in range(CLASSES)]).reshape(CLASSES, bins - 1)


@st.composite
def beta_maps(draw: st.DrawFn) -> ScoreBeta:
    bounds = draw(edges())
    shape = CLASSES, bounds.shape[1] + 1
    power = st.sampled_from([0.0, 1.0, 0.3, 2.5, 30.0])
    rise, fall, shift = (
        np.array(draw(st.lists(one, min_size=math.prod(shape), max_size=math.prod(shape)))).reshape(shape)
        for one in (power, power, st.sampled_from([0.0, -3.0, 800.0]))
    )
    return ScoreBeta(bounds, rise, fall, shift)


@st.composite
def curve_maps(draw: st.DrawFn) -> ScoreKnots:
    bounds = draw(edges())
    knots = st.lists(st.tuples(unit, unit), max_size=4).map(
        lambda points: tuple(map(sorted, zip(*points, strict=True)))
    )
    curves = draw(st.lists(knots, min_size=1, max_size=3))
    start = np.cumsum([0, *(len(one[0]) if one else 0 for one in curves)])
    x, y = (np.array([value for one in curves if one for value in one[axis]], np.float64) for axis in (0, 1))
    number = CLASSES * (bounds.shape[1] + 1)
    chosen = draw(st.lists(st.integers(0, len(curves) - 1), min_size=number, max_size=number))
    return ScoreKnots(bounds, np.array(chosen).reshape(CLASSES, -1), start, x, y)


maps = st.one_of(beta_maps(), curve_maps())


def own_bin(step: ScoreStep, category: int, area: float) -> int:
    assert isinstance(step, ScoreBeta | ScoreKnots)
    return sum(area >= edge for edge in step.edges[category].tolist())


def plain(step: ScoreStep, score: float, category: int, area: float) -> float:
    own = category, own_bin(step, category, area)
    if isinstance(step, ScoreBeta):
        inside = min(max(score, 5e-324), 1 - 2**-53)
        z = step.rise[own] * math.log(inside) - step.fall[own] * math.log1p(-inside) + step.shift[own]
        return 1 / (1 + math.exp(-z)) if z > -700 else 0.0
    assert isinstance(step, ScoreKnots)
    first, last = step.start[step.curve[own]], step.start[step.curve[own] + 1]
    knots = list(zip(step.x[first:last].tolist(), step.y[first:last].tolist(), strict=True))
    below, above = [knot for knot in knots if knot[0] <= score], [knot for knot in knots if knot[0] > score]
    if not knots:
        return score
    if not below or not above:
        return below[-1][1] if below else above[0][1]
    (x, y), (right, top) = below[-1], above[0]
    return y + (top - y) * ((score - x) / (right - x))


def adjusted(found: list[tuple[float, int, float]], steps: Sequence[ScoreStep], space: ScoreSpace = "prob") -> Floats:
    score, category, area = (np.array(column) for column in zip(*found, strict=True)) if found else np.zeros((3, 0))
    given = score if space == "prob" else logit(score)
    return AdjustableScores(given, category.astype(np.int32), space, lambda: area).adjusted(*steps)


@given(rows, maps)
@few
def test_scores_are_those_of_a_plain_loop(found: list[tuple[float, int, float]], step: ScoreStep) -> None:
    expected = [plain(step, *row) for row in found]
    np.testing.assert_allclose(adjusted(found, [step]), expected, rtol=1e-12, atol=1e-14)


@given(rows, st.lists(maps, min_size=1, max_size=3), st.sampled_from(SCORE_SPACES))
@few
def test_the_order_within_a_class_and_bin_is_kept_strictly(
    found: list[tuple[float, int, float]], steps: list[ScoreStep], space: ScoreSpace
) -> None:
    result = adjusted(found, steps, space)
    assert np.isfinite(result).all()
    if space == "prob":
        assert ((result >= 0) & (result <= 1)).all()
    kept = direction(steps, CLASSES) > 0
    before = [row[0] if space == "prob" else float(logit(np.array([row[0]]))[0]) for row in found]
    cells = [(c, *([] if kept[c] else [own_bin(step, c, area) for step in steps])) for _, c, area in found]
    for n, cell in enumerate(cells):
        for m in range(n):
            if cell == cells[m]:
                assert np.sign(before[n] - before[m]) == np.sign(result[n] - result[m])


@given(rows, st.tuples(maps, beta_maps()))  # after the first step a curve may jump between two floats
@few
def test_several_steps_are_one_after_another(
    found: list[tuple[float, int, float]], steps: tuple[ScoreStep, ...]
) -> None:
    one_by_one = [row[0] for row in found]
    for step in steps:
        one_by_one = [plain(step, score, *row[1:]) for score, row in zip(one_by_one, found, strict=True)]
    np.testing.assert_allclose(adjusted(found, steps), one_by_one, rtol=1e-9, atol=1e-9)


@given(rows, beta_maps())
@few
def test_logits_are_mapped_as_their_sigmoids(found: list[tuple[float, int, float]], step: ScoreStep) -> None:
    inner = [(min(max(score, 1e-9), 1 - 1e-9), *rest) for score, *rest in found]
    result = sigmoid(adjusted(inner, [step], "logit"))
    np.testing.assert_allclose(result, adjusted(inner, [step]), rtol=1e-5, atol=1e-9)
