"""Generate a case of many detections, identical for the same arguments, in little memory.

    python benchmarks/generate_scale.py OUT_DIR --millions 100
    python benchmarks/generate_scale.py OUT_DIR --millions 100 --protocol coco

writes `annotations.json` and `predictions.parquet`: detections in the order of the images and in row groups of about a
million rows, as a program writes them that goes through a data set. Half of the detections are near objects, four
fifths of these with their class; scores and boxes are float32, as models return them.

- lvis: 1,203 categories, 300 detections per image, 3.2 categories per image at any size, federated annotations.
- coco: the 80 categories of COCO, 100 detections per image. Categories have the shares of images and objects that they
  have in COCO train2017 (`ltcal`'s table `coco-2017`), so there are 7.3 objects per image. The detector's mistakes have
  the same shares, so 29% of all detections are of the category person.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from generate import Floats, Ints, Population, Predictions, detections_of, image_counts, lvis, write_annotations

from longtail_cli.files.shipped import shipped_table

CATEGORIES_PER_IMAGE = 3.2
"""Of LVIS."""
GROUP_ROWS = 1 << 20
DETECTIONS_PER_IMAGE = {"lvis": 300, "coco": 100}
"""The limits of the protocols."""


@dataclass(frozen=True)
class Case:
    """What is generated."""

    num_images: int
    population: Population
    predictions: Predictions


def case(protocol: str, detections: float) -> Case:
    """A case of about so many detections."""
    each = DETECTIONS_PER_IMAGE[protocol]
    num_images = round(detections / each)
    population = coco(num_images) if protocol == "coco" else lvis(lvis_counts(num_images))
    return Case(num_images, population, Predictions(each, near=0.5, digits=15, format="parquet", masks=False))


def lvis_counts(num_images: int) -> Ints:
    """Images per category [C], `CATEGORIES_PER_IMAGE` times the images in all: the exponent is found by halving."""
    low, high = 0.01, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        few = image_counts(num_images, middle).sum() < CATEGORIES_PER_IMAGE * num_images
        low, high = (middle, high) if few else (low, middle)
    return image_counts(num_images, high)


def coco(num_images: int) -> Population:
    """As COCO: the shares of images and objects of each category, among annotations and mistakes alike."""
    counts = shipped_table("coco-2017")
    assert counts.num_images is not None
    shares = np.cumsum(counts.instance_count / counts.instance_count.sum())

    def draw(number: int, rng: np.random.Generator) -> Ints:
        return np.minimum(np.searchsorted(shares, rng.random(number), side="right"), len(shares) - 1)

    return Population(
        np.maximum(np.rint(counts.image_count * (num_images / counts.num_images)).astype(np.int64), 1),
        last=counts.image_count / counts.instance_count,
        federated=False,
        wrong=draw,
        background=draw,
    )


def detections_table(case: Case, images: list[tuple[Ints, Floats]], first: int, rng: np.random.Generator) -> pa.Table:
    """The detections of some images as COCO results in columns. first: the index of the first image."""
    found = [detections_of(boxes, categories, case.population, case.predictions, rng) for categories, boxes in images]
    category, box, score = (np.concatenate(values) for values in zip(*found, strict=True))
    image = np.repeat(np.arange(first + 1, first + 1 + len(images)), case.predictions.detections)
    sides = pa.array(box.astype(np.float32).ravel())
    lists = pa.ListArray.from_arrays(np.arange(0, 4 * len(box) + 1, 4, dtype=np.int32), sides)
    return pa.table({"image_id": image, "category_id": category + 1, "bbox": lists, "score": score.astype(np.float32)})


def write_predictions(path: Path, case: Case, images: list[tuple[Ints, Floats]]) -> None:
    """Write a row group for every `GROUP_ROWS` detections."""
    step = GROUP_ROWS // case.predictions.detections
    rng = np.random.default_rng(2)
    first = detections_table(case, images[:step], 0, rng)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first, len(first))
        for begin in range(step, len(images), step):
            table = detections_table(case, images[begin : begin + step], begin, rng)
            writer.write_table(table, len(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--millions", type=float, default=1, help="of detections")
    parser.add_argument("--protocol", choices=DETECTIONS_PER_IMAGE, default="lvis")
    options = parser.parse_args()
    own = case(options.protocol, options.millions * 1e6)
    options.folder.mkdir(parents=True, exist_ok=True)
    images = write_annotations(options.folder / "annotations.json", own.population, own.num_images, 0)
    write_predictions(options.folder / "predictions.parquet", own, images)


if __name__ == "__main__":
    main()
