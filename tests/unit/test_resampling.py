"""Resamples of images, and the intervals from them."""

import numpy as np
import pytest

from longtail_cli.evaluation.bootstrap.resampling import Draws, interval


def test_a_resample_has_as_many_images_as_the_set():
    draws = Draws(images=500, resamples=10, seed=3)
    weights = [draws.weight(b) for b in range(10)]
    assert {int(weight.sum()) for weight in weights} == {500}
    assert all(weight.dtype == np.uint8 for weight in weights)
    assert len({weight.tobytes() for weight in weights}) == 10


def test_about_a_third_of_the_images_is_not_drawn():
    weight = Draws(images=100_000, resamples=1, seed=0).weight(0)
    assert (weight == 0).mean() == pytest.approx(np.exp(-1), abs=0.01)


def test_a_resample_depends_on_its_number_and_the_seed_alone():
    few, many, other = Draws(50, 2, 7), Draws(50, 1000, 7), Draws(50, 2, 8)
    assert np.array_equal(few.weight(1), many.weight(1))
    assert not np.array_equal(few.weight(1), other.weight(1))


def test_different_draws_have_different_digests():
    assert Draws(50, 20, 7).sha256() == Draws(50, 20, 7).sha256()
    assert len({Draws(50, 20, 7).sha256(), Draws(50, 20, 8).sha256(), Draws(51, 20, 7).sha256()}) == 3


def test_the_draws_of_seed_0():
    """NumPy may change its generators between releases; saved baselines would then have to be written again."""
    assert Draws(8, 1, 0).weight(0).tolist() == [3, 0, 2, 0, 1, 1, 1, 0]


def test_one_image_is_drawn_once():
    assert Draws(1, 5, 0).weight(4).tolist() == [1]


def test_the_interval_holds_95_percent_of_the_deviations_from_the_mean():
    resampled = np.linspace(0.3, 0.5, 1001)  # their mean, 0.4, is above the value
    assert interval(resampled, 0.25) == pytest.approx((0.25 - 0.095, 0.25 + 0.095))


def test_resamples_that_do_not_define_the_metric_are_left_out():
    assert interval(np.array([np.nan, 0.2, 0.2]), 0.2) == (0.2, 0.2)
    assert interval(np.array([np.nan]), 0.2) is None


def test_the_value_lies_in_its_interval():
    skewed = np.array([0.0] * 99 + [1.0])
    low, high = interval(skewed, 0.5) or (1.0, 0.0)
    assert low <= 0.5 <= high
