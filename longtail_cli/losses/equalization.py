"""Equalization losses: rare classes are not suppressed by the rows of other classes."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy

from longtail_cli.choices import BackgroundName
from longtail_cli.errors import InputError, Problem
from longtail_cli.losses.base import LongTailLoss, Reduction, floats
from longtail_cli.losses.counts import Frequencies
from longtail_cli.tables import LogitColumns, Longs


class EqualizationLoss(LongTailLoss):
    """l = -Σ_j w_j ln q_j with q_j = sigmoid(z_j) for the true class and 1 - sigmoid(z_j) for each other one.

    w_j = 1 - E(r) T(f_j) (1 - y_j): a class that is rarer than `lambda_`, T(f_j) = 1 if f_j < lambda_, gets no negative
    from the foreground rows, E(r) = 1, only from those of the background. f_j is the share of the training images that
    hold the class. The logits have the C classes alone, K = C, and no background column; `background` says which
    target, 0 or C, is the background. lambda_: 0 to 1; 0 is binary cross entropy.

    Without background rows the rare classes would have no negatives at all, their scores would grow without bound and
    the loss would diverge: background=none is refused. A table without the number of images is refused too.

    Source: Tan et al., "Equalization Loss for Long-Tailed Object Recognition", CVPR 2020, section 3; lambda_ is 1.76e-3
    on LVIS v0.5
    """

    rare: torch.Tensor
    """bool [C], T(f_j)."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        background: BackgroundName,
        lambda_: float = 1.76e-3,
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        self._require(0 <= lambda_ <= 1, "lambda_", lambda_, "a number from 0 to 1")
        if background == "none":
            expected = "first or last, as rare classes get negatives from background rows alone and diverge without"
            fix = "train with background rows, or use SoftmaxEqualizationLoss"
            raise self._error("`background=`", expected, "none", fix)
        if not self.frequencies.num_images:
            problem = Problem("number of images", "one, for the share of images with each class", "none")
            raise InputError("frequencies", [problem], "pass a frequency table made by `ltcal compute-freq`")
        self.width = self.classes
        rare = self.frequencies.image_rate < lambda_
        self.register_buffer("rare", torch.tensor(rare), persistent=False)

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z, true = floats(logits), self._true_class(target)
        spared = self.rare & ~true & true.any(dim=1, keepdim=True)
        losses = binary_cross_entropy_with_logits(z, true.to(z), reduction="none").masked_fill(spared, 0).sum(dim=1)
        return losses.where(target != self.ignore_index, 0)

    def columns(self, category_id: Longs) -> LogitColumns:
        return LogitColumns("sigmoid", "none", category_id)


class SoftmaxEqualizationLoss(LongTailLoss):
    """l = -ln(e^{z_y} / Σ_j w_j e^{z_j}) with w_j = 1 - β T(f_j) (1 - y_j) and β = 1 with probability `gamma`, else 0.

    A class that is rarer than `lambda_`, T(f_j) = 1 if f_j < lambda_, is left out of the denominator at random, drawn
    anew for each row and class. f_j = n_j / M with image counts n and M the number of images, or Σ n if the table does
    not state it (one class per image). A background column stays, and background rows leave out nothing, as in
    `EqualizationLoss`. gamma: 0 to 1; 0 is cross entropy, and with 1 the rare classes get no negatives but from
    background rows. seed: of the draws, which are the same on every device. The defaults are those of
    Zhang et al., "Bag of Tricks for Long-Tailed Visual Recognition", AAAI 2021.

    Source: Tan et al., "Equalization Loss for Long-Tailed Object Recognition", CVPR 2020, section 3
    """

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        lambda_: float = 5e-3,
        gamma: float = 0.9,
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        seed: int = 0,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        self._require(0 <= lambda_ <= 1, "lambda_", lambda_, "a number from 0 to 1")
        self._require(0 <= gamma <= 1, "gamma", gamma, "a number from 0 to 1")
        self.gamma = gamma
        self._random = np.random.default_rng(seed)
        counts = self.frequencies.image_count
        rare = np.flatnonzero(counts / (self.frequencies.num_images or counts.sum()) < lambda_)
        self._rare = rare + (background == "first")  # columns

    def draw(self, target: torch.Tensor) -> torch.Tensor:
        """Which columns each row leaves out, bool [N, K]."""
        chosen = np.zeros((len(target), self.width), np.bool_)
        chosen[:, self._rare] = self._random.random((len(target), len(self._rare)), np.float32) < self.gamma
        true = torch.arange(self.width, device=target.device) == target[:, None]
        foreground = self._true_class(target).any(dim=1, keepdim=True)
        return torch.from_numpy(chosen).to(target.device) & ~true & foreground

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z = floats(logits)
        kept = z if drawn is None else z.masked_fill(drawn, -torch.inf)
        return cross_entropy(kept, target, ignore_index=self.ignore_index, reduction="none")
