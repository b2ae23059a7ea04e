"""Logistic regression with slopes that are not negative, against a general optimiser with bounds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from longtail_cli.fitting.logistic import fit_logistic
from longtail_cli.tables import Bools, Floats


def loss_of(parameters: Floats, features: Floats, right: Bools) -> float:
    """Slopes, then the intercept; the mean over the detections in nats, with Platt's targets."""
    hits, misses = right.sum(), (~right).sum()
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (misses + 2))
    z = parameters[:-1] @ features + parameters[-1]
    return float(np.mean(np.logaddexp(0, z) - target * z))


@pytest.mark.parametrize("signs", [(1, 1), (1, -1), (-1, 1), (-1, -1), (-1, -0.2), (0.1, -1)])
@pytest.mark.parametrize("correlation", [0.0, 0.9, -0.9])
def test_no_slopes_from_0_up_have_a_lower_loss(signs: tuple[float, float], correlation: float) -> None:
    rng = np.random.default_rng(5)
    features = np.linalg.cholesky([[1, correlation], [correlation, 1]]) @ rng.normal(size=(2, 400))
    right = rng.random(400) < 1 / (1 + np.exp(-np.array(signs) @ features))
    found = fit_logistic(list(features), right)
    bounds = [(0, None), (0, None), (None, None)]
    best = minimize(
        loss_of, np.zeros(3), (features, right), "L-BFGS-B", bounds=bounds, options={"ftol": 0, "gtol": 1e-9}
    )
    assert min(found.slope) >= 0
    assert found.loss == pytest.approx(loss_of(np.array([*found.slope, found.intercept]), features, right), rel=1e-12)
    assert found.loss <= best.fun + 1e-12
    assert [*found.slope, found.intercept] == pytest.approx(best.x, abs=1e-4)


def test_constant_features_get_slope_0() -> None:
    found = fit_logistic([np.full(8, 3.7), np.full(8, 0.1)], np.arange(8) < 2)
    share = (2 * 3 / 4 + 6 / 8) / 8
    assert found.slope == (0.0, 0.0)
    assert found.intercept == pytest.approx(np.log(share / (1 - share)))


def test_features_that_are_the_same_share_their_slope() -> None:
    rng = np.random.default_rng(0)
    feature = rng.normal(size=300)
    right = rng.random(300) < 1 / (1 + np.exp(-feature))
    one, two = fit_logistic([feature], right), fit_logistic([feature, feature], right)
    assert two.slope == pytest.approx((one.slope[0] / 2, one.slope[0] / 2))
    assert two.loss == pytest.approx(one.loss)


def test_a_search_that_separates_the_detections_ends() -> None:
    found = fit_logistic([np.repeat([-700.0, 30.0], 5000)], np.repeat([False, True], 5000))
    assert found.converged
    assert np.isfinite([*found.slope, found.intercept]).all()
