"""Limits on metrics: how gates are written, and which of them apply."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from longtail_cli.choices import GateKind
from longtail_cli.errors import Problem, UsageError
from longtail_cli.reports.metric_names import bounds_of, canonical

AGAINST_REFERENCE: tuple[GateKind, ...] = ("max-drop", "max-rise")
"""Kinds that compare a run with `Report.reference`."""

FLOORS: tuple[GateKind, ...] = ("fail-under", "max-drop")
"""Kinds that fail below their limit; the others fail above it."""

_FRACTIONS = ("bbox/", "segm/", "tide/", "reliability/", "categories/", "classification/", "slices/")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on a metric."""

    kind: GateKind
    metric: str
    """Name of the metric."""
    limit: float
    """A fraction, or a number for a metric that counts; of a relative gate 0.01 means 1% of the magnitude of the
    reference's metric."""
    relative: bool
    written: str
    """The limit as given: ``0.18`` or ``1%``."""
    option: str = field(default="gate", compare=False)
    """The parameter or table that it was given in, for errors."""


def parse_gate(kind: GateKind, text: str, option: str) -> Gate:
    """The gate of ``bbox/APr=0.18``, or for ``max-drop`` and ``max-rise`` also of ``bbox/APr=1%``.

    option: the parameter or table that holds `text`, for errors. The last ``=`` ends the name, which may be the full
    JSON path. Raises UsageError if the name is missing, or if the limit is not a finite number, below 0 for a drop or
    rise, or given in percent points.
    """
    path, _, written = (part.strip() for part in text.rpartition("="))
    metric, relative = canonical(path), written.endswith("%")
    number = written.removesuffix("%").rstrip()
    against = kind in AGAINST_REFERENCE
    forms = "METRIC=LIMIT or METRIC=PERCENT%" if against else "METRIC=LIMIT"
    example = "for example bbox/APr=0.002, or bbox/APr=1% of the reference" if against else "for example bbox/APr=0.18"
    limit = float(Fraction(number) / (100 if relative else 1)) if _is_finite(number) else math.nan
    if not metric or math.isnan(limit):
        raise _refused(option, f"{forms} with a finite number", text, f"write {example}")
    if relative and not against:
        raise _refused(option, forms, text, f"only `max_drop=` and `max_rise=` take percent; write {example}")
    if against and limit < 0:
        raise _refused(option, "a limit from 0", text, f"write how much it may {kind[4:]}, {example}")
    if not relative and abs(limit) > bounds_of(metric)[1] and metric.startswith(_FRACTIONS):
        fix = f"metrics are fractions here, not percent points: write {metric}={limit / 100:g}"
        raise _refused(option, "a limit in [0, 1]", text, fix)
    return Gate(kind, metric, limit, relative, written, option)


def _is_finite(number: str) -> bool:
    return _NUMBER.fullmatch(number) is not None and math.isfinite(float(number))


def _refused(option: str, expected: str, text: str, fix: str) -> UsageError:
    return UsageError(option, [Problem("value", expected, repr(text))], fix)


def merge_gates(given: Sequence[Gate], from_config: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates of both without duplicates; a given gate replaces those of the file with its kind and metric."""
    replaced = {(gate.kind, gate.metric) for gate in given}
    kept = [gate for gate in from_config if (gate.kind, gate.metric) not in replaced]
    return tuple(dict.fromkeys((*kept, *given)))
