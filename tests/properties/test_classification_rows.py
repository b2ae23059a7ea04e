"""Resampled metrics are those of rows repeated as often as their weights say, for any classifier."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.evaluation.classification.metrics import GROUPS, Tally
from longtail_cli.evaluation.classification.resampled import RowTally, resampled_metrics

CLASSES = 70  # more than one run of columns

score = st.one_of(st.floats(0, 1, width=32), st.integers(0, 15).map(lambda k: float(np.float32(k / 15))))
# a row is mostly one value, so that examples stay small, with a few scores that differ or tie
row = st.tuples(score, st.dictionaries(st.integers(0, CLASSES - 1), score, max_size=8))
label = st.one_of(st.integers(0, 5), st.integers(0, CLASSES - 1))
rows = st.lists(st.tuples(row, label, st.integers(0, 3)), max_size=12)
groups = st.lists(st.integers(-1, len(GROUPS) - 1), min_size=7, max_size=7).map(lambda g: np.resize(g, CLASSES))


def table(seen):
    scores = np.array([np.full(CLASSES, base) for (base, _), _, _ in seen], np.float32).reshape(-1, CLASSES)
    for i, ((_, others), _, _) in enumerate(seen):
        scores[i, list(others)] = list(others.values())
    return scores, np.array([y for _, y, _ in seen], np.int64)


def metrics(scores, labels, group):
    tally = Tally(CLASSES, group.astype(np.int8))
    tally.add(scores, labels)
    return tally.metrics().metrics


def kept(scores, labels, group, cut):
    rows = RowTally(len(scores), CLASSES, group.astype(np.int8))
    rows.add(cut, scores[cut:], labels[cut:])
    rows.add(0, scores[:cut], labels[:cut])
    return rows


def same(found, expected):
    for name, value in found.items():
        other = getattr(expected, name)
        assert value == (other if other is None else pytest.approx(other, abs=1e-12, rel=0)), name


@given(rows, groups, st.data())
def test_with_all_weights_one_the_metrics_are_those_of_the_tally(seen, group, data):
    scores, labels = table(seen)
    rows = kept(scores, labels, group, data.draw(st.integers(0, len(seen))))
    same(resampled_metrics(rows, np.ones(len(seen), np.uint8)), metrics(scores, labels, group))


@given(rows, groups, st.data())
def test_weights_are_numbers_of_copies(seen, group, data):
    scores, labels = table(seen)
    times = np.array([weight for _, _, weight in seen], np.uint8)
    rows = kept(scores, labels, group, data.draw(st.integers(0, len(seen))))
    expected = metrics(np.repeat(scores, times, axis=0), np.repeat(labels, times), group)
    same(resampled_metrics(rows, times), expected)
