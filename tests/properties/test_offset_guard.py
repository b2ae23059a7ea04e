"""A shifted file is always caught where enough boxes agree, and a file that is read rightly never stops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from shifted_files import Mistakes, annotated, detected, shuffled, with_boxes_as, with_categories, with_images

from longtail_cli.choices import BOX_FORMATS, BoxFormat
from longtail_cli.errors import InputError
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.offset_guard import examined
from longtail_cli.workflow.options import ConventionOptions

SEEDS = st.integers(0, 2**32)
CASES = settings(max_examples=25)


def federated(truth: GroundTruth, seed: int, share: float) -> GroundTruth:
    """The annotations with a share of their objects: those of classes that the images do not judge are missing."""
    keep = np.random.default_rng([seed, 2]).random(len(truth.id)) < share
    columns = {
        name: getattr(truth, name)[keep] for name in ("id", "image", "category", "bbox", "area", "crowd", "ignore")
    }
    return replace(truth, **columns)


@CASES
@given(
    seed=SEEDS,
    images=st.integers(30, 80),
    categories=st.integers(1, 30),
    offset=st.sampled_from([1, -1]),
    root=st.booleans(),
    right=st.floats(0.7, 1),
    share=st.floats(0.4, 1),
)
def test_shifted_categories_are_caught(
    seed: int, images: int, categories: int, offset: int, root: bool, right: float, share: float
) -> None:
    truth = annotated(seed, images=images, categories=categories, root=root)
    results, _ = shuffled(detected(truth, seed, right=right, others=0.5), seed)
    with pytest.raises(InputError, match=f"with `category_offset={-offset}`"):
        resolved(with_categories(results, offset), federated(truth, seed, share))


@CASES
@given(seed=SEEDS, images=st.integers(30, 80), form=st.sampled_from([one for one in BOX_FORMATS if one != "xywh"]))
def test_misread_boxes_are_caught(seed: int, images: int, form: BoxFormat) -> None:
    truth = annotated(seed, images=images, categories=5)
    with pytest.raises(InputError, match=f"with `box_format='{form}'`"):
        resolved(with_boxes_as(detected(truth, seed, right=0.5), form), truth)


@CASES
@given(seed=SEEDS, images=st.integers(30, 80), offset=st.sampled_from([1, -1]))
def test_shifted_images_are_caught(seed: int, images: int, offset: int) -> None:
    truth = annotated(seed, images=images, categories=5)
    with pytest.raises(InputError, match=f"with `image_offset={-offset}`"):
        resolved(with_images(detected(truth, seed, right=0.5), offset), truth)


@CASES
@given(
    seed=SEEDS,
    images=st.integers(1, 80),
    categories=st.integers(1, 30),
    root=st.booleans(),
    right=st.floats(0, 1),
    spread=st.floats(0, 1),
    mistakes=st.sampled_from(["any", "frequent", "one"]),
    others=st.floats(0, 4),
    share=st.floats(0, 1),
)
def test_what_is_read_rightly_never_stops(
    seed: int, images: int, categories: int, root: bool, right: float, spread: float, mistakes: Mistakes,
    others: float, share: float,
) -> None:  # fmt: skip
    """However weak the detector is, even if its classes are random or always the same."""
    truth = annotated(seed, images=images, categories=categories, root=root)
    results = detected(truth, seed, right=right, spread=spread, mistakes=mistakes, others=others)
    assert len(resolved(results, federated(truth, seed, share))) == len(results)


@CASES
@given(seed=SEEDS, categories=st.integers(2, 5), right=st.floats(0, 1))
def test_two_classes_that_are_swapped_are_no_shift(seed: int, categories: int, right: float) -> None:
    truth = annotated(seed, images=40, categories=categories, root=False)
    results = detected(truth, seed, right=right, mistakes="swapped")
    if len(np.unique(results.category_id)) == categories:
        assert examined(results, truth, ConventionOptions()).categories.better is None


@CASES
@given(seed=SEEDS, right=st.floats(0, 1), order=SEEDS)
def test_the_order_of_the_detections_does_not_matter(seed: int, right: float, order: int) -> None:
    truth = annotated(seed, images=20, categories=4)
    results = detected(truth, seed, right=right)
    again, _ = shuffled(results, order)
    assert examined(results, truth, ConventionOptions()) == examined(again, truth, ConventionOptions())
