"""Verdicts in plain sentences.

Fractions have four decimals and counts none, or as many as tell a metric apart from its limit.
"""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.format import is_count, plain
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, FLOORS, Gate
from longtail_cli.reports.metric_names import part_of, slice_of
from longtail_cli.reports.model import Report, Run, Verdict
from longtail_cli.reports.reliance import is_withheld, reliance

DECIMALS = (4, 6, 8, 10, 12)
DECIMALS_OF_COUNTS = (0, 1, 2, *DECIMALS)

GROUP_NAMES = {
    "r": "rare category",
    "c": "common category",
    "f": "frequent category",
    "many": "many-shot class",
    "medium": "medium-shot class",
    "few": "few-shot class",
}


@dataclass(frozen=True, slots=True)
class GateInput:
    """What a gate judges."""

    report: Report
    run: Run
    gate: Gate
    value: Value
    """Metric of the run."""
    base: Value
    """Metric of the reference; None also for gates that do not compare with it."""
    interval: Interval | None
    """Interval of the value, or of the difference for gates that compare; None without one."""
    p_value: Value = None
    """Of the difference; None without a permutation test."""
    p_adjusted: Value = None
    """The same after Holm's adjustment for the gates of the run."""

    @property
    def observed(self) -> float:
        """What is compared with the limit: the value, or its difference to the reference. Both must be defined."""
        return (self.value or 0.0) - (self.base or 0.0)

    @property
    def threshold(self) -> float:
        """The limit of `observed`; below 0 for a drop."""
        limit = self.gate.limit * abs(self.base or 0.0) if self.gate.relative else self.gate.limit
        return -limit if self.gate.kind == "max-drop" else limit


def group_of(metric: str) -> str | None:
    """The frequency group that a metric is about; None for those of all categories, of sizes and of one category."""
    part = part_of(metric)
    return part if part in GROUP_NAMES else None


def judgement(given: GateInput, beyond: bool, passed: bool) -> str:
    """On which side of its limit a defined metric is. beyond: whether the value is beyond it. passed: the outcome."""
    reprieve = _reprieve(given) if beyond and passed else ""
    decimals = _decimals(given)
    interval = f" ({_interval(given.interval, decimals)})" if given.interval is not None else ""
    about = f"{given.gate.metric} of {given.run.name} is {given.value:.{decimals}f}"
    if given.gate.kind in AGAINST_REFERENCE:
        change = f"{given.observed:+z.{decimals}f} against {given.base:.{decimals}f} of {_reference(given.report)}"
        side = "more than" if beyond else "within"
        tested = "" if given.p_adjusted is None else f" (p = {given.p_value:.3g}, {given.p_adjusted:.3g} after Holm)"
        return f"{about}, {change}{interval}{tested}, {side} the allowed {_allowance(given)}{reprieve}{_basis(given)}"
    word = "under" if given.gate.kind in FLOORS else "over"
    side = word if beyond else f"not {word}"
    return f"{about}{interval}, {side} {given.gate.written}{reprieve}{_basis(given)}"


_NOT_SIGNIFICANT = ", but the difference is not significant"
_WITHIN_INTERVAL = ", but its interval reaches back within the limit"


def reprieved(verdict: Verdict) -> bool:
    """Whether a gate passed although its metric is beyond the limit."""
    return verdict.outcome == "passed" and any(one in verdict.message for one in (_NOT_SIGNIFICANT, _WITHIN_INTERVAL))


def _reprieve(given: GateInput) -> str:
    if given.p_adjusted is not None:
        return _NOT_SIGNIFICANT
    if is_withheld(given.report, given.gate.metric):
        return f", but it is not judged: it {reliance(given.report, given.gate.metric)}, too few for an interval"
    return _WITHIN_INTERVAL


NOT_JUDGED = ("not comparable", "oracle")
"""Outcomes of gates that do not let the build pass, and yet did not fail."""


def verdict_line(report: Report) -> str:
    """The gates in one line: ``1 of 3 gates failed, 1 could not be judged``, ``all 3 gates passed``, ``no gates``."""
    number, stopping = len(report.gates), [verdict for verdict in report.gates if not verdict.allowed]
    unjudged = sum(verdict.outcome in NOT_JUDGED for verdict in stopping)
    counts = {"failed": len(stopping) - unjudged, "could not be judged": unjudged}
    found = [(what, count) for what, count in counts.items() if count]
    if not number:
        return "no gates"
    if number == 1:
        return f"the gate {found[0][0] if found else 'passed'}"
    if not found:
        return "both gates passed" if number == 2 else f"all {number:,} gates passed"
    (what, count), *others = found
    return ", ".join([f"{count:,} of {number:,} gates {what}", *(f"{count:,} {what}" for what, count in others)])


def undefined(given: GateInput, allowed: bool) -> str:
    """Why a metric, or that of the reference, is not defined."""
    whose = given.run.name if given.value is None else _reference(given.report)
    ending = ", which is allowed" if allowed else ""
    return f"{given.gate.metric} of {whose} is undefined: {why_undefined(given.report, given.gate.metric)}{ending}"


def incomparable(given: GateInput) -> str:
    """Why a run cannot be compared with the baseline."""
    differences = "; ".join(given.report.baseline.differences) if given.report.baseline else ""
    return f"{given.gate.metric} of {given.run.name} cannot be compared with {_reference(given.report)}: {differences}"


def tuned_here(given: GateInput) -> str:
    """Why an oracle run is not judged."""
    tuned = f"its method was tuned on {data_of(given.report)} of this report"
    return f"{given.gate.metric} of {given.run.name} is not judged: {tuned}"


def data_of(report: Report) -> str:
    """What the metrics are taken over: ``images``, or ``rows`` of a classifier."""
    return "rows" if report.signature.protocol == "classification" else "images"


def why_undefined(report: Report, metric: str) -> str:
    """What is missing: groups, categories of the group, objects, or hits."""
    group = group_of(metric)
    if slice_of(metric) is not None:
        return f"no {GROUP_NAMES[group]} in the slice" if group in GROUP_NAMES else "no object of the slice counts"
    size = report.groups.get(group or "all")
    if is_count(metric) and size is not None and size.categories > 0:
        return f"recall {int(metric[-2:]) / 100} is not reached"
    if group is None:
        return "no object counts"
    if not set(report.groups) - {"all"}:
        return "no frequency groups"
    if group not in report.groups or report.groups[group].categories == 0:
        return f"no {GROUP_NAMES[group]} in the data"
    return "no object counts"


def expectation(verdict: Verdict) -> str:
    """What a gate expects of the metric, for errors."""
    against = "" if verdict.base is None else f" from {plain(verdict.metric, verdict.base)}"
    words = {
        "fail-under": f"at least {verdict.limit}",
        "fail-over": f"at most {verdict.limit}",
        "max-drop": f"a drop of at most {verdict.limit}{against}",
        "max-rise": f"a rise of at most {verdict.limit}{against}",
    }
    return words[verdict.kind]


def finding(verdict: Verdict) -> str:
    """What a gate found instead, for errors that already name the run and the metric."""
    return verdict.message.removeprefix(f"{verdict.metric} of {verdict.run} is ")


def _reference(report: Report) -> str:
    return report.reference.name if report.baseline is None else f"the baseline {report.baseline.source}"


def _allowance(given: GateInput) -> str:
    word = "drop" if given.gate.kind == "max-drop" else "rise"
    share = f" ({abs(given.threshold):.{_decimals(given)}f})" if given.gate.relative else ""
    return f"{word} of {given.gate.written}{share}"


def _decimals(given: GateInput) -> int:
    """The fewest decimals that tell the observed metric apart from the limit; the usual number if they agree."""
    decimals = DECIMALS_OF_COUNTS if is_count(given.gate.metric) else DECIMALS
    apart = (count for count in decimals if round(given.observed, count) != round(given.threshold, count))
    return next(apart, decimals[0])


def _interval(interval: Interval, decimals: int) -> str:
    return f"95% {interval.low:.{decimals}f} to {interval.high:.{decimals}f}"


def _basis(given: GateInput) -> str:
    """What a metric of a group, or one over all categories in a slice, is based on; empty for other metrics."""
    size = given.report.groups.get(group_of(given.gate.metric) or "")
    found = slice_of(given.gate.metric)
    if found is not None:
        size = given.report.slices.get(found) if part_of(given.gate.metric) == "all" else None
    if size is None:
        return ""
    if given.report.signature.protocol == "classification":
        return f"; based on {_count(size.categories, 'class', 'classes')} and {_count(size.images, 'image', 'images')}"
    categories, images = _count(size.categories, "category", "categories"), _count(size.images, "image", "images")
    return f"; based on {categories}, {images} and {_count(size.instances, 'ground truth', 'ground truths')}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
