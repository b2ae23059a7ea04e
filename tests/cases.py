"""Random small annotation and result files, seeded, with the features on which evaluations disagree.

Boxes have whole-number geometry, so that IoUs of exactly 0.1, 0.5 or 0.75, and ties, are frequent. The features of a
case are drawn one by one; `make_case` lists them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask

Entry = dict[str, Any]
Box = list[float]

WIDTH, HEIGHT = 160, 128
FRACTIONS = (1, 2, 5, 10, 11, 13, 15, 19, 20)  # twentieths of an object that a detection covers: its exact IoU
SIDES = (20, 40, 60, 80, 100, 120)  # multiples of 20, so that every twentieth is whole


@dataclass(frozen=True)
class Drawn:
    """The features of a case and the ids it uses."""

    rng: Random
    protocol: Literal["lvis", "coco"]
    categories: list[int]
    images: list[int]
    masks: bool
    whole: bool
    """Whole-number boxes, or boxes with two decimals."""
    optional: bool
    """Whether there are fields that files may lack: `iscrowd` (COCO), `frequency` (LVIS; v0.5 has none)."""
    score: Callable[[], float]


def make_case(
    seed: int,
    *,
    protocol: Literal["lvis", "coco"],
    masks: bool = False,
    crowded_image: bool = False,
    sure_hit: bool = False,
) -> tuple[Entry, list[Entry]]:
    """An annotation file and a result list with at least one detection.

    masks: objects and detections have masks; half of these cases also have ``bbox`` in the results, which disagrees.
    crowded_image: one image has more than 300 detections, more than 100 of them in one category.
    sure_hit: scores lie in [0, 1] and at least one detection finds an object; tidecv may crash otherwise.

    Drawn at random: ids contiguous, from 0, or sparse, all unordered; optional fields present or not; scores on a
    few levels (ties), spread out, or logits; images without objects or detections; categories without objects; crowd
    regions, `ignore`, the lists of LVIS; areas that are not those of the boxes; objects without area; copies of
    objects; detections that copy an object, cover an exact fraction of it, lie between two, are of another category,
    or have no area.
    """
    rng = Random(seed)
    drawn = Drawn(
        rng=rng,
        protocol=protocol,
        categories=_ids(rng, rng.randint(1, 6)),
        images=_ids(rng, rng.randint(2, 8)),
        masks=masks,
        whole=rng.random() < 0.8,
        optional=rng.random() < 0.9,
        score=_score(rng, in_unit=sure_hit),
    )
    objects = _objects(drawn, at_least_one=sure_hit)
    found = _detections(drawn, objects, crowded_image)
    if sure_hit:
        found.append(_detection(drawn, objects[0]["image_id"], objects[0]["category_id"], objects[0]["bbox"], 1.0))
    rng.shuffle(found)
    _add_masks(drawn, found)
    annotations = {
        "images": [_image(drawn, image) for image in drawn.images],
        "categories": [_category(drawn, category) for category in drawn.categories],
        "annotations": rng.sample(objects, len(objects)),
    }
    return annotations, found


def write_case(folder: Path, annotations: Entry, predictions: list[Entry]) -> tuple[Path, Path]:
    """The two as JSON files in `folder`: (annotations, predictions)."""
    paths = folder / "annotations.json", folder / "predictions.json"
    paths[0].write_text(json.dumps(annotations))
    paths[1].write_text(json.dumps(predictions))
    return paths


def _ids(rng: Random, number: int) -> list[int]:
    """Contiguous from 1, contiguous from 0, or sparse; unordered."""
    ids = rng.choice([list(range(1, number + 1)), list(range(number)), rng.sample(range(2000), number)])
    return rng.sample(ids, number)


def _score(rng: Random, *, in_unit: bool) -> Callable[[], float]:
    levels = [0.0, 0.25, 0.5, 0.75, 1.0][: rng.randint(2, 5)]
    spread = [rng.random() for _ in range(1000)]
    styles = [lambda: rng.choice(levels), lambda: rng.choice(spread)]
    if not in_unit:
        styles.append(lambda: rng.gauss(0, 3))
    return rng.choice(styles)


def _image(drawn: Drawn, image: int) -> Entry:
    entry = {"id": image, "width": WIDTH, "height": HEIGHT, "file_name": f"{image}.jpg"}
    if drawn.protocol == "lvis":
        entry["neg_category_ids"] = _some(drawn, drawn.categories, 0.4)
        entry["not_exhaustive_category_ids"] = _some(drawn, drawn.categories, 0.2)
    return entry


def _category(drawn: Drawn, category: int) -> Entry:
    entry: Entry = {"id": category, "name": f"class {category}"}
    if drawn.protocol == "lvis" and drawn.optional:
        entry["frequency"] = drawn.rng.choice("rcf")
    return entry


def _some(drawn: Drawn, ids: list[int], share: float) -> list[int]:
    return [entry for entry in ids if drawn.rng.random() < share]


def _objects(drawn: Drawn, *, at_least_one: bool) -> list[Entry]:
    """Objects of some of the categories on some of the images; the first is a plain one if `at_least_one`."""
    rng = drawn.rng
    categories = rng.sample(drawn.categories, rng.randint(1, len(drawn.categories)))
    images = [image for image in drawn.images for _ in range(rng.choice([0, 1, 2, 3, 6]))]
    boxes: list[tuple[int, Box]] = [(image, _box(drawn)) for image in images]
    boxes += [box for box in boxes if rng.random() < 0.15]  # copies: their IoUs tie exactly
    objects = [_object(drawn, image, rng.choice(categories), box) for image, box in boxes]
    if at_least_one:
        plain = _object(drawn, rng.choice(drawn.images), rng.choice(categories), [8.0, 12.0, 40.0, 60.0])
        objects.insert(0, plain | {"iscrowd": 0, "ignore": 0})
    ids = rng.sample(range(1, 10 * len(objects) + 1), len(objects))
    return [entry | {"id": number} for entry, number in zip(objects, ids, strict=True)]


def _object(drawn: Drawn, image: int, category: int, box: Box) -> Entry:
    rng = drawn.rng
    area = rng.choice([box[2] * box[3]] * 5 + [0.7 * box[2] * box[3], 32.0**2, 96.0**2, 0.0])
    entry: Entry = {"image_id": image, "category_id": category, "bbox": box, "area": area}
    if rng.random() < 0.15:
        entry["ignore"] = 1  # means nothing under COCO
    if drawn.optional and (drawn.protocol == "coco" or rng.random() < 0.1):  # means nothing under LVIS
        entry["iscrowd"] = int(rng.random() < 0.2)
    if drawn.masks:
        entry["segmentation"] = _object_mask(drawn, box)
    return entry


def _box(drawn: Drawn) -> Box:
    """A box inside the image, as wide and high as a multiple of 20, at the edge of a size range, or without area."""
    rng = drawn.rng
    kind = rng.random()
    if kind < 0.15:
        side = rng.choice([32, 96])
        width, height = float(side), float(side)
    elif kind < 0.25:
        width, height = rng.choice([(0.0, 40.0), (40.0, 0.0), (0.0, 0.0)])
    else:
        width, height = float(rng.choice(SIDES)), float(rng.choice(SIDES))
    x, y = rng.randint(0, int(WIDTH - width)), rng.randint(0, int(HEIGHT - height))
    if drawn.whole:
        return [float(x), float(y), width, height]
    return [x + round(rng.random(), 2), y + round(rng.random(), 2), width, round(height * rng.random(), 2)]


def _detections(drawn: Drawn, objects: list[Entry], crowded_image: bool) -> list[Entry]:
    rng = drawn.rng
    by_image = {image: [entry for entry in objects if entry["image_id"] == image] for image in drawn.images}
    images = [image for image in drawn.images for _ in range(rng.choice([0, 1, 4, 12]))]
    images = images or [drawn.images[0]]
    if rng.random() < 0.05:
        images = images[:1]
    if crowded_image:
        images += [drawn.images[0]] * 320
    favourite = drawn.categories[0]
    found = []
    for image in images:
        near = rng.choice(by_image[image]) if by_image[image] and rng.random() < 0.8 else None
        box = _box_near(drawn, near["bbox"], rng.choice(by_image[image])["bbox"]) if near else _box(drawn)
        category = near["category_id"] if near and rng.random() < 0.8 else rng.choice(drawn.categories)
        if crowded_image and rng.random() < 0.5:
            category = favourite
        found.append(_detection(drawn, image, category, box, drawn.score()))
    return found


def _detection(drawn: Drawn, image: int, category: int, box: Box, score: float) -> Entry:
    return {"image_id": image, "category_id": category, "bbox": box, "score": score}


def _box_near(drawn: Drawn, box: Box, other: Box) -> Box:
    """A copy of an object's box, an exact fraction of it, one shifted, one between two objects, or one without area."""
    rng = drawn.rng
    x, y, width, height = box
    kind = rng.randrange(8)
    if kind <= 2:
        return list(box)
    if kind <= 4:
        return [x, y, width * rng.choice(FRACTIONS) / 20, height]
    if kind == 5:
        return [x + rng.randint(-12, 12), y + rng.randint(-12, 12), width, height]
    if kind == 6:
        return [(one + two) / 2 for one, two in zip(box, other, strict=True)]
    return rng.choice([[x, y, 0.0, height], [x, y, width, 0.0], [x, y, 2 * width, height], _box(drawn)])


def _add_masks(drawn: Drawn, found: list[Entry]) -> None:
    """Add masks and unknown fields to the detections of a case."""
    rng = drawn.rng
    with_box, with_note = rng.random() < 0.5, rng.random() < 0.3
    for entry in found:
        if with_note:
            entry["note"] = {"from": "a model"}
        if not drawn.masks:
            continue
        entry["segmentation"] = _rle(_bitmap(rng, entry["bbox"]), compressed=rng.random() < 0.7)
        if with_box:
            entry["bbox"] = _box_near(drawn, entry["bbox"], entry["bbox"])
        else:
            del entry["bbox"]


def _object_mask(drawn: Drawn, box: Box) -> Any:
    """One or two polygons, or run lengths, compressed or not."""
    x, y, width, height = box
    kind = drawn.rng.randrange(4)
    if kind == 0:
        return [[x, y, x + width, y, x + width, y + height, x, y + height]]
    if kind == 1:
        middle = x + width / 2
        return [
            [x, y, middle, y, middle, y + height, x, y + height],
            [middle, y, x + width, y + height / 2, middle, y + height],
        ]
    return _rle(_bitmap(drawn.rng, box), compressed=kind == 2)


def _bitmap(rng: Random, box: Box) -> np.ndarray:
    """The box as pixels, bool [HEIGHT, WIDTH], sometimes with its lower right quarter cut out."""
    x, y, right, bottom = (max(0, round(edge)) for edge in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    picture = np.zeros((HEIGHT, WIDTH), bool)
    picture[y:bottom, x:right] = True
    if rng.random() < 0.3:
        picture[(y + bottom) // 2 :, (x + right) // 2 :] = False
    return picture


def _rle(picture: np.ndarray, *, compressed: bool) -> Entry:
    size = list(picture.shape)
    if compressed:
        return {"size": size, "counts": coco_mask.encode(np.asfortranarray(picture, np.uint8))["counts"].decode()}
    flat = picture.ravel(order="F").astype(np.int8)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flat, [2]])))
    return {"size": size, "counts": np.diff(np.concatenate([[0], edges])).tolist()}
