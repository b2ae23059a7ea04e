"""Gates: which runs are beyond their limits, and whether the build may pass."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from longtail_cli.errors import GateError, LtcalError, NotComparableError, Problem, UsageError
from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, FLOORS, Gate
from longtail_cli.reports.gates.words import GateInput, expectation, finding, incomparable, judgement, undefined
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report, Run, Verdict

JudgedOn = Literal["value", "interval"]

ROUNDING = 1e-12
"""By how much a figure must be beyond a limit to fail: far above the rounding of sums, far below what is printed."""


def judge(
    report: Report, gates: Sequence[Gate], *, on: JudgedOn, allow_undefined: bool, runs: Sequence[str] = ()
) -> tuple[Verdict, ...]:
    """What the gates say, run by run and gate by gate; empty without gates.

    on: ``value`` fails where the figure is beyond the limit by more than `ROUNDING`; ``interval`` only where its whole
        95% interval is too. A figure without an interval is judged by its value, and the message says so.
    allow_undefined: whether a figure that is undefined passes. runs: names of those to judge; empty means all.

    ``max-drop`` and ``max-rise`` hold a run against `Report.reference`, which is not held against itself; they do not
    pass where the baseline cannot be compared. A relative limit is a share of the magnitude of the reference's figure.
    Raises UsageError for a run or figure that the report or its baseline does not have, and where there is nothing to
    hold against.
    """
    judged = _chosen(report, runs)
    _check_reference(report, judged, gates)
    figures = {run.name: metrics_of(run) for run in judged}
    base = metrics_of(report.reference)
    check_known(gates, figures[judged[0].name])
    if report.baseline is not None:
        check_in_baseline(gates, base, report.baseline.source)
    return tuple(
        _verdict(_case(report, run, gate, figures[run.name], base), on, allow_undefined)
        for run in judged
        for gate in gates
        if _applies(report, run, gate)
    )


def outcome_error(report: Report) -> LtcalError | None:
    """What ends the build: NotComparableError before GateError; None where every gate lets it pass."""
    failed = [verdict for verdict in report.gates if not verdict.allowed and verdict.outcome != "not comparable"]
    problems = [
        Problem(f"{verdict.run}, {verdict.metric}", expectation(verdict), finding(verdict)) for verdict in failed
    ]
    if report.baseline is not None and report.baseline.differences:
        expected = "a report by the same rules on the same data"
        differences = [Problem(report.baseline.source, expected, found) for found in report.baseline.differences]
        fix = "evaluate both by the same rules, or write the baseline again (with --no-gate) and commit it on purpose"
        return NotComparableError("gate", [*differences, *problems], fix)
    if not failed:
        return None
    fix = "see in the tables what changed; move a limit only on purpose"
    if any(verdict.outcome == "undefined" for verdict in failed):
        fix += ", and pass --allow-undefined only where the data cannot define the figure"
    return GateError("gate", problems, fix)


def _chosen(report: Report, names: Sequence[str]) -> list[Run]:
    known = [run.name for run in report.runs]
    problems = [Problem("run", f"one of {', '.join(known)}", name) for name in names if name not in known]
    if problems:
        raise UsageError("gate", problems, "name runs of this report")
    return [run for run in report.runs if not names or run.name in names]


def _check_reference(report: Report, judged: Sequence[Run], gates: Sequence[Gate]) -> None:
    """Refuse gates that would pass silently because no run is held against anything."""
    for gate in gates:
        if not any(_applies(report, run, gate) for run in judged):
            found = f"{report.reference.name} alone, which differences are taken against"
            problem = Problem(gate.metric, "a --baseline, or a second run to judge", found)
            fix = "pass --baseline REPORT.json; the run that writes the baseline itself is made with --no-gate"
            raise UsageError(gate.option, [problem], fix)


def _applies(report: Report, run: Run, gate: Gate) -> bool:
    return gate.kind not in AGAINST_REFERENCE or report.baseline is not None or run is not report.reference


def _case(report: Report, run: Run, gate: Gate, figures: Mapping[str, Value], base: Mapping[str, Value]) -> GateInput:
    value = figures[gate.metric]
    if gate.kind not in AGAINST_REFERENCE:
        return GateInput(report, run, gate, value, None, run.intervals.get(gate.metric))
    if report.baseline is not None and report.baseline.differences:
        return GateInput(report, run, gate, value, None, None)
    return GateInput(report, run, gate, value, base[gate.metric], run.deltas.get(gate.metric))


def _verdict(case: GateInput, on: JudgedOn, allow_undefined: bool) -> Verdict:
    against = case.gate.kind in AGAINST_REFERENCE
    if against and case.report.baseline is not None and case.report.baseline.differences:
        return _verdict_of(case, "not comparable", False, incomparable(case))
    if case.value is None or (against and case.base is None):
        return _verdict_of(case, "undefined", allow_undefined, undefined(case, allow_undefined))
    observed, threshold = case.observed, case.threshold
    beyond = _beyond(case.gate, Interval(observed, observed), threshold)
    passed = not beyond
    if on == "interval" and case.interval is not None:
        passed = not (beyond and _beyond(case.gate, case.interval, threshold))
    message = judgement(case, beyond, passed)
    if on == "interval" and case.interval is None:
        message += "; it has no interval, so its value is judged"
    return _verdict_of(case, "passed" if passed else "failed", passed, message)


def _beyond(gate: Gate, found: Interval, threshold: float) -> bool:
    """Whether all of an interval is on the wrong side of the limit."""
    return found.high < threshold - ROUNDING if gate.kind in FLOORS else found.low > threshold + ROUNDING


def _verdict_of(case: GateInput, outcome: str, allowed: bool, message: str) -> Verdict:
    run, gate = case.run.name, case.gate
    return Verdict(
        run, gate.kind, gate.metric, gate.written, outcome, allowed, case.value, case.base, case.interval, message
    )


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


def check_known(gates: Sequence[Gate], figures: Mapping[str, Value]) -> None:
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


def check_in_baseline(gates: Iterable[Gate], figures: Mapping[str, Value], source: str) -> None:
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
