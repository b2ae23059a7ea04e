"""Spaces of specs: their alternatives, their grids, and what is refused."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.errors import UsageError
from longtail_cli.methods.registry import parse_method
from longtail_cli.tuning.spaces import Listed, Range, parse_space


def specs(text):
    space = parse_space(text)
    return [space.method(point).spec for point in space.coarse()]


def test_a_spec_without_alternatives_is_a_space_of_one():
    space = parse_space("norcal:gamma=0.5")
    assert space.axes == ()
    assert list(space.coarse()) == [()]
    assert list(space.around((), 0.1)) == []
    assert space.method(()) == parse_method("norcal:gamma=0.5")


def test_a_range_is_divided_evenly():
    space = parse_space("norcal:gamma=0..1.5")
    assert space.axes == (Range("gamma", 0.0, 1.5),)
    assert [point[0] for point in space.coarse()] == [0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5]
    assert specs("norcal:gamma=0..1.5")[1] == "norcal:gamma=0.25"


def test_a_temperature_is_divided_into_equal_factors():
    space = parse_space("temperature:t=0.5..4")
    values = np.array([point[0] for point in space.coarse()])
    assert values[[0, -1]].tolist() == [0.5, 4.0]
    np.testing.assert_allclose(values[1:] / values[:-1], 8 ** (1 / 6), rtol=1e-5)


def test_a_list_names_its_values_and_a_star_stands_for_all_words():
    assert specs("norcal:gamma=0.1|1|0.5") == [parse_method(f"norcal:gamma={g}").spec for g in ("0.1", "1", "0.5")]
    assert specs("iif:variant=raw|base10") == [parse_method(f"iif:variant={v}").spec for v in ("raw", "base10")]
    (axis,) = parse_space("iif:variant=*").axes
    assert isinstance(axis, Listed)
    assert {"raw", "smooth", "relative", "base2", "base10", "normit", "gombit"} == set(axis.values)


def test_a_chain_has_the_axes_of_all_its_methods():
    space = parse_space("temperature:t=0.5..4+logit-adjust:tau=0..2")
    assert [axis.name for axis in space.axes] == ["t", "tau"]
    method = space.method((2.0, 0.5))
    assert method == parse_method("temperature:t=2+logit-adjust:tau=0.5")
    assert space.settings((2.0, 0.5)) == {"t": 2.0, "tau": 0.5}
    assert len(list(space.coarse())) == 25


def test_parameters_of_the_same_name_are_told_apart_by_the_method():
    space = parse_space("iif:strength=0.5..1+fracal:strength=1..2")
    assert [axis.name for axis in space.axes] == ["iif.strength", "fracal.strength"]
    assert [axis.geometric for axis in parse_space("temperature:t=1..2+temperature:t=2..3").axes] == [True, True]


def test_the_first_parameter_may_go_without_its_name():
    assert specs("norcal:0..1") == specs("norcal:gamma=0..1")


def test_every_point_of_a_grid_is_another_method():
    text = "iif:variant=*,strength=0.25..1.5"
    assert len(set(specs(text))) == len(specs(text)) == 7 * 5


def test_three_ranges_have_a_grid_of_ends_and_centres():
    space = parse_space("temperature:t=0.5..2+logit-adjust:tau=0..1+foreground:offset=-2..2")
    assert list(space.coarse()) == list(itertools.product((0.5, 1.0, 2.0), (0.0, 0.5, 1.0), (-2.0, 0.0, 2.0)))


def test_neighbours_are_a_step_away_and_stay_in_the_range():
    space = parse_space("norcal:gamma=0..1")
    assert list(space.around((0.5,), 0.25)) == [(0.25,), (0.75,)]
    assert list(space.around((1.0,), 0.125)) == [(0.875,)]
    two = parse_space("iif:variant=raw|smooth,strength=0..1+norcal:gamma=0..2")
    around = set(two.around(("raw", 0.0, 1.0), 0.25))
    assert around == {("raw", s, g) for s in (0.0, 0.25) for g in (0.5, 1.0, 1.5)} - {("raw", 0.0, 1.0)}


def test_the_first_refinement_lies_halfway_between_the_points_of_the_grid():
    space = parse_space("norcal:gamma=0..6")
    assert list(space.around((2.0,), space.step)) == [(1.5,), (2.5,)]


ends = st.tuples(st.integers(1, 400), st.integers(1, 400), st.sampled_from([100, 99.7])).map(
    lambda drawn: (drawn[0] / drawn[2], (drawn[0] + drawn[1]) / drawn[2])
)


@given(ends=ends, name=st.sampled_from(["gamma", "t", "temperature.t"]), share=st.floats(0, 1))
def test_a_share_of_a_range_lies_in_it_and_is_found_again(ends, name, share):
    axis = Range(name, *ends)
    assert ends[0] <= axis.at(share) <= ends[1]
    assert axis.share(axis.at(share)) == pytest.approx(share, abs=1e-2)  # six digits of the number
    assert (axis.at(0), axis.at(1)) == pytest.approx(ends, rel=1e-5)


@given(ends=ends, start=st.integers(0, 6), rounds=st.integers(1, 4))
def test_refining_meets_the_points_of_its_own_grid_only(ends, start, rounds):
    space = parse_space(f"norcal:gamma={ends[0]}..{ends[1]}")
    (axis,) = space.axes
    point, known = list(space.coarse())[start], set()
    for number in range(rounds):
        step = space.step / 2**number
        known = {axis.at(k * step) for k in range(round(1 / step) + 1)}
        found = list(space.around(point, step))
        assert {one[0] for one in found} <= known
        point = found[-1]


def test_a_temperature_to_be_fitted_is_not_an_axis():
    for text, method in [("temperature:t=fit", "none"), ("norcal:gamma=1+ temperature : fit", "norcal:gamma=1")]:
        space = parse_space(text)
        assert space.temperature_fitted
        assert space.axes == ()
        assert space.method(()) == parse_method(method)
    assert not parse_space("norcal:gamma=1+temperature:t=2").temperature_fitted


def test_exponents_do_not_divide_a_chain():
    assert [axis.high for axis in parse_space("norcal:gamma=0..1e+1").axes] == [10.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "method"),
        ("norcals:gamma=0..1", "norcal"),
        ("norcal:gama=0..1", "gama"),
        ("norcal:gamma=1..0", "low < high"),
        ("norcal:gamma=1..1", "the same value twice"),
        ("norcal:gamma=a..b", "gamma"),
        ("norcal:gamma=0..", "gamma"),
        ("norcal:gamma=0..inf", "gamma"),
        ("norcal:gamma=0..nan", "gamma"),
        ("temperature:t=0..2", "t"),
        ("temperature:t=-1|1", "t"),
        ("norcal:gamma=1|1.0", "the same value twice"),
        ("norcal:gamma=1|", "gamma"),
        ("norcal:gamma=*", "gamma"),
        ("iif:variant=raw|rough", "rough"),
        ("iif:variant=raw..smooth", "variant"),
        ("norcal:gamma=fit", "only \\+temperature:t=fit at the end"),
        ("temperature:t=fit+norcal:gamma=0..1", "only \\+temperature:t=fit at the end"),
        ("norcal:gamma=0..1,gamma=0..1", "gamma"),
        ("norcal+", "method"),
    ],
)
def test_what_is_no_space_is_refused(text, message):
    with pytest.raises(UsageError, match=message):
        parse_space(text)
