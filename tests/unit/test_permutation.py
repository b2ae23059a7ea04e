"""Exchanges of images, and p-values from them."""

import numpy as np
import pytest

from longtail_cli.evaluation.bootstrap.permutation import Swaps, p_values
from longtail_cli.evaluation.bootstrap.resampling import resampled
from longtail_cli.evaluation.classification.resampled import RowTally, resampled_metrics, side_by_side


def test_each_image_counts_once_in_each_run():
    swaps = Swaps(pairs=50, swaps=3, seed=0)
    assert (swaps.images, swaps.number) == (100, 8)
    for swap in range(4):
        first, second = (swaps.weight(2 * swap + run).reshape(50, 2) for run in (0, 1))
        assert np.array_equal(first.sum(axis=1), np.ones(50))
        assert np.array_equal(first, second[:, ::-1])
        assert np.array_equal(first[:, 1], swaps.exchanged(swap))


def test_the_first_exchange_is_none():
    assert not Swaps(50, 3, 0).exchanged(0).any()


def test_an_exchange_depends_on_its_number_and_the_seed_alone():
    few, many, other = Swaps(50, 2, 7), Swaps(50, 999, 7), Swaps(50, 2, 8)
    assert np.array_equal(few.exchanged(2), many.exchanged(2))
    assert not np.array_equal(few.exchanged(2), other.exchanged(2))
    assert not np.array_equal(few.exchanged(2), few.exchanged(1))


def test_the_observed_difference_is_one_of_the_exchanges():
    def p_of(*differences):
        return p_values({"AP": np.array([[0.5, 0.5 + one] for one in differences]).ravel()})

    assert p_of(0.1, 0.0, 0.05, -0.05) == {"AP": 0.25}
    assert p_of(0.1, -0.1, 0.2, 0.0) == {"AP": 0.75}  # two-sided
    assert p_of(0.1, 0.1 - 1e-15, 0.0, 0.0) == {"AP": 0.5}  # a tie, but for rounding
    assert p_of(0.0, 0.1, 0.2, 0.3) == {"AP": 1.0}
    assert p_of(np.nan, np.nan) == {}


def test_p_values_are_uniform_without_a_difference():
    """Means over 15 images of two runs of the same distribution, 400 times."""
    rng, images = np.random.default_rng(0), 15
    found = []
    for seed in range(400):
        values = rng.exponential(size=2 * images)

        def means(weight, values=values):
            return [{"mean": float(one)} for one in values @ weight / images]

        found.append(p_values(resampled(means, Swaps(images, 19, seed)))["mean"])  # multiples of 1/20, as the levels
    for level in (0.05, 0.2, 0.5, 0.8):
        assert np.mean(np.array(found) <= level) == pytest.approx(level, abs=3 * np.sqrt(level * (1 - level) / 400))


def test_rows_of_classifiers_are_exchanged_one_by_one():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 20)
    scores = rng.random((2, 20, 3)).astype(np.float32)

    def tally(values):
        rows = RowTally(20, 3)
        rows.add(0, values, labels)
        return rows

    both, swaps = side_by_side(*map(tally, scores)), Swaps(20, 4, 0)
    for swap in range(5):
        moved = swaps.exchanged(swap).astype(bool)[:, None]
        for run in (0, 1):
            expected = tally(np.where(moved, scores[1 - run], scores[run]))
            every = np.ones(20, np.uint8)
            assert resampled_metrics(both, swaps.weight(2 * swap + run)) == resampled_metrics(expected, every)
