"""Shards of any split of the images, padded or not and in any order, hold the detections of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.errors import InputError
from longtail_cli.files.results.merged import merged
from longtail_cli.files.results.rows import joined_masks, masks_at, results_at
from longtail_cli.tables import Convention, Masks, Results

NAMES = ("a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")


@st.composite
def runs(draw: st.DrawFn) -> Results:
    """Few images and few different values, so that detections are often equal; ids or names, boxes or masks."""
    rows = draw(st.integers(0, 12))
    rng = np.random.default_rng(draw(st.integers(0, 1 << 32)))
    masks, named = draw(st.booleans()), draw(st.booleans())
    start = np.arange(0, 2 * rows + 1, 2)
    areas = rng.integers(0, 4, rows)
    counts = np.stack([4 - areas, areas], axis=1).reshape(-1).astype(np.uint32)
    return Results(
        image_id=rng.integers(0, len(NAMES), rows),
        category_id=rng.integers(0, 2, rows),
        score=rng.integers(0, 2, rows) / 2,
        bbox=None if masks else rng.integers(0, 2, (rows, 4)).astype(np.float64),
        masks=Masks(np.full((rows, 2), 2, np.int32), counts, start) if masks else None,
        source="whole",
        convention=Convention(images="name", image_names=NAMES) if named else Convention(),
    )


def rows_of(results: Results) -> list[tuple[Any, ...]]:
    """The detections, sorted."""
    names = results.convention.image_names
    images = [names[key] for key in results.image_id] if names else results.image_id.tolist()
    shapes: list[Any] = [None] * len(results)
    if results.bbox is not None:
        shapes = list(map(tuple, results.bbox.tolist()))
    elif results.masks is not None:
        ends = zip(results.masks.start[:-1], results.masks.start[1:], strict=True)
        shapes = [tuple(results.masks.counts[begin:end].tolist()) for begin, end in ends]
    return sorted(zip(images, results.category_id.tolist(), results.score.tolist(), shapes, strict=True))


def shard(results: Results, images: npt.NDArray[np.int64], rng: np.random.Generator) -> Results:
    """The detections of some images, in any order, under names that have any order too."""
    part = results_at(results, rng.permutation(np.flatnonzero(np.isin(results.image_id, images))))
    if not part.convention.image_names:
        return part
    order = rng.permutation(len(NAMES))
    convention = replace(part.convention, image_names=tuple(NAMES[one] for one in order))
    return replace(part, image_id=np.argsort(order)[part.image_id], convention=convention)


@given(runs(), st.integers(2, 4), st.booleans(), st.integers(0, 1 << 32))
def test_shards_hold_the_whole(whole: Results, number: int, padded: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    owner = rng.integers(0, number, len(NAMES))
    own = [np.flatnonzero(owner == one) for one in range(number)]
    if padded:
        own = [np.append(images, rng.integers(0, len(NAMES), 2)) for images in own]
    found = merged([shard(whole, images, rng) for images in own], "shards")
    assert rows_of(found) == rows_of(whole)
    repeated = sum(len(np.intersect1d(whole.image_id, images)) for images in own) - len(np.unique(whole.image_id))
    assert bool(found.convention.notes) == (repeated > 0)


@given(runs(), st.integers(0, 1 << 32))
def test_a_shard_that_differs_in_one_detection_is_refused(whole: Results, seed: int) -> None:
    if not len(whole):
        return
    rng = np.random.default_rng(seed)
    score = whole.score.copy()
    score[rng.integers(0, len(whole))] = 0.75
    other = shard(replace(whole, score=score), np.arange(len(NAMES)), rng)
    with pytest.raises(InputError, match="others in other") as error:
        merged([whole, replace(other, source="other")], "shards")
    assert error.value.total == 1


@given(runs(), st.integers(0, 1 << 32))
def test_masks_are_joined_in_order(whole: Results, seed: int) -> None:
    if whole.masks is None:
        return
    cut = np.random.default_rng(seed).integers(0, len(whole) + 1)
    rows = np.arange(len(whole))
    joined = joined_masks([masks_at(whole.masks, rows[:cut]), masks_at(whole.masks, rows[cut:])])
    for name in ("size", "counts", "start"):
        assert np.array_equal(getattr(joined, name), getattr(whole.masks, name))
