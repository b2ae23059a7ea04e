"""The kernels of classifiers give the same compiled and as plain Python."""

import numpy as np
import pytest
from engine_plain import plain
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.engine import score_rows as compiled

FIRST_BIN = int(np.float32(1 / 15).view(np.int32)) - (float(np.float32(1 / 15)) > 1 / 15)
KERNELS = pytest.mark.parametrize("kernels", [compiled, plain("score_rows")])


@st.composite
def rows(draw):
    """Scores with ties, labels, and a group of each class."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    number, classes = draw(st.integers(0, 5)), draw(st.sampled_from([1, 3, 8, 64, 65, 140]))
    scores = rng.random((number, classes), np.float32) ** draw(st.sampled_from([1, 20]))
    scores = np.round(scores * 8) / 8 if draw(st.booleans()) else scores
    return scores.astype(np.float32), rng.integers(0, classes, number), rng.integers(0, 3, classes)


def sums(kernels, scores, labels, group):
    classes = len(group)
    found = (np.zeros((3, classes)), np.zeros((classes, 15)), *np.zeros((2, classes), np.int64), np.zeros((15, 3)))
    totals = np.zeros(3)
    kernels.add_rows(scores, scores.view(np.int32), labels, group, FIRST_BIN, *found, totals)
    return [*found, totals]


def statistics(kernels, scores, labels):
    number = len(scores)
    hit, in_first_five = np.zeros((2, number), bool)
    found = hit, in_first_five, np.zeros(number, np.float32), np.zeros(number, np.uint8), *np.zeros((2, number))
    kernels.fill_rows(scores, scores.view(np.int32), labels, *found)
    return found


def weighted(kernels, classes, labels, found, weight):
    sums = np.zeros((classes + 1, 2), np.int64), np.zeros(15), np.zeros(3)
    kernels.weighted_sums(labels.astype(np.int32), *found, weight, *sums)
    return sums


def same(one, other):
    for own, its in zip(one, other, strict=True):
        np.testing.assert_array_equal(own, its)


@given(rows())
def test_sums_compiled_as_plain(case):
    same(sums(compiled, *case), sums(plain("score_rows"), *case))


@given(rows(), st.integers(0, 2**32 - 1))
def test_statistics_compiled_as_plain(case, seed):
    scores, labels, group = case
    found = statistics(compiled, scores, labels)
    same(found, statistics(plain("score_rows"), scores, labels))
    weight = np.random.default_rng(seed).integers(0, 256, len(scores)).astype(np.uint8)
    one, other = (weighted(kernels, len(group), labels, found, weight) for kernels in (compiled, plain("score_rows")))
    same(one, other)
