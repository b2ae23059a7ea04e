"""Inspections as JSON, schema ``ltcal-inspection/1``: what was found out about each of one or several inputs."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from longtail_cli.reports.inspection.model import Inspection
from longtail_cli.reports.schema import Schema, indented

SCHEMA = Schema("ltcal-inspection", 1, "inspection", "ltcal inspect")


class _Document(msgspec.Struct):
    format: str
    inputs: tuple[Inspection, ...]


def to_json(inspections: Sequence[Inspection]) -> str:
    """The inspections as indented JSON with one trailing newline."""
    return indented(_Document(SCHEMA.format, tuple(inspections)))


def from_json(text: str, source: str) -> tuple[Inspection, ...]:
    """The inspections of a JSON text, equal to those that were written.

    source: what `text` was read from, for errors. Raises InputError for anything but a complete document of this
    schema.
    """
    return SCHEMA.decode(text, _Document, source).inputs
