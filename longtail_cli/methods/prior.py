"""Methods that shift each class's logit by an amount that depends on how often the class occurs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np

from longtail_cli.methods.base import (
    Adjustment,
    Choice,
    ClassAffine,
    CountMethod,
    MethodContext,
    Number,
    binary_columns,
)
from longtail_cli.methods.counts import Count, Shares, ZeroCount, counts_of, shares
from longtail_cli.methods.steps import ScoreFactor
from longtail_cli.tables import FrequencyTable


@dataclass(frozen=True, slots=True)
class LogitAdjustment(CountMethod):
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
class BalancedSoftmax(CountMethod):
    """z'_c = z_c - ln n_c, the post-hoc form of balanced softmax; the background stays as it is.

    Source: Ren et al., "Balanced Meta-Softmax for Long-Tailed Visual Recognition", NeurIPS 2020, section 3.1
    """

    name: ClassVar[str] = "balanced-softmax"
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -np.log(given.count), given.notes)


@dataclass(frozen=True, slots=True)
class NorCal(CountMethod):
    """s'_c = (e^z_c / n_c^gamma) / (e^z_bg + Σ_j e^z_j / n_j^gamma), that is z'_c = z_c - gamma ln n_c with the
    background as it is; for a sigmoid head the background's score is 1 - s_c. With renormalize=no,
    s'_c = s_c / n_c^gamma.

    Source: Pan et al., "On Model Calibration for Long-Tailed Object Detection and Instance Segmentation", NeurIPS 2021,
    sections 3.2 and 3.3
    """

    name: ClassVar[str] = "norcal"
    gamma: Annotated[float, Number("strength; 0 changes nothing", low=0.0)] = 0.6
    count: Count = "image"
    zero_count: ZeroCount = "max"
    renormalize: Annotated[Literal["yes", "no"], Choice("whether to renormalise the scores", ("yes", "no"))] = "yes"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -self.gamma * np.log(given.count), given.notes)

    def adjustment(self, context: MethodContext) -> Adjustment:
        affine = self.coefficients(context.counts(self.spec))
        columns = context.columns
        on_columns = context.on_columns(affine)
        if self.renormalize == "yes":
            return Adjustment((on_columns,), columns, affine.notes)
        return Adjustment((ScoreFactor(on_columns.shift[columns.classes]),), binary_columns(columns), affine.notes)


@dataclass(frozen=True, slots=True)
class LabelDistributionAwareMargin(CountMethod):
    """z'_c = z_c - c n_c^(-1/4): every class's logit minus the margin that LDAM subtracts from the logit of the true
    class in training; c > 0 lowers rare classes most, c < 0 raises them most.

    Source: Cao et al., "Learning Imbalanced Datasets with Label-Distribution-Aware Margin Loss", NeurIPS 2019
    """

    name: ClassVar[str] = "ldam"
    c: Annotated[float, Number("margin of a class that occurs once")]
    count: Count = "image"
    zero_count: ZeroCount = "max"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        return ClassAffine(np.ones(len(table)), -self.c * given.count**-0.25, given.notes)


def _shares(
    table: FrequencyTable, method: LogitAdjustment | BalancedSoftmax | NorCal | LabelDistributionAwareMargin
) -> Shares:
    counts = counts_of(table, method.count)
    return shares(counts, float(counts.sum()), method.zero_count, table.category_id)
