"""What can be done to full logits, as plain columns; `longtail_cli.methods.apply` does it.

A step whose result is not the softmax of any logits returns binary logits, z = ln(s / (1 - s)), of a sigmoid head, as
for the scores of a result file. So a step may follow any other, and the final activation is a softmax or a sigmoid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Floats, Longs


@dataclass(frozen=True, slots=True)
class ColumnAffine:
    """z'_k = scale_k z_k + shift_k. scale, shift: float64 [K], finite."""

    scale: Floats
    shift: Floats

    def then(self, after: ColumnAffine) -> ColumnAffine:
        """The map that applies this one, then `after`. Raises UsageError if it overflows float64."""
        with np.errstate(over="ignore", invalid="ignore"):
            both = ColumnAffine(after.scale * self.scale, after.scale * self.shift + after.shift)
        if not (np.isfinite(both.scale).all() and np.isfinite(both.shift).all()):
            problem = Problem("methods, one after another", "a product of their scales within float64", "an overflow")
            raise UsageError("`methods=`", [problem], "leave some of them out, or give them smaller parameters")
        return both


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
    """s_c = softmax of c within its slice times that of the foreground within its own; the result is binary logits."""

    bounds: Longs
    """int64 [S + 1]; slice i has columns ``bounds[i]:bounds[i + 1]``."""
    column: Longs
    """int64 [C], the column of each class."""
    foreground: int
    """The column of the foreground."""


@dataclass(frozen=True, slots=True)
class Reclassify:
    """z'_k = scale z_k + f · weight_k from the features f of the row."""

    weight: Floats
    """float64 [K, D]."""
    scale: float
    """1 adds to the logits of the file, and so keeps the bias in them; 0 replaces them."""


Step = ColumnAffine | ScoreFactor | SigmoidProduct | SliceSoftmax | Reclassify

ScoreStep = ColumnAffine | ScoreFactor
"""A step that maps the binary logit of each class by itself, which one score per detection is enough for."""
