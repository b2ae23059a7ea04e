"""The record of a fit as JSON, schema ``ltcal-fitted/1``; see docs/formats.md."""

from __future__ import annotations

from dataclasses import fields

import msgspec

from longtail_cli.metrics import Value
from longtail_cli.reports.fitting.model import ClassNorms, FitRecord, RowCounts, Tried
from longtail_cli.reports.origin import OriginDocument
from longtail_cli.reports.schema import Schema, indented

SCHEMA = Schema("ltcal-fitted", 1, "fit", "ltcal fit")


class _Document(msgspec.Struct):
    """The fields of a record."""

    format: str
    version: str
    method: str
    seed: int
    target: str | None
    settings: dict[str, float]
    tried: tuple[Tried, ...]
    curve: tuple[float, ...]
    passes: int
    converged: bool
    rows: RowCounts
    accuracy: Value
    norms: ClassNorms
    notes: tuple[str, ...]
    fitted_on: OriginDocument


def to_json(record: FitRecord) -> str:
    """The record as indented JSON with one trailing newline."""
    same = {one.name: getattr(record, one.name) for one in fields(FitRecord) if one.name != "fitted_on"}
    same["settings"] = dict(record.settings)
    return indented(_Document(format=SCHEMA.format, fitted_on=OriginDocument.of(record.fitted_on), **same))


def from_json(text: str, source: str) -> FitRecord:
    """The record of a JSON text, equal to the one that was written.

    source: what `text` was read from, for errors. Raises InputError for anything but a complete record of this schema.
    """
    found = SCHEMA.decode(text, _Document, source)
    same = {one.name: getattr(found, one.name) for one in fields(FitRecord) if one.name != "fitted_on"}
    return FitRecord(fitted_on=found.fitted_on.decoded(), **same)
