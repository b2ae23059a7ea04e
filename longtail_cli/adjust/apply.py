"""Steps at work on torch tensors, on any device and in any precision. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch.nn.functional import logsigmoid

from longtail_cli.adjust.steps import ColumnAffine, Reclassify, ScoreFactor, SigmoidProduct, SliceSoftmax, Step
from longtail_cli.tables import Floats, LogitColumns, Longs

LARGEST = 1e30
"""Stands in for the two-way logit of a score that is 1 to the last bit: finite, so that a weight of 0 makes it 0."""

ApplyStep = Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor], torch.Tensor]
"""Takes logits, features, and memory for the logits after a step, which may be the logits themselves; returns these."""


def binary_logit(log_scores: torch.Tensor) -> torch.Tensor:
    """Z = ln s - ln(1 - s) of ln s <= 0, of any shape, finite for finite ln s."""
    return (log_scores - torch.log(-torch.expm1(log_scores))).clamp(max=LARGEST)


class Adjuster:
    """The steps of a correction on a device.

    steps: what to do, in order. columns: what the columns are before them.
    device, dtype: where and in which precision (float32 or float64) the logits will come.
    """

    def __init__(
        self, steps: Sequence[Step], columns: LogitColumns, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self._device, self._dtype = device, dtype
        self._functions: list[ApplyStep] = []
        for step in steps:
            self._functions.append(self._apply_step(step, columns))
            if not isinstance(step, ColumnAffine | Reclassify):
                columns = LogitColumns("sigmoid", "none", columns.category_id)
        self.columns = columns
        """What the columns are after the steps."""

    def __call__(
        self, logits: torch.Tensor, features: torch.Tensor | None = None, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The adjusted logits [N, K'] of [N, K], which may be of any type and on any device and stay as they are.

        features: [N, D], for steps that need them. out: [N, K] of the device and type to work in, whose memory may be
        used; a new tensor without it. Where nothing is to be done `logits` come back as they are. N = 0 is allowed.
        """
        own = torch.empty(logits.shape, dtype=self._dtype, device=self._device) if out is None else out
        adjusted = logits if (logits.dtype, logits.device) == (own.dtype, own.device) else own.copy_(logits)
        beside = None if features is None else features.to(self._device, self._dtype)
        for action in self._functions:
            adjusted = action(adjusted, beside, own)
            own = own if adjusted.shape == own.shape else adjusted  # fewer columns, in memory of their own
        return adjusted

    def _apply_step(self, step: Step, columns: LogitColumns) -> ApplyStep:
        match step:
            case ColumnAffine():
                return self._affine(step)
            case ScoreFactor():
                return self._score_factor(step, columns)
            case SigmoidProduct():
                shift = self._constant(step.shift)
                classes = columns.classes
                return lambda z, _, out: binary_logit(logsigmoid(z[:, classes]) + logsigmoid(z[:, classes] + shift))
            case SliceSoftmax():
                return self._slice_softmax(step)
            case Reclassify():
                return self._reclassify(step, columns)

    def _affine(self, step: ColumnAffine) -> ApplyStep:
        scale, shift = self._constant(step.scale), self._constant(step.shift)
        if (step.scale == 1).all():
            return lambda z, _, out: torch.add(z, shift, out=out)
        if (step.shift == 0).all():
            return lambda z, _, out: torch.mul(z, scale, out=out)
        return lambda z, _, out: torch.addcmul(shift, z, scale, out=out)

    def _score_factor(self, step: ScoreFactor, columns: LogitColumns) -> ApplyStep:
        shift = self._constant(step.shift)
        log_scores = logsigmoid if columns.head == "sigmoid" else lambda z: torch.log_softmax(z, dim=1)
        return lambda z, _, out: binary_logit(log_scores(z)[:, columns.classes] + shift)

    def _slice_softmax(self, step: SliceSoftmax) -> ApplyStep:
        bounds, column = step.bounds.tolist(), self._index(step.column)

        def decode(z: torch.Tensor, _: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
            parts = [torch.log_softmax(z[:, start:end], dim=1) for start, end in pairwise(bounds)]
            return binary_logit(torch.cat(parts, dim=1)[:, column] + parts[0][:, 1:2])

        return decode

    def _reclassify(self, step: Reclassify, columns: LogitColumns) -> ApplyStep:
        weight = self._constant(step.weight)

        def classify(z: torch.Tensor, features: torch.Tensor | None, out: torch.Tensor) -> torch.Tensor:
            if features is None:
                raise ValueError("this step needs the features of each row")
            out.copy_(z)[:, columns.classes] = features @ weight.T
            return out

        return classify

    def _constant(self, values: Floats) -> torch.Tensor:
        return torch.tensor(values, dtype=self._dtype, device=self._device)

    def _index(self, values: Longs) -> torch.Tensor:
        return torch.tensor(values, device=self._device)
