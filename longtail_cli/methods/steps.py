"""What can be done to full logits, as plain columns; `longtail_cli.methods.apply` does it.

A step whose result is not the softmax of any logits returns binary logits, z = ln(s / (1 - s)), of a sigmoid head, as
for the scores of a result file. So a step may follow any other, and the final activation is a softmax or a sigmoid.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Floats, LogitColumns, Longs


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

    def keeps_class_order(self, columns: LogitColumns) -> bool:
        """Whether the classes of every row keep their order: all are scaled by one positive number, and shifted alike.

        Slices of a ``bags`` head are not compared, as scores multiply two of them.
        """
        if columns.head == "bags":
            return False
        scale, shift = self.scale[columns.classes], self.shift[columns.classes]
        return bool((scale == scale[0]).all() and scale[0] > 0 and (shift == shift[0]).all())


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


@dataclass(frozen=True, slots=True)
class Classify:
    """z_k = f' · weight_k + bias_k from the features f of the row, f' = f - center; replaces the logits."""

    weight: Floats
    """float64 [K, D]."""
    bias: Floats
    """float64 [K]."""
    center: Floats
    """float64 [D]."""
    unit_length: bool
    """Whether f' is divided by its length, as in a cosine classifier."""
    columns: LogitColumns
    """What the K columns are."""


@dataclass(frozen=True, slots=True)
class ConfidenceAffine:
    """z'_k = (1 + s scale_k) z_k + s shift_k with s = sigmoid(v · weight + bias), one number for the row.

    v are the features of the row, or its logits.
    """

    scale: Floats
    """float64 [K]."""
    shift: Floats
    """float64 [K]."""
    weight: Floats
    """float64 [D], or [K] for the logits."""
    bias: float
    of_features: bool
    """Whether v are the features."""


@dataclass(frozen=True, slots=True)
class ScoreBeta:
    """s' = sigmoid(rise ln s - fall ln(1 - s) + shift), for each class and bin of box areas.

    With rise = fall it is an affine map of the binary logit; rise = fall = 1 and shift = 0 changes nothing.
    """

    edges: Floats
    """float64 [C, S - 1], the areas in square pixels at which the bins of a class end, ascending; a box of exactly that
    area is in the higher bin. Infinite for bins that a class lacks: one with infinite edges alone has a single bin, and
    its detections keep their order. S = 1 if no map depends on the area."""
    rise: Floats
    """float64 [C, S], >= 0."""
    fall: Floats
    """float64 [C, S], >= 0."""
    shift: Floats
    """float64 [C, S]."""


@dataclass(frozen=True, slots=True)
class ScoreKnots:
    """s' is linear between the knots (x, y) of a curve, and constant before the first and after the last.

    Which curve is chosen by class and area bin. Where x repeats, the last of its knots is the value at x. A curve
    without knots keeps the scores.
    """

    edges: Floats
    """float64 [C, S - 1], see `ScoreBeta`."""
    curve: Longs
    """int64 [C, S], from 0 to M - 1; classes and bins may share a curve."""
    start: Longs
    """int64 [M + 1]; curve m has knots ``start[m]:start[m + 1]``."""
    x: Floats
    """float64 [total] in [0, 1], not falling within a curve."""
    y: Floats
    """float64 [total] in [0, 1], not falling within a curve."""


ScoreStep = ColumnAffine | ScoreFactor | ScoreBeta | ScoreKnots
"""A step that maps the score of each class by itself, which one score per detection is enough for."""

Step = (
    ColumnAffine
    | ScoreFactor
    | SigmoidProduct
    | SliceSoftmax
    | Reclassify
    | Classify
    | ConfidenceAffine
    | ScoreBeta
    | ScoreKnots
)


def needs_features(step: Step) -> bool:
    """Whether the step needs the features of each row."""
    return isinstance(step, Reclassify | Classify) or (isinstance(step, ConfidenceAffine) and step.of_features)


def ignore_row_constants(steps: Sequence[Step]) -> bool:
    """Whether the scores after `steps` and a softmax are the same for z and z + c, c any constant of the row.

    Logarithms of probabilities are logits up to such a constant.
    """
    for step in steps:
        if isinstance(step, ScoreFactor | Classify):
            return True
        if not isinstance(step, ColumnAffine | Reclassify | ConfidenceAffine):
            return False
        if isinstance(step, ConfidenceAffine) and not step.of_features:
            return False
        if not isinstance(step, Reclassify) and np.ptp(step.scale) > 0:
            return False
    return True


def columns_after(step: Step, columns: LogitColumns) -> LogitColumns:
    """What the columns are after a step on `columns`."""
    if isinstance(step, Classify):
        return step.columns
    if isinstance(step, ColumnAffine | Reclassify | ConfidenceAffine):
        return columns
    return LogitColumns("sigmoid", "none", columns.category_id)
