"""The full-batch solver: its gradient, its preconditioner, and what it saves."""

import numpy as np
import pytest
import torch
from fitted_rows import rows_of
from scipy.optimize import check_grad

from longtail_cli.fitting.head_losses import head_loss
from longtail_cli.fitting.linear_head import FeatureRows
from longtail_cli.fitting.linear_solver import (
    TOLERANCE,
    LinearSolver,
    MeanLoss,
    best_constants,
    curvature,
    training_rows,
)
from longtail_cli.fitting.methods import Classifier
from longtail_cli.fitting.minimise import minimise

COUNTS = tuple(np.rint(300 * 64 ** -np.linspace(0, 1, 12)).astype(int).tolist())


@pytest.fixture(scope="module")
def problem():
    """Rows of 12 classes that overlap, with an imbalance of 64, and the loss."""
    rows = rows_of(COUNTS, dimensions=16, distance=0.4)
    loss = head_loss(Classifier(), rows.columns, None, 0)
    features = FeatureRows(rows.features, torch.arange(len(rows)))
    return training_rows(features, rows.target, np.ones(12), loss), loss


@pytest.mark.parametrize("cosine", [None, 5.0])
def test_the_gradient(problem, cosine):
    data, loss = problem
    objective = MeanLoss(data, loss, 0.0 if cosine else 0.1, cosine, lambda: None)
    random = np.random.default_rng(0)
    point, direction = random.normal(size=(2, 12 * 16 + 12 * (cosine is None)))
    along = check_grad(
        lambda t: objective(point + t[0] * direction)[0],
        lambda t: np.array([objective(point + t[0] * direction)[1] @ direction]),
        np.zeros(1),
    )
    assert along < 1e-5


def test_blocks_add_up(problem, monkeypatch):
    data, loss = problem
    objective = MeanLoss(data, loss, 0.1, None, lambda: None)
    point = np.random.default_rng(0).normal(size=12 * 17)
    whole = objective(point)
    monkeypatch.setattr("longtail_cli.fitting.linear_head._NUMBERS_PER_BLOCK", 2000)
    parts = objective(point)
    assert parts[0] == pytest.approx(whole[0], rel=1e-12)
    assert np.allclose(parts[1], whole[1], rtol=0, atol=1e-12)


def test_the_best_constants_are_the_shares_of_the_classes(problem):
    _, loss = problem
    share = torch.tensor(COUNTS).double() / sum(COUNTS)
    found = torch.softmax(best_constants(loss, share), dim=0)
    assert torch.allclose(found, share, atol=1e-4)


def test_the_preconditioner_is_symmetric_and_positive_definite(problem):
    data, loss = problem
    share = torch.tensor(COUNTS).double() / sum(COUNTS)
    solve = curvature(data, loss, best_constants(loss, share), share).preconditioner(0.01)
    matrix = np.stack([solve(row) for row in np.eye(12 * 17)])
    assert np.allclose(matrix, matrix.T, rtol=1e-4, atol=1e-4 * np.abs(matrix).max())
    assert np.linalg.eigvalsh((matrix + matrix.T) / 2)[0] > 0


@pytest.mark.parametrize("l2", [0.1, 0.01, 0.001])
def test_the_preconditioner_saves_passes(problem, l2):
    data, loss = problem
    solver = LinearSolver(data, loss, lambda: None)
    plain = minimise(MeanLoss(data, loss, l2, None, lambda: None), solver.start(), tolerance=TOLERANCE, most=500)
    helped = solver.fit(solver.start(), l2)
    assert helped.converged
    assert helped.loss == pytest.approx(plain.loss, abs=1e-3)
    assert helped.evaluations < plain.evaluations / 2
