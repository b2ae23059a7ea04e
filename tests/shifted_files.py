"""Objects, the detections of a detector that is as good as stated, and the same with other ids and boxes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
from builders import ground_truth

from longtail_cli.choices import BoxFormat
from longtail_cli.tables import Categories, Floats, GroundTruth, Longs, Results

Mistakes = Literal["any", "frequent", "one", "swapped"]
SIZE = 640


def annotated(seed: int, *, images: int, categories: int, objects: int = 4, root: bool = True) -> GroundTruth:
    """Images 1, 2, ... with `objects` each, of categories 1, 2, ... in long-tailed shares.

    root: whether there is also a category 0 without objects, as in the exports of annotation tools.
    """
    random = np.random.default_rng(seed)
    share = 1 / np.arange(1, categories + 1)
    number = images * objects
    truth = ground_truth([], images=images, categories=categories + root)
    image = np.repeat(np.arange(images), objects).astype(np.int32)
    category = random.choice(categories, number, p=share / share.sum()).astype(np.int32) + root
    bbox = np.hstack([random.uniform(0, 400, (number, 2)), random.uniform(20, 200, (number, 2))])
    ids = np.arange(categories + root) + (not root)
    nothing = np.zeros(number, bool)
    return replace(
        truth,
        categories=Categories(ids, tuple(f"class {id_}" for id_ in ids), None, None, None),
        image_id=truth.image_id + 1,
        image_size=np.full((images, 2), SIZE, np.int32),
        id=np.arange(number),
        image=image,
        category=category,
        bbox=bbox,
        area=bbox[:, 2] * bbox[:, 3],
        crowd=nothing,
        ignore=nothing,
    )


def detected(
    truth: GroundTruth, seed: int, *, right: float, spread: float = 0.03, mistakes: Mistakes = "any", others: float = 1
) -> Results:
    """Detections of all objects, whose class is right with probability `right`, and of `others` boxes for each object.

    spread: the standard deviation of the sides, in shares of the size. mistakes: the class of other detections: any,
    as often as it occurs, always the same, or one that is swapped for the right one.
    """
    random = np.random.default_rng([seed, 1])
    number, classes = len(truth.id), np.unique(truth.category)
    wrong = {
        "any": random.choice(classes, number),
        "frequent": random.permutation(truth.category),
        "one": np.full(number, random.choice(classes)),
        "swapped": classes[::-1][np.searchsorted(classes, truth.category)],
    }[mistakes]
    category = np.where(random.random(number) < right, truth.category, wrong)
    sizes = np.hstack([truth.bbox[:, 2:], truth.bbox[:, 2:]])
    bbox = truth.bbox + random.normal(0, spread, (number, 4)) * sizes
    more = round(others * number)
    stray = np.hstack([random.uniform(0, 400, (more, 2)), random.uniform(20, 200, (more, 2))])
    image = np.concatenate([truth.image, random.integers(0, len(truth.image_id), more)])
    return Results(
        image_id=truth.image_id[image],
        category_id=truth.categories.id[np.concatenate([category, random.choice(classes, more)])],
        score=np.concatenate([random.uniform(0.3, 1, number), random.uniform(0, 0.6, more)]),
        bbox=np.abs(np.vstack([bbox, stray])),
        masks=None,
        source="predictions",
    )


def with_boxes_as(results: Results, form: BoxFormat) -> Results:
    """The results with their boxes written in another format, which they do not state."""
    assert results.bbox is not None
    corner, size = results.bbox[:, :2], results.bbox[:, 2:]
    boxes: dict[str, Floats] = {
        "xywh": results.bbox,
        "xyxy": np.hstack([corner, corner + size]),
        "cxcywh": np.hstack([corner + size / 2, size]),
    }
    return replace(results, bbox=boxes[form.removeprefix("relative-")] / (SIZE if form.startswith("relative") else 1))


def with_categories(results: Results, by: int) -> Results:
    return replace(results, category_id=results.category_id + by)


def with_images(results: Results, by: int) -> Results:
    return replace(results, image_id=results.image_id + by)


def shuffled(results: Results, seed: int) -> tuple[Results, Longs]:
    """The results in another order, and that order."""
    order = np.random.default_rng(seed).permutation(len(results))
    columns = {name: getattr(results, name)[order] for name in ("image_id", "category_id", "score", "bbox")}
    return replace(results, **columns), order
