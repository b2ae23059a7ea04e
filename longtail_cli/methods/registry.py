"""Methods by name, and the strings that name a method with its parameters: ``iif``, ``norcal:gamma=0.6``, ``a+b``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from types import MappingProxyType

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.bags import BalancedGroupSoftmax
from longtail_cli.methods.base import (
    Adjustment,
    DataAccess,
    FileName,
    Method,
    MethodContext,
    NamedMethod,
    Note,
    Value,
    needs_logits,
)
from longtail_cli.methods.fracal import FractalCalibration
from longtail_cli.methods.iif import InverseImageFrequency
from longtail_cli.methods.label_free import LogitNormalization, PriorToPosterior
from longtail_cli.methods.learned import DisAlign, LearnableWeightScaling, TauNormalized, VectorScaling
from longtail_cli.methods.prior import BalancedSoftmax, LabelDistributionAwareMargin, LogitAdjustment, NorCal
from longtail_cli.methods.steps import ColumnAffine, ScoreFactor, ScoreStep, Step
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

NO_DEFAULTS: Mapping[str, str] = MappingProxyType({})


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
    steps = tuple(step for step in adjustment.steps if isinstance(step, ColumnAffine | ScoreFactor))
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
    steps = [_step(part.strip(), defaults) for part in re.split(r"\+(?![0-9])", spec)]  # not the + of 1e+20
    return steps[0] if len(steps) == 1 else Chain(tuple(steps))


def method_class(name: str) -> type[NamedMethod]:
    """The method called `name`. Raises UsageError if there is none."""
    if name not in METHODS:
        raise _unknown("method", "name", name, METHODS)
    return METHODS[name]


def _step(text: str, defaults: Mapping[str, str]) -> NamedMethod:
    name, _, arguments = (part.strip() for part in text.partition(":"))
    method = method_class(name)
    kinds = {parameter.name: parameter.kind for parameter in method.parameters()}
    given = _arguments(text, arguments, tuple(kinds))
    chosen = {key: value for key, value in defaults.items() if key in kinds} | given
    missing = [p for p in method.parameters() if p.default is None and p.name not in chosen]
    if missing:
        problems = [Problem(p.name, p.kind.range, "no value") for p in missing]
        example = "learned.npz" if isinstance(missing[0].kind, FileName) else "1.5"
        raise UsageError(f"method {text!r}", problems, f"give it one, for example {name}:{missing[0].name}={example}")
    values: Mapping[str, Value] = {key: kinds[key].parse(value) for key, value in chosen.items()}
    return method(**values)


def _arguments(text: str, arguments: str, names: tuple[str, ...]) -> dict[str, str]:
    """``a,parameter=b`` as a mapping from parameter to value."""
    given: dict[str, str] = {}
    for position, argument in enumerate(arguments.split(",") if arguments else []):
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not equals and position == 0 and names:
            key, value = names[0], key
        if key not in names:
            raise _unknown(f"method {text!r}", "parameter", key, names)
        if key in given:
            problem = Problem("parameters", "each of them once", f"{key} twice")
            raise UsageError(f"method {text!r}", [problem], "keep one of the two")
        given[key] = value
    return given


def _unknown(source: str, where: str, found: str, valid: Iterable[str]) -> UsageError:
    names = list(valid)
    near = get_close_matches(found, names, 1, cutoff=0.5)
    expected = f"one of {', '.join(names)}" if names else "none (the method has no parameters)"
    hint = f"did you mean {near[0]}? " if near else ""
    return UsageError(source, [Problem(where, expected, repr(found))], f"{hint}`ltcal methods` lists them all")
