"""The negative log-likelihood of rows under an affine correction of their logits, and its gradient.

The rows are taken in blocks, each in float64 and in a thread of its own, so that logits in half precision never exist
in float64 as a whole.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch.nn.functional import softplus

from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.parallel import THREADS, one_thread_each

Result = TypeVar("Result")

BLOCK = 1 << 18
"""Logits in a block: few enough that a handful of float64 tensors of this size stay in the cache."""


@dataclass(frozen=True, slots=True)
class Affine:
    """z'_k = z_k + s (scale_k z_k + shift_k), s = sigmoid(v · weight + bias) for a row with v, or 1; all float64."""

    scale: torch.Tensor
    """[K]; 0 leaves a logit as it is."""
    shift: torch.Tensor
    """[K]."""
    weight: torch.Tensor | None = None
    """[D]; None for s = 1."""
    bias: torch.Tensor | None = None
    """[]; None for s = 1."""

    @property
    def tensors(self) -> tuple[torch.Tensor, ...]:
        """Those that are not None."""
        return tuple(one for one in (self.scale, self.shift, self.weight, self.bias) if one is not None)


@dataclass(frozen=True, slots=True)
class _Block:
    """Some rows, in float64."""

    row: torch.Tensor
    """int64 [n], which rows."""
    logits: torch.Tensor
    """[n, K]."""
    target: torch.Tensor
    """int64 [n]."""
    inputs: torch.Tensor | None
    """[n, D], what the confidence is computed from."""

    @property
    def positive(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The rows that have a true column, as indices in the block, and that column: int64 [m] each."""
        known = (self.target < self.logits.shape[1]).nonzero()[:, 0]
        return known, self.target[known]


@dataclass(frozen=True, slots=True)
class AffineLoss:
    """The loss of rows as a function of the correction.

    Under a softmax it is -ln p_y, p the softmax over the columns that take part. Under sigmoids it is the sum over the
    K columns of their binary cross entropy, -ln s_y - Σ_(k != y) ln(1 - s_k), where a background row without a column,
    y = K, has negatives only; so it is the likelihood of the row under independent columns.
    """

    rows: LabelledRows
    """With logits, of a ``softmax`` or ``sigmoid`` head."""
    inputs: torch.Tensor | None = None
    """[N, D], v of each row; None without a confidence."""

    def of_rows(self, row: torch.Tensor, affine: Affine) -> torch.Tensor:
        """The loss of the rows (int64 [n]) in nats, over all columns: float64 [n]."""

        def of_block(block: _Block) -> torch.Tensor:
            return self._shares(block, self._adjusted(block, affine)[0])[2]

        return torch.cat([torch.zeros(0, dtype=torch.float64), *self._of_blocks(of_block, row)])

    def with_gradient(
        self, row: torch.Tensor, weight: torch.Tensor, affine: Affine, left_out: torch.Tensor
    ) -> tuple[float, Affine]:
        """Σ weight l over the rows (int64 [n]), and its gradient.

        weight: float64 [N]. left_out: bool [K], the columns without a part in the softmax; their gradient is 0.
        """

        def of_block(block: _Block) -> tuple[torch.Tensor, Affine]:
            return self._block_with_gradient(block, weight[block.row], affine, left_out)

        total = torch.zeros((), dtype=torch.float64)
        gradient = tuple(torch.zeros_like(one) for one in affine.tensors)
        for value, own in self._of_blocks(of_block, row):
            total += value
            for whole, part in zip(gradient, own.tensors, strict=True):
                whole += part
        return float(total), Affine(*gradient)

    def _block_with_gradient(
        self, block: _Block, weight: torch.Tensor, affine: Affine, left_out: torch.Tensor
    ) -> tuple[torch.Tensor, Affine]:
        """Σ weight l over the rows of a block, and its gradient. weight: float64 [n].

        With r_k = weight ∂l/∂z'_k = weight (p_k - [k = y]), p the scores of the head, and d_k = scale_k z_k + shift_k,
        a row adds s r_k z_k to the gradient of scale_k, s r_k to that of shift_k, and s (1 - s) Σ_k r_k d_k times v and
        1 to those of weight and bias.
        """
        adjusted, confidence = self._adjusted(block, affine)
        share, denominator, losses = self._shares(block, adjusted, left_out)
        scaled = weight / denominator  # times share is weight p
        own_moved, moved = (one if confidence is None else confidence * one for one in (weight, scaled))
        known, column = block.positive
        own_logit = block.logits[known, column]
        shift = (moved @ share).index_add_(0, column, -own_moved[known])
        change = share @ affine.shift if confidence is not None else None
        share *= block.logits
        scale = (moved @ share).index_add_(0, column, -own_moved[known] * own_logit)
        value = weight @ losses
        if confidence is None or change is None or block.inputs is None:
            return value, Affine(scale, shift)
        change = scaled * (change + share @ affine.scale)
        change[known] -= weight[known] * (affine.scale[column] * own_logit + affine.shift[column])
        change *= confidence * (1 - confidence)
        return value, Affine(scale, shift, block.inputs.T @ change, change.sum())

    def _of_blocks(self, work: Callable[[_Block], Result], row: torch.Tensor) -> list[Result]:
        """The results of the work on the blocks of the rows (int64 [n]), in order whatever the number of threads."""
        logits = self.rows.logits
        assert logits is not None

        def at(part: torch.Tensor) -> Result:
            inputs = None if self.inputs is None else self.inputs[part].double()
            return work(_Block(part, logits[part].double(), self.rows.target[part], inputs))

        parts = torch.split(row, max(1, BLOCK // logits.shape[1]))
        with one_thread_each():
            if len(parts) == 1:
                return [at(parts[0])]
            with ThreadPoolExecutor(THREADS) as pool:
                return list(pool.map(at, parts))

    def _adjusted(self, block: _Block, affine: Affine) -> tuple[torch.Tensor, torch.Tensor | None]:
        """z', float64 [n, K], in new memory; and s, float64 [n], or None if it is 1."""
        if affine.weight is None or affine.bias is None or block.inputs is None:
            return torch.addcmul(affine.shift, block.logits, 1 + affine.scale), None
        confidence = torch.sigmoid(block.inputs @ affine.weight + affine.bias)
        change = torch.addcmul(affine.shift, block.logits, affine.scale)
        return torch.addcmul(block.logits, confidence[:, None], change), confidence

    def _shares(
        self, block: _Block, adjusted: torch.Tensor, left_out: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """The scores of the head times a number for each row, float64 [n, K], in the memory of `adjusted`; that number,
        float64 [n] >= 1; and l, float64 [n].
        """
        known, column = block.positive
        own = torch.zeros(len(adjusted), dtype=torch.float64)
        own[known] = adjusted[known, column]
        if self.rows.columns.head == "sigmoid":
            losses = softplus(adjusted).sum(dim=1) - own
            return adjusted.sigmoid_(), torch.ones_like(own), losses
        if left_out is not None and left_out.any():
            adjusted[:, left_out] = -torch.inf
        top = adjusted.amax(dim=1, keepdim=True)
        total = adjusted.sub_(top).exp_().sum(dim=1)
        return adjusted, total, top[:, 0] + total.log() - own
