"""Methods by name, and the strings that name a method with its parameters: ``iif``, ``norcal:gamma=0.6``, ``a+b``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from longtail_cli.methods.bags import BalancedGroupSoftmax
from longtail_cli.methods.base import (
    Adjustment,
    DataAccess,
    Method,
    MethodContext,
    NamedMethod,
    Note,
    needs_logits,
)
from longtail_cli.methods.fracal import FractalCalibration
from longtail_cli.methods.iif import InverseImageFrequency
from longtail_cli.methods.label_free import LogitNormalization, PriorToPosterior
from longtail_cli.methods.learned import DisAlign, LearnableWeightScaling, TauNormalized, VectorScaling
from longtail_cli.methods.prior import BalancedSoftmax, LabelDistributionAwareMargin, LogitAdjustment, NorCal
from longtail_cli.methods.specs import NO_DEFAULTS, named_class, parse_named
from longtail_cli.methods.steps import ColumnAffine, ScoreStep, Step
from longtail_cli.methods.target import TargetPrior
from longtail_cli.methods.uniform import Foreground, Temperature, Unchanged
from longtail_cli.tables import FrequencyTable, LogitColumns

METHODS: Mapping[str, type[NamedMethod]] = MappingProxyType(
    {
        method.name: method
        for method in (
            Unchanged,
            InverseImageFrequency,
            LogitAdjustment,
            NorCal,
            BalancedSoftmax,
            FractalCalibration,
            TargetPrior,
            PriorToPosterior,
            LogitNormalization,
            Foreground,
            Temperature,
            LearnableWeightScaling,
            DisAlign,
            VectorScaling,
            LabelDistributionAwareMargin,
            TauNormalized,
            BalancedGroupSoftmax,
        )
    }
)
"""All methods by name. To add one, write a class in the module of its family and list it here."""


@dataclass(frozen=True, slots=True)
class Chain:
    """Methods applied one after another. parts: at least two, in the order of application."""

    parts: tuple[Method, ...]

    @property
    def spec(self) -> str:
        return "+".join(part.spec for part in self.parts)

    @property
    def uses_counts(self) -> bool:
        return any(part.uses_counts for part in self.parts)

    @property
    def files(self) -> tuple[str, ...]:
        return tuple(path for part in self.parts for path in part.files)

    def adjustment(self, context: MethodContext) -> Adjustment:
        total = Adjustment((), context.columns)
        for part in self.parts:
            following = part.adjustment(replace(context, columns=total.columns, steps=context.steps + total.steps))
            total = Adjustment(total.steps + following.steps, following.columns, total.notes + following.notes)
        return replace(total, steps=merge_affine_steps(total.steps))


def merge_affine_steps(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """The same steps with consecutive affine maps merged."""
    kept: list[Step] = []
    for step in steps:
        last = kept[-1] if kept else None
        if isinstance(step, ColumnAffine) and isinstance(last, ColumnAffine):
            kept[-1] = last.then(step)
        else:
            kept.append(step)
    return tuple(kept)


def score_steps(
    method: Method, table: FrequencyTable, data_access: DataAccess
) -> tuple[tuple[ScoreStep, ...], tuple[Note, ...]]:
    """The maps of the classes in a score-only adjustment. Raises UsageError for a method that needs full logits."""
    columns = LogitColumns("sigmoid", "none", table.category_id)
    adjustment = method.adjustment(MethodContext(columns, table, None, data_access, score_only=True))
    steps = tuple(step for step in adjustment.steps if isinstance(step, ScoreStep))
    if len(steps) < len(adjustment.steps):
        raise needs_logits(method.spec)
    return steps, adjustment.notes


def parse_method(spec: str, defaults: Mapping[str, str] = NO_DEFAULTS) -> Method:
    """The method that `spec` names.

    spec: ``name``, ``name:parameter=value,...``, or several of these joined by ``+`` and applied from left to right.
    The name of a method's first parameter may be omitted if its value comes first (``norcal:0.6``).
    defaults: values of parameters that the spec does not state, for the methods that have them.
    Raises UsageError for unknown names, unknown, repeated or missing parameters, and values out of range.
    """
    parts = re.split(r"\+(?![0-9])", spec)  # not at the + of 1e+20
    steps = [parse_named(part.strip(), METHODS, defaults) for part in parts]
    return steps[0] if len(steps) == 1 else Chain(tuple(steps))


def method_class(name: str) -> type[NamedMethod]:
    """The method called `name`. Raises UsageError if there is none."""
    return named_class(name, METHODS)
