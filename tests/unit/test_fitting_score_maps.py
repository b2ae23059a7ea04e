"""Maps of scores learned from right and wrong detections: who gets a map of its own, and what the others take."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from longtail_cli.errors import InputError
from longtail_cli.fitting.fitted import Fitted
from longtail_cli.fitting.methods import ScoresFit, parse_fit_method
from longtail_cli.fitting.score_maps import ScoredRows, fit_scores
from longtail_cli.methods.scores import AdjustableScores, direction
from longtail_cli.methods.steps import ScoreBeta, ScoreKnots
from longtail_cli.tables import Floats, FrequencyTable

METHODS = ("platt", "beta", "isotonic", "histogram", "spline")


def method(spec: str) -> ScoresFit:
    parsed = parse_fit_method(spec)
    assert isinstance(parsed, ScoresFit)
    return parsed


def classes(groups: str) -> FrequencyTable:
    """One class for each letter, its frequency group."""
    number = np.arange(len(groups))
    return FrequencyTable(number, tuple(map("class {}".format, number)), number, number, tuple(groups), None)


def random_rows(sizes: Sequence[int], seed: int = 0) -> ScoredRows:
    """So many detections of each class, which are right with the probability s², and s in larger boxes."""
    rng = np.random.default_rng(seed)
    category = rng.permutation(np.repeat(np.arange(len(sizes), dtype=np.int32), sizes))
    score, area = rng.random(len(category)), rng.uniform(10, 1000, len(category))
    right = rng.random(len(category)) < np.where(area > 500, score, score**2)
    return ScoredRows(score, category, right, area)


def applied(fitted: Fitted, rows: ScoredRows) -> Floats:
    return AdjustableScores(rows.score, rows.category, "prob", lambda: rows.area).adjusted(*fitted.steps)


def of_class(rows: ScoredRows, number: int) -> ScoredRows:
    own = rows.category == number
    return ScoredRows(rows.score[own], np.zeros(own.sum(), np.int32), rows.right[own], rows.area[own])


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sizes", [1, 3])
def test_the_map_of_a_class_depends_on_its_own_detections_alone(name: str, sizes: int) -> None:
    rows, spec = random_rows([300, 200, 400]), method(f"{name}:sizes={sizes}")
    together = applied(fit_scores(spec, rows, classes("rcf")), rows)
    for number in range(3):
        own = of_class(rows, number)
        alone = applied(fit_scores(spec, own, classes("r")), own)
        np.testing.assert_allclose(together[rows.category == number], alone, rtol=1e-12)


@pytest.mark.parametrize("name", METHODS)
def test_adjusted_scores_are_closer_to_the_share_of_right_detections(name: str) -> None:
    rows, fresh = random_rows([2000, 2000]), random_rows([2000, 2000], seed=1)
    adjusted = [applied(fit_scores(method(f"{name}:sizes={n}"), rows, classes("rf")), fresh) for n in (1, 2)]
    before, whole, binned = (np.mean((scores - fresh.right) ** 2) for scores in (fresh.score, *adjusted))
    assert binned < whole < before


FEW = [300, 8, 7, 300, 5]
"""Detections of five classes of the groups r, r, c, f, c; the 12 of group c are too few as well."""


def fallen_back(spec: str) -> tuple[ScoredRows, Fitted, Floats]:
    rows = random_rows(FEW)
    fitted = fit_scores(method(spec), rows, classes("rrcfc"))
    return rows, fitted, applied(fitted, rows)


def of_pool(spec: str, rows: ScoredRows, members: Sequence[int]) -> Floats:
    """What a map that is learned on these classes together makes of all scores."""
    own = np.isin(rows.category, members)
    pool = ScoredRows(rows.score[own], np.zeros(own.sum(), np.int32), rows.right[own], rows.area[own])
    fitted = fit_scores(method(spec), pool, classes("f"))
    return applied(fitted, ScoredRows(rows.score, np.zeros(len(rows), np.int32), rows.right, rows.area))


def check(rows: ScoredRows, adjusted: Floats, number: int, expected: Floats) -> None:
    own = rows.category == number
    np.testing.assert_allclose(adjusted[own], expected[own], rtol=1e-12, atol=1e-300)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sizes", [1, 2])
def test_a_class_with_few_detections_takes_the_map_of_its_group_or_of_all_classes(name: str, sizes: int) -> None:
    spec = f"{name}:sizes={sizes}"
    rows, fitted, adjusted = fallen_back(spec)
    check(rows, adjusted, 0, of_pool(spec, rows, [0]))
    check(rows, adjusted, 1, of_pool(spec, rows, [0, 1]))
    for number in (2, 4):
        check(rows, adjusted, number, of_pool(spec, rows, range(5)))
    few = "with fewer than 10 right or 10 wrong detections take the map of"
    notes = {note.text: np.flatnonzero(note.rows).tolist() for note in fitted.notes}
    assert notes == {f"{few} their frequency group": [1], f"{few} all classes": [2, 4]}


def test_it_may_take_the_map_of_all_classes_at_once() -> None:
    rows, _, adjusted = fallen_back("isotonic:fallback=all")
    for number in (1, 2, 4):
        check(rows, adjusted, number, of_pool("isotonic", rows, range(5)))


@pytest.mark.parametrize("name", METHODS)
def test_it_may_keep_its_scores(name: str) -> None:
    rows, fitted, adjusted = fallen_back(f"{name}:fallback=keep")
    kept = ~np.isin(rows.category, [0, 3])
    assert adjusted[kept].tobytes() == rows.score[kept].tobytes()
    (note,) = fitted.notes
    assert note.rows.tolist() == [False, True, True, False, True]
    assert note.text.endswith("wrong detections keep their scores")


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("sizes", [1, 2])
def test_its_scores_may_become_0_in_the_same_order(name: str, sizes: int) -> None:
    rows, fitted, adjusted = fallen_back(f"{name}:fallback=zero,sizes={sizes}")
    for number in (1, 2, 4):
        own = rows.category == number
        assert adjusted[own].max() < 1e-300
        assert np.array_equal(np.argsort(adjusted[own]), np.argsort(rows.score[own]))
    check(rows, adjusted, 3, of_pool(f"{name}:sizes={sizes}", rows, [3]))
    assert fitted.notes[0].text.endswith("wrong detections get the score 0, in the same order")


@pytest.mark.parametrize("name", METHODS)
def test_maps_of_frequency_groups_and_of_all_classes(name: str) -> None:
    rows, fitted, adjusted = fallen_back(f"{name}:by=group")
    for members in ([0, 1], [3]):
        for number in members:
            check(rows, adjusted, number, of_pool(name, rows, members))
    for number in (2, 4):
        check(rows, adjusted, number, of_pool(name, rows, range(5)))
    assert [note.text for note in fitted.notes] == [
        "in groups with fewer than 10 right or 10 wrong detections take the map of all classes"
    ]
    rows, fitted, adjusted = fallen_back(f"{name}:by=all")
    for number in range(5):
        check(rows, adjusted, number, of_pool(name, rows, range(5)))
    assert fitted.notes == ()


@pytest.mark.parametrize(
    ("spec", "where"),
    [
        ("platt:least=200", "all classes"),
        ("spline:fallback=keep,least=100", "a class"),
        ("beta:by=all,least=200", "all"),
    ],
)
def test_too_few_detections_for_any_map_are_refused(spec: str, where: str) -> None:
    rows = random_rows([200, 150])
    with pytest.raises(InputError, match=f"detections of {where}"):
        fit_scores(method(spec), rows, classes("rf"))


def test_no_detections_at_all_are_refused() -> None:
    with pytest.raises(InputError, match="0 right and 0 wrong"):
        fit_scores(method("isotonic:fallback=zero,least=1"), random_rows([]), classes("r"))


def test_bins_of_the_area_are_equally_full() -> None:
    rows = random_rows([1001])
    (step,) = fit_scores(method("platt:sizes=4"), rows, classes("r")).steps
    assert isinstance(step, ScoreBeta)
    assert np.bincount(np.searchsorted(step.edges[0], rows.area, side="right")).tolist() == [250, 250, 250, 251]


@pytest.mark.parametrize("name", METHODS)
def test_a_bin_of_the_area_with_few_detections_takes_the_map_without_bins(name: str) -> None:
    """The larger half of the boxes is always right."""
    rows = random_rows([600])
    rows = ScoredRows(rows.score, rows.category, rows.right | (rows.area > np.median(rows.area)), rows.area)
    fitted = fit_scores(method(f"{name}:sizes=2"), rows, classes("r"))
    large = rows.area >= np.sort(rows.area)[300]
    whole = applied(fit_scores(method(name), rows, classes("r")), rows)
    np.testing.assert_allclose(applied(fitted, rows)[large], whole[large], rtol=1e-12)
    assert not np.allclose(applied(fitted, rows)[~large], whole[~large])
    (note,) = fitted.notes
    assert note.text == (
        "have bins of the box area with fewer than 10 right or 10 wrong detections, which take the map without bins"
    )


@pytest.mark.parametrize("name", METHODS)
def test_boxes_of_one_size_keep_their_order(name: str) -> None:
    rows = random_rows([300])
    rows = ScoredRows(rows.score, rows.category, rows.right, np.full(300, 64.0))
    (step,) = fit_scores(method(f"{name}:sizes=4"), rows, classes("r")).steps
    assert isinstance(step, ScoreBeta | ScoreKnots)
    assert direction([step], 1).tolist() == [1]


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("score", [0.0, 0.3, 1.0])
def test_equal_scores_become_the_share_of_right_detections(name: str, score: float) -> None:
    """30 of 120; Platt's targets make 0.2541 of it."""
    number = np.arange(120)
    rows = ScoredRows(np.full(120, score), np.zeros(120, np.int32), number < 30, number + 1.0)
    expected = (30 * 31 / 32 + 90 / 92) / 120 if name in ("platt", "beta") else 0.25
    for sizes in (1, 2):
        fitted = fit_scores(method(f"{name}:sizes={sizes}"), rows, classes("r"))
        if sizes == 1:
            assert applied(fitted, rows) == pytest.approx(np.full(120, expected), rel=1e-12)
        assert fitted.converged


@pytest.mark.parametrize("name", METHODS)
def test_scores_that_separate_right_from_wrong_give_finite_maps(name: str) -> None:
    score = np.concatenate([np.linspace(0, 0.4, 50), np.linspace(0.6, 1, 50)])
    rows = ScoredRows(score, np.zeros(100, np.int32), score > 0.5, np.ones(100))
    adjusted = applied(fit_scores(method(name), rows, classes("r")), rows)
    assert adjusted[:50].mean() < 0.1 < 0.9 < adjusted[50:].mean()
    assert (np.diff(adjusted) > 0).all()


@pytest.mark.parametrize("name", METHODS)
def test_scores_that_rank_the_wrong_way_become_nearly_equal_in_the_same_order(name: str) -> None:
    score = np.linspace(0.1, 0.9, 100)
    rows = ScoredRows(score, np.zeros(100, np.int32), score < 0.5, np.ones(100))
    adjusted = applied(fit_scores(method(name), rows, classes("r")), rows)
    assert (np.diff(adjusted) > 0).all()
    if name != "spline":  # which always ends at (0, 0) and (1, 1)
        assert np.ptp(adjusted) < 1e-12


@pytest.mark.parametrize("name", METHODS)
def test_inputs_are_not_changed(name: str) -> None:
    rows = random_rows([100, 100])
    names = ("score", "category", "right", "area")
    before = [getattr(rows, one).copy() for one in names]
    for one in names:
        getattr(rows, one).setflags(write=False)
    fit_scores(method(f"{name}:sizes=2"), rows, classes("rf"))
    assert all(np.array_equal(was, getattr(rows, one)) for was, one in zip(before, names, strict=True))
