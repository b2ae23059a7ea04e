"""The files of the metrics of images: Parquet and CSV, for any names."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from reports import HOSTILE, classification_report, classification_run, images, report, rows, run

from longtail_cli.errors import OutputError, UsageError
from longtail_cli.escapes import csv_cell, csv_text
from longtail_cli.files.image_metrics import check_suffix, write_images
from longtail_cli.reports.image_table import image_columns, image_thresholds
from longtail_cli.reports.model import Report

TYPES = {
    "run": pa.string(), "kind": pa.string(), "image_id": pa.int64(), "file_name": pa.string(),
    "ground_truths": pa.int64(), "true_positives": pa.int64(), "false_positives": pa.int64(), "missed": pa.int64(),
    "main_error": pa.string(), "f1": pa.float64(), "threshold": pa.float64(),
}  # fmt: skip


def with_images(name: str | None = None, run_name: str = "a", threshold: float | None = 0.5) -> Report:
    return replace(report(run(run_name, 0.0)), images={run_name: {"bbox": images(name, threshold)}})


def write(path: Path, made: Report) -> None:
    write_images(path, image_columns(made), image_thresholds(made))


def test_parquet(tmp_path: Path) -> None:
    write(tmp_path / "images.parquet", with_images("x.jpg"))
    table = pq.read_table(tmp_path / "images.parquet")
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES
    first = {"run": "a", "kind": "bbox", "file_name": "x.jpg", "threshold": 0.5}
    assert table.to_pylist() == [
        {**first, "image_id": 3, "ground_truths": 4, "true_positives": 1, "false_positives": 2, "missed": 3,
         "main_error": "Miss", "f1": 2 / 7},
        {**first, "image_id": 1 << 40, "ground_truths": 0, "true_positives": 0, "false_positives": 0, "missed": 0,
         "main_error": None, "f1": None},
    ]  # fmt: skip
    about = json.loads(table.schema.metadata[b"ltcal"])
    assert about == {"format": "ltcal-images/1", "thresholds": {"a": {"bbox": 0.5}}}


def test_csv(tmp_path: Path) -> None:
    write(tmp_path / "images.csv", with_images("x.jpg"))
    assert (tmp_path / "images.csv").read_text() == (
        ",".join(f'"{name}"' for name in TYPES)
        + "\n"
        + '"a","bbox",3,"x.jpg",4,1,2,3,"Miss",0.2857142857142857,0.5\n'
        + '"a","bbox",1099511627776,"x.jpg",0,0,0,0,,,0.5\n'
    )


def test_without_file_names_and_threshold(tmp_path: Path) -> None:
    write(tmp_path / "images.csv", with_images(threshold=None))
    assert '\n"a","bbox",3,,4,1,2,3,"Miss",0.2857142857142857,\n' in (tmp_path / "images.csv").read_text()
    write(tmp_path / "images.parquet", with_images(threshold=None))
    table = pq.read_table(tmp_path / "images.parquet")
    assert dict(zip(table.schema.names, table.schema.types, strict=True)) == TYPES
    assert json.loads(table.schema.metadata[b"ltcal"])["thresholds"] == {"a": {"bbox": None}}


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name(tmp_path: Path, name: str) -> None:
    """A spreadsheet takes none for a formula, and each cell stays on its line."""
    made = with_images(name, name)
    write(tmp_path / "images.csv", made)
    with (tmp_path / "images.csv").open(newline="", encoding="utf-8") as file:
        first, *_ = csv.DictReader(file)
    assert first["file_name"] == first["run"] == csv_cell(name)
    assert not csv_text(first["run"]) or not first["run"].startswith(("=", "+", "-", "@"))
    assert len((tmp_path / "images.csv").read_text().splitlines()) == 3
    write(tmp_path / "images.parquet", made)
    (kept, _) = pq.read_table(tmp_path / "images.parquet")["file_name"].to_pylist()
    assert [letter for letter in kept if letter in name] == [letter for letter in name if letter in kept]


def test_rows_of_a_classifier(tmp_path: Path) -> None:
    write(tmp_path / "rows.csv", replace(classification_report(classification_run("a", 0.0)), rows={"a": rows()}))
    assert (tmp_path / "rows.csv").read_text() == (
        '"run","row","file_name","label","prediction","confidence","correct"\n'
        '"a",0,,1,0,0.5,false\n"a",2,,0,0,0.75,true\n'
    )


@pytest.mark.parametrize("name", ["images.txt", "images", "images.csv.gz", "csv"])
def test_another_suffix_is_refused(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_suffix(Path(name))
    assert str(caught.value) == (
        f"{name}: name of the output: expected one that ends in .csv or .parquet, found {name}\n"
        "Fix: choose the format by the suffix, for example images.parquet"
    )


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_full_disk_is_an_output_error(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"images.{suffix}").mkdir()
    with pytest.raises(OutputError):
        write(tmp_path / f"images.{suffix}", with_images())
