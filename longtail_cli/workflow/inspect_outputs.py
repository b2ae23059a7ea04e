"""What `ltcal inspect` says about files that ltcal itself wrote: reports, tunings, fits, metadata."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from longtail_cli.files.logits.metadata import read_sidecar
from longtail_cli.files.report_files import read_baseline
from longtail_cli.reports.fitting.model import FitRecord
from longtail_cli.reports.inspection.model import Fact, Section
from longtail_cli.reports.json import from_json
from longtail_cli.reports.model import Report
from longtail_cli.reports.origin import Origin
from longtail_cli.reports.text_tables import headline
from longtail_cli.workflow.inspect_words import counted, ids_fact, listed
from longtail_cli.workflow.inspected import Answer
from longtail_cli.workflow.next_steps import steps_for_method, steps_for_report
from longtail_cli.workflow.saved_method import KINDS, read_fit, read_tuning


def report_answer(path: Path) -> Answer:
    """What the report is about. Raises InputError if the file is not valid."""
    report = from_json(read_baseline(path), str(path))
    facts = [
        Fact("runs", listed([run.name for run in report.runs]), {"number": len(report.runs)}),
        Fact("data", headline(report), {"images": report.signature.images, "classes": report.signature.categories}),
        Fact("gates", _gates(report), {"number": len(report.gates)}),
    ]
    title = f"report of {counted(len(report.runs), 'run')} on {counted(report.signature.images, 'image')}"
    return Answer("report", title, [Section("Report", tuple(facts))], report.notes, steps_for_report(path))


def tuning_answer(path: Path) -> Answer:
    """What was tuned. Raises InputError if the file is not valid."""
    tuning = read_tuning(path)
    spec = tuning.chosen.spec
    facts = [
        Fact("chosen", spec, {"spec": spec}),
        Fact("objective", tuning.objective, {"metric": tuning.objective}),
        Fact("candidates", f"{len(tuning.candidates):,}", {"number": len(tuning.candidates)}),
    ]
    sections = [Section("Tuning", tuple(facts)), Section("Tuned on", tuple(_origin(tuning.tuned_on)))]
    return Answer(
        "tuning", f"tuning, which chose {spec}", sections, tuning.notes, steps_for_method(path, tuning.tuned_on.kind)
    )


def fit_answer(path: Path) -> Answer:
    """What was fitted. Raises InputError if the file is not valid."""
    record: FitRecord = read_fit(path).record
    rows = record.rows
    facts = [
        Fact("method", record.method, {"spec": record.method}),
        Fact(
            "rows", f"{rows.used:,}, {rows.held_out:,} of them held out", {"used": rows.used, "held_out": rows.held_out}
        ),
        Fact("converged", "yes" if record.converged else "no", {"converged": record.converged}),
    ]
    sections = [Section("Fit", tuple(facts)), Section("Fitted on", tuple(_origin(record.fitted_on)))]
    return Answer(
        "fit", f"fitted {record.description}", sections, record.notes, steps_for_method(path, record.fitted_on.kind)
    )


def metadata_answer(path: Path) -> Answer:
    """What the metadata beside a logits file state. Raises InputError if the file is not valid."""
    found = read_sidecar(path)
    facts = [
        Fact(name, value, {name: value})
        for name, value in (("head", found.head), ("background", found.background))
        if value is not None
    ]
    if found.category_ids is not None:
        facts.append(ids_fact("classes", np.unique(np.array(found.category_ids, np.int64))))
    note = "They belong to the logits file of the same name, which is what to inspect."
    return Answer("metadata", "metadata of logits", [Section("Metadata", tuple(facts))], [note])


def _gates(report: Report) -> str:
    if not report.gates:
        return "none"
    return f"{counted(len(report.gates), 'verdict')}, {'all passed' if report.passed else 'not all passed'}"


def _origin(origin: Origin) -> list[Fact]:
    facts = [Fact("input", KINDS.get(origin.kind, origin.kind), {"kind": origin.kind})]
    facts += [Fact(one.role, one.name, {"sha256": one.sha256}) for one in origin.inputs]
    facts.append(ids_fact("classes", np.unique(np.array(origin.category_ids, np.int64))))
    return facts
