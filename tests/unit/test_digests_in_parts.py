"""Digests of detections: the same for any division, and others for other detections."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from builders import masks_of
from random_parts import detections_at

from longtail_cli.evaluation.parts.rows import Whole
from longtail_cli.tables import Detections
from longtail_cli.workflow.partitioned.digests import digest_of_boxes, digest_of_scores

NUMBER, IMAGES = 20, 5
NO_OBJECTS = np.zeros(0, np.int32)


def found() -> Detections:
    rng = np.random.default_rng(0)
    pictures = list(rng.integers(0, 2, (NUMBER, 3, 4)))
    pictures[3][:] = 0
    return Detections(
        image=rng.integers(0, IMAGES, NUMBER).astype(np.int32),
        category=rng.integers(0, 3, NUMBER).astype(np.int32),
        score=rng.random(NUMBER),
        bbox=rng.random((NUMBER, 4)),
        area=rng.random(NUMBER),
        masks=masks_of(pictures),
        source="made by the test",
    )


def whole_of(detections: Detections) -> tuple[int, int]:
    whole = Whole(np.arange(IMAGES), NO_OBJECTS, np.arange(len(detections)))
    return digest_of_boxes(detections, whole), digest_of_scores(detections, whole)


def test_digests_of_parts_add_up() -> None:
    detections = found()
    boxes, scores = 0, 0
    for images in ([0, 3], [1], [2, 4], []):
        keep = np.isin(np.arange(IMAGES), images)
        rows = np.flatnonzero(keep[detections.image])
        part = detections_at(detections, rows, np.cumsum(keep, dtype=np.int32) - 1)
        whole = Whole(np.flatnonzero(keep), NO_OBJECTS, rows)
        boxes, scores = boxes + digest_of_boxes(part, whole), scores + digest_of_scores(part, whole)
    assert (boxes % 2**64, scores % 2**64) == whole_of(detections)


def moved_run(detections: Detections) -> Detections:
    """The same run lengths, of which the first mask has one more and the second one less."""
    assert detections.masks is not None
    start = detections.masks.start.copy()
    start[1] += 1
    return replace(detections, masks=replace(detections.masks, start=start))


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, image=(one.image + 1) % IMAGES),
        lambda one: replace(one, category=one.category[::-1]),
        lambda one: replace(one, bbox=np.roll(one.bbox, 1, axis=1)),
        lambda one: replace(one, area=np.nextafter(one.area, 1)),
        lambda one: replace(one, masks=None),
        lambda one: replace(one, masks=replace(one.masks, size=one.masks.size[:, ::-1])),
        moved_run,
    ],
)
def test_other_geometry_has_another_digest(change: Callable[[Detections], Detections]) -> None:
    assert whole_of(change(found()))[0] != whole_of(found())[0]
    assert whole_of(change(found()))[1] == whole_of(found())[1]


def test_other_scores_have_another_digest() -> None:
    halved = replace(found(), score=found().score / 2)
    assert whole_of(halved)[0] == whole_of(found())[0]
    assert whole_of(halved)[1] != whole_of(found())[1]


def test_zero_has_one_digest() -> None:
    zeros = replace(found(), score=np.zeros(NUMBER))
    assert whole_of(replace(zeros, score=-zeros.score)) == whole_of(zeros)
