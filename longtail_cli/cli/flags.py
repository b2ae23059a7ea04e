"""Replaces parameters in messages by flags: ``max_dets=`` becomes ``--max-dets``."""

from __future__ import annotations

import dataclasses
import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longtail_cli.reports.inspection.model import Command, Inspection
    from longtail_cli.reports.model import Report
    from longtail_cli.reports.tuning.model import Tuning
    from longtail_cli.workflow.saved_method import Fit

_OTHER_NAMES = {
    "frequencies": "--freq",
    "methods": "--method",
    "method": "--method",
    "names": "--name",
    "runs": "--gate-run",
    "iou_types": "--iou-type",
    "keys": "--key",
    "nms_iou": "--nms",
    "output": "-o",
    "outputs": "-o",
}
"""Flags whose names differ from their parameters."""

_PARAMETER = re.compile(r"(?<!`)`([a-z]\w*)=([^`]*)`")


def with_flags(text: str) -> str:
    """The text with each parameter as its flag: `` `tide='off'` `` becomes ``--tide off``."""
    return _PARAMETER.sub(_flag, text)


def _flag(parameter: re.Match[str]) -> str:
    name, value = parameter[1], parameter[2].strip("'\"")
    flag = _flag_of(name)
    if value == "False":
        return f"--no-{flag.removeprefix('--')}"
    return flag if value in ("", "True") else f"{flag} {value}"


def _flag_of(name: str) -> str:
    return _OTHER_NAMES.get(name, f"--{name.replace('_', '-')}")


def shell_words(command: Command) -> list[str]:
    """The command as words for a shell."""
    words = ["ltcal", command.name, *map(shlex.quote, command.inputs)]
    for name, value in command.parameters:
        words.append(_flag_of(name) if value == "True" else f"{_flag_of(name)} {shlex.quote(value)}")
    return words


def inspection_with_flags(inspection: Inspection) -> Inspection:
    """The inspection with flags in its facts and notes."""
    sections = tuple(
        dataclasses.replace(
            one, facts=tuple(dataclasses.replace(fact, text=with_flags(fact.text)) for fact in one.facts)
        )
        for one in inspection.sections
    )
    return dataclasses.replace(inspection, sections=sections, notes=tuple(map(with_flags, inspection.notes)))


def report_with_flags(report: Report) -> Report:
    """The report with flags in its notes and in the messages of its gates."""
    return dataclasses.replace(
        report,
        warnings=tuple(map(with_flags, report.warnings)),
        notes=tuple(map(with_flags, report.notes)),
        runs=tuple(dataclasses.replace(run, notes=tuple(map(with_flags, run.notes))) for run in report.runs),
        gates=tuple(dataclasses.replace(one, message=with_flags(one.message)) for one in report.gates),
    )


def fit_with_flags(fit: Fit) -> Fit:
    """The fit with flags in its notes."""
    record = dataclasses.replace(fit.record, notes=tuple(map(with_flags, fit.record.notes)))
    return dataclasses.replace(fit, record=record)


def tuning_with_flags(tuning: Tuning) -> Tuning:
    """The tuning with flags in its notes and in those of its reports."""
    return dataclasses.replace(
        tuning,
        notes=tuple(map(with_flags, tuning.notes)),
        report=tuning.report and report_with_flags(tuning.report),
        heldout=tuning.heldout and report_with_flags(tuning.heldout),
    )
