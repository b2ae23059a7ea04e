"""What a report is: runs that can stand side by side."""

import dataclasses
import math

import pytest
from reports import classification_report, classification_run, report, run

from longtail_cli.metrics import ReliabilityBin
from longtail_cli.reports.model import Run


def test_a_report_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        report(run("a", 0.0)).runs = ()


def test_there_is_at_least_one_run():
    with pytest.raises(ValueError, match="at least one run"):
        report()


def test_no_two_runs_have_one_name():
    with pytest.raises(ValueError, match="no name twice"):
        report(run("a", 0.0), run("a", 0.1))


@pytest.mark.parametrize("figure", [math.nan, math.inf, -math.inf])
def test_undefined_is_none_and_never_nan(figure):
    with pytest.raises(ValueError, match="finite"):
        report(run("a", figure))


def test_every_run_holds_figures_of_the_iou_types_of_the_signature():
    with pytest.raises(ValueError, match=r"run 'a': expected figures of \['bbox'\], found \['segm'\]"):
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
def test_all_runs_hold_the_same_figures(other):
    with pytest.raises(ValueError, match="runs 'a' and 'b' do not hold the same figures and categories"):
        report(run("a", 0.0), other(run("b", 0.0)))


def test_figures_of_classification_belong_to_that_protocol_alone():
    with pytest.raises(ValueError, match="run 'a': expected figures of classification"):
        report(dataclasses.replace(run("a", 0.0), classification=classification_run("a", 0.0).classification))
    with pytest.raises(ValueError, match="run 'a': expected figures of classification"):
        classification_report(dataclasses.replace(classification_run("a", 0.0), classification=None))


def with_a_figure(name: str, value: object) -> Run:
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
def test_no_figure_of_classification_is_nan_or_infinite(name, value):
    with pytest.raises(ValueError, match="finite"):
        classification_report(with_a_figure(name, value))


@pytest.mark.parametrize("other", [with_a_figure("confusion", {}), with_a_figure("reliability", ())])
def test_all_runs_hold_the_same_figures_of_classification(other):
    with pytest.raises(ValueError, match="runs 'a' and 'b' do not hold the same figures and categories"):
        classification_report(classification_run("a", 0.0), other)
