"""Score-only adjustment: the map of the logit, scores near 0 and 1, and the order within a class."""

import math
from itertools import pairwise

import numpy as np
import pytest

from longtail_cli.choices import ScoreSpace
from longtail_cli.methods.scores import AdjustableScores, logit, sigmoid
from longtail_cli.methods.steps import ColumnAffine

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
