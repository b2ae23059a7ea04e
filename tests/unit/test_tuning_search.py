"""The search, with an evaluator that computes the figures from a known function."""

import pytest
from tuning_searches import KNOWN, lanes_of, run, search_of, two_folds

from longtail_cli.tuning.goal import parse_goal
from longtail_cli.tuning.search import ROUNDS, Search
from longtail_cli.tuning.spaces import parse_space
from longtail_cli.tuning.trials import Figures


def near(*optima, name="gamma"):
    """The function that is best at its own optimum in each part, and that no adjustment is worst for."""

    def function(method, part):
        if method.spec == "none":
            return -10.0
        return -abs(getattr(method, name) - optima[part])

    return function


def best_point(search, part=0, space=None):
    return search.trials.trials[search.trials.best(part, space)].point


def test_the_first_round_is_no_adjustment_and_the_coarse_grids():
    search = search_of("norcal:gamma=0..1.5", "logit-adjust:tau=1|2")
    specs = [method.spec for method in search.propose()]
    assert specs[0] == "none"
    assert len(specs) == 1 + 7 + 2
    assert search.propose()  # they were not evaluated, so they are still to be
    assert [method.spec for method in search.propose()] == specs


def test_nothing_is_proposed_twice():
    rounds = run(search_of("norcal:gamma=0..1.5", "logit-adjust:tau=0..1"), lambda method, part: 0.5)
    specs = [method.spec for methods in rounds for method in methods]
    assert len(set(specs)) == len(specs)


def test_spaces_that_overlap_share_the_figures_of_their_points():
    search = search_of("norcal:gamma=0..1.5", "norcal:gamma=0.5|1")
    specs = [method.spec for method in search.propose()]
    assert len(set(specs)) == len(specs) == 1 + 7
    assert len(search.trials.trials) == 1 + 7 + 2
    run(search, near(0.5, 0.5, 0.5))
    assert [best_point(search, 0, space) for space in (1, 2)] == [(0.5,), (0.5,)]


@pytest.mark.parametrize("optimum", [0.0, 0.1, 0.61, 1.37, 1.5])
def test_the_optimum_of_one_range_is_found_to_the_last_step(optimum):
    search = search_of("norcal:gamma=0..1.5")
    rounds = run(search, near(optimum, optimum, optimum))
    assert len(rounds) <= 1 + ROUNDS
    last = 1.5 * parse_space("norcal:gamma=0..1.5").step / 2 ** (ROUNDS - 1)
    assert best_point(search)[0] == pytest.approx(optimum, abs=last)
    assert search.propose() == []


def test_the_optimum_of_two_ranges_is_found():
    def function(method, part):
        if method.spec == "none":
            return -10.0
        temperature, adjust = method.parts
        return -abs(temperature.t - 1.4) - abs(adjust.tau - 0.3)

    search = search_of("temperature:t=0.5..4+logit-adjust:tau=0..2")
    run(search, function)
    t, tau = best_point(search)
    assert t == pytest.approx(1.4, rel=0.05)
    assert tau == pytest.approx(0.3, abs=0.07)


def test_each_part_refines_around_its_own_best():
    search = search_of("norcal:gamma=0..1.5")
    optima = (0.61, 0.1, 1.37)
    run(search, near(*optima))
    for part, optimum in enumerate(optima):
        assert best_point(search, part)[0] == pytest.approx(optimum, abs=0.05)


def test_a_part_never_chooses_a_point_that_only_other_parts_proposed():
    """Part 1 would prefer 0.55 had it seen it: that lies around the best of the others, on a finer grid."""

    def function(method, part):
        if method.spec == "none":
            return -10.0
        spike = part == 1 and 0.5 < method.gamma < 0.75
        return 1.0 if spike else -abs(method.gamma - (0.61, 1.37, 0.61)[part])

    search = search_of("norcal:gamma=0..1.5")
    run(search, function)
    spiked = [index for index, one in enumerate(search.trials.trials) if search.trials.score(index, 1) == 1.0]
    assert spiked  # the other parts tried it
    assert not any(search.trials.trials[index].visible[1] for index in spiked)
    chosen = search.trials.trials[search.trials.choose(1)]
    assert chosen.point[0] == pytest.approx(1.37, abs=0.05)


def test_points_of_the_coarse_grid_belong_to_all_parts_and_others_to_their_own():
    search = search_of("norcal:gamma=0..1.5")
    run(search, near(0.61, 0.1, 1.37))
    coarse = set(parse_space("norcal:gamma=0..1.5").coarse())
    for one in search.trials.trials[1:]:
        if one.point in coarse:
            assert one.visible.all()
        else:
            owners = {0: 0.61, 1: 0.1, 2: 1.37}
            assert all(abs(one.point[0] - owners[part]) < 0.3 for part in range(3) if one.visible[part])
            assert one.visible.any()


def test_what_a_fold_chooses_does_not_depend_on_its_own_images():
    """Part 1 leaves fold 0 out. Whatever the figures of the other parts are, it tries and chooses the same."""

    def seen(optima):
        search = search_of("norcal:gamma=0..1.5", "logit-adjust:tau=0..2")
        rule = near(*optima)
        run(search, lambda method, part: rule(method, part) if hasattr(method, "gamma") else -1.0, noise=0.05)
        trials = search.trials
        return {one.spec for one in trials.trials if one.visible[1]}, trials.trials[trials.choose(1)].spec

    assert seen((0.61, 1.37, 0.4)) == seen((1.2, 1.37, 0.0))


def test_a_space_far_from_the_best_is_not_refined():
    def function(method, part):
        if not hasattr(method, "gamma"):
            return -1.0
        return -abs(method.gamma - 0.61)

    search = search_of("norcal:gamma=0..1.5", "logit-adjust:tau=0..2")
    first, *later = run(search, function, noise=0.01)
    assert sum(hasattr(method, "tau") for method in first) == 7
    assert later
    assert all(hasattr(method, "gamma") for methods in later for method in methods)


def test_a_space_about_as_good_as_the_best_is_refined_too():
    def function(method, part):
        return {"none": -10.0}.get(method.spec, -0.02 if hasattr(method, "tau") else 0.0)

    _, *later = run(search_of("norcal:gamma=0..1.5", "logit-adjust:tau=0..2"), function, noise=0.05)
    assert any(hasattr(method, "tau") for methods in later for method in methods)


def test_words_and_lists_are_not_refined():
    rounds = run(search_of("iif:variant=*", "norcal:gamma=0.1|1"), lambda method, part: 0.5)
    assert len(rounds) == 1


def test_points_that_break_a_constraint_are_not_refined():
    goal = parse_goal("bbox/AP", ["bbox/APf=-0.3"], KNOWN)
    search = Search([parse_space("none"), parse_space("norcal:gamma=0..1.5")], goal, two_folds())
    while methods := search.propose():
        for method in methods:
            gamma = getattr(method, "gamma", 0.0)
            lanes = {
                name: lanes_of(method, search.trials.folds, lambda _, part, value=value: value)
                for name, value in (("bbox/AP", gamma), ("bbox/APf", 1 - gamma))
            }
            search.trials.figures[method.spec] = Figures(lanes, {}, gamma)
    assert best_point(search)[0] == pytest.approx(0.3, abs=0.05)
    assert best_point(search)[0] <= 0.3


def test_many_ranges_are_left_to_the_optimiser(monkeypatch):
    asked = []

    def propose(space, points, values, seed):
        assert len(points) == len(values) >= 27
        asked.append(seed)
        best = points[values.index(max(values))]
        return tuple(one + 0.01 * len(asked) for one in best)

    monkeypatch.setattr("longtail_cli.tuning.search.propose", propose)
    search = search_of("temperature:t=0.5..2+logit-adjust:tau=0..1+foreground:offset=-2..2")
    rounds = run(search, lambda method, part: 0.5 if method.spec == "none" else 1.0)
    assert [len(methods) for methods in rounds[:2]] == [1 + 27, 3]  # one point for each part
    assert len(set(asked)) == len(asked) == 3 * (len(rounds) - 1) == 24
