"""Cross entropy of logits that are multiplied or shifted by how often the classes occur."""

from __future__ import annotations

import torch
from torch.nn.functional import cross_entropy

from longtail_cli.choices import BackgroundName, CountName, NormalizerName, VariantName, ZeroCountName
from longtail_cli.losses.base import LongTailLoss, Reduction, floats
from longtail_cli.losses.counts import Frequencies
from longtail_cli.methods.iif import InverseImageFrequency, Scale
from longtail_cli.methods.prior import LogitAdjustment, Reference


class IIFCrossEntropy(LongTailLoss):
    """l = -ln softmax(w ⊙ z)_y, with the IIF weight w_c of each class and weight 1 for a background column.

    The weights are those of the method ``iif``, see `longtail_cli.methods.iif.InverseImageFrequency` for `variant`,
    `count`, `normalizer`, `strength` and `scale`. The gradient is ∂l/∂z_c = w_c (softmax(w ⊙ z)_c - y_c) (eq. 16).
    With a linear classifier that has no regularisation and is trained to convergence, the optimum is that of cross
    entropy, since the classifier absorbs the weights; they act through the start, the schedule and the regulariser.
    The trained model's scores are softmax(w ⊙ z), see `decode`.

    Source: Alexandridis et al., "Inverse Image Frequency for Long-tailed Image Recognition", IEEE TIP 2023, section III
    """

    weight: torch.Tensor
    """float64 [K]."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        variant: VariantName = "raw",
        count: CountName = "image",
        normalizer: NormalizerName = "occurrences",
        strength: float = 1.0,
        scale: Scale = "none",
        zero_count: ZeroCountName = "max",
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        method = InverseImageFrequency(variant, count, normalizer, zero_count, strength, scale)
        affine = method.coefficients(self.frequencies)
        self._keep("weight", affine.scale, background=1.0)
        self._warn(affine.notes)

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        return cross_entropy(self.score_logits(logits), target, ignore_index=self.ignore_index, reduction="none")

    def score_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """The products w ⊙ z, as in training."""
        z = floats(logits)
        return z * self.weight.to(z)


class LogitAdjustedLoss(LongTailLoss):
    """l = -ln softmax(z + tau ln p)_y with p_c = n_c / r; the background stays as it is.

    reference: r, the geometric mean of the counts (mean), Σ n (total), the largest count (max), or 1 (one). It matters
    only against a background column: with ``mean``, the foreground as a whole starts where it would without the loss.
    tau: >= 0; 0 is cross entropy. The trained model's scores are softmax(z).

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, eq. 10
    """

    shift: torch.Tensor
    """float64 [K]."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        tau: float = 1.0,
        count: CountName = "image",
        zero_count: ZeroCountName = "max",
        reference: Reference = "mean",
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        affine = LogitAdjustment(tau, count, zero_count, reference).coefficients(self.frequencies)
        self._keep("shift", -affine.shift, background=0.0)  # the method subtracts what training adds
        self._warn(affine.notes)

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z = floats(logits)
        return cross_entropy(z + self.shift.to(z), target, ignore_index=self.ignore_index, reduction="none")


class BalancedSoftmaxLoss(LogitAdjustedLoss):
    """l = -ln(n_y e^{z_y} / Σ_c n_c e^{z_c}), a softmax with the counts as prior: `LogitAdjustedLoss` with tau = 1.

    Source: Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020, section 3.1
    """

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        count: CountName = "image",
        zero_count: ZeroCountName = "max",
        reference: Reference = "mean",
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
    ) -> None:
        super().__init__(
            frequencies, tau=1.0, count=count, zero_count=zero_count, reference=reference, background=background,
            reduction=reduction, ignore_index=ignore_index,
        )  # fmt: skip
