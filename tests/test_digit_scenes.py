"""The example set: its files come from its script, agree with one another, and show a long tail."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools import mask as mask_codec

FOLDER = Path(__file__).parents[1] / "examples" / "digit_scenes"
LOGITS = {"train": "train_logits", "val": "logits"}  # of the scenes of a split
MADE = (
    "train.json",
    "val.json",
    "predictions.json",
    *(f"{name}.{ending}" for name in LOGITS.values() for ending in ("npz", "meta.json")),
)


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def load_logits(split: str) -> dict[str, Any]:
    with np.load(FOLDER / f"{LOGITS[split]}.npz") as arrays:
        return {**load(f"{LOGITS[split]}.meta.json"), **arrays}


def pairs(images: list[dict[str, Any]], field: str) -> set[tuple[int, int]]:
    return {(image["id"], category) for image in images for category in image[field]}


def test_the_script_makes_the_committed_files_to_the_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "make.py", "--out", tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MADE)
    assert [name for name in MADE if (tmp_path / name).read_bytes() != (FOLDER / name).read_bytes()] == []


def test_made_files_stay_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in MADE) < 8_000_000


@pytest.mark.parametrize("split", ["train", "val"])
def test_annotations_are_consistent(split: str) -> None:
    content = load(f"{split}.json")
    images, annotations, categories = content["images"], content["annotations"], content["categories"]
    for entries in (images, annotations, categories):
        assert len({entry["id"] for entry in entries}) == len(entries) > 0
    assert {annotation["image_id"] for annotation in annotations} <= {image["id"] for image in images}
    assert {annotation["category_id"] for annotation in annotations} == {category["id"] for category in categories}
    positive = {(annotation["image_id"], annotation["category_id"]) for annotation in annotations}
    assert not positive & pairs(images, "neg_category_ids")
    assert pairs(images, "not_exhaustive_category_ids") <= positive


@pytest.mark.parametrize("split", ["train", "val"])
def test_box_area_and_mask_agree(split: str) -> None:
    content = load(f"{split}.json")
    size = {image["id"]: (image["height"], image["width"]) for image in content["images"]}
    for annotation in content["annotations"]:
        (mask,) = mask_codec.frPyObjects(annotation["segmentation"], *size[annotation["image_id"]])
        assert mask_codec.toBbox(mask).tolist() == annotation["bbox"]
        assert mask_codec.area(mask) == annotation["area"] == annotation["bbox"][2] * annotation["bbox"][3]


def test_both_files_state_the_counts_and_groups_of_the_train_file() -> None:
    train, val = load("train.json"), load("val.json")
    images, instances = defaultdict(set), Counter()
    for annotation in train["annotations"]:
        images[annotation["category_id"]].add(annotation["image_id"])
        instances[annotation["category_id"]] += 1
    for category in train["categories"]:
        count = len(images[category["id"]])
        group = "r" if count <= 10 else "c" if count <= 100 else "f"
        expected = (count, instances[category["id"]], group)
        assert (category["image_count"], category["instance_count"], category["frequency"]) == expected
    assert val["categories"] == train["categories"]


def test_train_set_is_long_tailed_and_val_set_large_enough() -> None:
    val = load("val.json")
    groups = Counter(category["frequency"] for category in val["categories"])
    assert min(groups[letter] for letter in "rcf") >= 3
    assert min(Counter(annotation["category_id"] for annotation in val["annotations"]).values()) >= 30


def test_val_set_is_federated() -> None:
    val = load("val.json")
    positive = {(annotation["image_id"], annotation["category_id"]) for annotation in val["annotations"]}
    judged = positive | pairs(val["images"], "neg_category_ids")
    assert len(judged) < len(val["images"]) * len(val["categories"])
    assert len(pairs(val["images"], "not_exhaustive_category_ids")) > 0


def test_train_and_val_share_no_image() -> None:
    assert not {image["id"] for image in load("train.json")["images"]} & {
        image["id"] for image in load("val.json")["images"]
    }


@pytest.mark.parametrize("split", ["train", "val"])
def test_logits_follow_their_format(split: str) -> None:
    logits = load_logits(split)
    assert (logits["format"], logits["head"], logits["background"]) == ("ltcal-logits/1", "softmax", "last")
    assert logits["category_ids"] == [category["id"] for category in load("val.json")["categories"]]
    rows = len(logits["image_id"])
    assert logits["logits"].shape == (rows, len(logits["category_ids"]) + 1)
    assert logits["boxes"].shape == (rows, 4)
    assert (logits["logits"].dtype, logits["boxes"].dtype, logits["image_id"].dtype) == (
        np.float16,
        np.float32,
        np.int64,
    )
    changes = np.count_nonzero(np.diff(logits["image_id"]))
    assert changes + 1 == len(np.unique(logits["image_id"])), "rows of one image are contiguous"
    assert set(logits["image_id"].tolist()) == {image["id"] for image in load(f"{split}.json")["images"]}


@pytest.mark.parametrize("split", ["train", "val"])
def test_features_are_the_grey_levels(split: str) -> None:
    features = load_logits(split)["features"]
    assert (features.shape[1], features.dtype) == (64, np.float16)
    assert np.unique(features).tolist() == [level / 16 for level in range(17)]


def test_features_weight_and_bias_give_the_logits() -> None:
    """The bias is not stored: the mean over the rows gives it up to 2e-5, and it is a multiple of 1/256."""
    val = load_logits("val")
    products = val["features"].astype(np.float64) @ val["weight"].T.astype(np.float64)
    rest = val["logits"] - products
    bias = np.rint(256 * rest.mean(axis=0)) / 256
    np.testing.assert_allclose(rest.mean(axis=0), bias, rtol=0, atol=2e-5)
    assert np.abs(rest - bias).max() <= 2**-8
    np.testing.assert_array_equal((products + bias).astype(np.float16), val["logits"])


def test_train_logits_of_several_detectors_have_no_weight() -> None:
    assert "weight" not in load_logits("train")


def test_train_logits_are_not_memorised() -> None:
    """Out of fold, rare digits of the train scenes are missed about as often as those of the val scenes."""
    share = {}
    for split in LOGITS:
        logits, content = load_logits(split), load(f"{split}.json")
        rare = {category["id"] for category in content["categories"] if category["frequency"] == "r"}
        objects = [annotation for annotation in content["annotations"] if annotation["category_id"] in rare]
        share[split] = np.mean([best_guess(logits, one) == one["category_id"] for one in objects])
    assert share["train"] < share["val"] + 0.15


def test_predictions_follow_from_the_logits() -> None:
    """Softmax over all columns, score > 0.01, then per class the suppression of IoU > 0.5, in plain loops."""
    logits = load_logits("val")
    expected = [entry for image in np.unique(logits["image_id"]) for entry in plain_detections(logits, image)]
    found = load("predictions.json")
    assert [strip(entry) for entry in found] == [strip(entry) for entry in expected]
    assert [entry["score"] for entry in found] == pytest.approx([entry["score"] for entry in expected], abs=1e-6, rel=0)


def test_a_cap_of_twenty_detections_an_image_cuts() -> None:
    an_image = Counter(entry["image_id"] for entry in load("predictions.json"))
    assert sum(count > 20 for count in an_image.values()) > 0.9 * len(load("val.json")["images"])


def best_guess(logits: dict[str, Any], annotation: dict[str, Any]) -> int | None:
    """The category with the highest logit for the proposal that overlaps an object most; None for the background."""
    left, top, width, height = annotation["bbox"]
    rows = np.flatnonzero(logits["image_id"] == annotation["image_id"])
    box = [left, top, left + width, top + height]
    row = max(rows, key=lambda row: plain_iou(logits["boxes"][row].tolist(), box))
    return [*logits["category_ids"], None][logits["logits"][row].argmax()]


def strip(entry: dict[str, Any]) -> tuple[int, int, list[int]]:
    return entry["image_id"], entry["category_id"], entry["bbox"]


def plain_detections(logits: dict[str, Any], image: int) -> list[dict[str, Any]]:
    rows = np.flatnonzero(logits["image_id"] == image)
    boxes = [[int(edge) for edge in logits["boxes"][row]] for row in rows]
    scores = [plain_softmax(logits["logits"][row].tolist()) for row in rows]
    found = []
    for column, category in enumerate(logits["category_ids"]):
        kept: list[int] = []
        for row in sorted(range(len(rows)), key=lambda row: -scores[row][column]):
            if scores[row][column] > 0.01 and all(plain_iou(boxes[row], boxes[other]) <= 0.5 for other in kept):
                kept.append(row)
        for row in kept:
            x0, y0, x1, y1 = boxes[row]
            bbox, score = [x0, y0, x1 - x0, y1 - y0], scores[row][column]
            found.append({"image_id": image, "category_id": category, "bbox": bbox, "score": score})
    return found


def plain_softmax(logits: list[float]) -> list[float]:
    total = sum(math.exp(value) for value in logits)
    return [round(math.exp(value) / total, 6) for value in logits]


def plain_iou(first: list[int], second: list[int]) -> float:
    width = min(first[2], second[2]) - max(first[0], second[0])
    height = min(first[3], second[3]) - max(first[1], second[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return shared / (sum(areas) - shared)
