"""`ltcal.tune` in parts gives the tuning of one process, from result files and from logits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import longtail_cli as ltcal
from longtail_cli.errors import UsageError
from longtail_cli.reports.tuning.json import to_json
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.workflow.partitioned import memory
from longtail_cli.workflow.score_sample import SAMPLED, positions, sampled

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
IMAGES = 40
IIF, NORCAL = "iif:strength=0.5|0.75|1|1.25,scale=mean", "norcal:gamma=0.5|1"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with annotations of some images; parts have about 1,000 detections, and pieces 300 matches."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(memory, "MOST_ROWS", 1000)
    monkeypatch.setattr(memory, "MOST_PIECE_ROWS", 300)
    truth = json.loads((SCENES / "val.json").read_bytes())
    truth["images"] = truth["images"][:IMAGES]
    known = {image["id"] for image in truth["images"]}
    truth["annotations"] = [one for one in truth["annotations"] if one["image_id"] in known]
    Path("val.json").write_text(json.dumps(truth))
    return tmp_path


def images_of(folder: Path) -> list[int]:
    return [image["id"] for image in json.loads((folder / "val.json").read_bytes())["images"]]


def result_shards(folder: Path) -> tuple[Path, ...]:
    """Two Parquet files with the detections of every other image."""
    entries = pd.DataFrame(json.loads((SCENES / "predictions.json").read_bytes()))
    paths = tuple(folder / f"{rank}.parquet" for rank in range(2))
    for rank, path in enumerate(paths):
        entries[entries["image_id"].isin(images_of(folder)[rank::2])].to_parquet(path, row_group_size=400)
    return paths


def logits(folder: Path) -> Path:
    """A folder with two files of logits, of every other image."""
    path = folder / "logits"
    path.mkdir()
    with np.load(SCENES / "logits.npz") as saved:
        tensors = {name: saved[name] for name in ("logits", "image_id", "boxes")}
    for rank in range(2):
        own = np.isin(tensors["image_id"], images_of(folder)[rank::2])
        np.savez(path / f"{rank}.npz", **{name: values[own] for name, values in tensors.items()})
        (path / f"{rank}.meta.json").write_bytes((SCENES / "logits.meta.json").read_bytes())
    return path


def equal_in_parts(predictions: Any, **options: Any) -> Tuning:
    """The tuning, which is the same in parts and in one process."""
    table = ltcal.count(SCENES / "train.json")
    options = {"frequencies": table, "max_dets": 20, "folds": 2, "bootstrap": 4, **options}
    whole = ltcal.tune(predictions, "val.json", **options)
    parts = ltcal.tune(predictions, "val.json", memory="1GB", **options)
    assert to_json(parts) == to_json(whole)
    return parts


def test_logits(folder: Path) -> None:
    """Every image is decoded with the method of its fold."""
    tuning = equal_in_parts(logits(folder), spaces=IIF)
    assert len(set(tuning.chosen.fold_specs)) == 2


def test_logits_of_half_of_the_images(folder: Path) -> None:
    tuning = equal_in_parts(logits(folder), spaces=NORCAL, split="half:0", objective="bbox/APpool/AP")
    assert tuning.heldout is not None


def test_results_of_half_of_the_images(folder: Path) -> None:
    """With a constraint, and an objective that also depends on how the scores of different categories compare."""
    goal = {"objective": "tide/bbox/Cls", "keep": {"bbox/AP": -0.05}}
    tuning = equal_in_parts(result_shards(folder), merge=True, spaces=NORCAL, split="half:1", **goal)
    assert tuning.heldout is not None


def test_results_whose_ap_cannot_change(folder: Path) -> None:
    """One candidate is evaluated for all, and a note says why."""
    tuning = equal_in_parts(result_shards(folder), merge=True, spaces=NORCAL, max_dets=300)
    assert "cannot change" in tuning.notes[-1]


def test_classifiers_are_tuned_in_one_process() -> None:
    with pytest.raises(UsageError, match="classifiers are tuned in one process"):
        ltcal.tune("logits.npz", labels="labels.npy", memory="1GB")


def test_the_sample_of_the_whole_is_that_of_the_samples_of_its_parts() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 500, 3 * SAMPLED).astype(np.int32)
    every = positions(image, np.arange(500))
    parts = [np.flatnonzero(image % 3 == number) for number in range(3)]
    of_parts = [positions(image[rows] // 3, np.arange(number, 500, 3)) for number, rows in enumerate(parts)]
    taken = np.concatenate([own[sampled(own)] for own in of_parts])
    assert len(np.unique(every)) == len(every)
    assert np.array_equal(every[sampled(every)], taken[sampled(taken)])
    assert len(sampled(every)) == SAMPLED
