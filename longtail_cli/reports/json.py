"""Reports as JSON: whole, in the schema ``ltcal-report/1`` of docs/formats.md, and their metrics for trackers."""

from __future__ import annotations

import json

import msgspec

from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.schema import Schema, indented

SCHEMA = Schema("ltcal-report", 1, "report", "ltcal report")


class Document(msgspec.Struct):
    """What is written of a report; it decodes as a `Report`."""

    format: str
    signature: object
    runs: object
    notes: object
    groups: object
    bootstrap: object
    baseline: object
    gates: object
    warnings: object
    compared_to: object
    slices: object


def document_of(report: Report) -> Document:
    """The document of a report."""
    parts = (getattr(report, name) for name in Document.__struct_fields__[1:])
    return Document(SCHEMA.format, *parts)


def to_json(report: Report) -> str:
    """The report as indented JSON with one trailing newline; undefined metrics are ``null``."""
    return indented(document_of(report))


def from_json(text: str, source: str) -> Report:
    """The report of a JSON text, equal to the one that was written.

    source: what `text` was read from, for errors. Raises InputError for anything but a complete report of this schema.
    """
    return SCHEMA.decode(text, Report, source)


def to_metrics_json(report: Report) -> str:
    """The metrics of all runs by name, ``{"bbox/AP": 0.285, ...}``, indented and with one trailing newline.

    The names are those that gates use; with several runs the name of the run and a slash come before them. Values are
    fractions at full precision, or counts. Undefined metrics are left out, as trackers take numbers alone. The baseline
    is left out too: its metrics were tracked when they were computed.
    """
    several = len(report.runs) > 1
    found = {
        f"{run.name}/{name}" if several else name: value
        for run in report.runs
        for name, value in metrics_of(run).items()
        if value is not None
    }
    return json.dumps(found, indent=1, allow_nan=False) + "\n"
