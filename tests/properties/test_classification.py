"""Invariants of the metrics of any classifier."""

from itertools import pairwise

import numpy as np
import pytest
from classification_twins import classification
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.evaluation.classification.metrics import GROUPS, Tally

CLASSES = 7
COUNTS = ("top1", "top5", "balanced", "many", "medium", "few", "ece", "classwise_ece", "nll", "brier")

score = st.floats(0, 1, width=32)
row = st.lists(score, min_size=CLASSES, max_size=CLASSES)
label = st.integers(0, CLASSES - 1)
rows = st.lists(st.tuples(row, label), max_size=12)
groups = st.lists(st.integers(-1, len(GROUPS) - 1), min_size=CLASSES, max_size=CLASSES)


def counted(seen, group, cuts=()):
    """The rows, added in blocks that end at `cuts`."""
    scores = np.array([one for one, _ in seen], np.float32).reshape(-1, CLASSES)
    labels = np.array([y for _, y in seen], np.int64)
    tally = Tally(CLASSES, np.array(group, np.int8))
    ends = [0, *sorted(cuts), len(seen)]
    for first, last in pairwise(ends):
        tally.add(scores[first:last], labels[first:last])
    return tally


def result(seen, group, cuts=()):
    return counted(seen, group, cuts).metrics()


def metrics(seen, group, cuts=()):
    return result(seen, group, cuts).metrics


def same(one, other):
    """Equal metrics; sums in another order may differ in the last bits."""
    for name in COUNTS:
        expected = getattr(other, name)
        assert getattr(one, name) == (expected if expected is None else pytest.approx(expected, abs=1e-12)), name
    for name in GROUPS:
        assert one.confusion[name] == pytest.approx(other.confusion[name], abs=1e-12)


@given(rows, groups)
def test_any_scores_give_the_metrics_of_the_plain_loops(seen, group):
    twin = classification([one for one, _ in seen], [y for _, y in seen], CLASSES, group)
    found = result(seen, group)
    for name in COUNTS:
        expected = twin[name]
        assert getattr(found.metrics, name) == (expected if expected is None else pytest.approx(expected, abs=1e-12)), (
            name
        )
    assert list(found.recall) == twin["recall"]


@given(rows, groups, st.permutations(range(CLASSES)))
def test_renaming_classes_changes_no_metric(seen, group, new):
    seen = [(one, y) for one, y in seen if len(set(one)) == CLASSES]  # a tie goes to the lowest class
    old = np.argsort(new)
    renamed = [([one[c] for c in old], new[y]) for one, y in seen]
    one, other = result(seen, group), result(renamed, [group[c] for c in old])
    same(one.metrics, other.metrics)
    assert one.recall == tuple(other.recall[c] for c in new)


@given(rows, groups, st.lists(st.integers(0, 12), max_size=3))
def test_blocks_change_no_metric(seen, group, cuts):
    same(metrics(seen, group), metrics(seen, group, [min(cut, len(seen)) for cut in cuts]))


@given(rows, rows, groups)
def test_tallies_add_up_to_the_tally_of_all_rows(seen, others, group):
    one, other = counted(seen, group), counted(others, group)
    same(one.plus(other).metrics().metrics, metrics([*seen, *others], group))
    same(one.metrics().metrics, metrics(seen, group))


@given(rows, groups, st.randoms())
def test_the_order_of_the_rows_changes_no_metric(seen, group, random):
    same(metrics(seen, group), metrics(random.sample(seen, len(seen)), group))


@given(rows, groups)
def test_metrics_are_in_their_ranges_and_add_up(seen, group):
    rows = result(seen, group)
    found = rows.metrics
    assert rows.rows == len(seen) == rows.samples.sum() == sum(one.count for one in found.reliability)
    for name in set(COUNTS) - {"nll", "brier"}:
        value = getattr(found, name)
        assert value is None or 0 <= value <= 1, name
    assert found.brier is None or 0 <= found.brier <= CLASSES
    assert found.nll is None or 0 <= found.nll < 87.4
    if seen:
        right = sum(one.count * one.accuracy for one in found.reliability if one.count)
        assert found.top1 == pytest.approx(right / len(seen))
        assert found.top1 <= found.top5


@given(st.lists(st.tuples(st.lists(st.integers(1, 100), min_size=CLASSES, max_size=CLASSES), label), min_size=1))
def test_the_confusion_of_probabilities_sums_to_one(seen):
    seen = [([count / sum(counts) for count in counts], y) for counts, y in seen]
    found = metrics(seen, [0, 0, 0, 1, 1, 2, 2])
    for by_group in found.confusion.values():
        if None not in by_group.values():
            assert sum(by_group.values()) == pytest.approx(1, abs=1e-6)  # rows sum to 1 in float32


@given(st.lists(label, min_size=1, max_size=9), groups)
def test_a_perfect_classifier(labels, group):
    found = metrics([(np.eye(CLASSES)[y].tolist(), y) for y in labels], group)
    assert (found.top1, found.top5, found.balanced) == (1.0, 1.0, 1.0)
    assert (found.ece, found.classwise_ece, found.nll, found.brier) == (0.0, 0.0, 0.0, 0.0)


@given(rows, groups)
def test_inputs_stay_as_they_are(seen, group):
    scores = np.array([one for one, _ in seen], np.float32).reshape(-1, CLASSES)
    labels = np.array([y for _, y in seen], np.int64)
    kept = scores.copy(), labels.copy()
    scores.setflags(write=False)
    labels.setflags(write=False)
    tally = Tally(CLASSES, np.array(group, np.int8))
    tally.add(scores, labels)
    assert all(map(np.array_equal, (scores, labels), kept))
