"""The likelihood as a function of a temperature, and the temperature that maximises it."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from longtail_cli.tuning.likelihood import LARGEST, SMALLEST, TOLERANCE, at_best, best_inverse, class_means, losses

rows = st.integers(0, 10_000).map(lambda seed: sample(seed))
inverses = st.floats(-2, 2).map(lambda power: 10.0**power)


def sample(seed):
    """Up to 9 rows of 2 to 5 logits whose scale varies, with labels: float32 [n, K] and int64 [n]."""
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 10)), int(rng.integers(2, 6))
    logits = rng.normal(scale=10 ** rng.uniform(-1, 1), size=shape) + rng.normal(scale=30)
    return logits.astype(np.float32), rng.integers(0, shape[1], shape[0])


def loss_of(logits, label, inverse):
    """The loss f of each row in float64."""
    z = logits.astype(np.float64)
    return logsumexp(inverse * z, axis=1) - inverse * z[np.arange(len(z)), label]


def found_by_kernel(logits, label, inverse):
    own = torch.from_numpy(logits.copy())
    return losses(own, torch.from_numpy(label), inverse, torch.empty_like(own))


@given(case=rows, inverse=inverses)
def test_losses_equal_float64(case, inverse):
    logits, label = case
    found, expected = found_by_kernel(logits, label, inverse), loss_of(logits, label, inverse)
    largest = inverse * np.ptp(logits, axis=1).max()
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-5, atol=1e-6 * (1 + largest))


@given(case=rows, inverse=inverses)
def test_derivatives_equal_finite_differences(case, inverse):
    logits, label = case
    spread = np.ptp(logits.astype(np.float64), axis=1).max() + 1e-3
    step = 1e-3 / spread
    low, middle, high = (loss_of(logits, label, inverse + k * step) for k in (-1, 0, 1))
    found = found_by_kernel(logits, label, inverse)
    np.testing.assert_allclose(found[:, 1], (high - low) / (2 * step), atol=1e-4 * spread)
    np.testing.assert_allclose(found[:, 2], (high - 2 * middle + low) / step**2, atol=1e-3 * spread**2)
    assert (found[:, 2] >= 0).all()


def test_a_class_is_predicted_if_no_logit_is_greater():
    logits = np.array([[1, 3, 2], [3, 1, 2], [2, 2, 1]], np.float32)
    assert found_by_kernel(logits, np.array([1, 1, 0]), 0.5)[:, 4].tolist() == [1, 0, 1]


@given(case=rows, weights=st.integers(0, 99))
def test_the_best_inverse_temperature_equals_that_of_scipy(case, weights):
    logits, label = case
    weight = np.random.default_rng(weights).random(len(label)) + 0.01

    def total(power):
        return float(weight @ loss_of(logits, label, np.exp(power)))

    def slopes(inverse):
        slope, curvature = weight @ found_by_kernel(logits, label, inverse)[:, 1:3]
        return float(slope), float(curvature)

    inverse = best_inverse(slopes)
    reference = minimize_scalar(total, bounds=(np.log(SMALLEST), np.log(LARGEST)), method="bounded")
    ends = min(total(np.log(SMALLEST)), total(np.log(LARGEST)))
    assert SMALLEST <= inverse <= LARGEST
    scale = 1 + np.ptp(logits)
    assert total(np.log(inverse)) <= min(reference.fun, ends) + 1e-5 * scale * weight.sum()


@pytest.mark.parametrize("start", [1e-3, 0.1, 1.0, 50.0, 1e3])
def test_the_start_does_not_matter(start):
    def slopes(b):  # f = b - 3 ln b
        return 1 - 3 / b, 3 / b**2

    assert best_inverse(slopes, start) == pytest.approx(3, rel=10 * TOLERANCE)


@pytest.mark.parametrize(("slope", "end"), [(1.0, SMALLEST), (-1.0, LARGEST)])
def test_a_loss_without_a_minimum_ends_at_a_bound(slope, end):
    assert best_inverse(lambda inverse: (slope, 0.0)) == pytest.approx(end, rel=1e-3)


def test_the_least_value_of_a_parabola_and_of_a_cubic_is_reached_from_beside_it():
    b, least = 2.0, np.array([0.5, 2.5])
    curvature = np.array([3.0, 0.5])
    value = 1 + curvature / 2 * (b - least) ** 2
    sums = np.column_stack([value, curvature * (b - least), curvature, [0.0, 0.0]])
    np.testing.assert_allclose(at_best(sums), [1, 1])
    assert at_best(np.array([[2.0, 1.0, 0.0, 0.0]])).tolist() == [2.0]  # a line: stays where it is
    x = 0.1  # of x^3 / 3 + x^2, least at 0
    cubic = np.array([[x**3 / 3 + x**2, x**2 + 2 * x, 2 * x + 2, 2.0]])
    np.testing.assert_allclose(at_best(cubic), 0, atol=1e-9)


@given(
    label=st.lists(st.integers(0, 3), min_size=1, max_size=12),
    weights=st.lists(st.integers(0, 3), min_size=12, max_size=12),
)
def test_sums_with_the_weights_are_means_within_each_class(label, weights):
    label, weight = np.array(label), np.array(weights[: len(label)], np.float64)
    value = np.arange(len(label), dtype=np.float64) ** 2
    found = class_means(label, weight, 5)
    for one in range(5):
        inside = label == one
        if weight[inside].sum():
            assert found[inside] @ value[inside] == pytest.approx(np.average(value[inside], weights=weight[inside]))
        else:
            assert not found[inside].any()
