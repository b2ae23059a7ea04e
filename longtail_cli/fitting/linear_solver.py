"""Full-batch training of a linear head: the mean of any loss over all rows plus a penalty, minimised by L-BFGS.

One pass over the rows is two products of matrices for each block: the logits, and the gradient of the weights from that
of the logits. Parameters, products and sums are float64; features keep their type in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch

from longtail_cli.fitting.head_losses import HeadLoss
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.minimise import Minimum, Preconditioner, minimise
from longtail_cli.tables import Floats

TOLERANCE = 1e-4
"""Of the partial derivatives of the mean loss, as in scikit-learn's LogisticRegression."""

MOST_PASSES = 1000

_SAMPLE = 8
"""Rows for each dimension of the features that their covariance is estimated from."""

_COLUMNS = 128
"""Columns of logits that a preconditioner works on at a time, to need less memory."""

_FLOOR = 1e-6
"""The least variance along an axis, relative to the largest one."""


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Rows with their targets and what they count."""

    rows: FeatureRows
    """N rows."""
    target: torch.Tensor
    """int64 [N]."""
    weight: torch.Tensor
    """float64 [N]; Σ weight_i l_i is the mean of the losses l_i."""
    drawn: torch.Tensor | None
    """What is random about the rows, drawn once, so that the objective is one function."""


def training_rows(rows: FeatureRows, target: torch.Tensor, times: Floats, loss: HeadLoss) -> TrainingRows:
    """Rows that count as often as `times` says, float64, one number for each target."""
    often = torch.from_numpy(times)[target]
    return TrainingRows(rows, target, often / (often * loss.importance(target)).sum(), loss.draw(target))


class MeanLoss:
    """The objective F(W, b) = Σ_i weight_i l(z_i) + l2/2 |W|² with z = f W' + b, as a function of one vector.

    The vector holds W [K, D] by rows, then b [K]. With a cosine head, z = cosine · (f / |f|) · (w / |w|) for its scale
    `cosine`, and there are no b.
    """

    def __init__(
        self, rows: TrainingRows, loss: HeadLoss, l2: float, cosine: float | None, passed: Callable[[], None]
    ) -> None:
        self._rows, self._loss, self._l2, self._cosine, self._passed = rows, loss, l2, cosine, passed
        self._shape = loss.width, rows.rows.dimensions

    def __call__(self, point: Floats) -> tuple[float, Floats]:
        weight, bias = self._split(torch.from_numpy(point))
        gradient = torch.zeros(len(point), dtype=torch.float64)
        of_weight, of_bias = self._split(gradient)
        length = None
        if self._cosine is not None:
            length = weight.norm(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float64).tiny)
            weight = weight / length * self._cosine
        loss = self._add_rows(weight, bias, of_weight, of_bias)
        if self._cosine is not None and length is not None:
            unit = weight / self._cosine
            of_weight -= (of_weight * unit).sum(dim=1, keepdim=True) * unit
            of_weight *= self._cosine / length
        if self._l2:
            loss += self._l2 / 2 * float(torch.linalg.vector_norm(weight)) ** 2
            of_weight.add_(weight, alpha=self._l2)
        self._passed()
        return loss, gradient.numpy()

    def _add_rows(
        self, weight: torch.Tensor, bias: torch.Tensor, of_weight: torch.Tensor, of_bias: torch.Tensor
    ) -> float:
        """The weighted sum of the losses; its gradient is added to `of_weight` and `of_bias`."""
        data, total = self._rows, 0.0
        for block, features in data.rows.blocks(self._shape[0]):
            logits = (features @ weight.T).add_(bias if len(bias) else 0.0).requires_grad_()
            drawn = None if data.drawn is None else data.drawn[block]
            losses = self._loss.row_losses(logits, data.target[block], drawn)
            part = (losses * data.weight[block]).sum()
            (slope,) = torch.autograd.grad(part, logits)
            of_weight.addmm_(slope.T, features)
            if len(bias):
                of_bias += slope.sum(dim=0)
            total += float(part.detach())
        return total

    def _split(self, flat: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        outputs, inputs = self._shape
        return flat[: outputs * inputs].view(outputs, inputs), flat[outputs * inputs :]


@dataclass(frozen=True, slots=True)
class Curvature:
    """The Hessian of a mean loss, roughly: for column k the curvature c_k times the covariance of the features.

    c_k is the geometric mean of E[(∂l/∂z_k)²] and its mean over the columns, at the best constant logits. For cross
    entropy the former is p_k (1 - p_k), with p_k the share of the rows. As the fit gets better, the curvature of
    frequent classes falls more than that of rare ones; the geometric mean takes both ends of the search into account.
    """

    column: torch.Tensor
    """float64 [K], c, > 0."""
    mean: torch.Tensor
    """float64 [D], of the features."""
    variance: torch.Tensor
    """float64 [D], along each axis, > 0."""
    axes: torch.Tensor
    """float32 [D, D], axis j is column j: the eigenvectors of the covariance."""

    def preconditioner(self, l2: float) -> Preconditioner:
        """About the inverse of the Hessian of the mean loss plus the penalty of strength `l2`."""
        outputs, inputs = len(self.column), len(self.mean)

        def solve(gradient: Floats) -> Floats:
            flat = torch.from_numpy(gradient)
            solved = torch.empty_like(flat)
            (of_weight, weight), (of_bias, bias) = (
                (one[: outputs * inputs].view(outputs, inputs) for one in (flat, solved)),
                (one[outputs * inputs :] for one in (flat, solved)),
            )
            for start in range(0, outputs, _COLUMNS):
                some = slice(start, start + _COLUMNS)
                rotated = (of_weight[some] - torch.outer(of_bias[some], self.mean)).float() @ self.axes
                rotated /= (self.column[some, None] * self.variance + l2).float()
                weight[some] = rotated @ self.axes.T
            torch.sub(of_bias / self.column, weight @ self.mean, out=bias)
            return solved.numpy()

        return solve


def curvature(data: TrainingRows, loss: HeadLoss, bias: torch.Tensor, share: torch.Tensor) -> Curvature:
    """See `Curvature`. bias: float64 [K], the best constant logits; share: float64 [targets], of the weights."""
    slopes = _slopes(loss, bias)
    squares = (share[:, None] * slopes**2).sum(dim=0)
    column = (squares * squares.mean()).sqrt()
    mean, covariance = _moments(data)
    variance, axes = torch.linalg.eigh(covariance)
    largest = float(variance[-1])
    floor = _FLOOR * largest if largest > 0 else 1.0
    smallest = torch.finfo(torch.float64).eps * float(column.max())
    return Curvature(column.clamp(min=smallest or 1.0), mean, variance.clamp(min=floor), axes.float())


def _moments(data: TrainingRows) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean [D] and covariance [D, D] of the features, float64, of up to `_SAMPLE` D rows at equal distances."""
    size = data.rows.dimensions
    step = max(len(data.rows) // (_SAMPLE * size), 1)
    chosen, weight = data.rows.index[::step], data.weight[::step]
    sample = replace(data.rows, index=chosen)
    total, first, second = weight.sum(), torch.zeros(size).double(), torch.zeros(size, size).double()
    for block, features in sample.blocks(size):
        share = weight[block] / total
        first += share @ features
        second.addmm_(features.T * share, features)
    return first, second.sub_(torch.outer(first, first))


def best_constants(loss: HeadLoss, share: torch.Tensor) -> torch.Tensor:
    """The constant logits with the least mean loss, float64 [K]. share: float64 [targets], of the weights."""

    def objective(point: Floats) -> tuple[float, Floats]:
        bias = torch.from_numpy(point).requires_grad_()
        value = _of_targets(loss, bias.expand(len(share), -1)) @ share
        (slope,) = torch.autograd.grad(value, bias)
        return float(value.detach()), slope.numpy()

    return torch.from_numpy(minimise(objective, np.zeros(loss.width), tolerance=1e-6, most=100).point)


def _slopes(loss: HeadLoss, bias: torch.Tensor) -> torch.Tensor:
    """∂l/∂z of one row of each target at constant logits, float64 [targets, K]."""
    logits = bias.repeat(loss.module.targets, 1).requires_grad_()
    (slopes,) = torch.autograd.grad(_of_targets(loss, logits).sum(), logits)
    return slopes


def _of_targets(loss: HeadLoss, logits: torch.Tensor) -> torch.Tensor:
    """The loss of one row of each target, without what is random about rows: [targets]."""
    return loss.row_losses(logits, torch.arange(len(logits)), None)


def pack(head: LinearHead) -> Floats:
    """The vector that `MeanLoss` takes."""
    return np.concatenate([head.weight.ravel(), head.bias])


def unpack(point: Floats, width: int, dimensions: int) -> LinearHead:
    """The head of a vector; the bias is 0 if the vector has none."""
    weight, bias = point[: width * dimensions].reshape(width, dimensions), point[width * dimensions :]
    return LinearHead(weight, bias if len(bias) else np.zeros(width))


class LinearSolver:
    """Fits heads of one set of rows: the start and the curvature of the features are computed once."""

    def __init__(self, data: TrainingRows, loss: HeadLoss, passed: Callable[[], None]) -> None:
        self._data, self.loss, self._passed = data, loss, passed
        share = torch.zeros(loss.module.targets, dtype=torch.float64).index_add_(0, data.target, data.weight)
        share /= share.sum()
        self._bias = best_constants(loss, share)
        self._curvature = curvature(data, loss, self._bias, share)

    def start(self) -> Floats:
        """Weights 0 and the best constant logits."""
        width, size = self.loss.width, self._data.rows.dimensions
        return pack(LinearHead(np.zeros((width, size)), self._bias.numpy()))

    def fit(self, start: Floats, l2: float, data: TrainingRows | None = None, tolerance: float = TOLERANCE) -> Minimum:
        """The head with the least loss plus penalty, from `start`; `data`: other rows than those of the solver."""
        objective = MeanLoss(data or self._data, self.loss, l2, None, self._passed)
        precondition = self._curvature.preconditioner(l2)
        return minimise(objective, start, tolerance=tolerance, most=MOST_PASSES, precondition=precondition)


def fit_cosine(data: TrainingRows, loss: HeadLoss, cosine: float, start: Floats, passed: Callable[[], None]) -> Minimum:
    """A cosine head with the least loss near `start`, weights of unit length. cosine: what cosines are multiplied by.

    The loss is not convex in the weights, and depends on their directions alone.
    """
    return minimise(MeanLoss(data, loss, 0.0, cosine, passed), start, tolerance=TOLERANCE, most=MOST_PASSES)
