"""Methods that treat all columns alike and need no counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.methods.base import Adjustment, MethodContext, NamedMethod, Number
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
    """z' = z / t for every column, including the background.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "temperature"
    uses_counts: ClassVar[bool] = False
    t: Annotated[float, Number("above 1 softens the scores, below 1 sharpens them", low=1e-6)]

    def adjustment(self, context: MethodContext) -> Adjustment:
        width = context.width()
        return Adjustment((ColumnAffine(np.full(width, 1.0 / self.t), np.zeros(width)),), context.columns)
