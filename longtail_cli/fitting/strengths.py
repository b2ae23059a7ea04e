"""The strength of the L2 penalty, chosen on held-out rows: what is tried, the measure, and the choice for heads."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch.nn.functional import logsigmoid, one_hot

from longtail_cli.choices import BackgroundName
from longtail_cli.fitting.fitted import Tried
from longtail_cli.fitting.head_losses import HeadLoss
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.linear_solver import LinearSolver, unpack
from longtail_cli.losses import GroupSoftmaxLoss
from longtail_cli.tables import Floats

STRENGTHS = (1.0, 1e-1, 1e-2, 1e-3, 1e-4)
"""From strong to weak, so that each search starts near its end."""


def choose_strength(
    solver: LinearSolver, start: Floats, held_out: FeatureRows, target: torch.Tensor
) -> tuple[float, Floats, tuple[Tried, ...]]:
    """The strength with the least class-balanced negative log-likelihood of held-out rows, the strongest of equals.

    Returns it with the head that was found with it, as a vector, and all that were tried. target: int64 [n], of the
    held-out rows, n >= 1.
    """
    points, tried = [], []
    for strength in STRENGTHS:
        start = solver.fit(start, strength).point
        points.append(start)
        head = unpack(start, solver.loss.width, held_out.dimensions)
        tried.append(Tried(strength, balanced_likelihood(head, solver.loss, held_out, target)))
    best = int(np.argmin([one.score for one in tried]))
    return STRENGTHS[best], points[best], tuple(tried)


def balanced_likelihood(head: LinearHead, loss: HeadLoss, rows: FeatureRows, target: torch.Tensor) -> float:
    """The mean over the targets of the mean of `negative_log_scores` over their rows, in nats; N >= 1."""
    return balanced_mean(negative_log_scores(head, loss, rows, target), target)


def balanced_mean(losses: torch.Tensor, target: torch.Tensor) -> float:
    """The mean over the targets with rows of the mean loss of their rows. losses: float64 [N]. target: int64 [N]."""
    count, total = torch.bincount(target), torch.bincount(target, losses)
    return float((total[count > 0] / count[count > 0]).mean())


def all_right(head: LinearHead, loss: HeadLoss, rows: FeatureRows, target: torch.Tensor) -> bool:
    """Whether the scores of every row say that its target is likelier than all else together.

    Then a larger multiple of the head has a smaller loss, so without a penalty there is no minimum.
    """
    return bool((negative_log_scores(head, loss, rows, target) < math.log(2)).all())


def negative_log_scores(head: LinearHead, loss: HeadLoss, rows: FeatureRows, target: torch.Tensor) -> torch.Tensor:
    """The negative log-likelihood of each row under the scores of a head that was trained with `loss`: float64 [N].

    Softmax scores s: -ln s_y. Sigmoid scores: that of all C binary decisions. Scores of ``bags``: -ln s_y after they
    are divided by their sum over the classes and the background.
    """
    scaled = LinearHead(loss.factor[:, None] * head.weight, loss.factor * head.bias)
    return torch.cat([_of_block(logits, target[block], loss) for block, logits in rows.logits(scaled)])


def _of_block(logits: torch.Tensor, target: torch.Tensor, loss: HeadLoss) -> torch.Tensor:
    module = loss.module
    if loss.columns.head == "sigmoid":
        first = int(module.background == "first")
        true = one_hot(target, module.targets)[:, first : first + module.classes] > 0
        return -logsigmoid(torch.where(true, logits, -logits)).sum(dim=1)
    if isinstance(module, GroupSoftmaxLoss):
        scores = _with_background(module.decode(logits), logits, module.background)
        logits = scores.clamp(min=torch.finfo(torch.float64).tiny).log()
    return -torch.log_softmax(logits, dim=1)[torch.arange(len(target)), target]


def _with_background(scores: torch.Tensor, logits: torch.Tensor, background: BackgroundName) -> torch.Tensor:
    """The scores of the classes, [n, C], and that of the background before or after them, if there is one."""
    if background == "first":
        return torch.cat([torch.softmax(logits[:, :2], dim=1)[:, :1], scores], dim=1)
    if background == "last":
        return torch.cat([scores, torch.softmax(logits[:, -2:], dim=1)[:, 1:]], dim=1)
    return scores
