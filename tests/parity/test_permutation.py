"""The permutation test against files between which the detections of images are really exchanged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from cases import Entry, make_case, write_case

from longtail_cli.evaluation.bootstrap.permutation import Swaps, p_values
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.reports.format import is_count
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.workflow import detection_runs
from longtail_cli.workflow.options import BootstrapOptions
from longtail_cli.workflow.report_detection import evaluate

OPTIONS = EvaluationOptions(fixed_ap=True, pooled_ap=True)
SWAPS = 3


def other_run(found: list[Entry], seed: int) -> list[Entry]:
    """Some of the detections, with other scores on few levels, in another order."""
    rng = Random(seed)
    kept = [{**one, "score": rng.choice([0.2, 0.4, 0.6, one["score"]])} for one in found if rng.random() < 0.7]
    return rng.sample(kept or found[:1], len(kept) or 1)


def ranked(found: list[Entry]) -> list[Entry]:
    """With 1 / k as the score of the k-th best detection of a category."""
    better = [
        sum(one["category_id"] == other["category_id"] and one["score"] < other["score"] for other in found)
        for one in found
    ]
    return [{**one, "score": 1 / (1 + number)} for one, number in zip(found, better, strict=True)]


def exchanged(first: list[Entry], second: list[Entry], images: set[int]) -> tuple[list[Entry], list[Entry]]:
    """The two runs after an exchange of the detections in `images`."""
    return (
        [one for one in first if one["image_id"] not in images] + [one for one in second if one["image_id"] in images],
        [one for one in second if one["image_id"] not in images] + [one for one in first if one["image_id"] in images],
    )


def report_of(folder: Path, annotations: Entry, runs: tuple[list[Entry], list[Entry]], **options: Any) -> Report:
    truth, first = write_case(folder, annotations, runs[0])
    first = first.rename(folder / "first.json")
    second = write_case(folder, annotations, runs[1])[1]
    return evaluate([first, second], truth, **options)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("lvis", True), ("coco", False), ("coco", True)])
def test_an_exchange_has_the_metrics_of_the_exchanged_files(
    tmp_path: Path, protocol: Any, masks: bool, seed: int, monkeypatch: pytest.MonkeyPatch
):
    crowded = seed == 3
    annotations, first = make_case(seed, protocol=protocol, masks=masks, sure_hit=True, crowded_image=crowded)
    second = other_run(first, seed)
    options = replace(OPTIONS, protocol=protocol, iou_types=("segm",) if masks else ("bbox",))
    seen = {}
    monkeypatch.setattr(detection_runs, "p_values", lambda found: seen.update(found) or p_values(found))
    bootstrap = BootstrapOptions(SWAPS, seed, significance=True)
    tested = report_of(tmp_path, annotations, (first, second), options=options, bootstrap=bootstrap).runs[1].p_values
    images = sorted(image["id"] for image in annotations["images"])
    swaps = Swaps(len(images), SWAPS, seed)
    differences: dict[str, list[float]] = {}
    for swap in range(SWAPS + 1):
        moved = {image for image, one in zip(images, swaps.exchanged(swap).tolist(), strict=True) if one}
        by_score = report_of(tmp_path, annotations, exchanged(first, second, moved), options=options)
        by_rank = report_of(tmp_path, annotations, exchanged(ranked(first), ranked(second), moved), options=options)
        for number, runs in enumerate(zip(by_score.runs, by_rank.runs, strict=True)):
            of_score, of_rank = ({k: v for k, v in metrics_of(run).items() if not is_count(k)} for run in runs)
            assert set(seen) == set(of_score)
            for name in of_score:
                across_categories = "/APpool/" in name or name.startswith("tide/")
                if crowded and not across_categories:
                    continue  # here the cap of an image would keep other detections by rank than it does by score
                value = (of_score if across_categories else of_rank)[name]
                value = np.nan if value is None else value
                assert seen[name][2 * swap + number] == pytest.approx(value, abs=1e-12, nan_ok=True), name
                differences.setdefault(name, []).append(value)
    for name in differences.keys() & tested.keys():
        size = np.abs(np.subtract(differences[name][1::2], differences[name][::2]))
        assert tested[name] == (size >= size[0] - 1e-9).mean(), name
    assert set(differences) - set(tested) == {name for name, values in differences.items() if np.isnan(values).any()}


def box(image: int, **fields: float) -> Entry:
    return {"image_id": image, "category_id": 1, "bbox": [0.0, 0.0, 40.0, 40.0], **fields}


def test_all_exchanges_of_two_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The first run finds the objects of both images and the second neither: half of the exchanges are as far apart."""
    monkeypatch.setattr(Swaps, "exchanged", lambda swaps, swap: np.array([swap & 1, swap >> 1], np.uint8))
    annotations = {
        "images": [{"id": 1, "width": 64, "height": 64}, {"id": 2, "width": 64, "height": 64}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [box(image, id=image, area=1600.0) for image in (1, 2)],
    }
    runs = [box(1, score=0.5), box(2, score=0.5)], [box(1, score=0.0) | {"bbox": [50.0, 50.0, 5.0, 5.0]}]
    found = report_of(tmp_path, annotations, runs, bootstrap=BootstrapOptions(3, 0, significance=True))
    assert found.runs[0].p_values == {}
    assert found.runs[1].p_values["bbox/AP"] == 0.5
    assert found.runs[1].p_values["bbox/AR@100"] == 0.5


def test_runs_that_score_on_other_scales_are_equal(tmp_path: Path):
    """The second run squares the scores, which changes no order; only pooled AP, across categories, may tell."""
    annotations, first = make_case(0, protocol="lvis", sure_hit=True)
    second = [{**one, "score": one["score"] ** 2} for one in first]
    bootstrap = BootstrapOptions(50, 0, significance=True)
    found = report_of(tmp_path, annotations, (first, second), options=OPTIONS, bootstrap=bootstrap).runs[1].p_values
    in_order = {p_value for name, p_value in found.items() if name.startswith("bbox/") and "APpool" not in name}
    assert in_order == {1.0}


def test_a_run_without_detections(tmp_path: Path):
    annotations, first = make_case(0, protocol="coco", sure_hit=True)
    bootstrap = BootstrapOptions(3, 0, significance=True)
    for runs in ((first, []), ([], first), ([], [])):
        found = report_of(tmp_path, annotations, runs, options=OPTIONS, bootstrap=bootstrap).runs[1].p_values
        assert 0 < found["bbox/AP"] <= 1
