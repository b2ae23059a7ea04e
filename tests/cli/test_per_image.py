"""`--per-image`, as a user calls it, on examples/digit_scenes and examples/digits_lt."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from reports import HOSTILE

import longtail_cli
from longtail_cli.cli import main
from longtail_cli.escapes import csv_cell

EXAMPLES = Path(__file__).parents[2] / "examples"
VAL, PREDICTIONS = EXAMPLES / "digit_scenes" / "val.json", EXAMPLES / "digit_scenes" / "predictions.json"
LOGITS = EXAMPLES / "digits_lt" / "logits.npz"
CAP = ("--max-dets", "20")
NAMES = HOSTILE[:-1]
"""Without the lone surrogate, which JSON cannot hold."""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def report(*arguments: object, stdin: bytes | None = None) -> Result:
    result = CliRunner().invoke(main, ["report", *map(str, arguments)], input=stdin)
    assert result.exit_code == 0, result.output
    return result


def refused(*arguments: object) -> str:
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert result.exit_code == 2, result.output
    assert list(Path().iterdir()) == []
    return result.stderr


def test_the_file_holds_the_frame_of_the_report() -> None:
    methods = ("--method", "none", "--method", "temperature:2")
    report(PREDICTIONS, "--annotations", VAL, *CAP, *methods, "--per-image", "images.parquet")
    frame = longtail_cli.evaluate(
        PREDICTIONS, VAL, methods=["none", "temperature:2"], max_dets=20, per_image=True
    ).images_frame()
    pd.testing.assert_frame_equal(pd.read_parquet("images.parquet"), frame, check_dtype=False)
    assert len(frame) == 2 * 180
    assert frame["file_name"].iloc[0] == json.loads(VAL.read_bytes())["images"][0]["file_name"]


def test_csv_holds_the_same_as_parquet_and_the_report_stays_as_it_is() -> None:
    call = (PREDICTIONS, "--annotations", VAL, *CAP)
    plain = report(*call, "--json", "a.json")
    assert report(*call, "--json", "b.json", "--per-image", "images.parquet").stdout == plain.stdout
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()
    text = report(*call, "--per-image", "-").stdout
    pd.testing.assert_frame_equal(pd.read_csv(io.StringIO(text)), pd.read_parquet("images.parquet"), check_dtype=False)


def test_the_input_may_be_a_stream() -> None:
    call = ("--name", "a", "--annotations", VAL, *CAP, "--per-image", "-")
    assert report("-", *call, stdin=PREDICTIONS.read_bytes()).stdout == report(PREDICTIONS, *call).stdout


@pytest.mark.parametrize("name", ["images.txt", "images"])
def test_another_format_is_refused_before_any_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail_cli.workflow.report_detection.evaluate", None)
    assert f"expected one that ends in .csv or .parquet, found {name}\nFix: " in refused(
        PREDICTIONS, "--annotations", VAL, "--per-image", name
    )


def test_hostile_file_names() -> None:
    document = json.loads(VAL.read_bytes())
    for image, name in zip(document["images"], NAMES, strict=False):
        image["file_name"] = name
    del document["images"][len(NAMES)]["file_name"]
    Path("val.json").write_text(json.dumps(document))
    output = report(PREDICTIONS, "--annotations", "val.json", *CAP, "--per-image", "-").stdout
    names = [row["file_name"] for row in csv.DictReader(io.StringIO(output, newline=""))]
    assert names[: len(NAMES) + 1] == [*map(csv_cell, NAMES), ""]
    assert len(output.splitlines()) == 181
    report(PREDICTIONS, "--annotations", "val.json", *CAP, "--per-image", "images.parquet")
    assert pd.read_parquet("images.parquet")["file_name"].tolist()[0] == NAMES[0]


def test_annotations_without_file_names() -> None:
    document = json.loads(VAL.read_bytes())
    for image in document["images"]:
        del image["file_name"]
    Path("val.json").write_text(json.dumps(document))
    report(PREDICTIONS, "--annotations", "val.json", *CAP, "--tide", "off", "--per-image", "images.parquet")
    frame = pd.read_parquet("images.parquet")
    assert frame["file_name"].isna().all()
    assert frame["main_error"].isna().all()


class TestClassifiers:
    def test_one_row_for_each_row_of_the_logits(self) -> None:
        report(
            LOGITS, "--method", "none", "--method", "temperature:2", "--per-image", "rows.parquet", "--json", "r.json"
        )
        frame = pd.read_parquet("rows.parquet")
        with np.load(LOGITS) as archive:
            logits, labels = archive["logits"].astype(np.float64), archive["labels"]
        scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        one, other = frame[: len(labels)], frame[len(labels) :]
        assert frame["run"].tolist() == ["none"] * len(labels) + ["temperature:t=2.0"] * len(labels)
        assert one["row"].tolist() == other["row"].tolist() == list(range(len(labels)))
        assert one["label"].tolist() == labels.tolist()
        assert one["prediction"].tolist() == other["prediction"].tolist() == logits.argmax(axis=1).tolist()
        assert one["confidence"].to_numpy() == pytest.approx(scores.max(axis=1), abs=1e-6)
        assert (other["confidence"].to_numpy() < one["confidence"].to_numpy()).all()
        assert one["correct"].mean() == json.loads(Path("r.json").read_bytes())["runs"][0]["classification"]["top1"]

    def test_rows_without_a_class_are_left_out(self) -> None:
        np.savez("logits.npz", logits=np.eye(3, dtype=np.float32)[[0, 2, 1]], labels=[0, -1, 2])
        Path("logits.meta.json").write_text('{"head": "softmax", "background": "none"}')
        report("logits.npz", "--per-image", "rows.csv")
        frame = pd.read_csv("rows.csv")
        assert frame["row"].tolist() == [0, 2]
        assert frame["label"].tolist() == [0, 2]
        assert frame["prediction"].tolist() == [0, 1]
        assert frame["correct"].tolist() == [True, False]

    def test_rows_have_the_file_names_of_the_input(self) -> None:
        Path("scores.csv").write_text("filename,label,0,1\n=a.png,0,0.75,0.25\nb.png,1,0.75,0.25\n")
        report("scores.csv", "--per-image", "rows.csv")
        assert pd.read_csv("rows.csv")["file_name"].tolist() == ["'=a.png", "b.png"]
