"""Tunings as JSON, schema ``ltcal-tuned/1``; see docs/formats.md."""

from __future__ import annotations

from dataclasses import fields

import msgspec

from longtail_cli.reports.json import Document, document_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.origin import OriginDocument
from longtail_cli.reports.schema import Schema, indented
from longtail_cli.reports.tuning.model import Candidate, Choice, Tuning

SCHEMA = Schema("ltcal-tuned", 1, "tuning", "ltcal tune")


class _Document(msgspec.Struct):
    """The fields of a tuning except its reports."""

    format: str
    version: str
    objective: str
    keep: tuple[str, ...]
    target: str | None
    folds: int
    seed: int
    split: str | None
    partial: bool
    unadjusted: Choice
    chosen: Choice
    best: tuple[Choice, ...]
    notes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    tuned_on: OriginDocument


class _Written(_Document):
    report: Document | None
    heldout: Document | None


class _Read(_Document):
    report: Report | None
    heldout: Report | None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise ValueError("expected at least one candidate")
        if self.report is None:
            return
        names = {run.name for run in self.report.runs}
        unknown = [choice.run for choice in (self.unadjusted, self.chosen, *self.best) if choice.run not in names]
        if unknown:
            raise ValueError(f"expected a run {unknown[0]!r} in the report, found {', '.join(sorted(names))}")


def to_json(tuning: Tuning) -> str:
    """The tuning as indented JSON with one trailing newline; undefined metrics are ``null``."""
    names = [name for name in _Document.__struct_fields__ if name not in ("format", "tuned_on")]
    document = _Written(
        format=SCHEMA.format,
        tuned_on=OriginDocument.of(tuning.tuned_on),
        report=None if tuning.report is None else document_of(tuning.report),
        heldout=None if tuning.heldout is None else document_of(tuning.heldout),
        **{name: getattr(tuning, name) for name in names},
    )
    return indented(document)


def from_json(text: str, source: str) -> Tuning:
    """The tuning of a JSON text, equal to the one that was written.

    source: what `text` was read from, for errors. Raises InputError for anything but a complete tuning of this schema.
    """
    found = SCHEMA.decode(text, _Read, source)
    same = {one.name: getattr(found, one.name) for one in fields(Tuning) if one.name != "tuned_on"}
    return Tuning(tuned_on=found.tuned_on.decoded(), **same)
