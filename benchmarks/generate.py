"""Generate an LVIS-like evaluation case of any size, byte-identical for the same arguments.

    python benchmarks/generate.py OUT_DIR --images 4000

writes `annotations.json` (1,203 categories, image counts from 1 to about a tenth of the images, federated
positive / negative / not-exhaustive lists), `predictions.json` (300 detections per image) and `rescored.json`
(the same boxes in the same order with different scores). `--polygons 40` adds polygons of that many points to every
object; 100,170 images with polygons and `--no-predictions` give a file of the size of LVIS train (1.1 GB).

Predictions as a user has them: `--digits 15` writes boxes and scores with all the digits of a float32, as models
do; `--format detectron2` or `mmdet` writes keys and white space as these do; `--near 0.9` puts most detections near
objects; `--masks` adds run lengths. 1,000 images with `--masks --polygons 40 --detections 100 --digits 15 --format
detectron2` give 100,000 masks.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

NUM_CATEGORIES = 1203
IMAGE_SIZE = (480, 640)
LARGEST_SHARE = 1900 / 19809  # the most frequent class of LVIS v1 val is in 1,900 of its 19,809 images

COMPACT = '{{"image_id":{image_id},"category_id":{category_id},"bbox":[{bbox}],"score":{score}{mask}}}'
FORMATS = {  # an entry, and what is between two numbers and two entries
    "compact": (COMPACT, ","),
    "detectron2": (COMPACT.replace(":", ": ").replace(",", ", "), ", "),
    "mmdet": (
        '{{"image_id": {image_id}, "bbox": [{bbox}], "score": {score}, "category_id": {category_id}{mask}}}',
        ", ",
    ),
}

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Draw = Callable[[int, np.random.Generator], Ints]
"""Draws so many category indices."""


@dataclass(frozen=True)
class Population:
    """What a data set of C categories, and a detector's mistakes in it, are like."""

    images: Ints
    """[C], how many have the category."""
    last: Floats
    """[C], the chance of each object of a category in an image to be the last one of its category there."""
    federated: bool
    """As LVIS: each image states which categories were looked for. Otherwise as COCO: all were."""
    wrong: Draw
    """The classes of detections that are near an object but have a class of their own."""
    background: Draw
    """The classes of detections that are near no object."""


@dataclass(frozen=True)
class Predictions:
    """How predictions are made and written; see the options."""

    detections: int
    near: float
    digits: int
    format: str
    masks: bool


def image_counts(num_images: int, exponent: float = 0.45) -> Ints:
    """Images per category [C]: from `LARGEST_SHARE` of the images down to 1, in shuffled id order.

    exponent: 0.45 gives 3.2 categories per image for 19,809 images, about as many as in LVIS; a larger one gives more.
    """
    largest = max(2.0, LARGEST_SHARE * num_images)
    rank = np.linspace(0, 1, NUM_CATEGORIES)
    counts = np.rint(largest ** (1 - rank**exponent)).astype(np.int64)
    return np.random.default_rng(0).permutation(counts)


def lvis(images: Ints) -> Population:
    """As LVIS, with so many images of each category [C]. Detectors favour frequent classes, here those of low ids."""
    return Population(
        images,
        last=np.full(len(images), 0.28),
        federated=True,
        wrong=lambda number, rng: rng.integers(len(images), size=number),
        background=lambda number, rng: (len(images) * rng.random(number) ** 2).astype(np.int64),
    )


def positives_of(counts: Ints, num_images: int, rng: np.random.Generator) -> list[Ints]:
    """The sorted category indices of each image."""
    image = np.concatenate([rng.choice(num_images, size=count, replace=False) for count in counts])
    category = np.repeat(np.arange(len(counts)), counts)
    order = np.lexsort((category, image))
    return np.split(category[order], np.searchsorted(image[order], np.arange(1, num_images)))


def random_boxes(number: int, rng: np.random.Generator) -> Floats:
    """`number` xywh boxes inside the image, sizes log-uniform from 4 to 400 pixels."""
    height, width = IMAGE_SIZE
    size = np.exp(rng.uniform(np.log(4), np.log(400), (number, 2)))
    origin = rng.uniform(0, 1, (number, 2)) * np.maximum([width, height] - size, 1.0)
    return np.hstack([origin, size])


def detections_of(
    boxes: Floats, categories: Ints, population: Population, options: Predictions, rng: np.random.Generator
) -> tuple[Ints, Floats, Floats]:
    """Categories, boxes and scores of an image's detections.

    Some are near objects (a fifth of these with a wrong class); the rest are background.
    """
    number = int(options.detections * options.near) if len(boxes) else 0
    copied = rng.integers(len(boxes), size=number) if number else np.zeros(0, np.int64)
    jitter = rng.normal(0, 0.12, (number, 4)) * np.tile(boxes[copied, 2:], 2)
    near = boxes[copied] + jitter
    near[:, 2:] = np.maximum(near[:, 2:], 1.0)
    background = options.detections - number
    wrong = rng.random(number) < 0.2
    near_class = np.where(wrong, population.wrong(number, rng), categories[copied])
    far_class = population.background(background, rng)
    score = np.concatenate([rng.beta(1.2, 4, number), rng.beta(0.5, 8, background)])
    return np.concatenate([near_class, far_class]), np.vstack([near, random_boxes(background, rng)]), score


def polygon(box: Floats, points: int, rng: np.random.Generator) -> Floats:
    """The points [points, 2] of an irregular ellipse inside `box`."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = rng.uniform(0.8, 1.0, points)
    x = box[0] + box[2] * (0.5 + 0.5 * radius * np.cos(angle))
    y = box[1] + box[3] * (0.5 + 0.5 * radius * np.sin(angle))
    return np.column_stack([x, y])


def polygon_text(points: Floats) -> str:
    """One polygon as JSON."""
    return "[[" + ",".join(f"{value:.2f}" for value in points.ravel()) + "]]"


def mask_text(points: Floats) -> str:
    """The run lengths of a polygon as JSON."""
    from pycocotools import mask

    (runs,) = mask.frPyObjects([points.ravel().tolist()], *IMAGE_SIZE)
    return json.dumps({"size": list(IMAGE_SIZE), "counts": runs["counts"].decode()})


def write_joined(file: TextIO, entries: Iterator[str], comma: str = ",") -> None:
    """Write `entries` as the body of a JSON list."""
    file.write("[" + next(entries))
    for entry in entries:
        file.write(comma + entry)
    file.write("]")


def category_entries(population: Population) -> Iterator[str]:
    for index, count in enumerate(population.images):
        frequency = "r" if count <= 10 else "c" if count <= 100 else "f"
        counts = f',"frequency":"{frequency}","image_count":{count},"instance_count":{2 * count}'
        yield f'{{"id":{index + 1},"name":"class_{index + 1}"{counts if population.federated else ""}}}'


def image_entries(positives: list[Ints], population: Population, rng: np.random.Generator) -> Iterator[str]:
    for index, present in enumerate(positives):
        judged = judged_text(present, len(population.images), rng) if population.federated else ""
        yield (
            f'{{"id":{index + 1},"width":{IMAGE_SIZE[1]},"height":{IMAGE_SIZE[0]},'
            f'"coco_url":"http://images.example/{index + 1:012d}.jpg"{judged}}}'
        )


def judged_text(present: Ints, categories: int, rng: np.random.Generator) -> str:
    """The fields in which LVIS says what was looked for in an image, and which objects may not be annotated."""
    absent = np.setdiff1d(rng.choice(categories, size=11, replace=False), present)
    partial = present[rng.random(len(present)) < 0.08]
    return f',"neg_category_ids":{(absent + 1).tolist()},"not_exhaustive_category_ids":{(partial + 1).tolist()}'


def object_entries(
    images: list[tuple[Ints, Floats]], population: Population, points: int, rng: np.random.Generator
) -> Iterator[str]:
    number = 0
    crowd = "" if population.federated else ',"iscrowd":0'
    for index, (categories, boxes) in enumerate(images):
        for category, box in zip(categories.tolist(), boxes, strict=True):
            number += 1
            mask = f'"segmentation":{polygon_text(polygon(box, points, rng))},' if points else ""
            x, y, w, h = box.tolist()
            yield (
                f'{{"id":{number},"image_id":{index + 1},"category_id":{category + 1},{mask}'
                f'"bbox":[{x:.2f},{y:.2f},{w:.2f},{h:.2f}],"area":{round(w, 2) * round(h, 2):.4f}{crowd}}}'
            )


def detection_entries(
    images: list[tuple[Ints, Floats]], population: Population, seed: int, options: Predictions, *, rescored: bool
) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    other = np.random.default_rng(seed + 1)
    shape = np.random.default_rng(seed + 2)
    entry, comma = FORMATS[options.format]
    for index, (categories, boxes) in enumerate(images):
        classes, found, scores = detections_of(boxes, categories, population, options, rng)
        if rescored:
            scores = scores ** other.uniform(0.5, 1.5, len(scores))
        for category, box, score in zip(classes.tolist(), found, scores, strict=True):
            mask = mask_text(polygon(box, 24, shape)) if options.masks else ""
            yield entry.format(
                image_id=index + 1,
                category_id=category + 1,
                bbox=comma.join(number_text(side, 3, options) for side in box),
                score=number_text(score, 6, options),
                mask=f'{comma}"segmentation": {mask}' if mask else "",
            )


def number_text(value: np.float64, places: int, options: Predictions) -> str:
    """A number with `places` decimal places, or all digits of the float32."""
    return f"{value:.{places}f}" if options.digits < 15 else repr(float(np.float32(value)))


def write_annotations(path: Path, population: Population, num_images: int, points: int) -> list[tuple[Ints, Floats]]:
    """Write the annotations of so many images; returns the categories and boxes of each."""
    rng = np.random.default_rng(1)
    positives = positives_of(population.images, num_images, rng)
    images = []
    for present in positives:
        categories = np.repeat(present, rng.geometric(population.last[present]))
        images.append((categories, np.round(random_boxes(len(categories), rng), 2)))
    with path.open("w") as file:
        file.write('{"categories":')
        write_joined(file, category_entries(population))
        file.write(',"images":')
        write_joined(file, image_entries(positives, population, rng))
        file.write(',"annotations":')
        write_joined(file, object_entries(images, population, points, rng))
        file.write("}")
    return images


def write_case(folder: Path, num_images: int, *, points: int, predictions: Predictions | None) -> None:
    """Write the files listed in the docstring of this module into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    population = lvis(image_counts(num_images))
    images = write_annotations(folder / "annotations.json", population, num_images, points)
    if predictions:
        comma = FORMATS[predictions.format][1]
        for name, rescored in (("predictions.json", False), ("rescored.json", True)):
            entries = detection_entries(images, population, 2, predictions, rescored=rescored)
            with (folder / name).open("w") as file:
                write_joined(file, entries, comma)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--polygons", type=int, default=0, metavar="POINTS")
    parser.add_argument("--no-predictions", action="store_true")
    parser.add_argument("--detections", type=int, default=300, metavar="N", help="per image")
    parser.add_argument("--near", type=float, default=1 / 3, metavar="SHARE", help="of the detections are near objects")
    parser.add_argument("--digits", type=int, default=6, choices=(6, 15), help="of scores")
    parser.add_argument("--format", default="compact", choices=FORMATS)
    parser.add_argument("--masks", action="store_true", help="run lengths in the predictions")
    options = parser.parse_args()
    predictions = Predictions(options.detections, options.near, options.digits, options.format, options.masks)
    write_case(
        options.folder,
        options.images,
        points=options.polygons,
        predictions=None if options.no_predictions else predictions,
    )


if __name__ == "__main__":
    main()
