"""Logits with features of a linear model, and annotations for them, to fit on."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

IDS = (10, 20, 30, 40, 50)
COUNTS = (60, 30, 12, 5, 3)
"""Training images of each class."""
DIMENSIONS = 6
Arrays = dict[str, Any]


def model(head: str = "softmax", background: str = "none") -> tuple[np.ndarray, np.ndarray]:
    """The weight [K, D] and the bias [K] of the last layer, with the classes in order of id; float32."""
    width = len(IDS) + (background != "none")
    random = np.random.default_rng(99)
    return random.normal(size=(width, DIMENSIONS)).astype("f4"), random.normal(size=width).astype("f4") / 4


def ordered(background: str, ids: tuple[int, ...]) -> np.ndarray:
    """The column that each of the K columns has when the classes are in order of id: int64 [K]."""
    order = np.searchsorted(IDS, ids)
    if background == "first":
        return np.concatenate([[0], order + 1])
    return np.append(order, len(IDS)) if background == "last" else order


def classifier(
    path: str, *, seed: int = 0, head: str = "softmax", background: str = "none", ids: tuple[int, ...] = IDS,
    rows: tuple[int, ...] = (30, 25, 20, 12, 8), **changes: Any,
) -> Arrays:  # fmt: skip
    """Write labelled rows of a classifier with these columns, and return its arrays.

    rows: of each class, in order of id. changes: arrays that replace others, None for those to leave out.
    """
    random = np.random.default_rng(seed)
    label = random.permutation(np.repeat(np.arange(len(IDS)), rows))
    weight, bias = model(head, background)
    first = int(background == "first")
    features = (0.8 * weight[label + first] + random.normal(size=(len(label), DIMENSIONS))).astype("f4")
    column = ordered(background, ids)
    arrays = {
        "logits": features @ weight[column].T + bias[column],
        "labels": np.argsort(np.searchsorted(IDS, ids))[label],
        "features": features,
        "weight": weight[column],
    }
    return _written(path, arrays, changes, head, background, ids)


def detector(
    path: str, *, seed: int = 0, head: str = "softmax", background: str = "last", ids: tuple[int, ...] = IDS,
    images: tuple[int, ...] = tuple(range(1, 31)), **changes: Any,
) -> Arrays:  # fmt: skip
    """Write proposals of a detector, a quarter of them on objects, and ``PATH.json`` with the annotations."""
    random = np.random.default_rng(seed)
    weight, bias = model(head, background)
    entries, proposals = [], []
    for image in images:
        for number, c in enumerate(random.choice(len(IDS), 4, p=[0.4, 0.25, 0.15, 0.1, 0.1])):
            x, y = 100 * number, 100 * int(random.integers(3))
            size = 30 + 5 * int(random.integers(6))
            entries.append((image, c, [x, y, size, size]))
            proposals.append((image, int(c), [x + 2, y + 1, x + size, y + size]))
            proposals += [(image, -1, [x + d, 300 + d, x + d + size, 300 + d + size]) for d in (5, 9, 20)]
    image_id, label, boxes = (np.array(one) for one in zip(*proposals, strict=True))
    mean = np.where(label[:, None] < 0, 0, 0.8 * weight[label + int(background == "first")])
    features = (mean + random.normal(size=(len(label), DIMENSIONS))).astype("f4")
    column = ordered(background, ids)
    arrays = {
        "logits": features @ weight[column].T + bias[column],
        "image_id": image_id,
        "boxes": boxes.astype("f4"),
        "features": features,
        "weight": weight[column],
    }
    Path(path).with_suffix(".json").write_text(json.dumps(annotations(images, entries)))
    return _written(path, arrays, changes, head, background, ids)


def detections(path: str = "p.json") -> list[dict[str, Any]]:
    """Write one detection for each proposal of a detector, with its annotations in ``d.json``."""
    own = detector("d.npz")
    scores = 1 / (1 + np.exp(-own["logits"][:, :-1]))
    entries = [
        {"image_id": int(image), "category_id": IDS[int(row.argmax())], "score": float(row.max()),
         "bbox": [float(box[0]), float(box[1]), float(box[2] - box[0]), float(box[3] - box[1])]}
        for image, row, box in zip(own["image_id"], scores, own["boxes"], strict=True)
    ]  # fmt: skip
    Path(path).write_text(json.dumps(entries))
    return entries


def annotations(images: tuple[int, ...], entries: list[tuple[int, int, list[int]]]) -> dict[str, Any]:
    """COCO annotations of objects: image, class, xywh."""
    objects = [
        {"id": n, "image_id": image, "category_id": IDS[c], "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
        for n, (image, c, box) in enumerate(entries, 1)
    ]
    return {
        "images": [{"id": one, "width": 500, "height": 500, "file_name": f"{one}.jpg"} for one in images],
        "categories": [{"id": one, "name": f"c{one}"} for one in IDS],
        "annotations": objects,
    }


def _written(path: str, arrays: Arrays, changes: Arrays, head: str, background: str, ids: tuple[int, ...]) -> Arrays:
    arrays = {name: one for name, one in (arrays | changes).items() if one is not None}
    np.savez(path, **arrays)
    metadata = {"format": "ltcal-logits/1", "head": head, "background": background, "category_ids": ids}
    Path(path).with_suffix(".meta.json").write_text(json.dumps(metadata))
    return arrays


def frequencies(path: str, ids: tuple[int, ...] = IDS, counts: tuple[int, ...] = COUNTS) -> None:
    """Write a frequency table of classes that occur once per image."""
    groups = ["many", "many", "medium", "few", "few"]
    lines = [f"{one},c{one},{n},{n},{group},{n / 110}" for one, n, group in zip(ids, counts, groups, strict=False)]
    Path(path).write_text("\n".join(["category_id,name,image_count,instance_count,group,image_rate", *lines, ""]))
