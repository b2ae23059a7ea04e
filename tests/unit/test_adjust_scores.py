"""Score-only adjustment: the map of the logit, scores near 0 and 1, and the order within a class."""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from longtail_cli.choices import ScoreSpace
from longtail_cli.methods.scores import AdjustableScores, direction, logit, sigmoid
from longtail_cli.methods.steps import ColumnAffine, ScoreBeta, ScoreKnots, ScoreStep

JUST_BELOW_1 = float(np.nextafter(1.0, 0.0))


def adjusted(score: list[float], scale: float = 1.0, shift: float = 0.0, space: ScoreSpace = "prob") -> list[float]:
    """Adjusted scores of detections of one class."""
    affine = ColumnAffine(np.array([scale]), np.array([shift]))
    result: list[float] = (
        AdjustableScores(np.array(score), np.zeros(len(score), np.int64), space).adjusted(affine).tolist()
    )
    return result


def test_the_logit_of_a_probability_is_mapped() -> None:
    """sigmoid(2 ln(0.8 / 0.2) - 1) by hand: 16 e^-1 / (1 + 16 e^-1)."""
    odds = 16 / math.e
    assert adjusted([0.8], 2.0, -1.0) == pytest.approx([odds / (1 + odds)], rel=1e-15)


def test_a_logit_is_mapped_directly() -> None:
    assert adjusted([-3.0, 0.5, 7.0], 2.0, -1.0, "logit") == [-7.0, 0.0, 13.0]


def test_each_detection_is_mapped_by_its_class() -> None:
    affine = ColumnAffine(np.array([1.0, 2.0, 1.0]), np.array([0.0, 0.0, math.log(3)]))
    score, category = np.array([0.5, 0.8, 0.8, 0.8]), np.array([2, 1, 0, 1])
    result = AdjustableScores(score, category, "prob").adjusted(affine)
    assert result == pytest.approx([0.75, 16 / 17, 0.8, 16 / 17])


def test_scores_of_classes_with_the_identity_map_are_bit_identical() -> None:
    scores = [0.0, 5e-324, 0.1, 0.30000000000000004, JUST_BELOW_1, 1.0]
    assert adjusted(scores) == scores


def test_0_and_1_have_finite_logits() -> None:
    assert logit(np.array([0.0, 0.5, 1.0])) == pytest.approx([-744.44, 0, 36.74], abs=0.01)
    assert sigmoid(np.array([-math.inf, -1e4, 0.0, 1e4, math.inf])).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(("scale", "shift"), [(14.0, 0.0), (0.01, 0.0), (1.0, 1e6), (1.0, -1e6), (1e6, -1e6)])
def test_scores_that_round_to_an_end_keep_their_order(scale: float, shift: float) -> None:
    scores = [0.0, 1e-300, 1e-9, 0.2, 0.98, 0.99, 0.999, JUST_BELOW_1]
    result = adjusted(scores, scale, shift)
    assert all(low < high for low, high in pairwise(result))
    assert min(result) >= 0
    assert max(result) <= 1


def test_they_become_adjacent_floats() -> None:
    assert adjusted([0.99, 0.98, 0.999], 20.0) == [JUST_BELOW_1, 1 - 2 * 2**-53, 1.0]


def test_equal_scores_stay_equal() -> None:
    assert adjusted([0.99, 0.999, 0.99], 20.0) == [JUST_BELOW_1, 1.0, JUST_BELOW_1]


def test_a_negative_weight_reverses_the_order() -> None:
    assert adjusted([0.2, 0.8, 0.5], -1.0) == pytest.approx([0.8, 0.2, 0.5])
    assert adjusted([0.98, 0.99, 0.999], -400.0) == [1e-323, 5e-324, 0.0]


def test_weight_0_makes_all_scores_equal() -> None:
    assert adjusted([0.0, 0.3, 1.0], 0.0) == [0.5, 0.5, 0.5]


def test_logits_that_overflow_stay_finite_and_in_order() -> None:
    result = adjusted([-1e308, 1e308, 1.7e308], 1e6, 0.0, "logit")
    assert np.isfinite(result).all()
    assert result == sorted(set(result))


def test_no_detections_give_no_scores() -> None:
    assert adjusted([], 2.0) == []


def curves(*knots: list[tuple[float, float]], edges: list[list[float]] | None = None) -> ScoreKnots:
    """One curve for each class and area bin."""
    bounds = np.array(edges if edges is not None else [[]] * len(knots), np.float64)
    points = np.array([point for curve in knots for point in curve]).reshape(-1, 2)
    number = np.arange(len(knots)).reshape(len(bounds), -1)
    return ScoreKnots(bounds, number, np.cumsum([0, *map(len, knots)]), points[:, 0].copy(), points[:, 1].copy())


def betas(*maps: tuple[float, float, float], edges: list[list[float]] | None = None) -> ScoreBeta:
    """Rise, fall and shift of each class and area bin."""
    bounds = np.array(edges if edges is not None else [[]] * len(maps), np.float64)
    rise, fall, shift = np.array(maps).T.reshape(3, len(bounds), -1)
    return ScoreBeta(bounds, rise, fall, shift)


def mapped(score: list[float], *steps: ScoreStep, space: ScoreSpace = "prob", area: list[float] | None = None) -> Any:
    """Scores of one class after the steps. area: of each box; may not be read if None."""
    areas = (lambda: pytest.fail("no map depends on the area")) if area is None else lambda: np.array(area)
    return AdjustableScores(np.array(score), np.zeros(len(score), np.int64), space, areas).adjusted(*steps).tolist()


def test_a_beta_map_weighs_the_logarithms_of_the_score_and_of_the_rest() -> None:
    """sigmoid(2 ln 0.8 - 3 ln 0.2 + ln 0.5) by hand: odds 0.8² / 0.2³ / 2 = 40."""
    assert mapped([0.8], betas((2.0, 3.0, math.log(0.5)))) == pytest.approx([40 / 41], rel=1e-14)


@pytest.mark.parametrize("score", [0.0, 1e-300, 0.3, 1.0])
def test_a_beta_map_with_equal_exponents_is_affine_in_the_logit(score: float) -> None:
    affine = ColumnAffine(np.array([1.7]), np.array([-0.4]))
    assert mapped([score], betas((1.7, 1.7, -0.4))) == pytest.approx(mapped([score], affine), rel=1e-12, abs=1e-323)


def test_a_curve_is_linear_between_its_knots_and_constant_beyond_them() -> None:
    knots = curves([(0.2, 0.1), (0.6, 0.5), (0.8, 0.9)])
    scores = [0.0, 0.2, 0.3, 0.6, 0.7, 0.8, 1.0]
    assert mapped(scores, knots) == pytest.approx([0.1, 0.1, 0.2, 0.5, 0.7, 0.9, 0.9], abs=1e-15)


def test_at_a_jump_the_last_knot_counts() -> None:
    knots = curves([(0.0, 0.1), (0.5, 0.1), (0.5, 0.4), (0.5, 0.6), (1.0, 0.6)])
    below = float(np.nextafter(0.5, 0.0))
    assert mapped([0.2, below, 0.5, 0.9], knots) == pytest.approx([0.1, 0.1, 0.6, 0.6], abs=1e-15)


@pytest.mark.parametrize("step", [betas((2.0, 0.5, 0.3)), curves([(0.0, 0.05), (0.7, 0.3), (1.0, 0.9)])])
def test_logits_are_mapped_through_the_sigmoid(step: ScoreStep) -> None:
    z = [-12.0, -1.0, 0.4, 3.0]
    probabilities = mapped(sigmoid(np.array(z)).tolist(), step)
    assert mapped(z, step, space="logit") == pytest.approx(logit(np.array(probabilities)), rel=1e-9)


@pytest.mark.parametrize("space", ["prob", "logit"])
@pytest.mark.parametrize("step", [curves([(0.0, 0.0)]), curves([(0.5, 1.0)]), betas((0.0, 0.0, 800.0))])
def test_constant_maps_keep_the_order_strictly(step: ScoreStep, space: ScoreSpace) -> None:
    scores = [0.0, 1e-300, 0.2, 0.2, JUST_BELOW_1, 1.0]
    result = mapped(scores, step, space=space)
    assert result[2] == result[3]
    assert all(low < high for low, high in pairwise(sorted(set(result))))
    assert [result.index(one) for one in sorted(result)] == [0, 1, 2, 2, 4, 5]
    assert max(result) - min(result) < 1e-12


def test_a_score_of_0_keeps_the_order_in_the_smallest_floats() -> None:
    assert mapped([0.3, 0.1, 0.9], curves([(0.0, 0.0)])) == [5e-324, 0.0, 1e-323]


def test_classes_may_share_a_curve() -> None:
    step = ScoreKnots(
        np.empty((3, 0)), np.array([[1], [0], [1]]), np.array([0, 0, 2]), np.array([0.0, 1.0]), np.array([0.0, 0.5])
    )
    result = AdjustableScores(np.full(3, 0.8), np.arange(3), "prob").adjusted(step)
    assert result.tolist() == [0.4, 0.8, 0.4]


@pytest.mark.parametrize("space", ["prob", "logit"])
def test_a_class_and_bin_that_no_step_changes_keeps_its_scores_bit_for_bit(space: ScoreSpace) -> None:
    scores, areas = [0.0, 0.1, 0.30000000000000004, 1.0] * 2, [1.0] * 4 + [9.0] * 4
    beta = betas((1.0, 1.0, 0.0), (2.0, 2.0, 0.0), edges=[[4.0]])
    knots = curves([], [(0.0, 0.2), (1.0, 0.4)], edges=[[5.0]])
    for steps in ([beta], [knots], [beta, knots]):
        result = mapped(scores, *steps, space=space, area=areas)
        assert result[:4] == scores[:4]
        assert result[4:] != scores[4:]


def test_a_box_at_an_edge_is_in_the_higher_bin() -> None:
    knots = curves([(0.0, 0.1)], [(0.0, 0.2)], [(0.0, 0.3)], edges=[[4.0, 6.0]])
    areas = [0.0, float(np.nextafter(4, 0)), 4.0, 5.0, 6.0, 1e150]
    assert mapped([0.5] * 6, knots, area=areas) == [0.1, 0.1, 0.2, 0.2, 0.3, 0.3]


def test_order_is_kept_within_each_bin_only() -> None:
    knots = curves([(0.0, 0.9)], [(0.0, 0.1)], edges=[[4.0]])
    result = mapped([0.2, 0.3, 0.6, 0.7], knots, area=[1, 9, 1, 9])
    assert result[0] < result[2]
    assert result[1] < result[3]
    assert result[3] < result[0]
    assert direction([knots], 1).tolist() == [0]


def test_a_class_with_infinite_edges_has_one_bin() -> None:
    lone = curves([(0.0, 0.5)], [], edges=[[math.inf]])
    assert mapped([0.1, 0.2], lone) == pytest.approx([0.5, 0.5])
    assert direction([lone], 1).tolist() == [1]


def test_steps_with_different_edges_follow_one_another() -> None:
    """0.2 grows by a half in boxes from 4, then the result is halved in boxes from 6."""
    more = curves([], [(0.0, 0.0), (0.5, 0.75)], edges=[[4.0]])
    less = curves([], [(0.0, 0.0), (1.0, 0.5)], edges=[[6.0]])
    areas = [3.0, 5.0, 7.0]
    assert mapped([0.2] * 3, more, less, area=areas) == pytest.approx([0.2, 0.3, 0.15])
    for step, one in zip(mapped([0.2] * 3, more, area=areas), areas, strict=True):
        assert mapped([step], less, area=[one])[0] in mapped([0.2] * 3, more, less, area=areas)


def test_maps_by_area_need_areas() -> None:
    scores = AdjustableScores(np.array([0.5]), np.zeros(1, np.int64), "prob")
    with pytest.raises(ValueError, match="area of the boxes"):
        scores.adjusted(curves([], [(0.0, 0.0)], edges=[[4.0]]))


@pytest.mark.parametrize("step", [curves([(0.0, 0.0)], [], edges=[[4.0]]), betas((2.0, 2.0, 0.0))])
def test_no_detections_stay_none(step: ScoreStep) -> None:
    assert mapped([], step, area=[]) == []
