"""The best score thresholds as JSON (ltcal-thresholds/1) and as a data frame."""

import dataclasses
import json
import math

import pytest
from reports import HOSTILE, report, run

from longtail_cli.metrics import CategoryThresholds, OperatingPoint, Thresholds
from longtail_cli.reports.thresholds_json import thresholds_json

NOTHING = OperatingPoint(None, None, None, None, reason="no ground truth")
CAT = CategoryThresholds(
    7, "cat", "c", 4, 5, OperatingPoint(0.5, 0.75, 0.75, 0.75), OperatingPoint(0.625, 1.0, 0.5, 0.5, 0.125)
)
DOG = CategoryThresholds(9, "dog", None, 0, 2, NOTHING, NOTHING)
FOUND = Thresholds(
    iou_threshold=0.5,
    f1=OperatingPoint(0.25, 0.5, 1.0, 2 / 3),
    lrp=OperatingPoint(0.625, 1.0, 0.5, 0.5, 0.125),
    mean_f1=OperatingPoint(None, 0.75, 0.75, 0.75, None, "one per category"),
    mean_lrp=OperatingPoint(None, 1.0, 0.5, 0.5, 0.125, "one per category"),
    categories=(CAT, DOG),
)


def with_thresholds(*names):
    one = report(*(run(name, 0.0) for name in names))
    return dataclasses.replace(one, thresholds={name: {"bbox": FOUND} for name in names})


def test_the_schema():
    document = json.loads(thresholds_json(with_thresholds("a", "b")))
    runs = document.pop("runs")
    (note,) = document.pop("notes")
    assert note.startswith("the thresholds were chosen on these annotations, so their precision")
    assert document == {
        "format": "ltcal-thresholds/1",
        "version": "0.1.0",
        "chosen_on": {
            "annotations_sha256": "abcd", "images": 5, "split": None, "protocol": "lvis", "max_dets": 300
        },
    }  # fmt: skip
    assert [one["name"] for one in runs] == ["a", "b"]
    by_type = runs[0].pop("thresholds")
    assert runs[0] == {"name": "a", "source": "a.json", "sha256": "00ff", "method": None}
    assert list(by_type) == ["bbox"]
    assert list(by_type["bbox"]) == ["iou_threshold", "overall", "mean", "categories"]
    assert by_type["bbox"]["iou_threshold"] == 0.5
    assert by_type["bbox"]["overall"] == {
        "f1": {"threshold": 0.25, "precision": 0.5, "recall": 1.0, "F1": 2 / 3},
        "lrp": {"threshold": 0.625, "precision": 1.0, "recall": 0.5, "LRP": 0.5, "localisation": 0.125},
    }


def test_the_mean_has_no_threshold_of_its_own():
    mean = json.loads(thresholds_json(with_thresholds("a")))["runs"][0]["thresholds"]["bbox"]["mean"]
    assert mean["f1"] == {
        "threshold": None, "precision": 0.75, "recall": 0.75, "F1": 0.75, "reason": "one per category"
    }  # fmt: skip
    assert mean["lrp"]["localisation"] == 0.125


def test_a_category_without_a_threshold_has_a_reason():
    cat, dog = json.loads(thresholds_json(with_thresholds("a")))["runs"][0]["thresholds"]["bbox"]["categories"]
    assert cat["f1"] == {"threshold": 0.5, "precision": 0.75, "recall": 0.75, "F1": 0.75}
    assert {name: value for name, value in dog.items() if name not in ("f1", "lrp")} == {
        "id": 9, "name": "dog", "group": None, "ground_truths": 0, "detections": 2
    }  # fmt: skip
    nothing = {"threshold": None, "precision": None, "recall": None, "reason": "no ground truth"}
    assert dog["f1"] == {**nothing, "F1": None}
    assert dog["lrp"] == {**nothing, "LRP": None, "localisation": None}


@pytest.mark.parametrize("name", [name for name in HOSTILE if name != "\ud800"])
def test_any_name_reads_back(name):
    found = dataclasses.replace(FOUND, categories=(dataclasses.replace(CAT, name=name, group=name),))
    one = dataclasses.replace(with_thresholds(name), thresholds={name: {"bbox": found}})
    (only,) = json.loads(thresholds_json(one))["runs"]
    assert only["name"] == only["thresholds"]["bbox"]["categories"][0]["name"] == name


def test_a_row_of_the_frame_for_each_run_and_category():
    frame = with_thresholds("a", "b").thresholds_frame()
    assert frame.columns.tolist() == [
        "run", "id", "name", "group", "ground_truths", "detections", "kind", "reason",
        "f1", "f1_threshold", "f1_precision", "f1_recall",
        "lrp", "lrp_threshold", "lrp_precision", "lrp_recall", "lrp_localisation",
    ]  # fmt: skip
    assert frame["run"].tolist() == ["a", "a", "b", "b"]
    cat, dog = (frame.iloc[row] for row in (0, 1))
    assert cat.tolist()[:7] == ["a", 7, "cat", "c", 4, 5, "bbox"]
    assert cat.tolist()[8:] == [0.75, 0.5, 0.75, 0.75, 0.5, 0.625, 1.0, 0.5, 0.125]
    assert frame["reason"].isna().tolist() == [True, False] * 2
    assert dog["reason"] == "no ground truth"
    assert math.isnan(dog["f1_threshold"])
    assert set(map(str, frame.dtypes.iloc[8:])) == {"float64"}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_frame_can_hold_any_name(name):
    found = dataclasses.replace(FOUND, categories=(dataclasses.replace(CAT, name=name),))
    frame = dataclasses.replace(with_thresholds("a"), thresholds={name: {"bbox": found}}).thresholds_frame()
    frame.to_json().encode()
    assert len(frame) == 1


def test_without_thresholds_the_frame_has_no_rows():
    frame = report(run("a", 0.0)).thresholds_frame()
    assert len(frame) == 0
    assert list(frame)[:3] == ["run", "id", "name"]
