"""Limits on figures: how gates are written, and flags before files."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal, get_args

from longtail_cli.errors import Problem, UsageError
from longtail_cli.reports.metric_names import canonical

GateKind = Literal["fail-under", "fail-over", "max-drop", "max-rise"]

KINDS: tuple[GateKind, ...] = get_args(GateKind)

AGAINST_REFERENCE: tuple[GateKind, ...] = ("max-drop", "max-rise")
"""Kinds that hold a run against `Report.reference`."""

FLOORS: tuple[GateKind, ...] = ("fail-under", "max-drop")
"""Kinds that fail below their limit; the others fail above it."""

_FRACTIONS = ("bbox/", "segm/", "tide/", "reliability/", "categories/", "classification/")
_UNBOUNDED = ("classification/nll", "classification/brier")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Gate:
    """A limit on a figure.

    metric: the name of the figure. limit: a fraction; for a relative gate the share of the magnitude of the
    reference's figure, 0.01 for 1%. written: the limit as it was given, ``0.18`` or ``1%``.
    option: the option or table that it was given in, for errors.
    """

    kind: GateKind
    metric: str
    limit: float
    relative: bool
    written: str
    option: str = field(default="gate", compare=False)


def parse_gate(kind: GateKind, text: str, option: str) -> Gate:
    """The gate of ``bbox/APr=0.18``, or for ``max-drop`` and ``max-rise`` also of ``bbox/APr=1%``.

    option: where `text` was given, for the errors. The last ``=`` ends the name, which may be the full JSON path.
    Raises UsageError where the name is missing, the limit is no finite number, below 0 for a drop or rise, or given in
    percent points.
    """
    path, _, written = (part.strip() for part in text.rpartition("="))
    metric, relative = canonical(path), written.endswith("%")
    number = written.removesuffix("%").rstrip()
    against = kind in AGAINST_REFERENCE
    forms = "METRIC=LIMIT or METRIC=PERCENT%" if against else "METRIC=LIMIT"
    example = f"for example {option} bbox/APr={'0.002, or =1% of the reference' if against else '0.18'}"
    limit = float(Fraction(number) / (100 if relative else 1)) if _is_finite(number) else math.nan
    if not metric or math.isnan(limit):
        raise _refused(option, f"{forms} with a finite number", text, example)
    if relative and not against:
        raise _refused(option, forms, text, f"only --max-drop and --max-rise take percent; {example}")
    if against and limit < 0:
        raise _refused(option, "a limit from 0", text, f"write how much it may {kind[4:]}, {example}")
    if not relative and abs(limit) > 1 and metric.startswith(_FRACTIONS) and metric not in _UNBOUNDED:
        fix = f"figures are fractions, percent points are for tables: write {metric}={limit / 100:g}"
        raise _refused(option, "a limit in [0, 1]", text, fix)
    return Gate(kind, metric, limit, relative, written, option)


def _is_finite(number: str) -> bool:
    return _NUMBER.fullmatch(number) is not None and math.isfinite(float(number))


def _refused(option: str, expected: str, text: str, fix: str) -> UsageError:
    return UsageError(option, [Problem("value", expected, repr(text))], fix)


def merge_gates(from_flags: Sequence[Gate], from_config: Sequence[Gate]) -> tuple[Gate, ...]:
    """The gates of both, each once; a flag replaces all gates of its kind and metric in the file."""
    replaced = {(gate.kind, gate.metric) for gate in from_flags}
    kept = [gate for gate in from_config if (gate.kind, gate.metric) not in replaced]
    return tuple(dict.fromkeys((*kept, *from_flags)))
