"""Make the digit scenes, train a small detector on them, and write annotations, detections and logits.

    python examples/digit_scenes/make.py [--out DIR]

Every run writes the same bytes. The README in this folder explains what is made and why.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from annotations import CATEGORY_ID, annotation_file, category_entries, label_scene
from classifier import WEIGHT_UNIT, exact_logits, train
from detection import detections
from proposals import FEATURE_LEVELS, features, propose
from scenes import DigitImages, Integers, Scene, draw_labels, draw_scene, load_halves, overlap

SEED = 0
TRAIN_SCENES, VAL_SCENES = 360, 180
TRAIN_COUNTS = (300, 190, 120, 75, 45, 28, 16, 8, 5, 3)  # train scenes that contain a digit; assigned by the seed
VAL_COUNT = 54  # val scenes that contain a digit, the same for all
FIRST_VAL_ID = TRAIN_SCENES + 1
BACKGROUND = len(CATEGORY_ID)  # the last column
SCORE_THRESHOLD = 0.01
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Outputs:
    """What a detector says about N proposals.

    logits: float16 [N, C + 1], background last. features: [N, 64], 0..16, the input of the classifier.
    image_id: int64 [N], ascending. boxes: int64 [N, 4] xyxy.
    """

    logits: npt.NDArray[np.float16]
    features: Integers
    image_id: Integers
    boxes: Integers


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


def detect(
    scenes: list[Scene], first_id: int, weights_of: Callable[[int], Integers], rng: np.random.RandomState
) -> Outputs:
    """Features and logits of every proposal; `weights_of(i)` are those of the detector that sees scene i."""
    proposals = [propose(scene.canvas, rng) for scene in scenes]
    inputs = [features(scene.canvas, boxes) for boxes, scene in zip(proposals, scenes, strict=True)]
    logits = [exact_logits(values, weights_of(index)) for index, values in enumerate(inputs)]
    image_id = np.repeat(np.arange(len(scenes)) + first_id, [len(boxes) for boxes in proposals])
    # Half precision on disk; the detections come from the rounded values.
    half = np.concatenate(logits).astype(np.float16)
    return Outputs(half, np.concatenate(inputs), image_id, np.concatenate(proposals))


def deal_folds(scenes: list[Scene]) -> Integers:
    """The fold of each scene, 0..FOLDS - 1: scenes in the order of their rarest digit are dealt out in turn.

    So the few scenes with a rare digit lie in different folds, and every detector is trained on some of them.
    """
    count = np.array([sum(digit in scene.digit for scene in scenes) for digit in range(BACKGROUND)])
    rarest = [count[scene.digit].min(initial=len(scenes)) for scene in scenes]
    fold = np.empty(len(scenes), np.int64)
    fold[np.argsort(rarest, kind="stable")] = np.arange(len(scenes)) % FOLDS
    return fold


def detect_out_of_fold(scenes: list[Scene], rng: np.random.RandomState) -> Outputs:
    """Outputs on scenes of the train set, those of a fold from a detector trained on the other folds."""
    fold = deal_folds(scenes)
    weights = [
        train_detector([scene for scene, its in zip(scenes, fold, strict=True) if its != left_out], rng)
        for left_out in range(FOLDS)
    ]
    return detect(scenes, 1, lambda index: weights[fold[index]], rng)


def write_logits(out: Path, name: str, outputs: Outputs, **classifier: npt.NDArray[np.float16]) -> None:
    # Not compressed: compressed bytes differ between versions of zlib.
    np.savez(
        out / f"{name}.npz",
        logits=outputs.logits,
        image_id=outputs.image_id,
        boxes=outputs.boxes.astype(np.float32),
        features=(outputs.features / FEATURE_LEVELS).astype(np.float16),  # exact, as the weight is
        **classifier,
    )
    meta = {"format": "ltcal-logits/1", "head": "softmax", "background": "last", "category_ids": CATEGORY_ID}
    write_json(out / f"{name}.meta.json", meta)


def classifier_weight(weights: Integers) -> npt.NDArray[np.float16]:
    """The `weight` [C + 1, 64] of a logits file: what `weights` [64 + 1, C + 1] multiply the features with, no bias."""
    return (weights[:-1].T * WEIGHT_UNIT).astype(np.float16)


def write_detections(out: Path, outputs: Outputs) -> None:
    logits = outputs.logits.astype(np.float64)
    found = detections(logits, outputs.image_id, outputs.boxes, CATEGORY_ID, SCORE_THRESHOLD)
    write_json(out / "predictions.json", found)


def main(out: Path) -> None:
    rng = np.random.RandomState(SEED)
    train_digits, val_digits = load_halves()
    train_scenes = make_scenes(rng.permutation(TRAIN_COUNTS), TRAIN_SCENES, train_digits, rng)
    val_scenes = make_scenes(np.full(len(CATEGORY_ID), VAL_COUNT), VAL_SCENES, val_digits, rng)
    weights = train_detector(train_scenes, rng)
    out.mkdir(parents=True, exist_ok=True)
    write_annotations(out, train_scenes, val_scenes, rng)
    val_outputs = detect(val_scenes, FIRST_VAL_ID, lambda _: weights, rng)
    write_logits(out, "logits", val_outputs, weight=classifier_weight(weights))
    write_detections(out, val_outputs)
    write_logits(out, "train_logits", detect_out_of_fold(train_scenes, rng))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Make the digit scenes and a detector's outputs on them.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: %(default)s")
    main(parser.parse_args().out)
