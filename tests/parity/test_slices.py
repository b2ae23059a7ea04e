"""The metrics of a slice against the report on annotations and predictions of its images alone."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from cases import Entry, make_case, write_case

from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.reports.metric_names import metrics_of, within_slice
from longtail_cli.reports.model import GroupSize, Report, Run
from longtail_cli.workflow.options import BootstrapOptions
from longtail_cli.workflow.report_detection import evaluate

RESAMPLES = 3


def options(protocol: Any, *, masks: bool) -> EvaluationOptions:
    return EvaluationOptions(
        protocol=protocol, iou_types=("segm",) if masks else ("bbox",), fixed_ap=True, pooled_ap=True, tide="off"
    )


def filtered(annotations: Entry, predictions: list[Entry], ids: set[int]) -> tuple[Entry, list[Entry]]:
    """The same files with these images alone; all categories stay."""
    return {
        **annotations,
        "images": [one for one in annotations["images"] if one["id"] in ids],
        "annotations": [one for one in annotations["annotations"] if one["image_id"] in ids],
    }, [one for one in predictions if one["image_id"] in ids]


def metrics_in(run: Run, name: str) -> dict[str, float | None]:
    return {
        within_slice(metric): value for metric, value in metrics_of(run).items() if metric.startswith(f"slices/{name}/")
    }


def resamples_of(report: Report) -> dict[str, Any]:
    assert report.resamples is not None
    return dict(report.resamples.runs[report.runs[0].name])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("lvis", True), ("coco", False), ("coco", True)])
def test_a_slice_has_the_metrics_of_a_report_on_its_images(tmp_path: Path, protocol: Any, masks: bool, seed: int):
    annotations, found = make_case(seed, protocol=protocol, masks=masks, sure_hit=True, crowded_image=seed == 0)
    ids = [image["id"] for image in annotations["images"]]
    slices = {name: Random(seed).sample(ids, number) for name, number in (("one", 1), ("half", len(ids) // 2))}
    rules, bootstrap = options(protocol, masks=masks), BootstrapOptions(RESAMPLES, seed)
    truth, predictions = write_case(tmp_path, annotations, found)
    whole = evaluate([predictions], truth, options=rules, bootstrap=bootstrap, slices=slices)
    for name, chosen in slices.items():
        truth, predictions = write_case(tmp_path, *filtered(annotations, found, set(chosen)))
        alone = evaluate([predictions], truth, options=rules, bootstrap=bootstrap)
        expected = metrics_of(alone.runs[0])
        own = metrics_in(whole.runs[0], name)
        assert set(own) == set(expected)
        for metric, value in expected.items():
            assert own[metric] == (None if value is None else pytest.approx(value, abs=1e-12)), metric
        assert whole.slices[name] == alone.groups["all"]
        resampled = {
            within_slice(metric): values
            for metric, values in resamples_of(whole).items()
            if metric.startswith(f"slices/{name}/")
        }
        sizes = tuple(f"/A{kind}{size}" for kind in "PR" for size in "sml")
        of_alone = resamples_of(alone)
        assert set(resampled) == {metric for metric in of_alone if not any(size in metric for size in sizes)}
        for metric, values in resampled.items():
            np.testing.assert_allclose(values, of_alone[metric], rtol=0, atol=1e-12, err_msg=metric)


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_a_slice_of_all_images_has_the_metrics_and_intervals_of_the_report(tmp_path: Path, protocol: Any):
    for seed in range(2):
        annotations, found = make_case(seed, protocol=protocol, sure_hit=True)
        truth, predictions = write_case(tmp_path, annotations, found)
        ids = [image["id"] for image in annotations["images"]]
        report = evaluate(
            [predictions, predictions], truth, names=("a", "b"), options=options(protocol, masks=False),
            bootstrap=BootstrapOptions(20, seed), slices={"all": ids},
        )  # fmt: skip
        for run in report.runs:
            own = metrics_in(run, "all")
            assert own == {metric: value for metric, value in metrics_of(run).items() if metric in own}
            for intervals in (run.intervals, run.deltas):
                of_slice = {name for name in intervals if name.startswith("slices/")}
                assert {name: intervals[name] for name in of_slice} == {
                    name: intervals[within_slice(name)] for name in of_slice
                }
        assert report.slices["all"] == report.groups["all"]


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_disjoint_slices_of_all_images_add_up(tmp_path: Path, protocol: Any):
    for seed in range(2):
        annotations, found = make_case(seed, protocol=protocol, sure_hit=True)
        truth, predictions = write_case(tmp_path, annotations, found)
        ids = [image["id"] for image in annotations["images"]]
        slices = {f"part {first}": ids[first::3] for first in range(min(3, len(ids)))}
        report = evaluate([predictions], truth, options=options(protocol, masks=False), slices=slices)
        for count in ("images", "instances"):
            assert sum(getattr(one, count) for one in report.slices.values()) == getattr(report.groups["all"], count)


def test_fixed_ap_takes_the_best_detections_of_each_category_of_the_whole_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("longtail_cli.evaluation.selection.FIXED_AP_PER_CATEGORY", 1)
    box = [10.0, 10.0, 40.0, 40.0]
    annotations = {
        "images": [{"id": image, "width": 160, "height": 128} for image in (1, 2)],
        "categories": [{"id": 3, "name": "cow"}],
        "annotations": [
            {"id": image, "image_id": image, "category_id": 3, "bbox": box, "area": 1600.0, "iscrowd": 0}
            for image in (1, 2)
        ],
    }
    found = [{"image_id": image, "category_id": 3, "bbox": box, "score": image / 4} for image in (1, 2)]
    truth, predictions = write_case(tmp_path, annotations, found)
    report = evaluate([predictions], truth, options=options("coco", masks=False), slices={"first": [1], "second": [2]})
    own = {name: one["bbox"] for name, one in report.runs[0].slices.items()}
    assert own["first"]["AP"] == own["second"]["AP"] == pytest.approx(1)
    assert own["first"]["APfixed"]["AP"] == 0
    assert own["second"]["APfixed"]["AP"] == pytest.approx(1)
    assert report.slices["first"] == GroupSize(1, 1, 1)
