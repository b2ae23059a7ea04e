"""The metrics as one flat dict."""

import dataclasses
import json

import pytest
from reports import BASELINE, HOSTILE, classification_report, classification_run, counting, gated_report, report, run

from longtail_cli.reports.json import to_metrics_json
from longtail_cli.reports.metric_names import metrics_of


def test_names_of_a_single_run_are_those_of_gates_and_undefined_metrics_are_left_out():
    one = counting(run("a", 1 / 3), 331)
    found = json.loads(to_metrics_json(report(one)))
    assert found == {name: value for name, value in metrics_of(one).items() if value is not None}
    assert (found["bbox/AP"], found["tide/bbox/FP@R40"]) == (0.25 + 1 / 3, 331)
    assert found.keys() & {"bbox/APr", "tide/bbox/FP@R60", "tide/bbox/r/AP50"} == set()


def test_names_of_several_runs_begin_with_that_of_the_run():
    found = json.loads(to_metrics_json(report(run("before", 0.0), run("after", 0.125))))
    assert (found["before/bbox/AP"], found["after/bbox/AP"], found["after/bbox/APpool/AP"]) == (0.25, 0.375, 0.325)


def test_a_baseline_is_left_out():
    assert to_metrics_json(gated_report(run("a", 0.0), baseline=BASELINE)) == to_metrics_json(report(run("a", 0.0)))


def test_every_value_is_a_number():
    for one in (report(run("a", 0.0)), classification_report(classification_run("a", 0.0))):
        assert all(type(value) in (int, float) for value in json.loads(to_metrics_json(one)).values())


def test_a_report_without_a_defined_metric_is_an_empty_dict():
    bare = dataclasses.replace(run("a", 0.0), metrics={"bbox": {"AP": None}}, tide={}, categories=())
    assert to_metrics_json(report(bare)) == "{}\n"


@pytest.mark.parametrize("name", HOSTILE)
def test_any_name_reads_back(name):
    text = to_metrics_json(report(run(name, 0.0), run("b", 0.0)))
    assert text.isascii()
    assert json.loads(text)[f"{name}/bbox/AP"] == 0.25
