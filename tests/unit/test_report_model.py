"""The report model: comparable runs, content and equality."""

import dataclasses
import math
import subprocess
import sys

import pytest
from reports import classification_report, classification_run, gated_report, images, report, rows, run, verdict

from longtail_cli.metrics import ReliabilityBin, Resamples
from longtail_cli.reports.model import Run


def test_a_report_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        report(run("a", 0.0)).runs = ()


def test_there_is_at_least_one_run():
    with pytest.raises(ValueError, match="at least one run"):
        report()


def test_names_of_runs_are_unique():
    with pytest.raises(ValueError, match="unique names"):
        report(run("a", 0.0), run("a", 0.1))


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_undefined_is_none_and_never_nan(value):
    with pytest.raises(ValueError, match="finite"):
        report(run("a", value))


def test_every_run_holds_metrics_of_the_iou_types_of_the_signature():
    with pytest.raises(ValueError, match=r"run 'a': expected metrics of \['bbox'\], found \['segm'\]"):
        report(dataclasses.replace(run("a", 0.0), metrics={"segm": {"AP": 0.5}}))


def test_an_iou_type_is_bbox_or_segm():
    one = report(run("a", 0.0))
    with pytest.raises(ValueError, match="boxes"):
        dataclasses.replace(one, signature=dataclasses.replace(one.signature, iou_types=("boxes",)))


def without_pooled_ap(one: Run) -> Run:
    return dataclasses.replace(one, metrics={"bbox": {"AP": 0.25, "AP50": 0.5, "APr": None}})


def without_groups(one: Run) -> Run:
    return dataclasses.replace(one, tide={"bbox": dataclasses.replace(one.tide["bbox"], groups={})})


def with_another_tide(one: Run) -> Run:
    return dataclasses.replace(one, tide={"bbox": dataclasses.replace(one.tide["bbox"], protocol="tidecv")})


def without_a_category(one: Run) -> Run:
    return dataclasses.replace(one, categories=one.categories[:1])


@pytest.mark.parametrize("other", [without_pooled_ap, without_groups, with_another_tide, without_a_category])
def test_all_runs_hold_the_same_metrics(other):
    with pytest.raises(ValueError, match="runs 'a' and 'b' do not hold the same metrics and categories"):
        report(run("a", 0.0), other(run("b", 0.0)))


def test_classification_metrics_belong_to_that_protocol_alone():
    with pytest.raises(ValueError, match="run 'a': expected classification metrics"):
        report(dataclasses.replace(run("a", 0.0), classification=classification_run("a", 0.0).classification))
    with pytest.raises(ValueError, match="run 'a': expected classification metrics"):
        classification_report(dataclasses.replace(classification_run("a", 0.0), classification=None))


def with_a_metric(name: str, value: object) -> Run:
    one = classification_run("b", 0.0)
    return dataclasses.replace(one, classification=dataclasses.replace(one.classification, **{name: value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nll", math.inf),
        ("confusion", {"many": {"many": math.nan}}),
        ("reliability", (ReliabilityBin(1, math.nan, None),)),
    ],
)
def test_no_classification_metric_is_nan_or_infinite(name, value):
    with pytest.raises(ValueError, match="finite"):
        classification_report(with_a_metric(name, value))


@pytest.mark.parametrize("other", [with_a_metric("confusion", {}), with_a_metric("reliability", ())])
def test_all_runs_hold_the_same_classification_metrics(other):
    with pytest.raises(ValueError, match="runs 'a' and 'b' do not hold the same metrics and categories"):
        classification_report(classification_run("a", 0.0), other)


def test_what_a_report_holds_metrics_of():
    assert report(run("a", 0.0)).kinds == ("bbox",)
    assert classification_report(classification_run("a", 0.0)).kinds == ("classification",)


def test_a_report_passes_unless_a_gate_does_not():
    one = run("after", 0.0)
    assert report(one).passed
    assert gated_report(one, gates=(verdict("passed"), verdict("undefined", allowed=True))).passed
    assert not gated_report(one, gates=(verdict("passed"), verdict("failed"))).passed
    assert not gated_report(one, gates=(verdict("not comparable"),)).passed


def test_reports_are_comparable_if_their_signatures_agree():
    one = report(run("a", 0.0))
    assert one.comparable(report(run("b", 0.1)))
    other = dataclasses.replace(one, signature=dataclasses.replace(one.signature, max_dets=100))
    assert not one.comparable(other)


def test_reports_are_equal_without_what_the_json_leaves_out():
    one = report(run("a", 0.0))
    assert one == dataclasses.replace(one, images={"a": {"bbox": images()}}, rows={"a": rows()})
    assert one == dataclasses.replace(one, resamples=Resamples(0, "", {}), weights={"raw": (1.0, 2.0)})
    assert one != dataclasses.replace(one, notes=())


def test_renderers_are_methods():
    one = report(run("a", 0.0))
    assert one.to_json().startswith('{\n "format": "ltcal-report/1"')
    assert one.to_text().startswith("LVIS protocol")
    assert "FalseNeg" in one.to_text(verbose=True)
    assert "**Boxes, percent**" in one.to_markdown()
    assert "<!DOCTYPE html>" in one.to_html()
    assert "ltcal report a.json" in one.to_html("ltcal report a.json")


def test_a_report_imports_neither_pandas_nor_matplotlib():
    heavy = "{'pandas', 'matplotlib', 'torch', 'jinja2', 'tabulate'}"
    code = f"import sys, longtail_cli.reports.model; print({heavy} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert found.stdout == "set()\n"
