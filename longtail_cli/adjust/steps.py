"""What can be done to full logits, as plain columns; `longtail_cli.adjust.apply` does it.

Scores that are no softmax of anything any more go on as two-way logits, z = ln(s / (1 - s)), of a sigmoid head, as the
scores of a result file do. So a step may follow any other, and the activation at the end is a softmax or a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.tables import Floats, Longs


@dataclass(frozen=True, slots=True)
class ColumnAffine:
    """z'_k = scale_k z_k + shift_k. scale, shift: float64 [K], finite."""

    scale: Floats
    shift: Floats

    def then(self, after: ColumnAffine) -> ColumnAffine:
        """The map that applies `after` to the outcome of this one."""
        return ColumnAffine(after.scale * self.scale, after.scale * self.shift + after.shift)


@dataclass(frozen=True, slots=True)
class ScoreFactor:
    """s'_c = s_c e^(shift_c), s the scores of the head; two-way logits after it. shift: float64 [C], <= 0."""

    shift: Floats


@dataclass(frozen=True, slots=True)
class SigmoidProduct:
    """s_c = sigmoid(z_c) sigmoid(z_c + shift_c); two-way logits after it. shift: float64 [C]."""

    shift: Floats


@dataclass(frozen=True, slots=True)
class SliceSoftmax:
    """s_c = softmax of c within its slice times P(foreground), the softmax of slice 0; two-way logits after it.

    bounds: int64 [S + 1]; slice i owns columns ``bounds[i]:bounds[i + 1]``, slice 0 [background, foreground], every
        other starts with its column for the classes of other slices. column: int64 [C], where each class stands.
    """

    bounds: Longs
    column: Longs


@dataclass(frozen=True, slots=True)
class Reclassify:
    """z'_c = f · weight_c from the features f of the row; the background keeps its logit. weight: float64 [C, D]."""

    weight: Floats


Step = ColumnAffine | ScoreFactor | SigmoidProduct | SliceSoftmax | Reclassify
