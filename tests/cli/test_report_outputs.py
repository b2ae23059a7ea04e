"""The tables of runs that `ltcal report` writes."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from longtail_cli.cli import main

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
FILES = ("--latex", "runs.tex", "--csv-runs", "runs.csv", "--metrics-json", "metrics.json")


def report(*options: str) -> Result:
    given = ["report", str(SCENES / "predictions.json"), "--annotations", str(SCENES / "val.json"), "--name", "before"]
    return CliRunner().invoke(main, [*given, "--no-gate", *options])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_metrics_of_the_run_without_those_of_categories(folder: Path) -> None:
    """Although the CSV of categories needs these."""
    assert report(*FILES, "--csv", "categories.csv", "--tide", "off").exit_code == 0
    metrics = json.loads(Path("metrics.json").read_text())
    assert {name.split("/")[0] for name in metrics} == {"bbox"}
    (row,) = csv.DictReader(Path("runs.csv").read_text().splitlines())
    assert float(row["bbox/APr"]) == metrics["bbox/APr"]
    assert r"$\pm$" not in Path("runs.tex").read_text()
    (cells,) = [line.split(" & ") for line in Path("runs.tex").read_text().splitlines() if line.startswith("before")]
    assert cells[2] == f"{100 * metrics['bbox/APr']:.1f}"


def test_with_a_bootstrap_both_tables_have_intervals(folder: Path) -> None:
    assert report(*FILES, "--tide", "off", "--bootstrap", "--resamples", "20").exit_code == 0
    assert r"$\pm$" in Path("runs.tex").read_text()
    (row,) = csv.DictReader(Path("runs.csv").read_text().splitlines())
    assert float(row["bbox/AP low"]) < float(row["bbox/AP"]) < float(row["bbox/AP high"])


def test_metrics_of_categories_are_among_them_if_asked_for(folder: Path) -> None:
    found = report("--metrics-json", "-", "--tide", "off", "--per-category")
    assert "categories/40/bbox/AP" in json.loads(found.stdout)
