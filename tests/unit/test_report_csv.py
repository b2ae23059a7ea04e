"""Categories as CSV."""

import csv
import dataclasses
import io

import pytest
from reports import (
    BASELINE,
    HOSTILE,
    classification_report,
    classification_run,
    gated_report,
    report,
    run,
    trained,
)

from longtail_cli.escapes import csv_cell, csv_text
from longtail_cli.reports.csv import to_csv
from longtail_cli.reports.model import Baseline, Report


def read(text: str) -> list[dict[str, str]]:
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    return [dict(zip(header, row, strict=True)) for row in rows]


def test_a_row_per_category_with_every_metric_of_every_run_and_the_change_of_ap():
    one = report(trained(run("before", 0.0), 17), trained(run("after", 0.125), 17))
    assert to_csv(one) == (
        "id,name,group,train_images,train_instances,images,instances,"
        "before bbox/AP,before bbox/AP50,after bbox/AP,after bbox/AP difference,after bbox/AP50\n"
        "7,cat,c,17,34,3,4,0.25,0.5,0.375,0.125,0.5\n"
        "9,dog,,,,0,0,,,,,\n"
    )


def test_metrics_are_fractions_in_full():
    assert float(read(to_csv(report(run("a", 1 / 3))))[0]["a bbox/AP"]) == 0.25 + 1 / 3


def test_a_baseline_comes_first_and_changes_are_to_it():
    cat, _ = read(to_csv(gated_report(run("a", 0.0), run("b", 0.125), baseline=BASELINE)))
    assert {name: value for name, value in cat.items() if "AP50" not in name and "bbox" in name} == {
        "baseline: main bbox/AP": "0.125",
        "a bbox/AP": "0.25",
        "a bbox/AP difference": "0.125",
        "b bbox/AP": "0.375",
        "b bbox/AP difference": "0.25",
    }


def test_a_baseline_without_categories_is_omitted():
    bare = Baseline("main.json", dataclasses.replace(BASELINE.run, categories=()), ())
    assert list(read(to_csv(gated_report(run("a", 0.0), baseline=bare)))[0])[-2:] == ["a bbox/AP", "a bbox/AP50"]


def test_a_category_that_the_baseline_lacks_has_no_change():
    less = Baseline("main.json", dataclasses.replace(BASELINE.run, categories=BASELINE.run.categories[1:]), ())
    cat, _ = read(to_csv(gated_report(run("a", 0.0), baseline=less)))
    assert (cat["baseline: main bbox/AP"], cat["a bbox/AP"], cat["a bbox/AP difference"]) == ("", "0.25", "")


def test_classes_with_their_recall():
    runs = classification_run("none", 0.0), classification_run("iif", 0.25)
    cat, dog = read(to_csv(classification_report(*runs)))
    assert (cat["none classification/recall"], cat["iif classification/recall difference"]) == ("0.5", "0.25")
    assert (dog["none classification/recall"], dog["iif classification/recall difference"]) == ("", "")


def test_without_categories_there_is_only_the_header():
    one = report(dataclasses.replace(run("a", 0.0), categories=()))
    assert to_csv(one) == "id,name,group,train_images,train_instances,images,instances\n"


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@SUM(A1)", "'=1", "\N{FULLWIDTH EQUALS SIGN}1"])
def test_a_spreadsheet_does_not_take_text_for_a_formula(name):
    one = report(run(name, 0.0, category=name))
    rows = read(to_csv(one))
    assert rows[0]["name"] == f"'{name}"
    assert f"'{name} bbox/AP" in rows[0]


def test_numbers_below_zero_stay_numbers():
    fallen = report(run("a", 0.0), run("b", -0.125))
    assert read(to_csv(fallen))[0]["b bbox/AP difference"] == "-0.125"


def hostile_report(name: str) -> Report:
    return report(run(name, 0.0, category=name), run(f"{name}2", 0.0, category=name))


@pytest.mark.parametrize("name", [*HOSTILE, "a\rb", "a\r\nb", "", "'", " =1"])
def test_any_name_reads_back_except_for_characters_that_text_files_cannot_hold(name):
    text = to_csv(hostile_report(name))
    expected = csv_text(csv_cell(name))
    rows = read(text)
    assert [csv_text(row["name"]) for row in rows] == [expected, "dog"]
    assert text.count("\n") == 3
    assert [row["id"] for row in rows] == ["7", "9"]
    text.encode()
