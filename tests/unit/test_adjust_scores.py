"""One score a detection: the map of its logit, the ends of the scale, and the order within a class."""

import math
from itertools import pairwise

import numpy as np
import pytest

from longtail_cli.adjust.scores import adjusted_scores, logit, sigmoid
from longtail_cli.adjust.steps import ColumnAffine
from longtail_cli.tables import ScoreSpace

JUST_BELOW_1 = float(np.nextafter(1.0, 0.0))


def corrected(score: list[float], scale: float = 1.0, shift: float = 0.0, space: ScoreSpace = "prob") -> list[float]:
    """Scores of detections of one class."""
    affine = ColumnAffine(np.array([scale]), np.array([shift]))
    result: list[float] = adjusted_scores(np.array(score), np.zeros(len(score), np.int64), affine, space).tolist()
    return result


def test_a_probability_moves_by_its_logit() -> None:
    """sigmoid(2 ln(0.8 / 0.2) - 1) by hand: 16 e^-1 / (1 + 16 e^-1)."""
    odds = 16 / math.e
    assert corrected([0.8], 2.0, -1.0) == pytest.approx([odds / (1 + odds)], rel=1e-15)


def test_a_logit_moves_as_it_is() -> None:
    assert corrected([-3.0, 0.5, 7.0], 2.0, -1.0, "logit") == [-7.0, 0.0, 13.0]


def test_each_detection_goes_by_its_class() -> None:
    affine = ColumnAffine(np.array([1.0, 2.0, 1.0]), np.array([0.0, 0.0, math.log(3)]))
    score, category = np.array([0.5, 0.8, 0.8, 0.8]), np.array([2, 1, 0, 1])
    assert adjusted_scores(score, category, affine, "prob") == pytest.approx([0.75, 16 / 17, 0.8, 16 / 17])


def test_classes_that_the_map_leaves_alone_keep_their_scores_to_the_bit() -> None:
    scores = [0.0, 5e-324, 0.1, 0.30000000000000004, JUST_BELOW_1, 1.0]
    assert corrected(scores) == scores


def test_0_and_1_have_finite_logits() -> None:
    assert logit(np.array([0.0, 0.5, 1.0])) == pytest.approx([-744.44, 0, 36.74], abs=0.01)
    assert sigmoid(np.array([-math.inf, -1e4, 0.0, 1e4, math.inf])).tolist() == [0, 0, 0.5, 1, 1]


@pytest.mark.parametrize(("scale", "shift"), [(14.0, 0.0), (0.01, 0.0), (1.0, 1e6), (1.0, -1e6), (1e6, -1e6)])
def test_scores_that_would_meet_at_an_end_keep_their_order(scale: float, shift: float) -> None:
    scores = [0.0, 1e-300, 1e-9, 0.2, 0.98, 0.99, 0.999, JUST_BELOW_1]
    result = corrected(scores, scale, shift)
    assert all(low < high for low, high in pairwise(result))
    assert min(result) >= 0
    assert max(result) <= 1


def test_they_are_set_apart_by_single_floats() -> None:
    assert corrected([0.99, 0.98, 0.999], 20.0) == [JUST_BELOW_1, 1 - 2 * 2**-53, 1.0]


def test_equal_scores_stay_equal() -> None:
    assert corrected([0.99, 0.999, 0.99], 20.0) == [JUST_BELOW_1, 1.0, JUST_BELOW_1]


def test_a_negative_weight_turns_the_order_over() -> None:
    assert corrected([0.2, 0.8, 0.5], -1.0) == pytest.approx([0.8, 0.2, 0.5])
    assert corrected([0.98, 0.99, 0.999], -400.0) == [1e-323, 5e-324, 0.0]


def test_weight_0_makes_all_scores_equal() -> None:
    assert corrected([0.0, 0.3, 1.0], 0.0) == [0.5, 0.5, 0.5]


def test_logits_that_would_leave_the_range_of_floats_stay_in_it() -> None:
    result = corrected([-1e308, 1e308, 1.7e308], 1e6, 0.0, "logit")
    assert np.isfinite(result).all()
    assert result == sorted(set(result))


def test_no_detection_gives_no_score() -> None:
    assert corrected([], 2.0) == []
