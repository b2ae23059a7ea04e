"""Simulated populations of LVIS-style images with the detections of two models, in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longtail_cli.tables import Bools, Categories, Detections, Floats, GroundTruth, Ints
from longtail_cli.workflow.image_subset import truth_of

COMMON, FREQUENT = (6, 0.08), (4, 0.35)
"""Categories of the groups c and f, and the chance of each to be in an image."""

NEGATIVE = 0.25
"""The chance that an image is known not to hold a category that it does not hold."""

DRIFT = {"r": 0.15, "c": 0.0, "f": -0.02}
"""By how much the second model finds the objects of a group more often, where there is a difference."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a population is like, and how val sets are drawn from it."""

    images: int
    """Images of a val set, drawn without replacement."""
    rare: int
    """Categories of the group r."""
    chance: float
    """Of a rare category to be in an image."""
    null: bool = False
    """Whether the models are exchangeable: which one is the first is drawn for every image of every val set."""


@dataclass(frozen=True, slots=True)
class Models:
    """The annotations of some images, and the detections of two models in them."""

    truth: GroundTruth
    first: Detections
    second: Detections

    def images(self, keep: Bools) -> Models:
        """The images that are kept (bool [I])."""
        return Models(truth_of(self.truth, keep), _images(self.first, keep), _images(self.second, keep))

    def swapped(self, swap: Bools) -> Models:
        """With the detections of the two models exchanged in some images (bool [I])."""
        pair = (self.first, self.second)
        return Models(self.truth, *(_joined(_rows(a, ~swap[a.image]), _rows(b, swap[b.image]))
                                    for a, b in (pair, pair[::-1])))  # fmt: skip


def population(setting: Setting, number: int, rng: np.random.Generator) -> Models:
    """`number` images with objects of three groups of categories, and what two models detect in them."""
    sizes = ((setting.rare, setting.chance), COMMON, FREQUENT)
    group = np.repeat(np.array(["r", "c", "f"]), [count for count, _ in sizes])
    chance = np.repeat([one for _, one in sizes], [count for count, _ in sizes])
    held = rng.random((number, len(group))) < chance
    truth = _truth(held, group, rng)
    skill = rng.uniform(0.35, 0.85, len(group))  # the share of the objects of a category that are found
    drift = np.zeros(len(group)) if setting.null else np.array([DRIFT[one] for one in group.tolist()])
    visible = rng.normal(0.0, 0.15, len(truth.image))  # what makes an object easy or hard for both models
    first, second = (_detections(truth, held, own, visible, rng) for own in (skill, skill + drift))
    return Models(truth, first, second)


def _truth(held: Bools, group: np.ndarray, rng: np.random.Generator) -> GroundTruth:
    """One object or several of each category that an image holds."""
    image, category = np.nonzero(held)
    times = 1 + rng.poisson(0.4, len(image))
    image, category = np.repeat(image, times).astype(np.int32), np.repeat(category, times).astype(np.int32)
    number = len(image)
    size = rng.uniform(30, 150, (number, 2))
    bbox = np.column_stack([rng.uniform(0, 640 - size[:, 0]), rng.uniform(0, 640 - size[:, 1]), size])
    negative = np.argwhere(~held & (rng.random(held.shape) < NEGATIVE)).astype(np.int32)
    names = tuple(f"{name}{c}" for c, name in enumerate(group.tolist()))
    categories = Categories(np.arange(len(group)), names, tuple(group.tolist()), None, None)
    return GroundTruth(
        categories=categories,
        image_id=np.arange(len(held)),
        image_position=np.arange(len(held), dtype=np.int32),
        image_size=np.full((len(held), 2), 640, np.int32),
        id=np.arange(number),
        image=image,
        category=category,
        bbox=bbox,
        area=size.prod(axis=1),
        crowd=np.zeros(number, bool),
        ignore=np.zeros(number, bool),
        masks=None,
        negative=negative,
        not_exhaustive=np.zeros((0, 2), np.int32),
        source="simulated",
    )


def _detections(
    truth: GroundTruth, held: Bools, skill: Floats, visible: Floats, rng: np.random.Generator
) -> Detections:
    """Boxes near the objects that are found, and others where an image was checked for a category."""
    found = np.flatnonzero(rng.random(len(truth.image)) < skill[truth.category] + visible)
    near = truth.bbox[found].copy()
    near[:, :2] += near[:, 2:] * rng.normal(0, 0.08, (len(found), 2))
    near[:, 2:] *= np.exp(rng.normal(0, 0.08, (len(found), 2)))
    right = rng.beta(3.5, 2.0, len(found))
    negative = np.zeros((0, 2), np.int32) if truth.negative is None else truth.negative
    checked = np.concatenate([np.argwhere(held), negative])
    false = checked[rng.random(len(checked)) < 0.35].astype(np.int32)
    size = rng.uniform(30, 150, (len(false), 2))
    far = np.column_stack([rng.uniform(0, 640 - size[:, 0]), rng.uniform(0, 640 - size[:, 1]), size])
    return _sorted(
        np.concatenate([truth.image[found], false[:, 0]]),
        np.concatenate([truth.category[found], false[:, 1]]),
        np.concatenate([right, rng.beta(2.0, 4.0, len(false))]),
        np.concatenate([near, far]),
    )


def _sorted(image: Ints, category: Ints, score: Floats, bbox: Floats) -> Detections:
    order = np.argsort(image, kind="stable")
    box = bbox[order]
    area = box[:, 2] * box[:, 3]
    return Detections(image[order], category[order], score[order], box, area, None, "simulated")


def _rows(detections: Detections, keep: Bools) -> Detections:
    columns = {name: getattr(detections, name)[keep] for name in ("image", "category", "score", "bbox", "area")}
    return replace(detections, **columns)


def _joined(one: Detections, other: Detections) -> Detections:
    return _sorted(*(np.concatenate([getattr(one, name), getattr(other, name)])
                     for name in ("image", "category", "score", "bbox")))  # fmt: skip


def _images(detections: Detections, keep: Bools) -> Detections:
    index = np.cumsum(keep, dtype=np.int32) - 1
    found = _rows(detections, keep[detections.image])
    return replace(found, image=index[found.image].astype(np.int32))
