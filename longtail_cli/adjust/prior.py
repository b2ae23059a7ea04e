"""Methods that shift each class's logit by how often the class occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from longtail_cli.adjust.base import ClassAffine, NamedMethod, Number
from longtail_cli.adjust.counts import Count, Shares, ZeroCount, counts_of, shares
from longtail_cli.tables import FrequencyTable


@dataclass(frozen=True, slots=True)
class LogitAdjustment(NamedMethod):
    """z'_c = z_c - tau ln p_c with p_c = n_c / Σ n; the background stays as it is.

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, section 4.1
    """

    name: ClassVar[str] = "logit-adjust"
    tau: Annotated[float, Number("strength; 0 changes nothing", low=0.0)] = 1.0
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -self.tau * np.log(given.count / given.total), given.notes)


@dataclass(frozen=True, slots=True)
class NorCal(NamedMethod):
    """z'_c = z_c - gamma ln n_c, that is exp(z_c) / n_c^gamma; the background stays as it is.

    Source: Pan et al., "On Model Calibration for Long-Tailed Object Detection and Instance Segmentation", NeurIPS 2021
    """

    name: ClassVar[str] = "norcal"
    gamma: Annotated[float, Number("strength; 0 changes nothing", low=0.0)] = 0.6
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -self.gamma * np.log(given.count), given.notes)


@dataclass(frozen=True, slots=True)
class LabelDistributionAwareMargin(NamedMethod):
    """z'_c = z_c - c n_c^(-1/4): the margin that LDAM takes off the true class's logit in training, taken off here from
    every class's; with c > 0 it lowers rare classes most, with c < 0 it raises them.

    Source: Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019
    """

    name: ClassVar[str] = "ldam"
    c: Annotated[float, Number("margin of a class that occurs once")]
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -self.c * given.count**-0.25, given.notes)


def _shares(table: FrequencyTable, method: LogitAdjustment | NorCal | LabelDistributionAwareMargin) -> Shares:
    counts = counts_of(table, method.count)
    return shares(counts, float(counts.sum()), method.zero_count, table.category_id)
