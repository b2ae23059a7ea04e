"""L-BFGS with and without a preconditioner."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from longtail_cli.fitting.minimise import minimise

CURVATURE = np.logspace(-2, 2, 40)


def bowl(point):
    return float(CURVATURE @ (point - 1) ** 2 / 2), CURVATURE * (point - 1)


def rosenbrock(point):
    return float(rosen(point)), rosen_der(point)


def test_the_minimum_of_a_bowl():
    found = minimise(bowl, np.zeros(40), tolerance=1e-8, most=2000)
    assert found.converged
    assert np.allclose(found.point, 1, atol=1e-5)
    assert found.loss == pytest.approx(0, abs=1e-12)


def test_with_the_inverse_of_the_hessian_one_step_is_enough():
    found = minimise(bowl, np.zeros(40), tolerance=1e-8, precondition=lambda gradient: gradient / CURVATURE)
    assert found.converged
    assert found.evaluations == 2


def test_a_rough_preconditioner_saves_evaluations():
    rough = CURVATURE * np.random.default_rng(0).uniform(0.3, 3, 40)
    plain = minimise(bowl, np.zeros(40), tolerance=1e-6, most=2000)
    helped = minimise(bowl, np.zeros(40), tolerance=1e-6, precondition=lambda gradient: gradient / rough)
    assert helped.converged
    assert helped.evaluations < plain.evaluations / 3


def test_a_curved_valley():
    found = minimise(rosenbrock, np.array([-1.2, 1, -0.5, 2]), tolerance=1e-8)
    assert found.converged
    assert np.allclose(found.point, 1, atol=1e-6)


def test_the_curve_falls_from_the_start():
    start = np.array([-1.2, 1])
    found = minimise(rosenbrock, start, tolerance=1e-8)
    assert found.curve[0] == rosen(start)
    assert found.curve[-1] == found.loss
    assert (np.diff(found.curve) < 1e-9).all()
    assert start.tolist() == [-1.2, 1]


def test_when_the_evaluations_are_spent_it_says_so():
    found = minimise(rosenbrock, np.array([-1.2, 1]), tolerance=1e-8, most=7)
    assert not found.converged
    assert found.evaluations == 7
    assert found.loss < rosen([-1.2, 1])


def test_steps_that_are_too_long_are_halved():
    """The gradient says nothing of the wall at 1, beyond which the loss is infinite."""

    def walled(point):
        if point[0] >= 1:
            return np.inf, np.array([np.nan])
        return float(-np.log(1 - point[0]) - 50 * point[0]), np.array([1 / (1 - point[0]) - 50])

    found = minimise(walled, np.zeros(1), tolerance=1e-6)
    assert found.converged
    assert found.point[0] == pytest.approx(1 - 1 / 50)


def test_no_parameters():
    found = minimise(lambda point: (3.0, np.zeros(0)), np.zeros(0))
    assert (found.converged, found.loss, found.evaluations) == (True, 3.0, 1)
