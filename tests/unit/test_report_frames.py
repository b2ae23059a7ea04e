"""Reports as data frames."""

import dataclasses
import math
import sys

import pytest
from reports import (
    BASELINE,
    HOSTILE,
    classification_report,
    classification_run,
    images,
    report,
    resampled_report,
    rows,
    run,
    trained,
)

from longtail_cli.errors import MissingExtraError
from longtail_cli.reports.metric_names import metrics_of


def test_one_row_per_run_and_metric():
    frame = resampled_report(run("before", 0.0), run("after", 0.015)).to_frame()
    assert list(frame) == ["run", "metric", "value", "low", "high", "change", "change_low", "change_high", "p"]
    names = [name for name in metrics_of(run("before", 0.0)) if not name.startswith("categories/")]
    assert frame["run"].tolist() == ["before"] * len(names) + ["after"] * len(names)
    assert frame["metric"].tolist() == names * 2
    assert set(map(str, frame.dtypes.iloc[2:])) == {"float64"}
    rows = frame.set_index(["run", "metric"])
    assert rows.loc["after", "bbox/AP"].tolist() == [
        0.265,
        0.2,
        0.3,
        0.265 - 0.25,
        -0.01,
        0.04,
        pytest.approx(math.nan, nan_ok=True),
    ]
    assert rows.loc["after", "tide/bbox/FalsePos"].tolist()[:1] == [0.2]
    assert rows.loc["after", "bbox/AP50"].isna().tolist() == [False, True, True, False, True, True, True]
    assert rows.loc["after", "bbox/APr"].isna().all()


def test_the_reference_has_no_changes():
    frame = report(run("before", 0.0), run("after", 0.015)).to_frame()
    assert frame[frame["run"] == "before"]["change"].isna().all()
    assert frame[frame["run"] == "after"]["change"].notna().any()


def test_changes_are_taken_to_a_comparable_baseline():
    one = dataclasses.replace(report(run("after", 0.0)), baseline=BASELINE)
    assert one.to_frame().set_index("metric").loc["bbox/AP", "change"] == 0.125
    other = dataclasses.replace(one, baseline=dataclasses.replace(BASELINE, differences=("other annotations",)))
    assert math.isnan(other.to_frame().set_index("metric").loc["bbox/AP", "change"])


def test_metrics_of_classification():
    frame = classification_report(classification_run("a", 0.0), classification_run("b", 0.125)).to_frame()
    rows = frame.set_index(["run", "metric"])
    assert rows.loc["b", "classification/top1"].tolist()[:4:3] == [0.625, 0.125]
    assert rows.loc["b", "classification/confusion/few/few"]["value"] == 0.625


def test_one_row_per_run_and_category():
    frame = report(trained(run("before", 0.0), 17), trained(run("after", 0.015), 17)).categories_frame()
    about = ["run", "id", "name", "group", "train_images", "train_instances", "images", "instances", "kind"]
    assert list(frame) == [*about, "AP", "AP50"]
    assert frame.iloc[0].tolist() == ["before", 7, "cat", "c", 17, 34, 3, 4, "bbox", 0.25, 0.5]
    assert frame["run"].tolist() == ["before", "before", "after", "after"]
    assert frame["AP"].tolist()[::2] == [0.25, 0.265]
    dog = frame.iloc[1]
    assert dog[["group", "train_images", "train_instances", "AP"]].isna().all()
    assert (dog["id"], dog["images"], str(frame["train_images"].dtype)) == (9, 0, "Int64")


def test_one_row_per_iou_type():
    one = run("a", 0.0)
    rows = [dataclasses.replace(row, metrics={**row.metrics, "segm": {"AP": 0.125}}) for row in one.categories]
    both = dataclasses.replace(one, metrics={**one.metrics, "segm": {"AP": 0.125}}, categories=tuple(rows), tide={})
    signature = dataclasses.replace(report(one).signature, iou_types=("bbox", "segm"))
    frame = dataclasses.replace(report(one), signature=signature, runs=(both,)).categories_frame()
    assert frame["kind"].tolist() == ["bbox", "bbox", "segm", "segm"]
    assert frame["id"].tolist() == [7, 9, 7, 9]
    assert frame["AP"].tolist()[::2] == [0.25, 0.125]
    assert frame["AP50"].isna().tolist() == [False, True, True, True]


def test_categories_of_classification():
    frame = classification_report(classification_run("a", 0.0)).categories_frame()
    assert frame[["name", "kind"]].to_numpy().tolist() == [["cat", "classification"], ["dog", "classification"]]
    assert frame["recall"].tolist()[0] == 0.5
    assert math.isnan(frame["recall"].tolist()[1])


def test_without_categories_there_are_no_rows():
    frame = report(dataclasses.replace(run("a", 0.0), categories=())).categories_frame()
    assert len(frame) == 0
    assert list(frame)[:3] == ["run", "id", "name"]


def test_one_row_per_run_kind_and_image():
    two = {"a": {"bbox": images("x.jpg"), "segm": images()}, "b": {"bbox": images(threshold=None)}}
    frame = dataclasses.replace(report(run("a", 0.0), run("b", 0.0)), images=two).images_frame()
    assert frame["run"].tolist() == ["a"] * 4 + ["b"] * 2
    assert frame["kind"].tolist() == ["bbox"] * 2 + ["segm"] * 2 + ["bbox"] * 2
    assert frame["image_id"].tolist() == [3, 1 << 40] * 3
    assert frame["file_name"].isna().tolist() == [False, False, True, True, True, True]
    assert frame["main_error"].tolist()[0] == "Miss"
    assert frame["main_error"].isna().tolist() == [False, True] * 3
    assert frame["f1"].isna().tolist() == [False, True] * 3
    assert frame["threshold"].tolist()[:4] == [0.5] * 4
    assert frame["threshold"].isna().tolist() == [False] * 4 + [True] * 2
    counts = ["ground_truths", "true_positives", "false_positives", "missed"]
    assert frame[counts].to_numpy().tolist()[:2] == [[4, 1, 2, 3], [0, 0, 0, 0]]
    assert list(frame) == ["run", "kind", "image_id", "file_name", *counts, "main_error", "f1", "threshold"]


def test_one_row_per_run_and_labelled_row_of_a_classifier():
    one = classification_report(classification_run("a", 0.0))
    frame = dataclasses.replace(one, rows={"a": rows("x.jpg")}).images_frame()
    assert list(frame) == ["run", "row", "file_name", "label", "prediction", "confidence", "correct"]
    assert frame.to_numpy().tolist() == [["a", 0, "x.jpg", 1, 0, 0.5, False], ["a", 2, "x.jpg", 0, 0, 0.75, True]]


def test_without_images_there_are_no_rows():
    assert len(report(run("a", 0.0)).images_frame()) == 0


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_can_be_held(name):
    one = dataclasses.replace(report(run(name, 0.0, category=name)), images={name: {"bbox": images(name)}})
    expected = "".join("\N{REPLACEMENT CHARACTER}" if letter in "\x00\x1b\ud800" else letter for letter in name)
    assert one.to_frame()["run"].tolist()[0] == expected
    assert one.categories_frame()[["run", "name"]].to_numpy().tolist()[0] == [expected, expected]
    assert one.images_frame()[["run", "file_name"]].to_numpy().tolist()[0] == [expected, expected]


def test_without_pandas(monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    for method in ("to_frame", "categories_frame", "images_frame"):
        with pytest.raises(MissingExtraError) as caught:
            getattr(report(run("a", 0.0)), method)()
        assert str(caught.value) == (
            "pandas: package: expected pandas, for data frames, found none\n"
            "Fix: install it: pip install 'ltcal[pandas]'"
        )
