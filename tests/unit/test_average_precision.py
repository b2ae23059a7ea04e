"""Interpolated average precision, against a plain loop written from the protocol, and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.evaluation.average_precision import EPSILON, curves, recall_at, single_curve
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import RECALL_THRESHOLDS
from longtail_cli.evaluation.selection import Selection
from longtail_cli.metrics import mean

TRUE, FALSE, IGNORED = "+", "-", "o"


def plain(outcomes: str, number: int) -> float:
    """AP of outcomes in score order with `number` objects."""
    hits = misses = 0
    recall, precision = [], []
    for outcome in outcomes.replace(IGNORED, ""):
        hits, misses = hits + (outcome == TRUE), misses + (outcome == FALSE)
        recall.append(hits / number)
        precision.append(hits / (misses + hits + EPSILON))
    interpolated = [max((p for r, p in zip(recall, precision, strict=True) if r >= at), default=0.0)
                    for at in RECALL_THRESHOLDS]  # fmt: skip
    return sum(interpolated) / 101


def matches_of(outcomes: list[str], numbers: list[int], rank: list[int] | None = None) -> Matches:
    """One category per string, the same outcome at every threshold and size."""
    joined = "".join(outcomes)
    start = np.cumsum([0, *map(len, outcomes)])
    every = np.uint16(1023)
    table = np.array(list(joined) or [""])[: len(joined), None]
    return Matches(
        selection=Selection(np.arange(len(joined)), start, None if rank is None else np.array(rank)),
        true_positive=np.where(table == TRUE, every, np.uint16(0)).repeat(4, axis=1),
        ignored=np.where(table == IGNORED, every, np.uint16(0)).repeat(4, axis=1),
        taken=np.zeros(len(joined), np.int32),
        num_objects=np.array(numbers)[:, None].repeat(4, axis=1),
        counts=np.ones(sum(numbers), bool),
    )


@pytest.mark.parametrize(
    ("outcomes", "number", "expected"),
    [
        ("+", 1, 1 / (1 + EPSILON)),
        ("-+", 1, 0.5),  # precision 1/2 at every recall
        ("+-", 2, 51 / 101),  # recalls 0, .01, ..., .50 are reached with precision 1
        ("-", 1, 0.0),
        ("", 3, 0.0),
        ("oo+o", 1, 1 / (1 + EPSILON)),
    ],
)
def test_by_hand(outcomes, number, expected):
    assert curves(matches_of([outcomes], [number])).ap[0, 0, 0] == pytest.approx(expected, abs=1e-15)


@given(st.lists(st.tuples(st.text(TRUE + FALSE + IGNORED, max_size=30), st.integers(0, 5)), min_size=1, max_size=4))
def test_equals_the_plain_loop(cases):
    outcomes = [text for text, _ in cases]
    numbers = [text.count(TRUE) + extra for text, extra in cases]
    reduced = curves(matches_of(outcomes, numbers))
    for c, (text, number) in enumerate(zip(outcomes, numbers, strict=True)):
        if number == 0:
            assert np.isnan(reduced.ap[:, c]).all()
            assert np.isnan(reduced.recall[:, c]).all()
        else:
            np.testing.assert_allclose(reduced.ap[:, c], plain(text, number), rtol=0, atol=1e-14)
            assert (reduced.recall[:, c] == text.count(TRUE) / number).all()


@given(st.text(TRUE + FALSE, max_size=30), st.integers(0, 5))
def test_a_single_curve_is_the_same_reduction(text, extra):
    number = text.count(TRUE) + extra
    hit = np.array([outcome == TRUE for outcome in text], bool)
    ap = single_curve(np.array([0, len(hit)]), hit, np.array([number]), RECALL_THRESHOLDS, EPSILON)
    assert ap[0] == pytest.approx(plain(text, number) if number else 0.0, abs=1e-14)


def test_thresholds_and_sizes_are_independent():
    matches = matches_of(["+-"], [2])
    matches.true_positive.setflags(write=True)
    matches.true_positive[:, 0] = [0b0000000001, 0b0000000011]
    matches.ignored[:, 0] = 0
    reduced = curves(matches)
    assert reduced.recall[:, 0, 0].tolist() == [1.0, 0.5] + [0.0] * 8
    assert reduced.recall[:, 0, 1].tolist() == [0.5] * 10


def test_recall_with_the_best_few_of_each_image():
    matches = matches_of(["-++", "+"], [2, 0], rank=[0, 0, 1, 0])
    assert recall_at(matches, 1)[:, 0].tolist() == [0.5] * 10
    assert recall_at(matches, 10)[:, 0].tolist() == [1.0] * 10
    assert np.isnan(recall_at(matches, 10)[:, 1]).all()


def test_the_mean_is_over_the_defined_values():
    assert mean(np.array([0.5, np.nan, 1.0])) == 0.75
    assert mean(np.array([np.nan])) is None
