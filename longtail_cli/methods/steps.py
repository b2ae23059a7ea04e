"""What can be done to full logits, as plain columns; `longtail_cli.methods.apply` does it.

A step whose result is not the softmax of any logits returns binary logits, z = ln(s / (1 - s)), of a sigmoid head, as
for the scores of a result file. So a step may follow any other, and the final activation is a softmax or a sigmoid.
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
        """The map that applies this one, then `after`."""
        return ColumnAffine(after.scale * self.scale, after.scale * self.shift + after.shift)


@dataclass(frozen=True, slots=True)
class ScoreFactor:
    """s'_c = s_c e^(shift_c), s the scores of the head; the result is binary logits. shift: float64 [C], <= 0."""

    shift: Floats


@dataclass(frozen=True, slots=True)
class SigmoidProduct:
    """s_c = sigmoid(z_c) sigmoid(z_c + shift_c); the result is binary logits. shift: float64 [C]."""

    shift: Floats


@dataclass(frozen=True, slots=True)
class SliceSoftmax:
    """s_c = softmax of c within its slice times P(foreground), the softmax of slice 0; the result is binary logits."""

    bounds: Longs
    """int64 [S + 1]; slice i has columns ``bounds[i]:bounds[i + 1]``. Slice 0 is [background, foreground]; every other
    starts with its column for the classes of other slices."""
    column: Longs
    """int64 [C], the column of each class."""


@dataclass(frozen=True, slots=True)
class Reclassify:
    """z'_c = f · weight_c from the features f of the row; the background keeps its logit. weight: float64 [C, D]."""

    weight: Floats


Step = ColumnAffine | ScoreFactor | SigmoidProduct | SliceSoftmax | Reclassify
