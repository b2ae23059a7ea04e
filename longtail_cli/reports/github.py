"""Gates as annotations of a GitHub job: workflow commands, which its runner reads from the log."""

from __future__ import annotations

from longtail_cli.reports.format import fit
from longtail_cli.reports.model import Report, Verdict
from longtail_cli.reports.text_tables import gate, in_order

GITHUB_SUMMARY_LIMIT = 1024 * 1024
"""Bytes that the summary of one step may have; GitHub refuses the whole summary beyond."""


def workflow_commands(report: Report) -> str:
    """A line for each verdict that did not pass: ``::error``, or ``::warning`` where an undefined figure was allowed.

    Errors come first, as GitHub shows ten a step. Empty where all gates passed, or there are none.
    Nothing in a name or message can end the line or begin another command.
    """
    return "".join(_command(verdict) for verdict in in_order(report) if verdict.outcome != "passed")


def _command(verdict: Verdict) -> str:
    level = "warning" if verdict.allowed else "error"
    title = f"{verdict.run}: {gate(verdict)}={verdict.limit}"
    return f"::{level} title={_property(title)}::{_data(verdict.message)}\n"


def _data(text: str) -> str:
    return fit(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
