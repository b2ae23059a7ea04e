"""Make the digit scenes, train a small detector on them, and write annotations, detections and logits.

    python examples/digit_scenes/make.py [--out DIR]

Every run writes the same bytes. The README in this folder explains what is made and why.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
from annotations import CATEGORY_ID, annotation_file, category_entries, label_scene
from classifier import exact_logits, train
from detection import detections
from proposals import features, propose
from scenes import DigitImages, Integers, Scene, draw_labels, draw_scene, load_halves, overlap

SEED = 0
TRAIN_SCENES, VAL_SCENES = 360, 180
TRAIN_COUNTS = (300, 190, 120, 75, 45, 28, 16, 8, 5, 3)  # train scenes that contain a digit; assigned by the seed
VAL_COUNT = 54  # val scenes that contain a digit, the same for all
FIRST_VAL_ID = TRAIN_SCENES + 1
BACKGROUND = len(CATEGORY_ID)  # the last column
SCORE_THRESHOLD = 0.01


def make_scenes(counts: Integers, num_scenes: int, digits: DigitImages, rng: np.random.RandomState) -> list[Scene]:
    return [draw_scene(labels, digits, rng) for labels in draw_labels(counts, num_scenes, rng)]


def target_classes(boxes: Integers, scene: Scene) -> Integers:
    """The digit that each box [N, 4] overlaps most if their IoU is at least 0.5; otherwise `BACKGROUND`."""
    if len(scene.boxes) == 0:
        return np.full(len(boxes), BACKGROUND)
    shared, area, digit_area = overlap(boxes, scene.boxes)
    iou = shared / (area + digit_area - shared)
    return np.where(iou.max(axis=1) >= 0.5, scene.digit[iou.argmax(axis=1)], BACKGROUND)


def train_detector(scenes: list[Scene], rng: np.random.RandomState) -> Integers:
    """Weights learned from all proposals of digits and equally many random background proposals."""
    proposals = [propose(scene.canvas, rng) for scene in scenes]
    target = np.concatenate([target_classes(boxes, scene) for boxes, scene in zip(proposals, scenes, strict=True)])
    inputs = np.concatenate([features(scene.canvas, boxes) for boxes, scene in zip(proposals, scenes, strict=True)])
    foreground, background = np.flatnonzero(target != BACKGROUND), np.flatnonzero(target == BACKGROUND)
    rows = np.concatenate([foreground, rng.permutation(background)[: len(foreground)]])
    return train(inputs[rows], target[rows], BACKGROUND + 1)


def write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8", newline="\n")


def write_annotations(
    out: Path, train_scenes: list[Scene], val_scenes: list[Scene], rng: np.random.RandomState
) -> None:
    categories = category_entries(train_scenes)
    for split, first_id, scenes in (("train", 1, train_scenes), ("val", FIRST_VAL_ID, val_scenes)):
        labellings = [label_scene(scene, rng, exhaustive=split == "train") for scene in scenes]
        write_json(out / f"{split}.json", annotation_file(split, first_id, scenes, labellings, categories))


def write_outputs(out: Path, scenes: list[Scene], weights: Integers, rng: np.random.RandomState) -> None:
    """The detector's outputs on the val scenes: the logits of every proposal, and the detections decoded from them."""
    proposals = [propose(scene.canvas, rng) for scene in scenes]
    image_id = np.repeat(np.arange(len(scenes)) + FIRST_VAL_ID, [len(boxes) for boxes in proposals])
    boxes = np.concatenate(proposals)
    inputs = np.concatenate([features(scene.canvas, found) for scene, found in zip(scenes, proposals, strict=True)])
    # Half precision on disk; the detections come from the rounded values.
    logits = exact_logits(inputs, weights).astype(np.float16)
    # Not compressed: compressed bytes differ between versions of zlib.
    np.savez(out / "logits.npz", logits=logits, image_id=image_id, boxes=boxes.astype(np.float32))
    meta = {"format": "ltcal-logits/1", "head": "softmax", "background": "last", "category_ids": CATEGORY_ID}
    write_json(out / "logits.meta.json", meta)
    found = detections(logits.astype(np.float64), image_id, boxes, CATEGORY_ID, SCORE_THRESHOLD)
    write_json(out / "predictions.json", found)


def main(out: Path) -> None:
    rng = np.random.RandomState(SEED)
    train_digits, val_digits = load_halves()
    train_scenes = make_scenes(rng.permutation(TRAIN_COUNTS), TRAIN_SCENES, train_digits, rng)
    val_scenes = make_scenes(np.full(len(CATEGORY_ID), VAL_COUNT), VAL_SCENES, val_digits, rng)
    weights = train_detector(train_scenes, rng)
    out.mkdir(parents=True, exist_ok=True)
    write_annotations(out, train_scenes, val_scenes, rng)
    write_outputs(out, val_scenes, weights, rng)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the digit scenes and a detector's outputs on them.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: %(default)s")
    main(parser.parse_args().out)
