"""Label-distribution-aware margins."""

from __future__ import annotations

from math import inf

import torch
from torch.nn.functional import cross_entropy

from longtail_cli.choices import BackgroundName, CountName, ZeroCountName
from longtail_cli.losses.base import LongTailLoss, Reduction, floats
from longtail_cli.losses.class_weights import effective_number_weights
from longtail_cli.losses.counts import Frequencies
from longtail_cli.methods.counts import counts_of, shares


class LDAMLoss(LongTailLoss):
    """l = -ln softmax(scale (z - m_y e_y))_y: the logit of the true class has to win by a margin m_c ∝ n_c^(-1/4).

    z are the cosines of a normalised classifier; the trained model's scores are softmax(scale z). max_margin: the
    largest of the margins, that of the rarest class; a background has margin 0. With deferred re-weighting (DRW), from
    the epoch `reweight_from` on, the rows are weighted by w_c ∝ (1 - beta) / (1 - beta^n_c), with mean 1 over the
    classes and 1 for a background; the mean is then Σ w_y l / Σ w_y, as in the authors' code::

        loss = LDAMLoss(frequencies, reweight_from=160)
        for epoch in range(200):
            loss.set_epoch(epoch)

    reweight_from: None for never. beta: 0 <= beta < 1.

    Source: Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019,
    section 3.2 and algorithm 1
    """

    margin: torch.Tensor
    """float64 [K]."""
    class_weight: torch.Tensor
    """float64 [K]."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        max_margin: float = 0.5,
        scale: float = 30.0,
        reweight_from: int | None = None,
        beta: float = 0.9999,
        count: CountName = "image",
        zero_count: ZeroCountName = "max",
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        self._require(0 <= max_margin < inf, "max_margin", max_margin, "a number >= 0")
        self._require(0 < scale < inf, "scale", scale, "a number > 0")
        self._require(0 <= beta < 1, "beta", beta, "a number >= 0 and < 1")
        counts = counts_of(self.frequencies, count)
        given = shares(counts, float(counts.sum()), zero_count, self.frequencies.category_id)
        weight, _ = effective_number_weights(self.frequencies, beta, count, zero_count)
        self._keep("margin", max_margin * (given.count / given.count.min()) ** -0.25, background=0.0)
        self._keep("class_weight", weight, background=1.0)
        self._warn(given.notes)
        self.scale, self.reweight_from, self.epoch = scale, reweight_from, 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch, counted from 0, the next batches belong to; call it at the start of each."""
        self.epoch = epoch

    @property
    def reweights(self) -> bool:
        """Whether the rows are weighted in this epoch."""
        return self.reweight_from is not None and self.epoch >= self.reweight_from

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z, known = floats(logits), self._known(target)[:, None]
        behind = z.scatter_add(1, known, -self.margin.to(z)[known])
        weight = self.class_weight.to(z) if self.reweights else None
        return cross_entropy(self.scale * behind, target, weight, ignore_index=self.ignore_index, reduction="none")

    def score_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """The products scale z."""
        return self.scale * floats(logits)

    def mean_weight(self, target: torch.Tensor) -> torch.Tensor:
        counted = super().mean_weight(target)
        return torch.where(counted, self.class_weight[self._known(target)], 0) if self.reweights else counted
