"""What the gates say, as a table."""

from __future__ import annotations

from longtail_cli.report.cells import UNDEFINED, Table
from longtail_cli.report.model import Report, Verdict


def gate_tables(report: Report) -> list[Table]:
    """A row a verdict, those that fail the build first; no table where there are no gates."""
    if not report.gates:
        return []
    ordered = in_order(report)
    failed = sum(not verdict.allowed for verdict in ordered)
    title = f"Gates: {len(ordered) - failed} pass, {failed} fail (figures are fractions)"
    rows = [
        (outcome(verdict), gate(verdict), verdict.run, _value(verdict), verdict.limit, verdict.message)
        for verdict in ordered
    ]
    return [Table(title, ("outcome", "gate", "run", "value", "limit", "message"), tuple(rows), (0, 1, 2, 5))]


def in_order(report: Report) -> list[Verdict]:
    """Those that fail the build first, else as they were judged."""
    return sorted(report.gates, key=lambda verdict: verdict.allowed)


def outcome(verdict: Verdict) -> str:
    """The outcome in words; an undefined figure says whether it was allowed."""
    return "undefined, allowed" if verdict.outcome == "undefined" and verdict.allowed else verdict.outcome


def gate(verdict: Verdict) -> str:
    """The gate without its limit, ``fail-under bbox/APr``."""
    return f"{verdict.kind} {verdict.metric}"


def _value(verdict: Verdict) -> str:
    """The value, and for gates against a reference its difference to that."""
    if verdict.value is None:
        return UNDEFINED
    change = "" if verdict.base is None else f" ({verdict.value - verdict.base:+z.4f})"
    return f"{verdict.value:.4f}{change}"
