"""Proposals for spaces with three ranges and more."""

import sys

import pytest

from longtail_cli.errors import MissingExtraError
from longtail_cli.tuning.optimiser import propose
from longtail_cli.tuning.spaces import parse_space

SPACE = parse_space("temperature:t=0.5..2+logit-adjust:tau=0..1,reference=mean|max+foreground:offset=-2..2")


def test_without_optuna_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(MissingExtraError) as caught:
        propose(SPACE, [], [], 0)
    assert str(caught.value) == (
        "optuna: package: expected optuna, for spaces with three ranges and more, found none\n"
        "Fix: install it: pip install 'ltcal[tune]'"
    )


def value_of(point):
    t, tau, reference, offset = point
    return -abs(t - 1.2) - abs(tau - 0.3) - abs(offset - 0.5) - (reference == "max")


@pytest.fixture
def tried():
    pytest.importorskip("optuna")
    return list(SPACE.coarse())[::5]


def test_a_proposal_is_a_point_of_the_space(tried):
    point = propose(SPACE, tried, list(map(value_of, tried)), 0)
    t, tau, reference, offset = point
    assert 0.5 <= t <= 2
    assert 0 <= tau <= 1
    assert reference in ("mean", "max")
    assert -2 <= offset <= 2
    assert SPACE.method(point).spec


def test_equal_seeds_propose_equal_points(tried):
    values = list(map(value_of, tried))
    assert propose(SPACE, tried, values, 3) == propose(SPACE, tried, values, 3)


def test_proposals_become_better(tried):
    points = list(tried)
    for seed in range(6):
        points.append(propose(SPACE, points, list(map(value_of, points)), seed))
    assert max(map(value_of, points[len(tried) :])) > max(map(value_of, tried))


def test_a_proposal_is_rounded_but_not_beyond_the_ends():
    pytest.importorskip("optuna")
    space = parse_space("temperature:t=0.5..2+logit-adjust:tau=0..1.23456789+foreground:offset=-2..2")
    points = list(space.coarse())
    for seed in range(3):  # the best is at the upper end
        points.append(propose(space, points, [tau for _, tau, _ in points], seed))
    found = [point[1] for point in points[-3:]]
    assert max(found) == 1.23456789
    assert all(float(f"{one:.4g}") == one for point in points[-3:] for one in point if one != 1.23456789)
