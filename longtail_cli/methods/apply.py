"""Steps applied to torch tensors, on any device, in float32 or float64. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch.nn.functional import logsigmoid, normalize

from longtail_cli.methods.steps import (
    Classify,
    ColumnAffine,
    ConfidenceAffine,
    Reclassify,
    ScoreBeta,
    ScoreFactor,
    ScoreKnots,
    SigmoidProduct,
    SliceSoftmax,
    Step,
    columns_after,
)
from longtail_cli.tables import Floats, LogitColumns, Logits, Longs

LARGEST = 1e30
"""The binary logit of a score that rounds to 1: finite, so that a weight of 0 makes it 0."""

ApplyStep = Callable[[torch.Tensor, torch.Tensor | None, torch.Tensor | None], torch.Tensor]
"""One step: takes logits, features and `out` as an `Adjuster` does, and returns the logits after the step."""


def binary_logit(log_scores: torch.Tensor) -> torch.Tensor:
    """The binary logit ln s - ln(1 - s) from ln s <= 0, of any shape; finite if ln s is. Its gradient is 0 at s = 1."""
    if log_scores.requires_grad:
        rounds_to_1 = log_scores > -torch.finfo(log_scores.dtype).tiny
        log_scores = torch.where(rounds_to_1, log_scores.detach(), log_scores)
    return (log_scores - torch.log(-torch.expm1(log_scores))).clamp(max=LARGEST)


class Adjuster:
    """The steps of an adjustment, ready to be applied to logits.

    steps: applied in this order. columns: what the columns are before the steps.
    device, dtype: where and in which precision (float32 or float64) to compute.
    """

    def __init__(
        self, steps: Sequence[Step], columns: LogitColumns, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> None:
        self.steps = tuple(steps)
        """In the order in which they are applied."""
        self._columns = columns
        self._device, self._dtype = device, dtype
        self._functions: list[ApplyStep] = []
        for step in steps:
            self._functions.append(self._apply_step(step, columns))
            columns = columns_after(step, columns)
        self.columns = columns
        """What the columns are after the steps."""

    def __call__(
        self, logits: torch.Tensor, features: torch.Tensor | None = None, out: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The adjusted logits [N, K'] of `logits` [N, K], which may have any dtype and device. N = 0 is allowed.

        Gradients flow to `logits` and `features`, and neither is changed. If there is nothing to do, `logits` itself is
        returned.

        features: [N, D], for steps that need them.
        out: [N, K] of the adjuster's device and dtype, overwritten to save memory; may be `logits` itself. With `out`
            there is no gradient.
        """
        if out is None:
            adjusted = logits.to(self._device, self._dtype)
        else:
            adjusted = logits if (logits.dtype, logits.device) == (out.dtype, out.device) else out.copy_(logits)
        if features is not None:
            features = features.to(self._device, self._dtype)
        for apply_step in self._functions:
            adjusted = apply_step(adjusted, features, out)
            if out is not None and adjusted.shape != out.shape:
                out = adjusted  # fewer columns, in new memory
        return adjusted

    @property
    def keeps_class_order(self) -> bool:
        """Whether the classes of every row are known to keep their order."""
        return all(isinstance(step, ColumnAffine) and step.keeps_class_order(self._columns) for step in self.steps)

    def in_double(self) -> Adjuster:
        """The same steps in float64, for rows that overflow float32."""
        return Adjuster(self.steps, self._columns, self._device, torch.float64)

    def of_batch(self, batch: Logits, out: torch.Tensor | None = None) -> torch.Tensor:
        """The adjusted logits of a batch; `out` as above."""
        return self(batch.logits, batch.features, out)

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
                return self._reclassify(step)
            case Classify():
                return self._classify(step)
            case ConfidenceAffine():
                return self._confidence_affine(step)
            case ScoreBeta() | ScoreKnots():
                raise TypeError("this step maps the scores of a result file")

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
        bounds, column, foreground = step.bounds.tolist(), self._index(step.column), step.foreground

        def decode(z: torch.Tensor, _: torch.Tensor | None, out: torch.Tensor | None) -> torch.Tensor:
            log_scores = torch.cat([torch.log_softmax(z[:, start:end], dim=1) for start, end in pairwise(bounds)], 1)
            return binary_logit(log_scores[:, column] + log_scores[:, foreground : foreground + 1])

        return decode

    def _reclassify(self, step: Reclassify) -> ApplyStep:
        weight = self._constant(step.weight)

        def classify(z: torch.Tensor, features: torch.Tensor | None, out: torch.Tensor | None) -> torch.Tensor:
            return torch.addmm(z, _present(features), weight.T, beta=step.scale, out=out)

        return classify

    def _classify(self, step: Classify) -> ApplyStep:
        weight, bias, center = map(self._constant, (step.weight, step.bias, step.center))
        centred = bool(step.center.any())

        def classify(z: torch.Tensor, features: torch.Tensor | None, out: torch.Tensor | None) -> torch.Tensor:
            inputs = _present(features) - center if centred else _present(features)
            if step.unit_length:
                inputs = normalize(inputs, dim=1)
            return torch.addmm(
                bias, inputs, weight.T, out=out if out is not None and out.shape[1] == len(bias) else None
            )

        return classify

    def _confidence_affine(self, step: ConfidenceAffine) -> ApplyStep:
        scale, shift, weight = map(self._constant, (step.scale, step.shift, step.weight))

        def adjust(z: torch.Tensor, features: torch.Tensor | None, out: torch.Tensor | None) -> torch.Tensor:
            confidence = torch.sigmoid((_present(features) if step.of_features else z) @ weight + step.bias)[:, None]
            return torch.mul(1 + confidence * scale, z, out=out).add_(confidence * shift)

        return adjust

    def _constant(self, values: Floats) -> torch.Tensor:
        return torch.tensor(values, dtype=self._dtype, device=self._device)

    def _index(self, values: Longs) -> torch.Tensor:
        return torch.tensor(values, device=self._device)


def _present(features: torch.Tensor | None) -> torch.Tensor:
    if features is None:
        raise ValueError("this step needs the features of each row")
    return features


def activated(logits: torch.Tensor, columns: LogitColumns, out: torch.Tensor | None = None) -> torch.Tensor:
    """Scores [N, K] of [N, K]: a softmax over all columns, the background's too, or the sigmoid of each.

    Head ``none`` marks scores, which stay as they are.
    The classes are ``columns.classes`` of the K columns. out: where to put the scores, which may be `logits` itself; a
    new tensor without it.
    """
    if columns.head == "none":
        return logits if out is None else out.copy_(logits)
    if columns.head == "softmax":
        return torch.softmax(logits, dim=1, out=out)
    return torch.sigmoid(logits, out=out)


def overflowed(scores: torch.Tensor, columns: LogitColumns) -> torch.Tensor:
    """The rows of `scores` [N, K], as `activated` gives them, that are not finite: int64 [n], ascending.

    It happens if steps take finite logits beyond the range of their type. A softmax is then NaN in all of the row.
    """
    sums = (scores[:, :1] if columns.head == "softmax" else scores).sum(dim=1)
    return (~torch.isfinite(sums)).nonzero()[:, 0]
