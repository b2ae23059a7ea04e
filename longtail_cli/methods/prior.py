"""Methods that shift each class's logit by an amount that depends on how often the class occurs."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

import numpy as np

from longtail_cli.errors import Problem, UsageError
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
from longtail_cli.tables import Floats, FrequencyTable

Reference = Literal["total", "mean", "max", "one"]
REFERENCES: tuple[Reference, ...] = get_args(Reference)

Form = Literal["gamma", "cb"]
FORMS: tuple[Form, ...] = get_args(Form)

Calibrated = Literal["exponentials", "probabilities", "logits"]
CALIBRATED: tuple[Calibrated, ...] = get_args(Calibrated)


@dataclass(frozen=True, slots=True)
class LogitAdjustment(CountMethod):
    """z'_c = z_c - tau ln p_c with p_c = n_c / Σ n; the background stays as it is. The counts may be divided by another
    reference than Σ n: their geometric mean (mean), the largest of them (max), or 1 (one). Another reference adds the
    same to every class, which matters only against a background and for a sigmoid head. With reference=one it is
    norcal with gamma = tau, and with tau=1 too balanced-softmax.

    Source: Menon et al., "Long-tail learning via logit adjustment", ICLR 2021, section 4.1
    """

    name: ClassVar[str] = "logit-adjust"
    tau: Annotated[float, Number("strength; 0 changes nothing", low=0.0)] = 1.0
    count: Count = "image"
    zero_count: ZeroCount = "max"
    reference: Annotated[
        Reference, Choice("what divides n_c: Σ n, the geometric mean of n, the largest n, or 1", REFERENCES)
    ] = "total"

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        ratio = given.count / self._reference(given)
        return ClassAffine(np.ones(len(table)), -self.tau * np.log(ratio), given.notes)

    def _reference(self, given: Shares) -> Floats | float:
        """What divides the counts, one number or float64 [C], > 0."""
        if self.reference == "total":
            return given.total
        if self.reference == "mean":  # a sum that is the same for every order of the classes
            return math.exp(math.fsum(np.log(given.count).tolist()) / max(len(given.count), 1))
        return float(given.count.max(initial=1.0)) if self.reference == "max" else 1.0


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
    s'_c = s_c / n_c^gamma. With form=cb the factor is (1 - gamma) / (1 - gamma^n_c) in place of 1 / n_c^gamma, with
    gamma close to 1, such as 0.999. on=logits multiplies z_c by the factor. on=probabilities is the same as
    on=exponentials: renormalising cancels the sum of the exponentials, and renormalize=no keeps it in both.

    Source: Pan et al., "On Model Calibration for Long-Tailed Object Detection and Instance Segmentation", NeurIPS 2021,
    sections 3.2 and 3.3; form and on as in the authors' code, whose class-balanced factor is that of Cui et al.,
    "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, section 3
    """

    name: ClassVar[str] = "norcal"
    gamma: Annotated[float, Number("strength; 0 changes nothing", low=0.0)] = 0.6
    count: Count = "image"
    zero_count: ZeroCount = "max"
    renormalize: Annotated[Literal["yes", "no"], Choice("whether to renormalise the scores", ("yes", "no"))] = "yes"
    form: Annotated[Form, Choice("the factor of a class: 1 / n_c^gamma, or the class-balanced one", FORMS)] = "gamma"
    on: Annotated[Calibrated, Choice("what is multiplied by the factor", CALIBRATED)] = "exponentials"

    def __post_init__(self) -> None:
        super(NorCal, self).__post_init__()
        if self.form == "cb" and not 0 < self.gamma < 1:
            problem = Problem("gamma", "a number above 0 and below 1, for form=cb", repr(self.gamma))
            raise UsageError(f"method {self.name}", [problem], "for example norcal:gamma=0.999,form=cb")
        if self.on == "logits" and self.renormalize == "no":
            problem = Problem("renormalize", "yes, for on=logits, whose activation follows the factor", "no")
            raise UsageError(f"method {self.name}", [problem], "leave renormalize out, or choose on=probabilities")

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        given = _shares(table, self)
        log_factor = self._log_factor(given.count)
        if self.on == "logits":
            return ClassAffine(np.exp(log_factor), np.zeros(len(table)), given.notes)
        return ClassAffine(np.ones(len(table)), log_factor, given.notes)

    def _log_factor(self, n: Floats) -> Floats:
        """The logarithm of the factor of each class, float64 [C], <= 0. n: float64 [C], >= 1."""
        if self.form == "gamma":
            return -self.gamma * np.log(n)
        decay = math.log(self.gamma)
        return np.log(math.expm1(decay) / np.expm1(n * decay))

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
