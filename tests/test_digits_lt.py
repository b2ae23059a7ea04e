"""The example of classification: its files come from its script, agree with one another, and show a long tail."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

FOLDER = Path(__file__).parents[1] / "examples" / "digits_lt"
LOGITS = ("logits", "train_logits")
MADE = ("train.txt", *(f"{name}.{ending}" for name in LOGITS for ending in ("npz", "meta.json")))
CLASSES = 10


@pytest.fixture(scope="module")
def train_list() -> list[tuple[int, int]]:
    """Row in scikit-learn's digits, and label, of each train image."""
    lines = (FOLDER / "train.txt").read_text(encoding="utf-8").splitlines()
    return [(int(Path(path).stem), int(label)) for path, label in map(str.split, lines)]


def load_logits(name: str) -> dict[str, np.ndarray]:
    with np.load(FOLDER / f"{name}.npz") as found:
        return dict(found)


def test_the_script_makes_the_committed_files_to_the_byte(tmp_path: Path) -> None:
    subprocess.run([sys.executable, FOLDER / "make.py", "--out", tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(MADE)
    assert [name for name in MADE if (tmp_path / name).read_bytes() != (FOLDER / name).read_bytes()] == []


def test_made_files_stay_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in MADE) < 100_000


def test_train_set_is_long_tailed(train_list: list[tuple[int, int]]) -> None:
    counts = sorted(Counter(label for _, label in train_list).values(), reverse=True)
    assert counts == [round(86 * (2 / 86) ** (k / 9)) for k in range(CLASSES)]


def test_train_images_are_of_the_first_half_and_test_images_of_the_second(train_list: list[tuple[int, int]]) -> None:
    digit = load_digits().target
    assert [label for _, label in train_list] == digit[[row for row, _ in train_list]].tolist()
    assert max(row for row, _ in train_list) < len(digit) // 2
    assert len({row for row, _ in train_list}) == len(train_list)


@pytest.mark.parametrize("name", LOGITS)
def test_logits_follow_their_format(name: str) -> None:
    arrays = load_logits(name)
    meta = json.loads((FOLDER / f"{name}.meta.json").read_text(encoding="utf-8"))
    assert (meta["format"], meta["head"], meta["background"]) == ("ltcal-logits/1", "softmax", "none")
    assert meta["category_ids"] == list(range(CLASSES))
    assert arrays.keys() == {"logits", "labels"}
    assert (arrays["logits"].dtype, arrays["labels"].dtype) == (np.float16, np.int64)
    assert arrays["logits"].shape == (len(arrays["labels"]), CLASSES)


def test_test_set_is_balanced() -> None:
    assert np.bincount(load_logits("logits")["labels"]).tolist() == [86] * CLASSES


def test_train_logits_are_those_of_the_train_images(train_list: list[tuple[int, int]]) -> None:
    assert load_logits("train_logits")["labels"].tolist() == [label for _, label in train_list]


def test_train_logits_are_not_memorised(train_list: list[tuple[int, int]]) -> None:
    """A classifier is right about nearly every image it was trained on; out of fold it misses many rare digits."""
    arrays = load_logits("train_logits")
    right = arrays["logits"].argmax(axis=1) == arrays["labels"]
    rare = [label for label, count in Counter(label for _, label in train_list).items() if count < 10]
    assert right[np.isin(arrays["labels"], rare)].mean() < 0.8


def test_the_classifier_is_better_on_frequent_digits(train_list: list[tuple[int, int]]) -> None:
    arrays = load_logits("logits")
    right = arrays["logits"].argmax(axis=1) == arrays["labels"]
    order = [label for label, _ in Counter(label for _, label in train_list).most_common()]
    recall = np.array([right[arrays["labels"] == label].mean() for label in order])
    assert recall[:3].mean() > 0.9
    assert recall[-4:].mean() < 0.4
