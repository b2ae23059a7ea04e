"""The metrics of a classifier, on scores small enough to compute by hand."""

import math

import numpy as np
import pytest

from longtail_cli.evaluation.classification.metrics import GROUPS, Tally
from longtail_cli.metrics import ReliabilityBin

MANY, MEDIUM, FEW, NO_GROUP = 0, 1, 2, -1


def result(scores, labels, group=None):
    scores = np.array(scores, np.float32)
    tally = Tally(scores.shape[1], None if group is None else np.array(group, np.int8))
    tally.add(scores, np.array(labels, np.int64))
    return tally.metrics()


def metrics(scores, labels, group=None):
    return result(scores, labels, group).metrics


def test_the_greatest_score_is_predicted_and_the_lowest_class_in_a_tie():
    rows = [[0.25, 0.5, 0.25], [0.375, 0.375, 0.25], [0.375, 0.25, 0.375]]
    assert metrics(rows, [1, 0, 0]).top1 == 1.0
    assert metrics(rows, [1, 1, 2]).top1 == pytest.approx(1 / 3)


def test_the_first_five_of_ten_equal_scores_are_the_five_lowest_classes():
    found = metrics(np.full((10, 10), 0.1), range(10))
    assert found.top5 == 0.5
    assert found.top1 == 0.1


def test_recall_is_averaged_over_classes_and_not_over_rows():
    right, wrong = [0.75, 0.25], [0.25, 0.75]
    found = result([right, right, right, wrong, right], [0, 0, 0, 0, 1])
    assert found.samples.tolist() == [4, 1]
    assert found.recall == (0.75, 0.0)
    assert found.metrics.top1 == pytest.approx(0.6)
    assert found.metrics.balanced == 0.375


def test_groups_are_unweighted_means_over_their_classes():
    identity = np.eye(4)
    found = metrics(identity[[0, 1, 3, 3]], [0, 1, 2, 3], group=[MANY, MANY, FEW, FEW])
    assert (found.many, found.medium, found.few) == (1.0, None, 0.5)


def test_classes_without_rows_have_no_recall_and_are_left_out_of_the_means():
    found = result([[0.5, 0.25, 0.25]], [0], group=[MANY, MANY, FEW])
    assert found.recall == (1.0, None, None)
    assert (found.metrics.balanced, found.metrics.many, found.metrics.few) == (1.0, 1.0, None)


def test_calibration_error_weighs_the_bins_by_their_rows():
    sure, unsure = [1.0, 0.0], [0.5, 0.5]
    found = metrics([sure, sure, sure, unsure], [0, 0, 1, 0])
    assert found.ece == pytest.approx(3 / 4 * (1 - 2 / 3) + 1 / 4 * 0.5)
    assert found.reliability[14] == ReliabilityBin(3, 1.0, pytest.approx(2 / 3))
    assert found.reliability[7] == ReliabilityBin(1, 0.5, 1.0)
    assert found.reliability[0] == ReliabilityBin(0, None, None)


def test_a_bin_includes_its_upper_edge():
    """No float32 equals k / 15; the two nearest fall on either side of it, 0 and 1 in the first and the last bin."""
    for k in range(1, 15):
        near = np.float32(k / 15)
        below, above = (near, np.nextafter(near, np.float32(1))) if float(near) <= k / 15 else (
            np.nextafter(near, np.float32(0)), near)  # fmt: skip
        counts = [one.count for one in metrics([[below], [above]], [0, 0]).reliability]
        assert (counts[k - 1], counts[k]) == (1, 1)
    counts = [one.count for one in metrics([[0.0], [1.0]], [0, 0]).reliability]
    assert (counts[0], counts[14]) == (1, 1)


def test_classwise_error_is_the_mean_over_the_columns():
    # column 0 is 0.75 twice and correct once; column 1 is 0.25 twice and correct once
    assert metrics([[0.75, 0.25], [0.75, 0.25]], [0, 1]).classwise_ece == pytest.approx(0.25)


def test_a_class_without_rows_should_have_low_scores():
    assert metrics([[0.5, 0.5]], [0]).classwise_ece == pytest.approx((0.5 + 0.5) / 2)


def test_log_likelihood_of_the_true_class_in_nats_and_bounded():
    assert metrics([[0.25, 0.75]], [0]).nll == pytest.approx(math.log(4))
    assert metrics([[0.0, 1.0]], [0]).nll == pytest.approx(126 * math.log(2))


def test_squared_error_sums_over_the_classes():
    assert metrics([[0.25, 0.75]], [0]).brier == pytest.approx(2 * 0.75**2)
    assert metrics([[0.0, 1.0]], [0]).brier == 2.0


def test_confusion_is_the_score_that_goes_from_group_to_group():
    found = metrics([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0], [0.5, 0.25, 0.25]], [0, 1, 2], group=[MANY, MANY, FEW])
    assert found.confusion["many"] == {"many": 0.875, "medium": 0.0, "few": 0.125}
    assert found.confusion["few"] == {"many": 0.75, "medium": 0.0, "few": 0.25}
    assert found.confusion["medium"] == dict.fromkeys(GROUPS)


def test_classes_in_no_group_are_missing_from_the_confusion():
    found = metrics([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]], [0, 1], group=[MANY, NO_GROUP, FEW])
    assert found.confusion["many"] == {"many": 0.5, "medium": 0.0, "few": 0.25}
    assert found.confusion["few"] == dict.fromkeys(GROUPS)


def test_without_groups_there_are_no_group_metrics():
    found = metrics([[1.0]], [0])
    assert (found.many, found.medium, found.few, found.confusion) == (None, None, None, {})


def test_scores_need_not_sum_to_one():
    found = metrics([[0.75, 0.75, 0.25], [0.0, 0.0, 0.0]], [1, 0], group=[MANY, FEW, FEW])
    assert (found.top1, found.top5) == (0.5, 1.0)
    assert found.brier == pytest.approx((0.75**2 + 0.25**2 + 0.25**2 + 1) / 2)
    assert found.confusion["few"] == {"many": 0.75, "medium": 0.0, "few": 1.0}


def test_metrics_stay_the_same_while_more_rows_are_added():
    tally = Tally(2)
    tally.add(np.array([[0.25, 0.75]], np.float32), np.array([1]))
    before = tally.metrics()
    tally.add(np.array([[0.25, 0.75]], np.float32), np.array([0]))
    after = tally.metrics()
    assert (before.rows, before.samples.tolist(), before.metrics.top1) == (1, [0, 1], 1.0)
    assert (after.rows, after.samples.tolist(), after.metrics.top1) == (2, [1, 1], 0.5)


def test_an_empty_block_changes_nothing():
    tally = Tally(2)
    tally.add(np.array([[0.25, 0.75]], np.float32), np.array([1]))
    tally.add(np.zeros((0, 2), np.float32), np.zeros(0, np.int64))
    assert tally.metrics().rows == 1


def test_without_rows_every_metric_is_undefined():
    empty = Tally(2, np.array([MANY, FEW], np.int8)).metrics()
    found = empty.metrics
    assert empty.rows == 0
    for name in ("top1", "top5", "balanced", "many", "medium", "few", "ece", "classwise_ece", "nll", "brier"):
        assert getattr(found, name) is None, name
    assert found.confusion == dict.fromkeys(GROUPS, dict.fromkeys(GROUPS))
    assert found.reliability == (ReliabilityBin(0, None, None),) * 15
    assert empty.recall == (None, None)


@pytest.mark.parametrize(
    ("scores", "labels", "expected"),
    [
        (np.zeros((1, 2)), [0], r"scores float32 \[n, 3\], found float64 \[1, 2\]"),
        (np.zeros((1, 2), np.float32), [0], r"scores float32 \[n, 3\], found float32 \[1, 2\]"),
        (np.zeros((1, 3), np.float32), [0, 1], r"labels int64 \[1\], found int64 \[2\]"),
        (np.zeros((1, 3), np.float32), [3], "labels from 0 to 2, found 3 to 3"),
        (np.zeros((1, 3), np.float32), [-1], "labels from 0 to 2, found -1 to -1"),
    ],
)
def test_rows_of_another_shape_or_type_are_refused(scores, labels, expected):
    with pytest.raises(ValueError, match=expected):
        Tally(3).add(scores, np.array(labels, np.int64))


@pytest.mark.parametrize("group", [[0], [0, 1, 3], [0, 1, -2]])
def test_every_class_has_a_group_or_minus_one(group):
    with pytest.raises(ValueError, match="expected the group of each of 3 classes"):
        Tally(3, np.array(group, np.int8))


@pytest.mark.parametrize("other", [Tally(2), Tally(3), Tally(2, np.array([MANY, FEW], np.int8))])
def test_only_tallies_of_the_same_classes_and_groups_add_up(other):
    with pytest.raises(ValueError, match="the same classes and groups"):
        Tally(2, np.array([NO_GROUP, NO_GROUP], np.int8)).plus(other)
