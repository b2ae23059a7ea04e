"""The loss that a spec names, and what the head that was trained with it does at test time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
import torch

from longtail_cli.errors import Problem, UsageError
from longtail_cli.fitting.methods import AUTO, Classifier
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
from longtail_cli.losses.base import without_warnings
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns


@dataclass(frozen=True, slots=True)
class HeadLoss:
    """A loss of the logits z of a head, and the logits that the trained head has at test time."""

    module: LongTailLoss
    columns: LogitColumns
    """What the K columns of z are; for ``bags`` without a background two constant columns come before them."""
    factor: Floats
    """float64 [K]; factor_k z_k are the logits at test time: w_k z_k for iif, logit_scale z_k for ldam, else z_k."""

    @property
    def width(self) -> int:
        """K."""
        return self.module.width

    def draw(self, target: torch.Tensor) -> torch.Tensor | None:
        """What is random about these rows, see `LongTailLoss.draw`."""
        return self.module.draw(target)

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        """The loss of each row, [N]."""
        return self.module.row_losses(logits, target, drawn)

    def importance(self, target: torch.Tensor) -> torch.Tensor:
        """How much each row counts in the mean, float64 [N]: the mean of the losses l_i is Σ l_i / Σ importance_i."""
        return self.module.mean_weight(target).double()


def head_loss(method: Classifier, columns: LogitColumns, table: FrequencyTable | None, seed: int) -> HeadLoss:
    """The loss of `method` for targets that are columns of `columns`, with the classes in order of id.

    table: how often the classes occur; only ``ce`` does without. What the loss warns of is in its `notes` alone.
    Raises UsageError if there is no table, and InputError or UsageError where the loss refuses it.
    """
    if method.loss == "ce":
        module: LongTailLoss = LogitAdjustedLoss(
            np.ones(len(columns), np.int64), tau=0.0, background=columns.background
        )
    elif table is None:
        problem = Problem("frequency table", f"one, for loss={method.loss}", "none")
        raise UsageError("`frequencies=`", [problem], "pass a frequency table; `ltcal compute-freq` makes one")
    else:
        with without_warnings():
            module = _LOSSES[method.loss](method, table, columns, seed)
    factor = module.score_logits(torch.ones(1, module.width, dtype=torch.float64))[0]
    return HeadLoss(module, module.columns(columns.category_id), factor.numpy())


def _rate(method: Classifier) -> dict[str, Any]:
    """`lambda_` as an argument, if it is stated; otherwise the loss has its own default."""
    return {} if method.lambda_ == AUTO else {"lambda_": float(method.lambda_)}


_Build = Callable[[Classifier, FrequencyTable, LogitColumns, int], LongTailLoss]

_LOSSES: Mapping[str, _Build] = MappingProxyType(
    {
        "iif": lambda m, table, columns, seed: IIFCrossEntropy(
            table, variant=m.variant, strength=m.strength, scale=m.scale, background=columns.background
        ),
        "balanced-softmax": lambda m, table, columns, seed: BalancedSoftmaxLoss(
            table, reference=m.reference, background=columns.background
        ),
        "logit-adjust": lambda m, table, columns, seed: LogitAdjustedLoss(
            table, tau=m.tau, reference=m.reference, background=columns.background
        ),
        "ldam": lambda m, table, columns, seed: LDAMLoss(
            table, max_margin=m.max_margin, scale=m.logit_scale, background=columns.background
        ),
        "class-balanced": lambda m, table, columns, seed: ClassBalancedCrossEntropy(
            table, beta=m.beta, background=columns.background
        ),
        "disalign": lambda m, table, columns, seed: DisAlignLoss(
            table, exponent=m.exponent, background=columns.background
        ),
        "eql": lambda m, table, columns, seed: EqualizationLoss(table, **_rate(m), background=columns.background),
        "seql": lambda m, table, columns, seed: SoftmaxEqualizationLoss(
            table, **_rate(m), gamma=m.gamma, background=columns.background, seed=seed
        ),
        "bags": lambda m, table, columns, seed: GroupSoftmaxLoss(
            table, beta=m.others, background=columns.background, seed=seed
        ),
    }
)
