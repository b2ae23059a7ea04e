"""Methods that treat all classes alike and need no counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Adjustment, ClassAffine, MethodContext, NamedMethod, Number
from longtail_cli.methods.steps import ColumnAffine


@dataclass(frozen=True, slots=True)
class Unchanged(NamedMethod):
    """z'_c = z_c.

    Source: the model as it is
    """

    name: ClassVar[str] = "none"
    uses_counts: ClassVar[bool] = False

    def adjustment(self, context: MethodContext) -> Adjustment:
        return Adjustment((), context.columns)


@dataclass(frozen=True, slots=True)
class Temperature(NamedMethod):
    """z' = z / t for every column, including the background; t=fit, at the end of a chain in `ltcal tune`, fits it.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "temperature"
    uses_counts: ClassVar[bool] = False
    t: Annotated[float, Number("above 1 softens the scores, below 1 sharpens them", low=1e-6)]

    def adjustment(self, context: MethodContext) -> Adjustment:
        width = context.width()
        return Adjustment((ColumnAffine(np.full(width, 1.0 / self.t), np.zeros(width)),), context.columns)


@dataclass(frozen=True, slots=True)
class Foreground(NamedMethod):
    """z'_c = z_c + offset for every class; the background stays as it is, so a positive offset makes the classes win
    more rows from it. For a sigmoid head, the odds s / (1 - s) times e^offset.

    Source: the constant in which methods that shift classes differ, such as tau ln Σ n between logit-adjust and norcal
    """

    name: ClassVar[str] = "foreground"
    uses_counts: ClassVar[bool] = False
    offset: Annotated[float, Number("what is added to every class; 0 changes nothing")]

    def adjustment(self, context: MethodContext) -> Adjustment:
        columns = context.columns
        if columns.head == "softmax" and columns.background == "none":
            expected = "sigmoid, or softmax with a background column: without one the offset would change nothing"
            problem = Problem("head", expected, "softmax, background none")
            raise UsageError(f"method {self.spec}", [problem], "use it on the logits of a detector, or leave it out")
        affine = ClassAffine(np.ones(len(columns)), np.full(len(columns), self.offset))
        return Adjustment((context.on_columns(affine),), columns)
