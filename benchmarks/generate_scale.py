"""Generate an LVIS-like case of many detections, identical for the same arguments, in little memory.

    python benchmarks/generate_scale.py OUT_DIR --millions 100

writes `annotations.json` (as generate.py does, but with 3.2 categories per image at any size) and
`predictions.parquet`: 300 detections per image, in the order of the images and in row groups of about a million rows,
as a program writes them that goes through a data set. Half of the detections are near objects, four fifths of these
with their class; scores and boxes are float32, as models return them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from generate import Floats, Ints, Predictions, detections_of, image_counts, write_annotations

CATEGORIES_PER_IMAGE = 3.2
GROUP_ROWS = 1 << 20
PREDICTIONS = Predictions(detections=300, near=0.5, digits=15, format="parquet", masks=False)


def counts_of(num_images: int) -> Ints:
    """Images per category [C], `CATEGORIES_PER_IMAGE` times the images in all: the exponent is found by halving."""
    low, high = 0.01, 5.0
    for _ in range(30):
        middle = (low + high) / 2
        few = image_counts(num_images, middle).sum() < CATEGORIES_PER_IMAGE * num_images
        low, high = (middle, high) if few else (low, middle)
    return image_counts(num_images, high)


def detections_table(images: list[tuple[Ints, Floats]], first: int, rng: np.random.Generator) -> pa.Table:
    """The detections of some images as COCO results in columns. first: the index of the first image."""
    found = [detections_of(boxes, categories, PREDICTIONS, rng) for categories, boxes in images]
    category, box, score = (np.concatenate(values) for values in zip(*found, strict=True))
    image = np.repeat(np.arange(first + 1, first + 1 + len(images)), PREDICTIONS.detections)
    sides = pa.array(box.astype(np.float32).ravel())
    lists = pa.ListArray.from_arrays(np.arange(0, 4 * len(box) + 1, 4, dtype=np.int32), sides)
    return pa.table({"image_id": image, "category_id": category + 1, "bbox": lists, "score": score.astype(np.float32)})


def write_predictions(path: Path, images: list[tuple[Ints, Floats]]) -> None:
    """Write a row group for every `GROUP_ROWS` detections."""
    step = GROUP_ROWS // PREDICTIONS.detections
    rng = np.random.default_rng(2)
    first = detections_table(images[:step], 0, rng)
    with pq.ParquetWriter(path, first.schema) as writer:
        writer.write_table(first, len(first))
        for begin in range(step, len(images), step):
            table = detections_table(images[begin : begin + step], begin, rng)
            writer.write_table(table, len(table))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="OUT_DIR")
    parser.add_argument("--millions", type=float, default=1, help="of detections")
    options = parser.parse_args()
    num_images = round(options.millions * 1e6 / PREDICTIONS.detections)
    options.folder.mkdir(parents=True, exist_ok=True)
    images = write_annotations(options.folder / "annotations.json", counts_of(num_images), num_images, 0)
    write_predictions(options.folder / "predictions.parquet", images)


if __name__ == "__main__":
    main()
