"""Figures that gates name and a report does not have: which are near, and which option adds them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence

from longtail_cli.errors import Problem, UsageError
from longtail_cli.report.gates.limits import AGAINST_REFERENCE, Gate
from longtail_cli.report.model import Figure

OPTIONS = {
    "APfixed": "--fixed-ap",
    "APpool": "--pooled-ap",
    "tide": "--tide aligned",
    "categories": "--per-category",
    "reliability": "--reliability",
    "bbox": "--iou-type bbox",
    "segm": "--iou-type segm",
    "r": "--freq",
    "c": "--freq",
    "f": "--freq",
}
"""Parts of names, and the option without which no name has them."""

NEAREST = 3


def check_known(gates: Sequence[Gate], figures: Mapping[str, Figure]) -> None:
    """Raise UsageError unless every gate names one of `figures`: with the nearest names and the option that adds it."""
    unknown = [gate for gate in gates if gate.metric not in figures]
    if not unknown:
        return
    problems = [
        Problem("metric", f"a figure of the report, such as {' or '.join(nearest(gate.metric, figures))}", gate.metric)
        for gate in unknown
    ]
    options = dict.fromkeys(filter(None, (option_for(gate.metric, figures) for gate in unknown)))
    adding = f"; {' '.join(options)} adds what is missing" if options else ""
    fix = f"write names as they are in the JSON, where --json lists them{adding}"
    raise UsageError(_sources(unknown), problems, fix)


def check_in_baseline(gates: Iterable[Gate], figures: Mapping[str, Figure], source: str) -> None:
    """Raise UsageError unless the baseline has every figure that a run is to be held against.

    figures: of the baseline, undefined ones too. source: its file.
    """
    absent = [gate for gate in gates if gate.kind in AGAINST_REFERENCE and gate.metric not in figures]
    if not absent:
        return
    problems = [Problem(gate.metric, f"this figure in {source}", "none") for gate in absent]
    options = dict.fromkeys(filter(None, (option_for(gate.metric, figures) for gate in absent)))
    fix = f"write the baseline again with {' '.join(options) or 'the options that this report is made with'}"
    raise UsageError(_sources(absent), problems, fix)


def nearest(metric: str, figures: Iterable[str]) -> list[str]:
    """The names of `figures` that are most like `metric`, at most `NEAREST`; the first ones where none is like it."""
    names = {name.lower(): name for name in figures}
    wanted = metric.lower()
    endings = [name for lower, name in names.items() if lower.endswith(f"/{wanted}")]
    close = [names[lower] for lower in difflib.get_close_matches(wanted, names, n=NEAREST)]
    return list(dict.fromkeys([*endings, *close]))[:NEAREST] or list(names.values())[:NEAREST]


def option_for(metric: str, figures: Iterable[str]) -> str | None:
    """The option that adds a figure of this name, None where it is not known or was given."""
    held = {part for name in figures for part in name.split("/")}
    lacking = [part for part in OPTIONS if part in metric.split("/") and part not in held]
    return OPTIONS[lacking[0]] if lacking else None


def _sources(gates: Iterable[Gate]) -> str:
    return ", ".join(dict.fromkeys(gate.option for gate in gates))
