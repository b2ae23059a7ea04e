"""Gates: which runs are beyond their limits, and whether the build passes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import get_args

from longtail_cli.choices import JudgedOn
from longtail_cli.errors import GateError, LtcalError, NotComparableError, Problem, UsageError, check_choice
from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, FLOORS, Gate
from longtail_cli.reports.gates.words import (
    GateInput,
    data_of,
    expectation,
    finding,
    incomparable,
    judgement,
    tuned_here,
    undefined,
)
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import ORACLE, Report, Run, Verdict
from longtail_cli.reports.reliance import is_withheld

ALPHA = 0.05
"""The level of the two-sided permutation test; half of it is on the side where a gate fails."""

ROUNDING = 1e-12
"""How far beyond a limit a metric must be to fail: far above the rounding of sums, far below what is printed."""


def judge(
    report: Report,
    gates: Sequence[Gate],
    *,
    on: JudgedOn,
    allow_undefined: bool,
    allow_oracle: bool = False,
    runs: Sequence[str] = (),
    runs_option: str = "gate",
) -> tuple[Verdict, ...]:
    """The verdicts, run by run and gate by gate; empty without gates.

    on: ``value`` fails if the metric is beyond the limit by more than `ROUNDING`; ``interval`` only if its whole 95%
        interval is too; ``significance`` only if its difference to the reference also has a p-value below `ALPHA` after
        Holm's adjustment for the gates of the run, and as ``interval`` for gates that do not compare. A metric that
        rests on too few images for an interval does not fail by ``interval``. Any other metric without an interval or
        p-value is judged by its value. The message says so.
    allow_undefined: whether an undefined metric passes. allow_oracle: whether oracle runs are judged like others; else
        they do not pass. runs: names of the runs to judge, with or without the mark of oracle runs; empty means all.
    runs_option: the parameter or the entry of a file that `runs` was given in, for errors.

    ``max-drop`` and ``max-rise`` compare a run with `Report.reference`, except the reference itself; they do not pass
    if the baseline cannot be compared. A relative limit is a share of the magnitude of the reference's metric.
    Raises UsageError for an unknown `on`, for a run or metric that the report or its baseline does not have, and if
    there is nothing to compare with.
    """
    check_choice("on", on, get_args(JudgedOn))
    judged = _chosen(report, runs, runs_option)
    _check_reference(report, judged, gates)
    metrics = {run.name: metrics_of(run) for run in judged}
    base = metrics_of(report.reference)
    check_known(gates, metrics[judged[0].name])
    if report.baseline is not None:
        check_in_baseline(gates, base, report.baseline.source)
    verdicts = []
    for run in judged:
        own = [_input(report, run, gate, metrics[run.name], base) for gate in gates if _applies(report, run, gate)]
        found = _adjusted(own) if on == "significance" else own
        verdicts += [_verdict(one, on, allow_undefined, allow_oracle) for one in found]
    return tuple(verdicts)


def _adjusted(given: Sequence[GateInput]) -> list[GateInput]:
    """The gates of a run with the p-values that those against the reference have, adjusted.

    Holm, "A Simple Sequentially Rejective Multiple Test Procedure" (1979): the least p-value times their number m, the
    next times m - 1, and so on, none below the one before it.
    """
    p_values = {
        number: one.run.p_values[one.gate.metric]
        for number, one in enumerate(given)
        if one.gate.kind in AGAINST_REFERENCE and one.gate.metric in one.run.p_values
    }
    adjusted, least = {}, 0.0
    for rank, number in enumerate(sorted(p_values, key=p_values.__getitem__)):
        least = max(least, min(1.0, p_values[number] * (len(p_values) - rank)))
        adjusted[number] = least
    return [
        replace(one, p_value=p_values.get(number), p_adjusted=adjusted.get(number)) for number, one in enumerate(given)
    ]


def outcome_error(report: Report, source: str = "gate") -> LtcalError | None:
    """The error that ends the build: NotComparableError before GateError; None if every gate lets it pass.

    source: what asked for the gates, for the error.
    """
    refused = ("not comparable", "oracle")
    failed = [verdict for verdict in report.gates if not verdict.allowed and verdict.outcome not in refused]
    problems = [
        Problem(f"{verdict.run}, {verdict.metric}", expectation(verdict), finding(verdict)) for verdict in failed
    ]
    refusals, fixes = _refusals(report)
    if refusals:
        return NotComparableError(source, [*refusals, *problems], "; ".join(fixes))
    if not failed:
        return None
    fix = "see the tables for what changed; move a limit only on purpose"
    if any(verdict.outcome == "undefined" for verdict in failed):
        fix += ", and pass `allow_undefined=True` only if the data cannot define the metric"
    return GateError(source, problems, fix)


def _refusals(report: Report) -> tuple[list[Problem], list[str]]:
    """Why runs are not judged, a baseline that cannot be compared and oracle runs, and how to fix it."""
    problems: list[Problem] = []
    fixes: list[str] = []
    if report.baseline is not None and report.baseline.differences:
        expected = "a report by the same rules on the same data"
        problems += [Problem(report.baseline.source, expected, found) for found in report.baseline.differences]
        fixes.append(
            "evaluate both by the same rules, or write a new baseline (with `gate=False`) and commit it on purpose"
        )
    oracles = dict.fromkeys(verdict.run for verdict in report.gates if verdict.outcome == "oracle")
    if oracles:
        data = data_of(report)
        found = f"one that was tuned on {data} of this report"
        problems += [Problem(run, f"a method that was tuned on other {data}", found) for run in oracles]
        fixes.append(f"report on {data} that were not tuned on, or pass `allow_oracle=True` on purpose")
    return problems, fixes


def _chosen(report: Report, names: Sequence[str], option: str) -> list[Run]:
    known = {run.name: {run.name, run.name.removesuffix(ORACLE) if run.oracle else run.name} for run in report.runs}
    unknown = [name for name in names if not any(name in own for own in known.values())]
    if unknown:
        problems = [Problem("run", f"one of {', '.join(known)}", name) for name in unknown]
        raise UsageError(option, problems, "choose runs of this report, or give one this name with `names=`")
    return [run for run in report.runs if not names or known[run.name] & set(names)]


def _check_reference(report: Report, judged: Sequence[Run], gates: Sequence[Gate]) -> None:
    """Refuse gates that would pass silently because no run is compared with anything."""
    for gate in gates:
        if not any(_applies(report, run, gate) for run in judged):
            found = f"only {report.reference.name}, the reference itself"
            problem = Problem(gate.metric, "a `baseline=`, or a second run to judge", found)
            fix = "pass an earlier report as `baseline=`; evaluate with `gate=False` to write the first one"
            raise UsageError(gate.option, [problem], fix)


def _applies(report: Report, run: Run, gate: Gate) -> bool:
    return gate.kind not in AGAINST_REFERENCE or report.baseline is not None or run is not report.reference


def _input(report: Report, run: Run, gate: Gate, metrics: Mapping[str, Value], base: Mapping[str, Value]) -> GateInput:
    value = metrics[gate.metric]
    if gate.kind not in AGAINST_REFERENCE:
        return GateInput(report, run, gate, value, None, run.intervals.get(gate.metric))
    if report.baseline is not None and report.baseline.differences:
        return GateInput(report, run, gate, value, None, None)
    return GateInput(report, run, gate, value, base[gate.metric], run.deltas.get(gate.metric))


def _verdict(given: GateInput, on: JudgedOn, allow_undefined: bool, allow_oracle: bool) -> Verdict:
    if given.run.oracle and not allow_oracle:
        return _verdict_of(given, "oracle", False, tuned_here(given))
    against = given.gate.kind in AGAINST_REFERENCE
    if against and given.report.baseline is not None and given.report.baseline.differences:
        return _verdict_of(given, "not comparable", False, incomparable(given))
    if given.value is None or (against and given.base is None):
        return _verdict_of(given, "undefined", allow_undefined, undefined(given, allow_undefined))
    observed, threshold = given.observed, given.threshold
    beyond = _beyond(given.gate, Interval(observed, observed), threshold)
    if on == "value":
        return _judged(given, beyond, failed=beyond)
    if on == "significance" and against:
        if given.p_adjusted is None:
            return _judged(given, beyond, failed=beyond, ending="; it has no p-value, so its value is judged")
        return _judged(given, beyond, failed=beyond and given.p_adjusted < ALPHA)
    if given.interval is not None:
        return _judged(given, beyond, failed=beyond and _beyond(given.gate, given.interval, threshold))
    if not is_withheld(given.report, given.gate.metric):
        return _judged(given, beyond, failed=beyond, ending="; it has no interval, so its value is judged")
    return _verdict_of(given, "withheld" if beyond else "passed", True, judgement(given, beyond, True))


def _judged(given: GateInput, beyond: bool, *, failed: bool, ending: str = "") -> Verdict:
    message = judgement(given, beyond, not failed) + ending
    return _verdict_of(given, "failed" if failed else "passed", not failed, message)


def _beyond(gate: Gate, found: Interval, threshold: float) -> bool:
    """Whether all of an interval is on the wrong side of the limit."""
    return found.high < threshold - ROUNDING if gate.kind in FLOORS else found.low > threshold + ROUNDING


def _verdict_of(given: GateInput, outcome: str, allowed: bool, message: str) -> Verdict:
    run, gate = given.run.name, given.gate
    return Verdict(
        run, gate.kind, gate.metric, gate.written, outcome, allowed, given.value, given.base, given.interval, message,
        given.p_value, given.p_adjusted,
    )  # fmt: skip


PARAMETERS = {
    "APfixed": "`fixed_ap=True`",
    "APpool": "`pooled_ap=True`",
    "tide": "`tide='aligned'`",
    "categories": "`per_category=True`",
    "reliability": "`reliability=True`",
    "slices": "`slices=`",
    "bbox": "`iou_types='bbox'`",
    "segm": "`iou_types='segm'`",
    "r": "`frequencies=`",
    "c": "`frequencies=`",
    "f": "`frequencies=`",
}
"""Parts of metric names, and the parameter that adds metrics with them."""

NEAREST = 3


def check_known(gates: Sequence[Gate], metrics: Mapping[str, Value]) -> None:
    """Raise UsageError, with the nearest names and the parameter that adds it, for a gate on an unknown metric."""
    unknown = [gate for gate in gates if gate.metric not in metrics]
    if not unknown:
        return
    problems = [
        Problem("metric", f"a metric of the report, such as {' or '.join(nearest(gate.metric, metrics))}", gate.metric)
        for gate in unknown
    ]
    missing = _parameters(unknown, metrics)
    adding = f"; evaluate with {missing} to add what is missing" if missing else ""
    fix = f"write metric names as in the JSON of `ltcal report`, which lists them{adding}"
    raise UsageError(_sources(unknown), problems, fix)


def check_in_baseline(gates: Iterable[Gate], metrics: Mapping[str, Value], source: str) -> None:
    """Raise UsageError unless the baseline has every metric that a run is to be compared with.

    metrics: of the baseline, undefined ones too. source: its file, or ``in memory``.
    """
    absent = [gate for gate in gates if gate.kind in AGAINST_REFERENCE and gate.metric not in metrics]
    if not absent:
        return
    problems = [Problem(gate.metric, f"this metric in the baseline {source}", "none") for gate in absent]
    fix = f"write the baseline again with {_parameters(absent, metrics) or 'the options of this report'}"
    raise UsageError(_sources(absent), problems, fix)


def nearest(metric: str, names: Iterable[str]) -> list[str]:
    """The `names` most similar to `metric`, at most `NEAREST`; the first ones if none is similar."""
    by_lower = {name.lower(): name for name in names}
    wanted = metric.lower()
    endings = [name for lower, name in by_lower.items() if lower.endswith(f"/{wanted}")]
    close = [by_lower[lower] for lower in difflib.get_close_matches(wanted, by_lower, n=NEAREST)]
    return list(dict.fromkeys([*endings, *close]))[:NEAREST] or list(by_lower.values())[:NEAREST]


def parameter_for(metric: str, names: Iterable[str]) -> str | None:
    """The parameter that adds a metric of this name; None if it is unknown, or was given already."""
    held = {part for name in names for part in name.split("/")}
    lacking = [part for part in PARAMETERS if part in metric.split("/") and part not in held]
    return PARAMETERS[lacking[0]] if lacking else None


def _parameters(gates: Iterable[Gate], names: Iterable[str]) -> str:
    """The parameters that add the metrics of the gates, ``a and b``; empty if none is known."""
    return " and ".join(dict.fromkeys(filter(None, (parameter_for(gate.metric, names) for gate in gates))))


def _sources(gates: Iterable[Gate]) -> str:
    return ", ".join(dict.fromkeys(gate.option for gate in gates))
