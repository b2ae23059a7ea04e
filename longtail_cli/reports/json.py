"""Reports as JSON, schema ``ltcal-report/1``; see docs/formats.md."""

from __future__ import annotations

import msgspec

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
