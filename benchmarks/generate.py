"""Generate an LVIS-like evaluation case of any size, byte-identical for the same arguments.

    python benchmarks/generate.py OUT_DIR --images 4000

writes `annotations.json` (1,203 categories, image counts from 1 to about a tenth of the images, federated
positive / negative / not-exhaustive lists), `predictions.json` (300 detections per image) and `rescored.json`
(the same boxes in the same order with different scores). `--polygons 40` adds polygons of that many points to every
object; 100,170 images with polygons and `--no-predictions` give a file of the size of LVIS train (1.1 GB).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import numpy as np
import numpy.typing as npt

NUM_CATEGORIES = 1203
DETECTIONS_PER_IMAGE = 300
IMAGE_SIZE = (480, 640)
LARGEST_SHARE = 1900 / 19809  # the most frequent class of LVIS v1 val is in 1,900 of its 19,809 images

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def image_counts(num_images: int) -> Ints:
    """Images per category [C]: from `LARGEST_SHARE` of the images down to 1, in shuffled id order.

    The exponent 0.45 gives 3.2 categories per image for 19,809 images, about as many as in LVIS.
    """
    largest = max(2.0, LARGEST_SHARE * num_images)
    rank = np.linspace(0, 1, NUM_CATEGORIES)
    counts = np.rint(largest ** (1 - rank**0.45)).astype(np.int64)
    return np.random.default_rng(0).permutation(counts)


def positives_of(counts: Ints, num_images: int, rng: np.random.Generator) -> list[Ints]:
    """The sorted category indices of each image."""
    image = np.concatenate([rng.choice(num_images, size=count, replace=False) for count in counts])
    category = np.repeat(np.arange(NUM_CATEGORIES), counts)
    order = np.lexsort((category, image))
    return np.split(category[order], np.searchsorted(image[order], np.arange(1, num_images)))


def random_boxes(number: int, rng: np.random.Generator) -> Floats:
    """`number` xywh boxes inside the image, sizes log-uniform from 4 to 400 pixels."""
    height, width = IMAGE_SIZE
    size = np.exp(rng.uniform(np.log(4), np.log(400), (number, 2)))
    origin = rng.uniform(0, 1, (number, 2)) * np.maximum([width, height] - size, 1.0)
    return np.hstack([origin, size])


def detections_of(boxes: Floats, categories: Ints, rng: np.random.Generator) -> tuple[Ints, Floats, Floats]:
    """Categories, boxes and scores of an image's 300 detections.

    A third are near objects (a fifth of these with a wrong class); the rest are background, with a class drawn with a
    bias to low ids, as detectors favour frequent classes.
    """
    number = DETECTIONS_PER_IMAGE // 3 if len(boxes) else 0
    copied = rng.integers(len(boxes), size=number) if number else np.zeros(0, np.int64)
    jitter = rng.normal(0, 0.12, (number, 4)) * np.tile(boxes[copied, 2:], 2)
    near = boxes[copied] + jitter
    near[:, 2:] = np.maximum(near[:, 2:], 1.0)
    background = DETECTIONS_PER_IMAGE - number
    wrong = rng.random(number) < 0.2
    near_class = np.where(wrong, rng.integers(NUM_CATEGORIES, size=number), categories[copied])
    far_class = (NUM_CATEGORIES * rng.random(background) ** 2).astype(np.int64)
    score = np.concatenate([rng.beta(1.2, 4, number), rng.beta(0.5, 8, background)])
    return np.concatenate([near_class, far_class]), np.vstack([near, random_boxes(background, rng)]), score


def polygon_text(box: Floats, points: int, rng: np.random.Generator) -> str:
    """One polygon of `points` points on an irregular ellipse inside `box`, as JSON."""
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = rng.uniform(0.8, 1.0, points)
    x = box[0] + box[2] * (0.5 + 0.5 * radius * np.cos(angle))
    y = box[1] + box[3] * (0.5 + 0.5 * radius * np.sin(angle))
    return "[[" + ",".join(f"{value:.2f}" for value in np.column_stack([x, y]).ravel()) + "]]"


def write_joined(file: TextIO, entries: Iterator[str]) -> None:
    """Write `entries` as the body of a JSON list."""
    file.write("[" + next(entries))
    for entry in entries:
        file.write("," + entry)
    file.write("]")


def category_entries(counts: Ints) -> Iterator[str]:
    for index, count in enumerate(counts):
        frequency = "r" if count <= 10 else "c" if count <= 100 else "f"
        yield (
            f'{{"id":{index + 1},"name":"class_{index + 1}","frequency":"{frequency}",'
            f'"image_count":{count},"instance_count":{2 * count}}}'
        )


def image_entries(positives: list[Ints], rng: np.random.Generator) -> Iterator[str]:
    for index, present in enumerate(positives):
        absent = np.setdiff1d(rng.choice(NUM_CATEGORIES, size=11, replace=False), present)
        partial = present[rng.random(len(present)) < 0.08]
        yield (
            f'{{"id":{index + 1},"width":{IMAGE_SIZE[1]},"height":{IMAGE_SIZE[0]},'
            f'"coco_url":"http://images.example/{index + 1:012d}.jpg",'
            f'"neg_category_ids":{(absent + 1).tolist()},"not_exhaustive_category_ids":{(partial + 1).tolist()}}}'
        )


def object_entries(images: list[tuple[Ints, Floats]], points: int, rng: np.random.Generator) -> Iterator[str]:
    number = 0
    for index, (categories, boxes) in enumerate(images):
        for category, box in zip(categories.tolist(), boxes, strict=True):
            number += 1
            mask = f'"segmentation":{polygon_text(box, points, rng)},' if points else ""
            x, y, w, h = box.tolist()
            yield (
                f'{{"id":{number},"image_id":{index + 1},"category_id":{category + 1},{mask}'
                f'"bbox":[{x:.2f},{y:.2f},{w:.2f},{h:.2f}],"area":{round(w, 2) * round(h, 2):.4f}}}'
            )


def detection_entries(images: list[tuple[Ints, Floats]], seed: int, *, rescored: bool) -> Iterator[str]:
    rng = np.random.default_rng(seed)
    other = np.random.default_rng(seed + 1)
    for index, (categories, boxes) in enumerate(images):
        classes, found, scores = detections_of(boxes, categories, rng)
        if rescored:
            scores = scores ** other.uniform(0.5, 1.5, len(scores))
        for category, (x, y, w, h), score in zip(classes.tolist(), found.tolist(), scores.tolist(), strict=True):
            yield (
                f'{{"image_id":{index + 1},"category_id":{category + 1},'
                f'"bbox":[{x:.3f},{y:.3f},{w:.3f},{h:.3f}],"score":{score:.6f}}}'
            )


def write_case(folder: Path, num_images: int, *, points: int, predictions: bool) -> None:
    """Write the files listed in the docstring of this module into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(1)
    counts = image_counts(num_images)
    positives = positives_of(counts, num_images, rng)
    images = []
    for present in positives:
        categories = np.repeat(present, rng.geometric(0.28, len(present)))
        images.append((categories, np.round(random_boxes(len(categories), rng), 2)))
    with (folder / "annotations.json").open("w") as file:
        file.write('{"categories":')
        write_joined(file, category_entries(counts))
        file.write(',"images":')
        write_joined(file, image_entries(positives, rng))
        file.write(',"annotations":')
        write_joined(file, object_entries(images, points, rng))
        file.write("}")
    if predictions:
        for name, rescored in (("predictions.json", False), ("rescored.json", True)):
            with (folder / name).open("w") as file:
                write_joined(file, detection_entries(images, 2, rescored=rescored))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--images", type=int, default=4000)
    parser.add_argument("--polygons", type=int, default=0, metavar="POINTS")
    parser.add_argument("--no-predictions", action="store_true")
    options = parser.parse_args()
    write_case(options.folder, options.images, points=options.polygons, predictions=not options.no_predictions)


if __name__ == "__main__":
    main()
