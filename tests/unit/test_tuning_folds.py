"""Folds of the images, the weights of the lanes, and the strata of detection data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.errors import UsageError
from longtail_cli.tuning.folds import LANES, LEAST_RESAMPLES, Folds, one_fold, rarest_category, spread, stratified_folds

strata = st.lists(st.integers(-2, 4), min_size=6, max_size=40).map(lambda values: np.array(values, np.int64))


@given(stratum=strata, folds=st.integers(2, 6), seed=st.integers(0, 9))
def test_each_stratum_is_spread_evenly_over_the_folds(stratum, folds, seed):
    fold = stratified_folds(stratum, folds, seed).fold
    for members in (fold, *(fold[stratum == value] for value in np.unique(stratum))):
        size = np.bincount(members, minlength=folds)
        assert size.max() - size.min() <= 1
    assert np.bincount(fold, minlength=folds).min() >= 1


def test_the_seed_decides_which_images_share_a_fold():
    stratum = np.zeros(40, np.int64)
    assert np.array_equal(stratified_folds(stratum, 4, 7).fold, stratified_folds(stratum, 4, 7).fold)
    assert not np.array_equal(stratified_folds(stratum, 4, 7).fold, stratified_folds(stratum, 4, 8).fold)


@pytest.mark.parametrize("folds", [-1, 0, 1, 7])
def test_no_fold_may_be_empty(folds):
    with pytest.raises(UsageError, match=rf"`folds=`: expected a number from 2 to 6.*, found {folds}\n"):
        stratified_folds(np.zeros(6, np.int64), folds, 0)


@given(stratum=strata, folds=st.integers(2, 6))
def test_part_zero_is_everything_and_each_other_part_leaves_its_fold_out(stratum, folds):
    found = stratified_folds(stratum, folds, 0)
    assert found.inside(0).all()
    assert found.weight(0).tolist() == [1] * len(stratum)
    for part in range(1, found.parts):
        assert found.inside(part).tolist() == [fold != part - 1 for fold in found.fold.tolist()]
        assert found.weight(part).tolist() == found.inside(part).astype(int).tolist()


@given(stratum=strata, folds=st.integers(2, 6), seed=st.integers(0, 9))
def test_a_resample_draws_as_many_images_as_its_part_has_and_none_of_the_fold(stratum, folds, seed):
    found = stratified_folds(stratum, folds, seed)
    for part in range(found.parts):
        inside = found.inside(part)
        for lane in range(found.number)[found.resamples(part)]:
            weight = found.weight(lane)
            assert weight.dtype == np.uint8
            assert weight[~inside].sum() == 0
            assert weight.sum() == inside.sum()


def test_resamples_differ_from_each_other_and_with_the_seed():
    one, other = (stratified_folds(np.zeros(30, np.int64), 3, seed) for seed in (0, 1))
    other = Folds(one.fold, one.folds, other.seed)
    weights = {one.weight(lane).tobytes() for lane in range(one.parts, one.number)}
    assert len(weights) == one.number - one.parts
    assert weights.isdisjoint(other.weight(lane).tobytes() for lane in range(other.parts, other.number))


@pytest.mark.parametrize("folds", range(2, 30))
def test_lanes_are_the_parts_and_then_the_resamples_of_each_part(folds):
    found = Folds(np.zeros(1, np.int32), folds, 0)
    lanes = list(range(found.parts))
    for part in range(found.parts):
        own = range(found.number)[found.resamples(part)]
        assert len(own) == found.resamples_of_part >= LEAST_RESAMPLES
        lanes += own
    assert lanes == list(range(found.number))
    assert -(-found.number // LANES) == -(-found.parts * (1 + LEAST_RESAMPLES) // LANES)  # no group of lanes too many


def test_one_fold_has_all_images():
    found = one_fold(3)
    assert found.fold.tolist() == [0, 0, 0]
    assert found.weight(0).tolist() == [1, 1, 1]
    weights = [found.weight(lane) for lane in range(found.number)]
    assert [len(weight) for weight in weights] == [3] * found.number  # the other part has no images


@given(
    objects=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=30),
)
def test_the_rarest_category_equals_plain_loops(objects):
    images = {category: {image for image, other in objects if other == category} for category in range(4)}
    expected = []
    for image in range(5):
        own = sorted({category for where, category in objects if where == image})
        expected.append(min(own, key=lambda category: (len(images[category]), category)) if own else 4)
    image, category = (np.array([one[k] for one in objects], np.int32) for k in (0, 1))
    assert rarest_category(image, category, 5, 4).tolist() == expected


def test_the_rarest_category_counts_images_not_objects():
    image, category = np.array([0, 0, 0, 0, 1], np.int32), np.array([0, 0, 0, 1, 1], np.int32)
    assert rarest_category(image, category, 2, 2).tolist() == [0, 1]


def test_the_spread_is_the_standard_deviation_of_the_defined_values():
    assert spread(np.array([1.0, np.nan, 3.0])) == pytest.approx(np.sqrt(2))
    assert spread(np.array([1.0, np.nan])) == spread(np.array([])) == 0.0
