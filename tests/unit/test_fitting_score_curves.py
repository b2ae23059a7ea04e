"""Maps of scores learned from right and wrong detections, against scikit-learn and figures by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from longtail_cli.fitting.methods import ScoresFit, parse_fit_method
from longtail_cli.fitting.score_curves import Beta, Knots, fit_curve, quantile_edges
from longtail_cli.tables import Bools, Floats

SEEDS = range(5)


def method(spec: str) -> ScoresFit:
    parsed = parse_fit_method(spec)
    assert isinstance(parsed, ScoresFit)
    return parsed


def detections(seed: int, number: int = 300) -> tuple[Floats, Bools]:
    """Scores with ties, ascending, and which detections are right: more of those with a high score."""
    rng = np.random.default_rng(seed)
    score = np.sort(rng.beta(0.5, 1.5, number).round(2))
    return score, rng.random(number) < score ** rng.uniform(0.3, 3)


def knots_of(spec: str, score: Floats, right: Bools) -> list[tuple[float, float]]:
    curve = fit_curve(method(spec), np.array(score, np.float64), np.array(right, bool))
    assert isinstance(curve, Knots)
    return list(zip(curve.x.tolist(), curve.y.tolist(), strict=True))


def logistic(features: Floats, right: Bools) -> tuple[Floats, float]:
    """Slopes and intercept of scikit-learn, where each detection counts in parts as right and as wrong."""
    hits = right.sum()
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    found = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10, max_iter=1000).fit(
        np.concatenate([features, features]),
        np.repeat([1, 0], len(features)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    return found.coef_[0], found.intercept_[0]


def logs(score: Floats) -> tuple[Floats, Floats]:
    inside = score.clip(2.0**-53, 1 - 2.0**-53)
    return np.log(inside), np.log1p(-inside)


@pytest.mark.parametrize("seed", SEEDS)
def test_platt_is_the_logistic_regression_of_scikit_learn(seed: int) -> None:
    score, right = detections(seed)
    slope, intercept = logistic(np.subtract(*logs(score))[:, None], right)
    curve = fit_curve(method("platt"), score, right)
    assert isinstance(curve, Beta)
    assert (curve.rise, curve.fall, curve.shift) == pytest.approx((slope[0], slope[0], intercept), rel=1e-5)
    assert curve.converged


@pytest.mark.parametrize("seed", SEEDS)
def test_beta_is_the_logistic_regression_of_scikit_learn_on_two_features(seed: int) -> None:
    score, right = detections(seed, 3000)
    log_score, log_rest = logs(score)
    (rise, fall), intercept = logistic(np.column_stack([log_score, -log_rest]), right)
    assert min(rise, fall) > 0
    curve = fit_curve(method("beta"), score, right)
    assert isinstance(curve, Beta)
    assert (curve.rise, curve.fall, curve.shift) == pytest.approx((rise, fall, intercept), rel=1e-5)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_negative_exponent_becomes_0_and_the_other_is_fitted_alone(flipped: bool) -> None:
    """Detections are right most often at scores in the middle, so that one of the exponents would be negative."""
    score = np.sort(np.random.default_rng(0).random(2000))
    chance = np.where(score < 0.6, score, 1.2 - score)
    right = np.random.default_rng(1).random(2000) < chance
    if flipped:
        score, right = (1 - score)[::-1].copy(), ~right[::-1]
    log_score, log_rest = logs(score)
    slopes, _ = logistic(np.column_stack([log_score, -log_rest]), right)
    assert slopes[0] * slopes[1] < 0
    kept = int(slopes[0] < 0)
    (slope,), intercept = logistic((log_score, -log_rest)[kept][:, None], right)
    curve = fit_curve(method("beta"), score, right)
    assert isinstance(curve, Beta)
    assert (curve.rise, curve.fall)[1 - kept] == 0
    assert ((curve.rise, curve.fall)[kept], curve.shift) == pytest.approx((slope, intercept), rel=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_isotonic_is_that_of_scikit_learn(seed: int) -> None:
    score, right = detections(seed)
    curve = fit_curve(method("isotonic"), score, right)
    assert isinstance(curve, Knots)
    expected = IsotonicRegression(out_of_bounds="clip").fit(score, right.astype(float))
    fresh = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(np.interp(fresh, curve.x, curve.y), expected.predict(fresh), atol=1e-12)
    assert curve.x.tolist() == expected.X_thresholds_.tolist()


def test_a_histogram_jumps_at_the_least_score_of_each_bin() -> None:
    score, right = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8], [0, 0, 0, 1, 1, 1]
    assert knots_of("histogram:bins=3", score, right) == [(0.1, 0), (0.3, 0), (0.3, 0.5), (0.6, 0.5), (0.6, 1)]


def test_bins_whose_share_would_fall_are_merged() -> None:
    score, right = [0.1, 0.2, 0.3, 0.4, 0.6, 0.8], [0, 1, 0, 0, 1, 1]
    assert knots_of("histogram:bins=3", score, right) == [(0.1, 0.25), (0.6, 0.25), (0.6, 1)]
    np.testing.assert_allclose(knots_of("spline:bins=3", score, right), [(0, 0), (0.25, 0.25), (0.7, 1), (1, 1)])


def test_a_spline_joins_the_bins_and_the_corners() -> None:
    score, right = [0.1, 0.3, 0.5, 0.7], [0, 1, 1, 1]
    np.testing.assert_allclose(knots_of("spline:bins=2", score, right), [(0, 0), (0.2, 0.5), (0.6, 1), (1, 1)])


def test_equal_scores_are_in_one_bin() -> None:
    score, right = [0.2, 0.5, 0.5, 0.5, 0.5, 0.9], [0, 0, 0, 1, 1, 1]
    assert knots_of("histogram:bins=3", score, right) == [(0.2, 0), (0.5, 0), (0.5, 0.6)]
    assert quantile_edges(np.array([0.2, 0.5, 0.5, 0.5, 0.5, 0.9]), 6).tolist() == [1, 5]


def test_more_bins_than_detections_give_each_its_own() -> None:
    assert knots_of("spline:bins=100", [0.25, 0.5], [0, 1]) == [(0, 0), (0.25, 0), (0.5, 1), (1, 1)]
