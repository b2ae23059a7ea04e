"""Every loss, made from a frequency table and the position of the background, for tests of what they share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from longtail_cli.choices import BackgroundName
from longtail_cli.losses import (
    BalancedSoftmaxLoss,
    ClassBalancedCrossEntropy,
    DisAlignLoss,
    EqualizationLoss,
    GroupSoftmaxLoss,
    IIFCrossEntropy,
    LDAMLoss,
    LogitAdjustedLoss,
    LongTailLoss,
    SoftmaxEqualizationLoss,
)

Make = Callable[..., LongTailLoss]
"""Takes a table, the background and options that all losses have."""

BACKGROUNDS: tuple[BackgroundName, ...] = ("none", "first", "last")


def _with(loss: Make, **parameters: object) -> Make:
    def make(frequencies: object, background: BackgroundName = "none", **options: object) -> LongTailLoss:
        return loss(frequencies, background=background, **parameters, **options)

    return make


LOSSES: dict[str, Make] = {
    "iif": _with(IIFCrossEntropy, variant="smooth"),
    "balanced-softmax": _with(BalancedSoftmaxLoss),
    "logit-adjusted": _with(LogitAdjustedLoss, tau=0.5, reference="total"),
    "ldam": _with(LDAMLoss, scale=4.0),
    "ldam-drw": _with(LDAMLoss, scale=4.0, reweight_from=0, beta=0.99),
    "class-balanced": _with(ClassBalancedCrossEntropy, beta=0.99, gamma=0.5),
    "class-balanced-sigmoid": _with(ClassBalancedCrossEntropy, beta=0.99, gamma=2.0, head="sigmoid"),
    "disalign": _with(DisAlignLoss, exponent=0.8, background_weight=0.5),
    "eql": _with(EqualizationLoss, lambda_=0.02),
    "seql": _with(SoftmaxEqualizationLoss, lambda_=0.02, gamma=0.7),
    "bags": _with(GroupSoftmaxLoss, beta=0.5),
}

CASES = [(name, background) for name in LOSSES for background in BACKGROUNDS if (name, background) != ("eql", "none")]

WITHOUT_CHANCE: dict[str, Make] = {
    **LOSSES,
    "seql": _with(SoftmaxEqualizationLoss, lambda_=0.02, gamma=1.0),
    "bags": _with(GroupSoftmaxLoss, beta=1e6),
}
"""The same, with parameters for which nothing is random."""


def batch(loss: LongTailLoss, rows: int = 20, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, float64 [N, K], and targets, int64 [N]."""
    rng = np.random.default_rng(seed)
    return torch.tensor(2 * rng.standard_normal((rows, loss.width))), torch.tensor(rng.integers(0, loss.targets, rows))
