"""The statistics of single rows, and the metrics of rows that are counted several times or not at all."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from longtail_cli.evaluation.classification.resampled import RowTally, resampled_metrics

NAMES = ["top1", "top5", "balanced", "many", "medium", "few", "ece", "nll", "brier"]
SCORES = np.array([[0.75, 0.25, 0.0], [0.25, 0.5, 0.25], [0.5, 0.0, 0.5]], np.float32)
LABELS = np.array([0, 2, 2])


def rows_of(scores=SCORES, labels=LABELS, group=None):
    rows = RowTally(len(scores), scores.shape[1], None if group is None else np.array(group, np.int8))
    rows.add(0, scores, labels)
    return rows


def weights(*times):
    return np.array(times, np.uint8)


def test_the_statistics_of_a_row():
    rows = rows_of()
    assert rows.label.tolist() == [0, 2, 2]
    assert rows.hit.tolist() == [True, False, False]  # the lowest class is predicted in a tie
    assert rows.confidence.tolist() == [0.75, 0.5, 0.5]
    assert rows.bin.tolist() == [11, 7, 7]
    assert rows.log_loss.tolist() == pytest.approx([-math.log(0.75), -math.log(0.25), -math.log(0.5)])
    assert rows.squares.tolist() == [2 * 0.25**2, 0.25**2 + 0.5**2 + 0.75**2, 0.5]


def test_the_first_five_of_ten_equal_scores_are_the_five_lowest_classes():
    rows = rows_of(np.full((10, 10), 0.1, np.float32), np.arange(10))
    assert rows.in_first_five.tolist() == [True] * 5 + [False] * 5


def test_a_row_counts_as_often_as_its_weight():
    found = resampled_metrics(rows_of(group=[0, 1, 2]), weights(2, 0, 1))
    assert list(found) == NAMES
    assert found["top1"] == pytest.approx(2 / 3)
    assert (found["many"], found["medium"], found["few"]) == (1.0, None, 0.0)
    assert found["balanced"] == 0.5
    assert found["ece"] == pytest.approx(2 / 3 * (1 - 0.75) + 1 / 3 * (0.5 - 0))
    assert found["nll"] == pytest.approx((-2 * math.log(0.75) - math.log(0.5)) / 3)
    assert found["brier"] == pytest.approx((2 * 0.125 + 0.5) / 3)


def test_a_class_without_drawn_rows_has_no_recall():
    assert resampled_metrics(rows_of(), weights(0, 1, 1))["balanced"] == 0.0
    assert resampled_metrics(rows_of(), weights(1, 0, 0))["balanced"] == 1.0


def test_without_groups_there_are_no_group_metrics():
    found = resampled_metrics(rows_of(), weights(1, 1, 1))
    assert (found["many"], found["medium"], found["few"]) == (None, None, None)


def test_without_rows_every_metric_is_undefined():
    assert resampled_metrics(rows_of(), weights(0, 0, 0)) == dict.fromkeys(NAMES)
    assert resampled_metrics(RowTally(0, 3), weights()) == dict.fromkeys(NAMES)


def test_several_threads_fill_in_their_own_rows():
    scores = np.random.default_rng(0).random((64, 3), np.float32)
    labels = np.arange(64) % 3
    whole, parts = rows_of(scores, labels), RowTally(64, 3)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: parts.add(i, scores[i : i + 8], labels[i : i + 8]), range(0, 64, 8)))
    times = weights(*labels)
    assert resampled_metrics(parts, times) == resampled_metrics(whole, times)


def test_rows_that_were_never_added_cannot_be_drawn():
    rows = RowTally(4, 3)
    rows.add(1, SCORES, LABELS)
    assert resampled_metrics(rows, weights(0, 1, 1, 1)) == resampled_metrics(rows_of(), weights(1, 1, 1))
    with pytest.raises(ValueError, match="rows without scores"):
        resampled_metrics(rows, weights(1, 1, 1, 1))


@pytest.mark.parametrize(
    ("first", "scores", "labels", "expected"),
    [
        (0, np.zeros((1, 3)), [0], r"scores float32 \[n, 3\], found float64 \[1, 3\]"),
        (0, np.zeros((1, 2), np.float32), [0], r"scores float32 \[n, 3\], found float32 \[1, 2\]"),
        (0, np.zeros((1, 3), np.float32), [0, 1], r"labels int64 \[1\], found int64 \[2\]"),
        (0, np.zeros((1, 3), np.float32), [3], "labels from 0 to 2, found 3 to 3"),
        (0, np.zeros((1, 3), np.float32), [-1], "labels from 0 to 2, found -1 to -1"),
        (3, np.zeros((2, 3), np.float32), [0, 0], "rows from 0 to 4, found 3 to 5"),
        (-1, np.zeros((2, 3), np.float32), [0, 0], "rows from 0 to 4, found -1 to 1"),
    ],
)
def test_rows_of_another_shape_type_or_position_are_refused(first, scores, labels, expected):
    with pytest.raises(ValueError, match=expected):
        RowTally(4, 3).add(first, scores, np.array(labels, np.int64))


@pytest.mark.parametrize("weight", [np.ones(3), np.ones(2, np.uint8), np.ones((3, 1), np.uint8)])
def test_weights_of_another_shape_or_type_are_refused(weight):
    with pytest.raises(ValueError, match=r"weights uint8 \[3\]"):
        resampled_metrics(rows_of(), weight)


@pytest.mark.parametrize("group", [[0, 1], [0, 1, 3], [0, 1, -2]])
def test_groups_of_another_shape_or_index_are_refused(group):
    with pytest.raises(ValueError, match="group of each of 3 classes"):
        RowTally(1, 3, np.array(group, np.int8))
