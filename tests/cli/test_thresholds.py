"""`ltcal report --thresholds`, as a user calls it, and the same from Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

import longtail_cli
from longtail_cli.cli import main

EXAMPLES = Path(__file__).parents[2] / "examples"
VAL, PREDICTIONS = EXAMPLES / "digit_scenes" / "val.json", EXAMPLES / "digit_scenes" / "predictions.json"
BOX = [10.0, 10.0, 20.0, 20.0]
FAR = [60.0, 60.0, 20.0, 20.0]
CATEGORIES = {1: "found", 2: "never detected", 3: "always wrong", 4: "not annotated"}
TRUTH = {
    "images": [{"id": 1, "width": 100, "height": 100}],
    "categories": [{"id": key, "name": name} for key, name in CATEGORIES.items()],
    "annotations": [
        {"id": key, "image_id": 1, "category_id": key, "bbox": BOX, "area": 400, "iscrowd": 0} for key in (1, 2, 3)
    ],
}
FOUND = [
    {"image_id": 1, "category_id": category, "bbox": box, "score": score}
    for category, box, score in [(1, BOX, 0.75), (1, FAR, 0.5), (3, FAR, 0.25), (4, BOX, 0.875)]
]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("val.json").write_text(json.dumps(TRUTH))
    Path("found.json").write_text(json.dumps(FOUND))
    return tmp_path


def report(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def only_run(text: str) -> Any:
    (run,) = json.loads(text)["runs"]
    return run["thresholds"]["bbox"]


def test_the_file_holds_a_threshold_for_each_category_or_says_why_there_is_none() -> None:
    result = report("found.json", "--annotations", "val.json", "--tide", "off", "--thresholds", "t.json")
    assert result.exit_code == 0, result.output
    found = only_run(Path("t.json").read_text())
    assert [(row["name"], row["f1"]["threshold"], row["f1"].get("reason")) for row in found["categories"]] == [
        ("found", 0.75, None),
        ("never detected", None, "no detections"),
        ("always wrong", None, "no true positives"),
        ("not annotated", None, "no ground truth"),
    ]
    assert found["overall"]["f1"] == {"threshold": 0.75, "precision": 0.5, "recall": 1 / 3, "F1": 2 / 5}
    assert (
        "no score threshold for 3 of 4 categories (bbox): 1 with no detections, 1 with no true positives, "
        "1 with no ground truth"
    ) in result.stderr


def test_a_dash_is_stdout_and_then_no_tables_are_printed() -> None:
    result = report(PREDICTIONS, "--annotations", VAL, "--tide", "off", "--thresholds", "-")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["chosen_on"]["images"] == 180
    assert "score threshold" not in result.stderr


def test_every_run_has_its_own_thresholds() -> None:
    half = [{**entry, "score": entry["score"] / 2} for entry in FOUND]
    Path("half.json").write_text(json.dumps(half))
    result = report("found.json", "half.json", "--annotations", "val.json", "--tide", "off", "--thresholds", "-")
    runs = json.loads(result.stdout)["runs"]
    assert [run["source"] for run in runs] == ["found.json", "half.json"]
    assert [run["thresholds"]["bbox"]["overall"]["lrp"]["threshold"] for run in runs] == [0.75, 0.375]


def test_thresholds_are_those_of_the_adjusted_scores() -> None:
    Path("freq.csv").write_text(
        "category_id,name,image_count,instance_count\n"
        + "".join(f"{key},{name},{4**key},{4**key}\n" for key, name in CATEGORIES.items())
    )
    options = ("--tide", "off", "--freq", "freq.csv", "--method", "none", "--method", "iif", "--thresholds", "-")
    plain, adjusted = json.loads(report("found.json", "--annotations", "val.json", *options).stdout)["runs"]
    assert plain["thresholds"]["bbox"]["categories"][0]["f1"]["threshold"] == 0.75
    assert adjusted["method"] == "iif"
    assert adjusted["thresholds"]["bbox"]["categories"][0]["f1"]["threshold"] > 0.75


def test_thresholds_are_for_detections() -> None:
    logits = EXAMPLES / "digits_lt" / "logits.npz"
    result = report(logits, "--thresholds", "t.json")
    assert result.exit_code == 2
    assert "--thresholds: for detections, which need --annotations" in result.stderr
    assert not Path("t.json").exists()


def test_the_file_must_not_be_an_input() -> None:
    result = report("found.json", "--annotations", "val.json", "--thresholds", "val.json")
    assert result.exit_code == 2
    assert json.loads(Path("val.json").read_text()) == TRUTH


def test_the_python_api_gives_the_same() -> None:
    found = longtail_cli.evaluate("found.json", "val.json", tide="off", thresholds=True)
    frame = found.thresholds_frame().set_index("name")
    assert frame["f1_threshold"].dropna().to_dict() == {"found": 0.75}
    assert frame["reason"].dropna().to_dict() == {
        "never detected": "no detections", "always wrong": "no true positives", "not annotated": "no ground truth"
    }  # fmt: skip
    (by_type,) = found.thresholds.values()
    assert by_type["bbox"].f1.threshold == 0.75
    assert longtail_cli.evaluate("found.json", "val.json", tide="off").thresholds == {}


def test_metrics_of_images_are_those_at_the_threshold_for_all_categories_together() -> None:
    found = longtail_cli.evaluate(PREDICTIONS, VAL, tide="off", thresholds=True, per_image=True)
    ((name, by_type),) = found.thresholds.items()
    images, point = found.images[name]["bbox"], by_type["bbox"].f1
    true, false = int(images.true_positives.sum()), int(images.false_positives.sum())
    assert images.threshold == point.threshold
    assert true / (true + false) == point.precision
    assert true / int(images.ground_truths.sum()) == point.recall
