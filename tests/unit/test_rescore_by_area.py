"""Methods that depend on the area of the box, in everything that adjusts a result file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
from cases import make_case, write_case
from frequency_tables import table
from opened import read_annotations, read_results
from pycocotools import mask as coco_mask
from score_methods import scaled

from longtail_cli.errors import InputError
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.files.results.file import ResultFile
from longtail_cli.methods.registry import parse_method
from longtail_cli.tuning.folds import one_fold
from longtail_cli.tuning.goal import Goal
from longtail_cli.workflow.image_subset import truth_of
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.report_detection import DetectionReporter, evaluate, prepared_evaluations
from longtail_cli.workflow.rescore_results import rescore, rescore_in_memory
from longtail_cli.workflow.tune_results import ResultData

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
SMALL_HALVED = scaled([0.5, 1.0], [1.0, 1.0], edges=[[50.0], [np.inf]])
"""Halves the scores of boxes of the first class whose area is below 50."""


def entry(category: int, box: list[float], score: float) -> dict[str, Any]:
    return {"image_id": 1, "category_id": category, "bbox": box, "score": score}


ENTRIES = [entry(4, [0, 0, 7, 7], 0.8), entry(4, [0, 0, 5, 10], 0.6), entry(9, [0, 0, 1, 1], 0.4)]
EXPECTED = [0.4, 0.6, 0.4]


def with_mask(one: dict[str, Any], *, box: bool) -> dict[str, Any]:
    """A mask of 10 pixels more than the box, or of as many pixels if the box is left out."""
    pixels = int(one["bbox"][2] * one["bbox"][3]) + 10 * box
    flat = np.zeros((16, 16), np.uint8, order="F")
    flat.ravel(order="K")[:pixels] = 1
    run_lengths = coco_mask.encode(flat)
    mask = {"size": [16, 16], "counts": run_lengths["counts"].decode()}
    kept = one if box else {name: value for name, value in one.items() if name != "bbox"}
    return {**kept, "segmentation": mask}


FORMS: dict[str, Callable[[], Any]] = {
    "boxes": lambda: ENTRIES,
    "masks": lambda: [with_mask(one, box=False) for one in ENTRIES],
    "both": lambda: [with_mask(one, box=True) for one in ENTRIES],
}


@pytest.fixture
def fields_read(monkeypatch: pytest.MonkeyPatch) -> list[frozenset[str]]:
    """The fields of each call of `ResultFile.read`."""
    read, asked = ResultFile.read, list[frozenset[str]]()

    def recorded(self: ResultFile, fields: frozenset[str], *args: Any) -> Any:
        asked.append(fields)
        return read(self, fields, *args)

    monkeypatch.setattr(ResultFile, "read", recorded)
    return asked


def scores_in(path: Path) -> list[float]:
    return [one["score"] for one in json.loads(path.read_text())]


@pytest.mark.parametrize("form", FORMS)
def test_the_area_is_that_of_the_box_or_of_the_mask_without_a_box(form: str, tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text(json.dumps(FORMS[form]()))
    summary = rescore(tmp_path / "p.json", None, SMALL_HALVED, tmp_path / "out.json")
    assert scores_in(tmp_path / "out.json") == EXPECTED
    assert not summary.order_kept
    assert "AP with it" in summary.outlook


@pytest.mark.parametrize("form", FORMS)
def test_detections_in_memory(form: str) -> None:
    given = FORMS[form]()
    before = json.dumps(given)
    rescored, _ = rescore_in_memory(given, None, SMALL_HALVED, "prob")
    assert [one["score"] for one in rescored] == EXPECTED
    assert json.dumps(given) == before


def test_columns_and_data_frames_in_memory() -> None:
    columns = {name: np.array([one[name] for one in ENTRIES]) for name in ENTRIES[0]}
    assert rescore_in_memory(columns, None, SMALL_HALVED, "prob")[0]["score"].tolist() == EXPECTED
    frame = pandas.DataFrame(ENTRIES)
    assert rescore_in_memory(frame, None, SMALL_HALVED, "prob")[0]["score"].tolist() == EXPECTED


def test_geometry_is_read_for_maps_by_area_only(fields_read: list[frozenset[str]]) -> None:
    rescore_in_memory(ENTRIES, None, scaled([0.5], [0.2]), "prob")
    assert fields_read == [frozenset()]
    rescore_in_memory(ENTRIES, None, SMALL_HALVED, "prob")
    assert fields_read[1:] == [frozenset(), frozenset({"bbox"})]


def test_a_file_without_boxes_and_masks_is_refused() -> None:
    bare = [{name: value for name, value in one.items() if name != "bbox"} for one in ENTRIES]
    assert [one["score"] for one in rescore_in_memory(bare, None, scaled([0.5], [0.5]), "prob")[0]] == [0.4, 0.3, 0.2]
    with pytest.raises(InputError, match="a field `bbox` or `segmentation`"):
        rescore_in_memory(bare, None, SMALL_HALVED, "prob")


def test_an_empty_file_stays_empty(tmp_path: Path) -> None:
    (tmp_path / "p.json").write_text("[]")
    summary = rescore(tmp_path / "p.json", table([1, 1], ids=[4, 9]), SMALL_HALVED, tmp_path / "out.json")
    assert (summary.entries, summary.order_kept) == (0, True)


# Reports and tuning, on scenes whose small boxes are adjusted


AT_MOST = EvaluationOptions(iou_types=("bbox",), tide="off")
CLASSES = len(json.loads((SCENES / "val.json").read_text())["categories"])
SMALL_LOWERED = scaled(*[[0.1, 1.0]] * CLASSES, edges=[[400.0]] * CLASSES)


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_a_report_adjusts_as_rescore_does(iou_type: Any, tmp_path: Path) -> None:
    """The masks of these files are not those of their boxes, whose areas count for both IoU types."""
    annotations, predictions = make_case(9, protocol="coco", masks=True, sure_hit=True)
    assert "bbox" in predictions[0]
    paths = write_case(tmp_path, annotations, predictions)
    classes = len(annotations["categories"])
    counts = table([1] * classes, ids=sorted(one["id"] for one in annotations["categories"]))
    method = scaled(*[[0.05, 1.0]] * classes, edges=[[1000.0]] * classes)
    rescore(paths[1], counts, method, tmp_path / "out.json")
    options = EvaluationOptions(iou_types=(iou_type,), tide="off", pooled_ap=True)
    adjusted, rescored, before = (
        evaluate([path], paths[0], frequencies=counts, methods=methods, options=options).runs[0].metrics
        for path, methods in ((paths[1], [method]), (tmp_path / "out.json", []), (paths[1], []))
    )
    assert adjusted == rescored != before


def tuning_on(images: range | None) -> ResultData:
    """A search for the best AP on these images, all if None."""
    truth = read_annotations(SCENES / "val.json")
    part = truth if images is None else truth_of(truth, np.isin(np.arange(len(truth.image_id)), images))
    folds = one_fold(len(part.image_id))
    evaluations = prepared_evaluations(part, ["bbox"], None, AT_MOST, folds)
    results = read_results(SCENES / "predictions.json", fields=frozenset({"bbox"}))
    reporter = DetectionReporter(evaluations, None, None, None, str, None)
    areas = results.bbox[:, 2] * results.bbox[:, 3]
    goal = Goal("bbox/AP")
    return ResultData(results, lambda: areas, lambda: None, truth, evaluations, folds, goal, None, "prob", reporter)


def test_tuning_shares_no_matches_with_a_method_that_changes_the_order() -> None:
    none, halved = parse_method("none"), scaled(*[[0.5]] * CLASSES)
    lowest, *_ = tuning_on(None).figures([SMALL_LOWERED], no_progress)
    for methods in ([none, SMALL_LOWERED, halved], [SMALL_LOWERED, none, halved]):
        data = tuning_on(None)
        found = dict(zip(methods, data.figures(methods, no_progress), strict=True))
        assert found[SMALL_LOWERED].metrics == lowest.metrics != found[none].metrics == found[halved].metrics
        assert found[SMALL_LOWERED].moved > 0
        assert data.notes == ()
    data = tuning_on(None)
    list(data.figures([none, halved], no_progress))
    assert "cannot change" in data.notes[0]


def test_tuning_on_some_images_reads_the_areas_of_their_boxes() -> None:
    annotations = json.loads((SCENES / "val.json").read_text())
    kept = {one["id"] for one in sorted(annotations["images"], key=lambda one: one["id"])[100:140]}
    annotations["images"] = [one for one in annotations["images"] if one["id"] in kept]
    annotations["annotations"] = [one for one in annotations["annotations"] if one["image_id"] in kept]
    found = [one for one in json.loads((SCENES / "predictions.json").read_text()) if one["image_id"] in kept]
    (figures,) = tuning_on(range(100, 140)).figures([SMALL_LOWERED], no_progress)
    report = evaluate([found], annotations, methods=[SMALL_LOWERED], options=AT_MOST)
    assert figures.metrics["bbox/AP"] == pytest.approx(report.runs[0].metrics["bbox"]["AP"], abs=1e-12)
