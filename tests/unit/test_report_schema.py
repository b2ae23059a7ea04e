"""The report as JSON, ltcal-report/1."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reports import classification_report, classification_run, report, run

from longtail_cli.errors import InputError
from longtail_cli.report.schema import from_json, to_json


def test_the_schema():
    document = json.loads(to_json(report(run("a", 0.0))))
    assert list(document) == ["format", "signature", "runs", "notes"]
    assert document["format"] == "ltcal-report/1"
    first = document["runs"][0]
    parts = ["name", "source", "sha256", "method", "metrics", "tide", "categories", "notes", "classification"]
    assert list(first) == parts
    assert first["classification"] is None
    assert first["metrics"]["bbox"] == {"AP": 0.25, "AP50": 0.5, "APr": None, "APpool": {"AP": 0.2, "APr": None}}
    assert list(first["tide"]["bbox"]) == ["protocol", "AP50", "main", "special", "groups"]
    assert first["tide"]["bbox"]["groups"]["r"]["main"]["Bkg"] is None
    assert list(first["categories"][0]) == ["id", "name", "group", "images", "instances", "metrics"]
    assert first["categories"][0]["metrics"] == {"bbox": {"AP": 0.25, "AP50": 0.5}}
    assert first["categories"][1]["metrics"] == {"bbox": {"AP": None, "AP50": None}}


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


def test_a_report_from_before_classification_reads_as_one_of_today():
    document = json.loads(to_json(report(run("a", 0.0))))
    del document["runs"][0]["classification"]
    assert from_json(json.dumps(document), "old.json") == report(run("a", 0.0))


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
        ('{"format": "ltcal-report/2", "tables": []}', "of another schema: update ltcal"),
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
        ('["bbox"]', '["segm"]', "expected figures of"),
        ('"name":"b"', '"name":"a"', "no name twice"),
        ('"APr":null,', "", "do not hold the same figures"),
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
