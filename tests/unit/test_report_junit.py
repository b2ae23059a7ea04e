"""Gates as JUnit test cases, which CI services read.

`tests/data/junit.xsd` is as strict as the two schemas in common use are together.
"""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from gates import gate, judged
from lxml import etree
from reports import GATES, HOSTILE, classification_report, classification_run, gated_report, report, run, verdict

from longtail_cli.reports.ci import to_junit
from longtail_cli.reports.model import Report

SCHEMA = etree.XMLSchema(etree.parse(Path(__file__).parents[1] / "data" / "junit.xsd"))


def suite_of(one: Report) -> etree._Element:
    document = etree.fromstring(to_junit(one).encode())
    SCHEMA.assertValid(document)
    (suite,) = document
    return suite


def test_one_test_case_per_verdict():
    suite = suite_of(gated_report(run("after", 0.0)))
    cases = suite.findall("testcase")
    assert [(case.get("classname"), case.get("name"), [part.tag for part in case]) for case in cases] == [
        ("after", "fail-under bbox/AP=0.18", ["system-out"]),
        ("after", "max-drop bbox/APr=1%", ["failure"]),
        ("after", "fail-under bbox/APs=0.18", ["failure"]),
        ("after", "fail-under bbox/APm=0.18", ["skipped"]),
        ("after", "max-rise tide/bbox/FalsePos=0.18", ["error"]),
    ]
    assert {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")} == {
        "tests": "5", "failures": "2", "errors": "1", "skipped": "1", "time": "0",
    }  # fmt: skip


def test_a_failure_states_the_reason_in_its_message_and_text():
    failure = suite_of(gated_report(run("after", 0.0))).find("testcase/failure")
    assert (failure.get("type"), failure.get("message"), failure.text) == (
        "max-drop",
        "after: bbox/APr failed",
        "after: bbox/APr failed",
    )


def test_a_passed_case_states_its_value():
    found = replace(report(run("after", 0.0)), gates=judged(report(run("after", 0.0)), gate("bbox/AP=0.18")))
    assert suite_of(found).findtext("testcase/system-out") == "bbox/AP of after is 0.2500, not under 0.18"


@pytest.mark.parametrize(
    ("gates", "expected"),
    [
        (GATES, "2 of 5 gates failed, 1 could not be judged"),
        (GATES[4:], "the gate could not be judged"),
        (GATES[3:], "1 of 2 gates could not be judged"),
        (GATES[1:2], "the gate failed"),
        (GATES[:1] * 2, "both gates passed"),
        (GATES[:1], "the gate passed"),
        ((GATES[0], GATES[3]), "both gates passed"),
        ((), "no gates"),
    ],
)
def test_the_suite_states_the_total(gates, expected):
    assert suite_of(gated_report(run("after", 0.0), gates=gates)).findtext("system-out") == expected


def test_the_properties_hold_the_signature():
    properties = {one.get("name"): one.get("value") for one in suite_of(report(run("a", 0.0))).find("properties")}
    assert properties == {
        "version": "0.1.0", "protocol": "lvis", "max_dets": "300", "iou_types": "bbox", "tide": "aligned",
        "images": "5", "categories": "2", "annotations_sha256": "abcd",
    }  # fmt: skip


def test_without_gates_there_are_no_tests():
    for one in (report(run("a", 0.0)), classification_report(classification_run("a", 0.0))):
        suite = suite_of(one)
        assert (suite.get("tests"), suite.findall("testcase")) == ("0", [])


def test_the_same_report_gives_the_same_bytes_and_a_time_only_if_given():
    one = gated_report(run("after", 0.0))
    assert to_junit(one) == to_junit(one)
    assert "timestamp" not in to_junit(one)
    document = etree.fromstring(to_junit(one, datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)).encode())
    SCHEMA.assertValid(document)
    assert document[0].get("timestamp") == "2026-01-02T03:04:05"


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("one", GATES, ids=lambda one: f"{one.outcome} {one.allowed}")
def test_any_name_reads_back_except_for_characters_that_xml_cannot_hold(name, one):
    hostile = verdict(one.outcome, one.allowed, run=name, metric=name, message=name)
    case = suite_of(gated_report(run(name, 0.0), gates=(hostile,))).find("testcase")
    expected = "".join("\N{REPLACEMENT CHARACTER}" if letter in "\x00\x1b\ud800" else letter for letter in name)
    assert case.get("classname") == expected
    assert case.get("name") == f"fail-under {expected}=0.18"
    if one.outcome == "passed":
        assert case.findtext("system-out") == expected.replace("\r", "\n")  # as XML reads text
    else:
        assert case[0].get("message") == expected


@pytest.mark.parametrize("part", [' tests="5"', ' type="max-drop"', ' classname="after"', "<system-err />"])
def test_the_schema_requires_what_the_common_ones_require(part):
    text = to_junit(gated_report(run("after", 0.0)))
    assert part in text
    assert not SCHEMA.validate(etree.fromstring(text.replace(part, "").encode()))
