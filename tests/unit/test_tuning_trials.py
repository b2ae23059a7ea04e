"""The rule by which a trial is chosen."""

import math
import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tuning_searches import figures, goal, trials_of, two_folds

from longtail_cli.errors import UsageError

FOLDS = two_folds()
LANES = FOLDS.number


def even(value, moved=0.0, noise=0.0, seed=0):
    """The same value in all parts, and noise in the resamples."""
    lanes = np.full(LANES, value)
    lanes[FOLDS.parts :] += noise * np.random.default_rng(seed).normal(size=LANES - FOLDS.parts)
    return figures(moved=moved, AP=lanes)


def chosen_by_loops(rows, part, resamples, sign, allowed, defined):
    """The index of the choice, from the definition. rows: (objective [L], moved) of each trial, the first unadjusted.

    allowed: whether a trial may be chosen; the first always may. defined: whether its objective is.
    """
    known = [0] + [index for index in range(1, len(rows)) if allowed[index] and defined[index]]
    best = known[0]
    for index in known:
        if sign * rows[index][0][part] > sign * rows[best][0][part]:
            best = index
    chosen = best
    for index in known:
        gap = sign * (rows[best][0][part] - rows[index][0][part])
        error = statistics.stdev(rows[index][0][lane] - rows[best][0][lane] for lane in resamples)
        if gap > error:
            continue
        mine, other = (rows[one][1] for one in (index, chosen))
        better = sign * rows[index][0][part] > sign * rows[chosen][0][part]
        if mine < other or (mine == other and better):
            chosen = index
    return chosen


eighths = st.integers(0, 8).map(lambda n: n / 8)


@given(
    rows=st.lists(st.tuples(eighths, eighths, st.integers(0, 3), st.booleans(), st.booleans()), max_size=6),
    seed=st.integers(0, 99), part=st.integers(0, 2), objective=st.sampled_from(["bbox/AP", "tide/bbox/FalsePos"]),
)  # fmt: skip
def test_the_choice_equals_plain_loops(rows, seed, part, objective):
    """Multiples of 1/8, so that objectives and moves tie often; every trial has its own noise, from none to much."""
    rng, name = np.random.default_rng(seed), objective.rpartition("/")[2]
    values, found, visible = [], [], {}
    for index, (value, moved, noise, seen, defined) in enumerate([(0.5, 0.0, 1, True, True), *rows]):
        lanes = value + noise / 8 * rng.integers(-2, 3, LANES)
        lanes[: FOLDS.parts] = value if defined else np.nan
        values.append((lanes, moved))
        found.append(figures(moved=moved, **{name: lanes}))
        visible[index] = range(FOLDS.parts) if seen else [one for one in range(FOLDS.parts) if one != part]
    trials = trials_of(found, FOLDS, goal(objective), visible=visible)
    resamples = range(LANES)[FOLDS.resamples(part)]
    expected = chosen_by_loops(
        values, part, resamples, 1 if name == "AP" else -1, [True, *(row[3] for row in rows)],
        [True, *(row[4] for row in rows)],
    )  # fmt: skip
    assert trials.choose(part) == expected
    assert not trials.trials[expected].visible[part] or not math.isnan(trials.score(expected, part))


def test_the_best_is_chosen_if_the_others_are_farther_than_a_standard_error():
    trials = trials_of([even(0.1), even(0.2, moved=0.1), even(0.3, moved=0.9)], FOLDS, goal())
    assert trials.choose() == trials.best(0, None) == 2


def test_of_trials_within_a_standard_error_the_weakest_is_chosen():
    noisy = [even(0.1), even(0.29, moved=0.1), even(0.3, moved=0.9, noise=0.05)]
    trials = trials_of(noisy, FOLDS, goal())
    assert 0.01 < trials.error(1, 2, 0) < 0.2
    assert trials.best(0, None) == 2
    assert trials.choose() == 1


def test_no_adjustment_is_the_weakest():
    trials = trials_of([even(0.29), even(0.3, moved=0.1, noise=0.05)], FOLDS, goal())
    assert trials.choose() == 0


def test_equally_strong_adjustments_that_tie_go_to_the_better_one():
    noisy = [even(0.1), even(0.29, moved=0.5), even(0.3, moved=0.5, noise=0.05)]
    assert trials_of(noisy, FOLDS, goal()).choose() == 2


def test_equal_trials_go_to_the_earlier_one():
    trials = trials_of([even(0.1), even(0.3, moved=0.5), even(0.3, moved=0.5)], FOLDS, goal())
    assert trials.choose() == trials.best(0, None) == 1


def test_the_standard_error_of_a_part_is_that_of_the_differences_in_its_own_resamples():
    shared = np.random.default_rng(0).normal(size=LANES)
    one, other = shared.copy(), shared + 0.25
    own = FOLDS.resamples(1)
    other[own] += np.linspace(0, 1, FOLDS.resamples_of_part)
    trials = trials_of([figures(AP=one), figures(AP=other)], FOLDS, goal())
    assert max(trials.error(0, 1, 0), trials.error(0, 1, 2)) < 1e-12
    assert trials.error(0, 1, 1) == pytest.approx(np.linspace(0, 1, FOLDS.resamples_of_part).std(ddof=1))


def test_a_part_looks_at_its_own_value_only():
    lanes = np.tile([0.0, 0.9, 0.0], LANES)[:LANES]
    lanes[FOLDS.parts :] = 0.0
    trials = trials_of([even(0.5), figures(AP=lanes, moved=0.5)], FOLDS, goal())
    assert [trials.choose(part) for part in range(3)] == [0, 1, 0]


def test_a_part_chooses_no_trial_that_only_other_parts_proposed():
    trials = trials_of([even(0.1), even(0.9), even(0.2)], FOLDS, goal(), visible={1: [2]})
    assert [trials.choose(part) for part in range(3)] == [2, 2, 1]
    assert trials.eligible(0, None) == [0, 2]


def test_a_space_chooses_of_its_own_trials_and_no_adjustment():
    found = [even(0.1), even(0.9), even(0.2), even(0.05)]
    trials = trials_of(found, FOLDS, goal(), space=[1, 2, 3])
    assert [trials.choose(0, space) for space in (None, 1, 2, 3)] == [1, 1, 2, 0]
    assert trials.best(0, 3) == 3


def test_constraints_exclude_trials_in_each_part_by_its_own_figures():
    base, bold = np.full(LANES, 0.5), np.full(LANES, 0.4)
    bold[1] = 0.48  # in part 1 it loses little
    found = [figures(AP=base, APf=base), figures(AP=base + 0.3, APf=bold), figures(AP=base + 0.1, APf=base)]
    trials = trials_of(found, FOLDS, goal("bbox/AP", "bbox/APf=-0.05"))
    assert trials.met(0).tolist() == [True, False, True]
    assert [trials.choose(part) for part in range(3)] == [2, 1, 2]


def test_an_objective_that_the_part_does_not_define_is_refused():
    lanes = np.full(LANES, 0.5)
    lanes[1] = np.nan
    trials = trials_of([figures(AP=lanes), even(0.3)], FOLDS, goal())
    assert trials.choose(0) == 0
    with pytest.raises(UsageError, match=r"objective: expected bbox/AP defined on the images.*, found undefined"):
        trials.choose(1)


def test_a_trial_with_an_undefined_objective_is_not_chosen():
    trials = trials_of([even(0.1), even(np.nan)], FOLDS, goal())
    assert trials.choose() == 0
    assert trials.value(1, "bbox/AP") is None


def test_constraints_that_nothing_meets_say_how_near_the_nearest_came():
    base = np.full(LANES, 0.5)
    found = [figures(AP=base, APf=base), figures(AP=base, APf=base - 0.2), figures(AP=base, APf=base - 0.1)]
    trials = trials_of(found, FOLDS, goal("bbox/AP", "bbox/APf=-0.05"))
    with pytest.raises(UsageError) as error:
        trials.check_constraints()
    assert str(error.value).splitlines() == [
        "`keep=`: candidates: expected at least one that keeps bbox/APf=-0.05, found none of 2; the nearest is "
        "norcal:gamma=2.0 with bbox/APf -0.1000",
        "Fix: allow 0.0500 more, or search other methods",
    ]


def test_the_nearest_is_the_one_that_misses_least_the_constraint_it_misses_most():
    base = np.full(LANES, 0.5)
    found = [
        figures(AP=base, APf=base, FalsePos=base),
        figures(AP=base, APf=base, FalsePos=base + 0.3),
        figures(AP=base, APf=base - 0.15, FalsePos=base + 0.15),
    ]
    trials = trials_of(found, FOLDS, goal("bbox/AP", "bbox/APf=-0.05", "tide/bbox/FalsePos=+0.05"))
    with pytest.raises(UsageError, match=r"norcal:gamma=2.0 with bbox/APf -0.1500, tide/bbox/FalsePos \+0.1500"):
        trials.check_constraints()


@pytest.mark.parametrize("undefined", ["bbox/APf", "tide/bbox/FalsePos"])
def test_a_constraint_that_no_image_defines_says_so(undefined):
    base, nothing = np.full(LANES, 0.5), np.full(LANES, np.nan)
    lanes = {"APf": base, "FalsePos": base} | {undefined.rpartition("/")[2]: nothing}
    trials = trials_of([figures(AP=base, **lanes)] * 2, FOLDS, goal("bbox/AP", "bbox/APf=0", "tide/bbox/FalsePos=0"))
    with pytest.raises(UsageError) as error:
        trials.check_constraints()
    assert f"{undefined} undefined" in str(error.value)
    assert str(error.value).endswith("Fix: leave out constraints on metrics that these images do not define")


def test_constraints_that_something_meets_pass():
    base = np.full(LANES, 0.5)
    met = [figures(AP=base, APf=base), figures(AP=base, APf=base - 0.2), figures(AP=base, APf=base)]
    trials_of(met, FOLDS, goal("bbox/AP", "bbox/APf=-0.05")).check_constraints()
    trials_of(met[:1], FOLDS, goal("bbox/AP", "bbox/APf=-0.05")).check_constraints()  # nothing else was tried
