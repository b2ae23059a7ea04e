"""Runs as CSV."""

import csv
import dataclasses
import io
from collections.abc import Mapping

import pytest
from reports import (
    BASELINE,
    HOSTILE,
    classification_report,
    classification_run,
    counting,
    gated_report,
    report,
    resampled_report,
    run,
)

from longtail_cli.escapes import csv_cell, csv_text
from longtail_cli.metrics import Interval
from longtail_cli.reports.csv import to_csv_runs
from longtail_cli.reports.metric_names import metrics_of


def read(text: str) -> list[dict[str, str]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def about(row: Mapping[str, str], metric: str) -> dict[str, str]:
    """The cells of a metric, by what its name ends in."""
    return {name.removeprefix(metric).strip(): cell for name, cell in row.items() if name.split(" ")[0] == metric}


def test_a_row_per_run_and_a_column_per_metric_without_those_of_categories():
    adjusted = dataclasses.replace(run("after", 1 / 3), method="norcal:gamma=0.6")
    before, after = read(to_csv_runs(report(run("before", 0.0), adjusted)))
    names = [name for name in metrics_of(adjusted) if not name.startswith("categories/")]
    assert list(before) == ["run", "method", "source", *names]
    assert {name: before[name] for name in ("run", "method", "source", "bbox/AP", "bbox/APr")} == {
        "run": "before", "method": "", "source": "before.json", "bbox/AP": "0.25", "bbox/APr": "",
    }  # fmt: skip
    assert (after["method"], float(after["bbox/AP"])) == ("norcal:gamma=0.6", 0.25 + 1 / 3)


def test_counts_are_whole_numbers():
    (row,) = read(to_csv_runs(report(counting(run("a", 0.0), 331))))
    assert (row["tide/bbox/FP@R40"], row["tide/bbox/FP@R60"]) == ("331", "")


def test_metrics_with_intervals_have_them_and_the_difference_to_the_reference():
    before, after = read(to_csv_runs(resampled_report(run("before", 0.0), run("after", 0.125))))
    assert about(before, "bbox/AP") == {
        "": "0.25", "low": "0.2", "high": "0.3", "difference": "", "difference low": "", "difference high": "",
    }  # fmt: skip
    assert about(after, "bbox/AP") == {
        "": "0.375", "low": "0.2", "high": "0.3",
        "difference": "0.125", "difference low": "-0.01", "difference high": "0.04",
    }  # fmt: skip
    assert about(after, "bbox/AP50") == {"": "0.5"}


def test_a_reference_that_is_not_the_first_run():
    one = resampled_report(run("before", 0.0), run("after", 0.125))
    rows = {row["run"]: row for row in read(to_csv_runs(dataclasses.replace(one, compared_to="after")))}
    assert (rows["before"]["bbox/AP difference"], rows["after"]["bbox/AP difference"]) == ("-0.125", "")


def test_a_baseline_comes_first_and_metrics_that_only_it_has_are_omitted():
    metrics = {"bbox": {"AP": 0.125, "AP50": 0.5, "APfixed": {"AP": 0.5}}}
    main = dataclasses.replace(BASELINE.run, metrics=metrics, intervals={"bbox/AP": Interval(0.1, 0.15)})
    old, new = read(to_csv_runs(gated_report(run("a", 0.0), baseline=dataclasses.replace(BASELINE, run=main))))
    assert about(old, "bbox/AP")["low"] == "0.1"
    assert (old["run"], old["bbox/AP difference"]) == ("baseline: main", "")
    assert (new["run"], new["bbox/AP difference"], new["bbox/AP low"]) == ("a", "0.125", "")
    assert (old["tide/bbox/FalsePos"], old["bbox/APpool/AP"]) == ("0.2", "")
    assert "bbox/APfixed/AP" not in old


def test_a_classifier():
    none, iif = read(
        to_csv_runs(classification_report(classification_run("none", 0.0), classification_run("iif", 0.25)))
    )
    assert (none["method"], none["classification/few"], iif["classification/few"]) == ("none", "0.125", "0.375")
    assert iif["classification/nll"] == "2.5"


@pytest.mark.parametrize("name", [*HOSTILE, "a\r\nb", "", "=1+1", "'=1", "-1", "@SUM(A1)"])
def test_any_name_reads_back_and_none_is_taken_for_a_formula(name):
    one = dataclasses.replace(run(name, 0.0), method=name, source=name, slices={name: {"bbox": {"AP": 0.5}}})
    (row,) = read(to_csv_runs(report(one)))
    for cell in (row["run"], row["method"], row["source"]):
        assert csv_text(cell) == csv_text(csv_cell(name))
        assert not cell.startswith(("=", "+", "-", "@"))
    assert row[csv_cell(f"slices/{name}/bbox/AP")] == "0.5"
