"""What a tuning optimises, and its constraints."""

import numpy as np
import pytest

from longtail_cli.errors import UsageError
from longtail_cli.tuning.goal import parse_goal

KNOWN = ("bbox/AP", "bbox/APr", "bbox/APf", "tide/bbox/FalsePos", "tide/bbox/AP50", "classification/nll")


def test_more_is_better_except_for_errors():
    signs = {name: parse_goal(name, (), KNOWN).sign for name in KNOWN}
    assert [name for name, sign in signs.items() if sign < 0] == ["tide/bbox/FalsePos", "classification/nll"]


def test_every_metric_is_named_once():
    goal = parse_goal("bbox/AP", ["bbox/APf=-0.005", "bbox/AP=0", "bbox/APf=-0.1"], KNOWN)
    assert goal.metrics == ("bbox/AP", "bbox/APf")
    assert [one.change for one in goal.keeps] == [-0.005, 0.0, -0.1]


def test_the_paths_of_a_json_report_are_names_too():
    goal = parse_goal("metrics/bbox/APr", ["tide/bbox/special/FalsePos=+0.01"], KNOWN)
    assert (goal.objective, goal.keeps[0].metric) == ("bbox/APr", "tide/bbox/FalsePos")


def test_a_constraint_bounds_the_change_against_no_adjustment():
    goal = parse_goal("bbox/AP", ["bbox/APf=-0.25", "tide/bbox/FalsePos=+0.5"], KNOWN)
    values = {
        "bbox/AP": np.zeros(6),
        "bbox/APf": np.array([0.5, 0.25, 0.24, 0.9, np.nan, 0.5]),
        "tide/bbox/FalsePos": np.array([1.0, 1.5, 1.0, 1.51, 1.0, np.nan]),
    }
    base = {"bbox/APf": np.array([0.5]), "tide/bbox/FalsePos": np.array([1.0])}
    assert goal.met(values, base).tolist() == [True, True, False, False, False, False]
    assert goal.keeps[0].shortfall(np.array([0.125]), np.array([0.5])).tolist() == [0.125]
    assert goal.keeps[1].shortfall(np.array([1.75]), np.array([1.0])).tolist() == [0.25]


def test_without_constraints_everything_is_allowed():
    assert parse_goal("bbox/AP", (), KNOWN).met({"bbox/AP": np.array([np.nan, 0.0])}, {}).tolist() == [True, True]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("bbox/APf", "metric=change"),
        ("bbox/APf=", "metric=change"),
        ("bbox/APf=little", "metric=change"),
        ("bbox/APf=-0.1=-0.2", "metric=change"),
        ("bbox/APf=0.005", "at most 0: how far it may fall"),
        ("tide/bbox/FalsePos=-0.01", "at least 0: by how much the error may rise"),
        ("bbox/APz=-0.1", "did you mean bbox/AP"),
        ("recall=-0.1", "choose one of these"),
        ("bbox/APf=.", "metric=change"),
        ("bbox/APf=-1.2.3", "metric=change"),
    ],
)
def test_what_is_no_constraint_is_refused(keep, message):
    with pytest.raises(UsageError, match=message):
        parse_goal("bbox/AP", [keep], KNOWN)


def test_an_objective_must_be_known():
    with pytest.raises(
        UsageError, match=r"`objective=`.*expected one of bbox/AP, .*found 'bbox/APx'\nFix: did you mean"
    ):
        parse_goal("bbox/APx", (), KNOWN)
