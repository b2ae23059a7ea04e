"""The best score thresholds, on scenes small enough to compute by hand."""

import numpy as np
import pytest
from builders import ground_truth
from thresholds_scenes import result

from longtail_cli.evaluation.thresholds import best_f1
from longtail_cli.metrics import OperatingPoint

BOXES = [[20.0 * x, 0.0, 10.0, 10.0] for x in range(5)]
ELSEWHERE = [0.0, 50.0, 10.0, 10.0]


def point(score, outcome, objects):
    """The best F1 of detections given by letters: t is true, f is false, i is ignored."""
    true, false = (np.array([one == letter for one in outcome], bool) for letter in "tf")
    return best_f1(np.array(score, float), true, false, objects)


def part_of(box, share):
    """The upper part of a box: its IoU with the whole is `share`."""
    return [*box[:3], box[3] * share]


def objects_at(number, category=0):
    return [(0, category, box) for box in BOXES[:number]]


def test_the_threshold_with_the_greatest_f1():
    """F1 from the top: 2/5, 2/6, 4/7, 4/8, 6/9; so all three true positives are worth two false ones."""
    assert point([0.9, 0.8, 0.7, 0.6, 0.5], "tftft", 4) == OperatingPoint(0.5, 3 / 5, 3 / 4, 6 / 9)


def test_false_positives_above_a_true_one_may_not_be_worth_it():
    assert point([0.9, 0.8, 0.7, 0.6, 0.5], "tffft", 2) == OperatingPoint(0.9, 1.0, 1 / 2, 2 / 3)


def test_any_order_gives_the_same_threshold():
    assert point([0.5, 0.7, 0.6, 0.9, 0.8], "ttftf", 4) == point([0.9, 0.8, 0.7, 0.6, 0.5], "tftft", 4)


def test_of_equal_f1_the_highest_threshold():
    """F1 is 2/4 with one detection and 4/8 with all."""
    assert point([0.9, 0.8, 0.7, 0.6, 0.5], "tffft", 3).threshold == 0.9


def test_equal_scores_are_kept_together():
    """With 0.9 alone F1 is 2/3, with the detections at 0.5 it is 4/6: only one true positive there would be 4/5."""
    assert point([0.9, 0.5, 0.5, 0.5], "tftf", 2) == OperatingPoint(0.9, 1.0, 1 / 2, 2 / 3)
    assert point([0.5, 0.5], "tf", 1) == OperatingPoint(0.5, 1 / 2, 1.0, 2 / 3)


def test_ignored_detections_count_as_neither():
    assert point([0.9, 0.8, 0.7], "iti", 1) == OperatingPoint(0.8, 1.0, 1.0, 1.0)


def test_scores_need_not_be_confidences():
    assert point([-3.5, -1.0], "tf", 1).threshold == -3.5


@pytest.mark.parametrize(
    ("scene", "f1"),
    [
        (("", 0), OperatingPoint(None, None, None, None, None, "no ground truth")),
        (("f", 0), OperatingPoint(None, None, None, None, None, "no ground truth")),
        (("", 2), OperatingPoint(None, None, 0.0, 0.0, None, "no detections")),
        (("i", 2), OperatingPoint(None, None, 0.0, 0.0, None, "no detections")),
        (("f", 2), OperatingPoint(None, None, 0.0, 0.0, None, "no true positives")),
    ],
)
def test_without_true_positives_there_is_no_threshold_and_a_reason(scene, f1):
    outcome, objects = scene
    assert point([0.5] * len(outcome), outcome, objects) == f1


def test_lrp_computed_by_hand():
    """LRP from the top, (sum of (1 - IoU) / 0.5 + FP + missed) / (FP + 3).

    (0 + 0 + 2) / 3; with 0.7, whose IoU is 0.75: (0.5 + 1 + 1) / 4; with 0.5, whose IoU is 0.5: (1.5 + 2 + 0) / 5.
    """
    scene = [
        (0, 0, 0.9, BOXES[0]),
        (0, 0, 0.8, ELSEWHERE),
        (0, 0, 0.7, part_of(BOXES[1], 0.75)),
        (0, 0, 0.6, ELSEWHERE),
        (0, 0, 0.5, part_of(BOXES[2], 0.5)),
    ]
    found = result(scene, ground_truth(objects_at(3)))
    assert found.lrp == OperatingPoint(0.7, 2 / 3, 2 / 3, 2.5 / 4, 0.25 / 2)
    assert found.f1 == OperatingPoint(0.5, 3 / 5, 1.0, 6 / 8)
    assert found.iou_threshold == 0.5


def test_a_true_positive_that_barely_fits_does_not_lower_lrp():
    """At IoU 0.5 it costs as much as a missed object, so the higher of two equal thresholds is taken."""
    scene = [(0, 0, 0.9, BOXES[0]), (0, 0, 0.5, part_of(BOXES[1], 0.5))]
    found = result(scene, ground_truth(objects_at(2)))
    assert found.lrp == OperatingPoint(0.9, 1.0, 0.5, 0.5, 0.0)
    assert found.f1 == OperatingPoint(0.5, 1.0, 1.0, 1.0)


def test_the_iou_is_that_of_the_object_that_is_taken():
    """The second detection overlaps the first object more, but that one is taken."""
    truth = ground_truth([(0, 0, [0, 0, 10, 10]), (0, 0, [0, 0, 10, 8])])
    found = result([(0, 0, 0.5, [0, 0, 10, 10]), (0, 0, 0.5, [0, 0, 10, 9.5])], truth)
    assert found.lrp.localisation == pytest.approx((0 + 1 - 8 / 9.5) / 2)


def test_each_category_has_its_own_thresholds():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 1, BOXES[1])], categories=2)
    scene = [(0, 0, 0.9, BOXES[0]), (0, 0, 0.6, ELSEWHERE), (0, 1, 0.3, BOXES[1]), (0, 1, 0.2, ELSEWHERE)]
    found = result(scene, truth, {"r": np.array([False, True])})
    often, rare = found.categories
    assert (often.id, often.name, often.group, often.ground_truths, often.detections) == (0, "class 0", None, 1, 2)
    assert (rare.id, rare.name, rare.group, rare.ground_truths, rare.detections) == (1, "class 1", "r", 1, 2)
    assert often.f1 == OperatingPoint(0.9, 1.0, 1.0, 1.0)
    assert often.lrp == OperatingPoint(0.9, 1.0, 1.0, 0.0, 0.0)
    assert rare.f1 == OperatingPoint(0.3, 1.0, 1.0, 1.0)
    assert found.f1 == OperatingPoint(0.3, 2 / 3, 1.0, 4 / 5)


def test_means_are_over_the_categories_with_ground_truth():
    """One class is perfect, one has no detections, one no true positives, and one no ground truth."""
    truth = ground_truth([(0, c, BOXES[c]) for c in range(3)], categories=4)
    scene = [(0, 0, 0.9, BOXES[0]), (0, 2, 0.5, ELSEWHERE), (0, 3, 0.5, ELSEWHERE)]
    found = result(scene, truth)
    assert [one.f1.reason for one in found.categories] == [
        None, "no detections", "no true positives", "no ground truth"
    ]  # fmt: skip
    assert [one.f1.reason for one in found.categories] == [one.lrp.reason for one in found.categories]
    assert [one.f1.value for one in found.categories] == [1.0, 0.0, 0.0, None]
    assert [one.lrp.value for one in found.categories] == [0.0, 1.0, 1.0, None]
    assert found.mean_f1 == OperatingPoint(None, 1.0, 1 / 3, 1 / 3, None, "one per category")
    assert found.mean_lrp == OperatingPoint(None, 1.0, 1 / 3, 2 / 3, 0.0, "one per category")


def test_all_categories_together_include_false_positives_of_categories_without_ground_truth():
    truth = ground_truth([(0, 0, BOXES[0])], categories=2)
    found = result([(0, 0, 0.5, BOXES[0]), (0, 1, 0.9, ELSEWHERE)], truth)
    assert found.f1 == OperatingPoint(0.5, 1 / 2, 1.0, 2 / 3)
    assert found.lrp == OperatingPoint(0.5, 1 / 2, 1.0, 1 / 2, 0.0)


def test_crowd_regions_and_detections_in_them_do_not_count():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 0, BOXES[1])], crowd=[False, True])
    found = result([(0, 0, 0.9, BOXES[1]), (0, 0, 0.5, BOXES[0])], truth)
    assert (found.categories[0].ground_truths, found.categories[0].detections) == (1, 1)
    assert found.f1 == OperatingPoint(0.5, 1.0, 1.0, 1.0)


def test_detections_beyond_the_cap_do_not_count():
    scene = [(0, 0, 0.9, ELSEWHERE), (0, 0, 0.5, BOXES[0])]
    assert result(scene, ground_truth(objects_at(1)), max_dets=1).f1.reason == "no true positives"


def test_no_ground_truth_and_no_detections_at_all():
    found = result([], ground_truth([], categories=2))
    nothing = OperatingPoint(None, None, None, None, None, "no ground truth")
    assert [found.f1, found.lrp, found.mean_f1, found.mean_lrp] == [nothing] * 4
    assert [one.f1 for one in found.categories] == [nothing] * 2


def test_the_scores_stay_as_they_are():
    score, true = np.array([0.5, 0.9]), np.array([True, True])
    before = score.copy(), true.copy()
    best_f1(score, true, ~true, 2)
    assert np.array_equal(score, before[0])
    assert np.array_equal(true, before[1])
