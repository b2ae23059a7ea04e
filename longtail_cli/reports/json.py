"""Reports as JSON, schema ``ltcal-report/1``; see docs/formats.md."""

from __future__ import annotations

import re

import msgspec

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem
from longtail_cli.reports.model import Report

KIND, VERSION = "ltcal-report", 1
FORMAT = f"{KIND}/{VERSION}"

FIX = "pass a JSON file that `ltcal report` wrote"

_NOT_A_NUMBER = re.compile(r"[:\[,]\s*-?(?:NaN|Infinity)\b")


class _Head(msgspec.Struct):
    format: str


class _Document(msgspec.Struct):
    format: str
    signature: object
    runs: object
    notes: object
    groups: object
    bootstrap: object
    baseline: object
    gates: object


def to_json(report: Report) -> str:
    """The report as indented JSON with one trailing newline; undefined metrics are ``null``."""
    parts = (getattr(report, name) for name in _Document.__struct_fields__[1:])
    document = _Document(FORMAT, *parts)
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def from_json(text: str, source: str) -> Report:
    """The report of a JSON text, equal to the one that was written.

    source: what `text` was read from, for errors. Raises InputError for anything but a complete report of this schema.
    """
    fix = FIX
    try:
        found = msgspec.json.decode(text, type=_Head).format
        if found.startswith(f"{KIND}/") and found != FORMAT:
            fix = f"the file has another schema: update ltcal (this is {__version__}), or write the report again"
        if found != FORMAT:
            raise InputError(source, [Problem("format", FORMAT, found)], fix)
        return msgspec.json.decode(text, type=Report)
    except (msgspec.MsgspecError, RecursionError) as error:
        problem = Problem("content", f"a report ({FORMAT})", str(error))
        raise InputError(source, [problem], _fix(text, str(error)) or fix) from error


def _fix(text: str, reason: str) -> str | None:
    """How to fix a text that does not decode; None if the reason does not say."""
    if "truncated" in reason:
        return "the file is truncated: write the report again"
    if "malformed" in reason and _NOT_A_NUMBER.search(text):
        return "the file contains NaN or Infinity, which are not JSON: `ltcal report` writes null for undefined metrics"
    if text.lstrip().startswith("["):
        return f"this is a list, like a result file: {FIX}"
    return None
