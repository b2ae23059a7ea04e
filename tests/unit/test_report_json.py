"""The report as JSON, ltcal-report/1."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import (
    BASELINE,
    GATES,
    classification_report,
    classification_run,
    counting,
    reliable,
    report,
    resampled_report,
    run,
    trained,
)

from longtail_cli.errors import InputError
from longtail_cli.reports.json import from_json, to_json


def test_the_schema():
    document = json.loads(to_json(report(run("a", 0.0))))
    assert list(document) == [
        "format",
        "signature",
        "runs",
        "notes",
        "groups",
        "bootstrap",
        "baseline",
        "gates",
        "warnings",
        "compared_to",
        "slices",
    ]
    assert document["format"] == "ltcal-report/1"
    first = document["runs"][0]
    parts = ["name", "source", "sha256", "method", "metrics", "tide", "categories", "notes", "classification"]
    assert list(first) == [*parts, "reliability", "intervals", "deltas", "p_values", "oracle", "slices"]
    assert first["classification"] is None
    assert first["metrics"]["bbox"] == {"AP": 0.25, "AP50": 0.5, "APr": None, "APpool": {"AP": 0.2, "APr": None}}
    assert list(first["tide"]["bbox"]) == ["protocol", "AP50", "main", "special", "groups", "false_positives"]
    assert first["tide"]["bbox"]["groups"]["r"]["main"]["Bkg"] is None
    about = ["id", "name", "group", "images", "instances"]
    assert list(first["categories"][0]) == [*about, "metrics", "train_images", "train_instances"]
    assert first["categories"][0]["metrics"] == {"bbox": {"AP": 0.25, "AP50": 0.5}}
    assert first["categories"][1]["metrics"] == {"bbox": {"AP": None, "AP50": None}}


def test_a_report_of_ltcal_before_false_positives_were_counted_is_read():
    document = json.loads(to_json(report(counting(run("a", 0.0), 331))))
    del document["signature"]["tide_rules"]
    tide = document["runs"][0]["tide"]["bbox"]
    del tide["false_positives"], tide["groups"]["r"]["false_positives"]
    assert from_json(json.dumps(document), "old.json") == report(run("a", 0.0))


def test_numbers_of_false_positives_are_whole():
    document = json.loads(to_json(report(counting(run("a", 0.0), 331))))
    assert repr(document["runs"][0]["tide"]["bbox"]["false_positives"]) == "{'FP@R40': 331, 'FP@R60': None}"
    assert from_json(json.dumps(document), "report.json") == report(counting(run("a", 0.0), 331))


def test_the_schema_of_classification():
    document = json.loads(to_json(classification_report(classification_run("a", 0.0))))
    assert document["signature"]["protocol"] == "classification"
    assert (document["signature"]["max_dets"], document["signature"]["iou_types"]) == (None, [])
    (first,) = document["runs"]
    assert (first["metrics"], first["tide"]) == ({}, {})
    assert first["classification"] == {
        "top1": 0.5,
        "top5": 0.75,
        "balanced": 0.25,
        "many": 0.5,
        "medium": None,
        "few": 0.125,
        "ece": 0.0625,
        "classwise_ece": 0.03125,
        "nll": 1.5,
        "brier": 0.625,
        "confusion": {"many": {"many": 0.75, "few": 0.25}, "few": {"many": 0.5, "few": 0.5}},
        "reliability": [
            {"count": 0, "confidence": None, "accuracy": None},
            {"count": 8, "confidence": 0.5, "accuracy": 0.25},
        ],
    }
    assert first["categories"][0]["metrics"] == {"classification": {"recall": 0.5}}


def test_the_schema_of_gates_and_intervals():
    before, after = reliable(run("before", 0.0)), reliable(run("after", 0.0))
    one = dataclasses.replace(resampled_report(before, after), gates=GATES[1:2], baseline=BASELINE)
    document = json.loads(to_json(one))
    assert document["groups"]["r"] == {"categories": 1, "images": 1, "instances": 2}
    assert document["bootstrap"] == {
        "resamples": 1000,
        "seed": 0,
        "sha256": "00ff",
        "images": {},
        "covers": "the metric on sets of images of this size, not on all the images that they come from",
    }
    assert list(document["baseline"]) == ["source", "run", "differences"]
    assert document["runs"][1]["intervals"] == {"bbox/AP": {"low": 0.2, "high": 0.3}}
    assert document["runs"][1]["deltas"] == {"bbox/AP": {"low": -0.01, "high": 0.04}}
    assert document["runs"][1]["reliability"]["bbox"] == {
        "iou_threshold": 0.5,
        "errors": {"all": {"D-ECE": 0.125, "LaECE": 0.25}, "r": {"D-ECE": None, "LaECE": None}},
        "bins": {
            "all": [{"count": 4, "confidence": 0.5, "precision": 0.25, "iou": 0.75}],
            "r": [{"count": 0, "confidence": None, "precision": None, "iou": None}],
        },
    }
    assert document["gates"] == [
        {
            "run": "after",
            "kind": "max-drop",
            "metric": "bbox/APr",
            "limit": "1%",
            "outcome": "failed",
            "allowed": False,
            "value": 0.1,
            "base": 0.2,
            "interval": {"low": -0.12, "high": -0.08},
            "message": "after: bbox/APr failed",
            "p_value": None,
            "p_adjusted": None,
        }
    ]


def test_reports_from_before_classification_and_gates_can_be_read():
    document = json.loads(to_json(report(run("a", 0.0))))
    for part in ("groups", "bootstrap", "baseline", "gates"):
        del document[part]
    for part in ("classification", "reliability", "intervals", "deltas", "p_values", "oracle"):
        del document["runs"][0][part]
    del document["signature"]["oracle"]
    for row in document["runs"][0]["categories"]:
        del row["train_images"], row["train_instances"]
    assert from_json(json.dumps(document), "old.json") == report(run("a", 0.0))


def test_gates_and_intervals_read_back_equal():
    before, after = (trained(reliable(run(name, 0.0)), 4) for name in ("before", "after"))
    one = dataclasses.replace(resampled_report(before, after), gates=GATES, baseline=BASELINE)
    assert from_json(to_json(one), "here") == one


@given(st.floats(-0.125, 0.125))
def test_classification_reads_back_equal(shift):
    one = classification_report(classification_run("a", shift), classification_run("b", -shift))
    assert from_json(to_json(one), "here") == one


@given(st.floats(-1, 1), st.text())
def test_what_is_written_reads_back_equal(shift, name):
    one = report(run(name, shift, category=name), run("b", -shift))
    assert from_json(to_json(one), "here") == one


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "missing required field `format`"),
        ('{"format": "ltcal-frequency/1"}', "ltcal-frequency/1"),
        ('{"format": "ltcal-report/2", "tables": []}', "has another schema: update ltcal"),
        ('{"format": "ltcal-report/1"}', "missing required field `signature`"),
        ('{"format": "ltcal-report/1", "runs": ' + "[" * 100_000, "recursion depth"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text, found):
    with pytest.raises(InputError) as caught:
        from_json(text, "baseline.json")
    assert str(caught.value).startswith("baseline.json: ")
    assert found in str(caught.value)


@pytest.mark.parametrize(
    ("part", "wrong", "found"),
    [
        ('"AP":0.25', '"AP":"high"', "got `str`"),
        ('"AP":0.25', '"AP":NaN', "malformed"),
        ('"AP":0.25', '"AP":1e999', "out of range"),
        ('["bbox"]', '["segm"]', "expected metrics of"),
        ('"name":"b"', '"name":"a"', "unique names"),
        ('"APr":null,', "", "do not hold the same metrics"),
    ],
)
def test_a_damaged_report_is_refused(part, wrong, found):
    compact = json.dumps(json.loads(to_json(report(run("a", 0.0), run("b", 0.0)))), separators=(",", ":"))
    with pytest.raises(InputError, match=found):
        from_json(compact.replace(part, wrong, 1), "baseline.json")


@given(st.data())
def test_a_truncated_report_is_refused(data):
    text = to_json(report(run("a", 0.0))).rstrip()
    with pytest.raises(InputError):
        from_json(text[: data.draw(st.integers(0, len(text) - 1))], "baseline.json")
