"""The bootstrap against files in which every drawn image is repeated as often as it was drawn."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cases import Entry, make_case, write_case

from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.metrics import Value
from longtail_cli.reports.format import is_count
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Run
from longtail_cli.workflow.options import BootstrapOptions
from longtail_cli.workflow.report_detection import evaluate

OPTIONS = EvaluationOptions(fixed_ap=True, pooled_ap=True)
RESAMPLES = 3


def repeated(annotations: Entry, predictions: list[Entry], times: dict[int, int]) -> tuple[Entry, list[Entry]]:
    """The files with image i `times[i]` times; copies have their own ids, in the order of the images."""
    copies: dict[int, list[int]] = {}
    new = count()
    for image in sorted(times):
        copies[image] = [next(new) for _ in range(times[image])]
    ids = count()
    return {
        **annotations,
        "images": [{**one, "id": copy} for one in annotations["images"] for copy in copies[one["id"]]],
        "annotations": [
            {**one, "image_id": copy, "id": next(ids)}
            for one in annotations["annotations"]
            for copy in copies[one["image_id"]]
        ],
    }, [{**one, "image_id": copy} for one in predictions for copy in copies[one["image_id"]]]


def with_unequal_scores(predictions: list[Entry]) -> list[Entry]:
    """With equal scores in an image, all those of one copy would be ranked before those of the next copy."""
    score = np.random.default_rng(0).permutation(len(predictions)) / len(predictions)
    return [{**one, "score": value} for one, value in zip(predictions, score.tolist(), strict=True)]


def resampled_metrics(run: Run) -> dict[str, Value]:
    """Those that get intervals: all but the numbers of false positives."""
    return {name: value for name, value in metrics_of(run).items() if not is_count(name)}


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("lvis", True), ("coco", False), ("coco", True)])
def test_a_resample_has_the_metrics_of_the_repeated_images(tmp_path: Path, protocol: Any, masks: bool, seed: int):
    annotations, found = make_case(seed, protocol=protocol, masks=masks, sure_hit=True)
    found = with_unequal_scores(found)
    options = replace(OPTIONS, protocol=protocol, iou_types=("segm",) if masks else ("bbox",))
    truth, predictions = write_case(tmp_path, annotations, found)
    one = evaluate([predictions], truth, options=options, bootstrap=BootstrapOptions(RESAMPLES, seed))
    assert one.resamples is not None
    resampled = one.resamples.runs["predictions"]
    images = sorted(image["id"] for image in annotations["images"])
    for b in range(RESAMPLES):
        weight = Draws(len(images), RESAMPLES, seed).weight(b).tolist()
        folder = tmp_path / str(b)
        folder.mkdir()
        truth, predictions = write_case(folder, *repeated(annotations, found, dict(zip(images, weight, strict=True))))
        expected = resampled_metrics(evaluate([predictions], truth, options=options).runs[0])
        assert set(resampled) == set(expected)
        for name, value in expected.items():
            assert resampled[name][b] == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True), name


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_every_image_once_gives_the_metrics_themselves(tmp_path: Path, protocol: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Draws, "weight", lambda draws, b: np.ones(draws.images, np.uint8))
    for seed in range(20):  # equal scores too
        annotations, found = make_case(seed, protocol=protocol, sure_hit=True)
        truth, predictions = write_case(tmp_path, annotations, found)
        options = replace(OPTIONS, protocol=protocol)
        one = evaluate([predictions], truth, options=options, bootstrap=BootstrapOptions(1, 0))
        assert one.resamples is not None
        for name, value in resampled_metrics(one.runs[0]).items():
            resampled = one.resamples.runs["predictions"][name][0]
            assert resampled == pytest.approx(np.nan if value is None else value, abs=1e-12, nan_ok=True), name
