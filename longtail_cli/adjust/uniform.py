"""Methods that treat all classes alike and need no counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.adjust.base import ClassAffine, NamedMethod, Number, identity
from longtail_cli.tables import FrequencyTable


@dataclass(frozen=True, slots=True)
class Unchanged(NamedMethod):
    """z'_c = z_c.

    Source: the model as it is
    """

    name: ClassVar[str] = "none"
    uses_counts: ClassVar[bool] = False

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        return identity(len(table))


@dataclass(frozen=True, slots=True)
class Temperature(NamedMethod):
    """z'_c = z_c / t.

    Source: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2
    """

    name: ClassVar[str] = "temperature"
    uses_counts: ClassVar[bool] = False
    t: Annotated[float, Number("above 1 softens the scores, below 1 sharpens them", low=1e-6)]

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        return ClassAffine(np.full(len(table), 1.0 / self.t), np.zeros(len(table)))
