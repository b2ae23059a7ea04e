"""Calibration errors of detections, on scenes small enough to compute by hand."""

import numpy as np
import pytest
from builders import detections, ground_truth

from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.matching import match
from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.evaluation.reliability import BINS, IOU_THRESHOLD, are_confidences, reliability
from longtail_cli.evaluation.selection import capped, in_order
from longtail_cli.metrics import DetectionBin

UNDEFINED = {"D-ECE": None, "LaECE": None}
EMPTY = DetectionBin(0, None, None, None)
BOXES = [[20.0 * x, 0.0, 10.0, 10.0] for x in range(5)]
ELSEWHERE = [0.0, 50.0, 10.0, 10.0]


def result(found, truth, groups=None, partial=None, max_dets=100):
    protocol, seen = Protocol("coco", max_dets), detections(found)
    objects, number = objects_of(truth, protocol), len(truth.categories)
    pairs = overlaps(seen, truth, objects, "bbox", np.arange(len(seen)))
    partial = np.zeros(len(seen), bool) if partial is None else np.array(partial)
    selection = capped(in_order(seen, None, number), seen, protocol.max_dets)
    matches = match(selection, pairs, objects, seen.category, seen.area, partial, number)
    return reliability(seen, pairs, matches, {} if groups is None else groups, defined=are_confidences(seen.score))


def metrics(*scene, **options):
    return result(*scene, **options).metrics


def part_of(box, share):
    """The upper part of a box: its IoU with the whole is `share`."""
    return [*box[:3], box[3] * share]


def objects_at(number, category=0):
    return [(0, category, box) for box in BOXES[:number]]


def test_a_scene_computed_by_hand():
    """Bin 22 holds 0.9 twice, true positives with IoU 0.8 and 1; bin 12 holds 0.5 twice, one hit with IoU 0.6."""
    found = metrics(
        [
            (0, 0, 0.9, part_of(BOXES[0], 0.8)),
            (0, 0, 0.9, BOXES[1]),
            (0, 0, 0.5, part_of(BOXES[2], 0.6)),
            (0, 0, 0.5, ELSEWHERE),
        ],
        ground_truth(objects_at(3)),
    )
    assert found.errors["all"] == {
        "D-ECE": pytest.approx(2 / 4 * abs(0.9 - 1) + 2 / 4 * abs(0.5 - 0.5)),
        "LaECE": pytest.approx(2 / 4 * abs(0.9 - 1 * 0.9) + 2 / 4 * abs(0.5 - 0.5 * 0.6)),
    }
    assert found.iou_threshold == IOU_THRESHOLD == 0.5
    bins = found.bins["all"]
    assert bins[22] == DetectionBin(2, pytest.approx(0.9), 1.0, pytest.approx(0.9))
    assert bins[12] == DetectionBin(2, pytest.approx(0.5), 0.5, pytest.approx(0.6))
    assert [bins[k] for k in range(BINS) if k not in (12, 22)] == [EMPTY] * 23


def test_errors_are_averaged_over_categories_of_any_size():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 1, BOXES[1])], categories=2)
    surely_wrong = [(0, 1, 1.0, ELSEWHERE)] * 3
    found = result([(0, 0, 1.0, BOXES[0]), *surely_wrong], truth)
    assert found.per_category == [{"D-ECE": 0.0, "LaECE": 0.0}, {"D-ECE": 1.0, "LaECE": 1.0}]
    assert found.metrics.errors["all"] == {"D-ECE": 0.5, "LaECE": 0.5}
    assert found.metrics.bins["all"][24] == DetectionBin(4, 1.0, 0.25, 1.0)


def test_groups_hold_the_metrics_of_their_categories():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 1, BOXES[1])], categories=2)
    groups = {"r": np.array([False, True]), "c": np.array([False, False]), "f": np.array([True, False])}
    found = metrics([(0, 0, 1.0, BOXES[0]), (0, 1, 0.75, ELSEWHERE)], truth, groups)
    assert list(found.errors) == list(found.bins) == ["all", "r", "c", "f"]
    assert found.errors["r"] == {"D-ECE": 0.75, "LaECE": 0.75}
    assert found.errors["f"] == {"D-ECE": 0.0, "LaECE": 0.0}
    assert found.errors["c"] == UNDEFINED
    assert found.bins["r"][18] == DetectionBin(1, 0.75, 0.0, None)
    assert found.bins["c"] == (EMPTY,) * BINS


def test_an_object_makes_one_true_positive_only():
    found = metrics([(0, 0, 0.5, BOXES[0]), (0, 0, 0.5, BOXES[0])], ground_truth(objects_at(1)))
    assert found.bins["all"][12] == DetectionBin(2, 0.5, 0.5, 1.0)


def test_a_detection_is_a_true_positive_from_iou_one_half():
    scene = [(0, 0, 0.5, part_of(BOXES[0], 0.5)), (0, 0, 0.5, part_of(BOXES[1], 0.49))]
    assert metrics(scene, ground_truth(objects_at(2))).bins["all"][12] == DetectionBin(2, 0.5, 0.5, 0.5)


def test_a_match_at_greater_ious_only_is_a_false_positive():
    """The lower score fits better, but at IoU 0.5 the object is taken."""
    scene = [(0, 0, 0.9, part_of(BOXES[0], 0.52)), (0, 0, 0.5, BOXES[0])]
    found = metrics(scene, ground_truth(objects_at(1)))
    assert found.bins["all"][12] == DetectionBin(1, 0.5, 0.0, None)
    assert found.bins["all"][22] == DetectionBin(1, 0.9, 1.0, pytest.approx(0.52))


def test_the_iou_is_that_of_the_object_that_is_taken():
    """The second detection overlaps the first object more, but that one is taken."""
    truth = ground_truth([(0, 0, [0, 0, 10, 10]), (0, 0, [0, 0, 10, 8])])
    found = metrics([(0, 0, 0.9, [0, 0, 10, 10]), (0, 0, 0.5, [0, 0, 10, 9.5])], truth)
    assert found.bins["all"][12].iou == pytest.approx(8 / 9.5)


def test_detections_that_the_protocol_ignores_do_not_count():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 0, BOXES[1])], crowd=[False, True])
    scene = [(0, 0, 1.0, BOXES[0]), (0, 0, 0.5, BOXES[1]), (0, 0, 0.5, ELSEWHERE)]
    found = metrics(scene, truth, partial=[False, False, True])
    assert sum(one.count for one in found.bins["all"]) == 1
    assert found.errors["all"] == {"D-ECE": 0.0, "LaECE": 0.0}


def test_detections_ignored_at_greater_ious_only_count():
    """A true positive at IoU 0.5; above it, unmatched in an image that does not annotate the category exhaustively."""
    found = metrics([(0, 0, 0.5, part_of(BOXES[0], 0.52))], ground_truth(objects_at(1)), partial=[True])
    assert found.bins["all"][12] == DetectionBin(1, 0.5, 1.0, pytest.approx(0.52))


def test_detections_ignored_at_iou_one_half_only_do_not_count():
    """The crowd region covers 52 percent of the detection; above that, it is a false positive."""
    truth = ground_truth([(0, 0, part_of(BOXES[0], 0.52)), (0, 0, BOXES[1])], crowd=[True, False])
    assert metrics([(0, 0, 0.5, BOXES[0])], truth).bins["all"] == (EMPTY,) * BINS


def test_detections_beyond_the_cap_do_not_count():
    found = metrics([(0, 0, 1.0, BOXES[0]), (0, 0, 0.5, ELSEWHERE)], ground_truth(objects_at(1)), max_dets=1)
    assert sum(one.count for one in found.bins["all"]) == 1


def test_categories_without_objects_have_no_errors_and_are_left_out():
    truth = ground_truth([(0, 0, BOXES[0])], categories=2)
    found = result([(0, 0, 1.0, BOXES[0]), (0, 1, 1.0, ELSEWHERE)], truth)
    assert found.per_category[1] == UNDEFINED
    assert found.metrics.errors["all"] == {"D-ECE": 0.0, "LaECE": 0.0}
    assert sum(one.count for one in found.metrics.bins["all"]) == 1


def test_categories_without_detections_have_no_errors_and_are_left_out():
    truth = ground_truth([(0, 0, BOXES[0]), (0, 1, BOXES[1])], categories=2)
    found = result([(0, 0, 0.75, BOXES[0])], truth)
    assert found.per_category[1] == UNDEFINED
    assert found.metrics.errors["all"] == {"D-ECE": 0.25, "LaECE": 0.25}


def test_without_any_detection_everything_is_undefined():
    found = metrics([], ground_truth(objects_at(1)))
    assert found.errors == {"all": UNDEFINED}
    assert found.bins == {"all": (EMPTY,) * BINS}


@pytest.mark.parametrize("outside", [-0.25, 1.5, np.inf, np.nan])
def test_scores_outside_0_and_1_are_not_confidences_and_leave_everything_undefined(outside):
    truth = ground_truth(objects_at(1))
    groups = {"r": np.array([True])}
    found = result([(0, 0, 0.5, BOXES[0]), (0, 0, outside, ELSEWHERE)], truth, groups)
    assert found.metrics.errors == {"all": UNDEFINED, "r": UNDEFINED}
    assert found.metrics.bins == {"all": (EMPTY,) * BINS, "r": (EMPTY,) * BINS}
    assert found.per_category == [UNDEFINED]
    assert not are_confidences(np.array([0.5, outside]))
    assert are_confidences(np.array([0.0, 1.0]))


def test_a_bin_includes_its_upper_edge():
    for k in range(BINS + 1):
        edge = k / BINS
        beyond = float(np.nextafter(edge, 2))
        scores = [score for score in (float(np.nextafter(edge, -1)), edge, beyond) if 0 <= score <= 1]
        for score in scores:
            found = metrics([(0, 0, score, BOXES[0])], ground_truth(objects_at(1)))
            expected = k if score == beyond else max(k - 1, 0)
            assert [one.count for one in found.bins["all"]].index(1) == expected
