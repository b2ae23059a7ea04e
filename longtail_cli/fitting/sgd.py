"""Training a linear head by stochastic gradient descent with momentum, in float32 on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.functional import linear, normalize

from longtail_cli.fitting.head_losses import HeadLoss
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.samplers import epoch
from longtail_cli.fitting.schedules import Schedule


@dataclass(frozen=True, slots=True)
class Trained:
    """Where a schedule ended."""

    head: LinearHead
    curve: tuple[float, ...]
    """The mean loss of the rows of each epoch, before the steps that they led to."""
    rows: int
    """How many rows were drawn, all in all."""


def random_head(width: int, dimensions: int, seed: int) -> LinearHead:
    """Weights and biases drawn evenly between -1/√D and 1/√D, as in torch.nn.Linear."""
    bound = dimensions**-0.5
    drawn = np.random.default_rng(seed).uniform(-bound, bound, (width, dimensions + 1))
    return LinearHead(drawn[:, :-1].copy(), drawn[:, -1].copy())


def train(
    rows: FeatureRows,
    target: torch.Tensor,
    times: torch.Tensor,
    loss: HeadLoss,
    schedule: Schedule,
    start: LinearHead,
    *,
    cosine: float | None,
    seed: int,
    progress: Callable[[float], None],
) -> Trained:
    """The head after all epochs. A cosine head has bias 0.

    target: int64 [N]. times: float64 [N], how often an epoch holds each row, on average.
    cosine: for a cosine head what cosines are multiplied by; its rows have unit length.
    progress: called with the share of the epochs that is done.
    """
    generator = torch.Generator().manual_seed(seed)
    weight = torch.tensor(start.weight, dtype=torch.float32, requires_grad=True)
    bias = torch.tensor(start.bias * (cosine is None), dtype=torch.float32, requires_grad=cosine is None)
    parameters = [weight] if cosine is not None else [weight, bias]
    velocities = [torch.zeros_like(parameter) for parameter in parameters]
    curve, total = [], 0
    for number in range(schedule.epochs):
        order = epoch(times, generator)
        summed = 0.0
        for batch in torch.split(order, schedule.batch):
            features = rows.at(rows.index[batch], torch.float32)
            used = weight if cosine is None else cosine * normalize(weight, dim=1)
            value = loss.module(linear(features, used, bias), target[batch])
            _step(parameters, torch.autograd.grad(value, parameters), velocities, schedule, schedule.rate(number))
            summed += float(value.detach()) * len(batch)
        curve.append(summed / max(len(order), 1))
        total += len(order)
        progress((number + 1) / schedule.epochs)
    head = LinearHead(weight.detach().double().numpy(), bias.detach().double().numpy())
    return Trained(head, tuple(curve), total)


def _step(
    parameters: Sequence[torch.Tensor],
    gradients: Sequence[torch.Tensor],
    velocities: Sequence[torch.Tensor],
    schedule: Schedule,
    rate: float,
) -> None:
    """Change the parameters w and velocities v: v = momentum v + gradient + weight_decay w, then w = w - rate v."""
    with torch.no_grad():
        for parameter, gradient, velocity in zip(parameters, gradients, velocities, strict=True):
            velocity.mul_(schedule.momentum).add_(gradient).add_(parameter, alpha=schedule.weight_decay)
            parameter.sub_(velocity, alpha=rate)
