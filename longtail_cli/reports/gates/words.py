"""What gates say, in plain sentences; fractions with four decimals, or as many as tell a figure from its limit."""

from __future__ import annotations

import re
from dataclasses import dataclass

from longtail_cli.metrics import Interval, Value
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, FLOORS, Gate
from longtail_cli.reports.model import Report, Run, Verdict

DECIMALS = (4, 6, 8, 10, 12)

GROUP_NAMES = {
    "r": "rare category",
    "c": "common category",
    "f": "frequent category",
    "many": "many-shot class",
    "medium": "medium-shot class",
    "few": "few-shot class",
}
_GROUP = re.compile(r"(?:bbox|segm)/(?:\w+/)?AP([rcf])|(?:tide|reliability)/\w+/([rcf])/.*|classification/(\w+)")


@dataclass(frozen=True, slots=True)
class GateInput:
    """A run before a gate. value: None where undefined. base: of the reference; None too for gates that need none.

    interval: of the value, or for gates against the reference of the difference to it; None where there is none.
    """

    report: Report
    run: Run
    gate: Gate
    value: Value
    base: Value
    interval: Interval | None

    @property
    def observed(self) -> float:
        """What is held to the limit: the value, or its difference to the reference. Both must be defined."""
        return (self.value or 0.0) - (self.base or 0.0)

    @property
    def threshold(self) -> float:
        """The limit that `observed` is held to; below 0 for a drop."""
        limit = self.gate.limit * abs(self.base or 0.0) if self.gate.relative else self.gate.limit
        return -limit if self.gate.kind == "max-drop" else limit


def group_of(metric: str) -> str | None:
    """The frequency group that a figure is about, None for those of all categories, of sizes and of one category."""
    match = _GROUP.fullmatch(metric)
    group = next(filter(None, match.groups()), None) if match else None
    return group if group in GROUP_NAMES else None


def judgement(case: GateInput, beyond: bool, passed: bool) -> str:
    """On which side of the limit a defined figure is. beyond: the value is. passed: though it is beyond, by noise."""
    noise = " but within noise" if beyond and passed else ""
    decimals = _decimals(case)
    interval = f" ({_interval(case.interval, decimals)})" if case.interval is not None else ""
    about = f"{case.gate.metric} of {case.run.name} is {case.value:.{decimals}f}"
    if case.gate.kind in AGAINST_REFERENCE:
        against = f"{case.observed:+z.{decimals}f} against {case.base:.{decimals}f} of {_reference(case.report)}"
        side = "more than" if beyond else "within"
        return f"{about}, {against}{interval}, {side} the {_allowance(case)} that is allowed{noise}{_basis(case)}"
    word = "under" if case.gate.kind in FLOORS else "over"
    side = word if beyond else f"not {word}"
    return f"{about}{interval}, {side} {case.gate.written}{noise}{_basis(case)}"


def undefined(case: GateInput, allowed: bool) -> str:
    """Why a figure, or that of the reference, is not defined."""
    whose = case.run.name if case.value is None else _reference(case.report)
    ending = ", which --allow-undefined lets pass" if allowed else ""
    return f"{case.gate.metric} of {whose} is undefined: {why_undefined(case.report, case.gate.metric)}{ending}"


def incomparable(case: GateInput) -> str:
    """Why a run cannot be held against the baseline."""
    differences = "; ".join(case.report.baseline.differences) if case.report.baseline else ""
    return f"{case.gate.metric} of {case.run.name} cannot be held against {_reference(case.report)}: {differences}"


def why_undefined(report: Report, metric: str) -> str:
    """What is lacking: groups, categories of the group, or objects."""
    group = group_of(metric)
    if group is None:
        return "no object counts"
    if not set(report.groups) - {"all"}:
        return "no frequency groups"
    if group not in report.groups or report.groups[group].categories == 0:
        return f"no {GROUP_NAMES[group]} in the data"
    return "no object counts"


def expectation(verdict: Verdict) -> str:
    """What a gate asks of the figure, for errors."""
    against = "" if verdict.base is None else f" from {verdict.base:.4f}"
    words = {
        "fail-under": f"at least {verdict.limit}",
        "fail-over": f"at most {verdict.limit}",
        "max-drop": f"a drop of at most {verdict.limit}{against}",
        "max-rise": f"a rise of at most {verdict.limit}{against}",
    }
    return words[verdict.kind]


def finding(verdict: Verdict) -> str:
    """What a gate found instead, for errors that name run and figure already."""
    return verdict.message.removeprefix(f"{verdict.metric} of {verdict.run} is ")


def _reference(report: Report) -> str:
    return report.reference.name if report.baseline is None else f"the baseline {report.baseline.source}"


def _allowance(case: GateInput) -> str:
    word = "drop" if case.gate.kind == "max-drop" else "rise"
    share = f" ({abs(case.threshold):.{_decimals(case)}f})" if case.gate.relative else ""
    return f"{word} of {case.gate.written}{share}"


def _decimals(case: GateInput) -> int:
    """The fewest decimals that print the observed figure apart from the limit; the fewest of all where they agree."""
    apart = (count for count in DECIMALS if round(case.observed, count) != round(case.threshold, count))
    return next(apart, DECIMALS[0])


def _interval(interval: Interval, decimals: int) -> str:
    return f"95% {interval.low:.{decimals}f} to {interval.high:.{decimals}f}"


def _basis(case: GateInput) -> str:
    """What a figure of a group rests on; nothing for other figures."""
    size = case.report.groups.get(group_of(case.gate.metric) or "")
    if size is None:
        return ""
    if case.report.signature.protocol == "classification":
        return (
            f"; it rests on {_count(size.categories, 'class', 'classes')} and {_count(size.images, 'image', 'images')}"
        )
    categories = _count(size.categories, "category", "categories")
    return f"; it rests on {categories} and {_count(size.instances, 'ground truth', 'ground truths')}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"
