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
MADE = ("train.txt", "logits.npz", "logits.meta.json")
CLASSES = 10


@pytest.fixture(scope="module")
def train_list() -> list[tuple[int, int]]:
    """Row in scikit-learn's digits, and label, of each train image."""
    lines = (FOLDER / "train.txt").read_text(encoding="utf-8").splitlines()
    return [(int(Path(path).stem), int(label)) for path, label in map(str.split, lines)]


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FOLDER / "logits.npz") as found:
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


def test_logits_follow_their_format(arrays: dict[str, np.ndarray]) -> None:
    meta = json.loads((FOLDER / "logits.meta.json").read_text(encoding="utf-8"))
    assert (meta["format"], meta["head"], meta["background"]) == ("ltcal-logits/1", "softmax", "none")
    assert meta["category_ids"] == list(range(CLASSES))
    assert arrays.keys() == {"logits", "labels"}
    assert (arrays["logits"].dtype, arrays["labels"].dtype) == (np.float16, np.int64)
    assert arrays["logits"].shape == (len(arrays["labels"]), CLASSES)


def test_test_set_is_balanced(arrays: dict[str, np.ndarray]) -> None:
    assert np.bincount(arrays["labels"]).tolist() == [86] * CLASSES


def test_the_classifier_is_better_on_frequent_digits(
    train_list: list[tuple[int, int]], arrays: dict[str, np.ndarray]
) -> None:
    right = arrays["logits"].argmax(axis=1) == arrays["labels"]
    order = [label for label, _ in Counter(label for _, label in train_list).most_common()]
    recall = np.array([right[arrays["labels"] == label].mean() for label in order])
    assert recall[:3].mean() > 0.9
    assert recall[-4:].mean() < 0.4
