"""Cross entropy in which the rows of rare classes count more."""

from __future__ import annotations

from math import inf
from typing import Literal, get_args

import torch
from torch.nn.functional import cross_entropy, logsigmoid

from longtail_cli.choices import BackgroundName, CountName, ZeroCountName
from longtail_cli.errors import check_choice
from longtail_cli.losses.base import LongTailLoss, Reduction, floats
from longtail_cli.losses.class_weights import effective_number_weights, inverse_share_weights
from longtail_cli.losses.counts import Frequencies
from longtail_cli.tables import LogitColumns, Longs

Head = Literal["softmax", "sigmoid"]


class ClassBalancedCrossEntropy(LongTailLoss):
    """l = w_y Σ_k (1 - q_k)^gamma (-ln q_k), w_c ∝ (1 - beta) / (1 - beta^n_c) with mean 1 over the classes.

    head: with ``softmax``, the sum has the term of the true class alone, q = softmax(z)_y; gamma = 0 is cross entropy.
    With ``sigmoid``, q_k = sigmoid(z_k) for the true class and 1 - sigmoid(z_k) for each other one; gamma = 0 is binary
    cross entropy, and gamma > 0 the focal loss. Its logits have the C classes alone, K = C: a background row has no
    true class.
    beta: 0 <= beta < 1. background_weight: w of background rows. The mean is Σ w_y l / N, as in the authors' code.

    Source: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 4
    """

    class_weight: torch.Tensor
    """float64 [C], or [C + 1] with the background's."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        beta: float = 0.9999,
        gamma: float = 0.0,
        head: Head = "softmax",
        count: CountName = "image",
        zero_count: ZeroCountName = "max",
        background_weight: float = 1.0,
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        check_choice("head", head, get_args(Head))
        self._require(0 <= beta < 1, "beta", beta, "a number >= 0 and < 1")
        self._require(0 <= gamma < inf, "gamma", gamma, "a number >= 0")
        self._require(0 <= background_weight < inf, "background_weight", background_weight, "a number >= 0")
        weight, notes = effective_number_weights(self.frequencies, beta, count, zero_count)
        self._keep("class_weight", weight, background=background_weight)
        self._warn(notes)
        self.gamma = gamma
        self.head: Head = head
        if head == "sigmoid":
            self.width = self.classes

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z = floats(logits)
        losses = self._softmax_losses(z, target) if self.head == "softmax" else self._sigmoid_losses(z, target)
        weight = self.class_weight.to(z)[self._known(target)]
        return torch.where(target != self.ignore_index, weight * losses, 0)

    def _softmax_losses(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        losses = cross_entropy(z, target, ignore_index=self.ignore_index, reduction="none")
        if self.gamma == 0:
            return losses
        others = z.scatter(1, self._known(target)[:, None], torch.finfo(z.dtype).min)
        log_not_q = torch.logsumexp(others, dim=1) - torch.logsumexp(z, dim=1)
        return torch.exp(self.gamma * log_not_q) * losses

    def _sigmoid_losses(self, z: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        signed = torch.where(self._true_class(target), z, -z)  # q = sigmoid(signed)
        return -(torch.exp(self.gamma * logsigmoid(-signed)) * logsigmoid(signed)).sum(dim=1)

    def columns(self, category_id: Longs) -> LogitColumns:
        return LogitColumns(self.head, self.background if self.head == "softmax" else "none", category_id)


class DisAlignLoss(LongTailLoss):
    """l = -w_y ln softmax(z)_y, w_c ∝ (1 / p_c)^exponent with p_c = n_c / Σ n and mean 1 over the classes.

    The generalised re-weighting with which DisAlign is trained. exponent: >= 0; 0 makes all weights 1. The authors take
    1.2 on ImageNet-LT and 0.8 on LVIS. background_weight: w of background rows; theirs is 1. The mean is
    Σ w_y l / Σ w_y, as in their code and in torch.nn.CrossEntropyLoss(weight=w).

    Source: Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual Recognition", CVPR 2021,
    section 3.3
    """

    class_weight: torch.Tensor
    """float64 [K]."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        exponent: float = 1.2,
        count: CountName = "image",
        zero_count: ZeroCountName = "max",
        background_weight: float = 1.0,
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        self._require(0 <= exponent < inf, "exponent", exponent, "a number >= 0")
        self._require(0 <= background_weight < inf, "background_weight", background_weight, "a number >= 0")
        weight, notes = inverse_share_weights(self.frequencies, exponent, count, zero_count)
        self._keep("class_weight", weight, background=background_weight)
        self._warn(notes)

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z = floats(logits)
        return cross_entropy(z, target, self.class_weight.to(z), ignore_index=self.ignore_index, reduction="none")

    def mean_weight(self, target: torch.Tensor) -> torch.Tensor:
        return torch.where(target != self.ignore_index, self.class_weight[self._known(target)], 0)
