"""Reports as JSON, schema ``ltcal-report/1``; see docs/formats.md."""

from __future__ import annotations

import msgspec

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem
from longtail_cli.report.model import Report

KIND, VERSION = "ltcal-report", 1
FORMAT = f"{KIND}/{VERSION}"


class _Head(msgspec.Struct):
    format: str


class _Document(msgspec.Struct):
    format: str
    signature: object
    runs: object
    notes: object


def to_json(report: Report) -> str:
    """The report as indented JSON with one trailing newline; undefined figures are ``null``."""
    document = _Document(FORMAT, report.signature, report.runs, report.notes)
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"


def from_json(text: str, source: str) -> Report:
    """The report back from its JSON, equal in every figure.

    source: what `text` was read from, for the errors. Raises InputError for anything that is not a whole report of
    this schema.
    """
    fix = "pass a file that `ltcal report --json` wrote"
    try:
        found = msgspec.json.decode(text, type=_Head).format
        if found.startswith(f"{KIND}/") and found != FORMAT:
            fix = f"the file is of another schema: update ltcal (this is {__version__}), or write the report again"
        if found != FORMAT:
            raise InputError(source, [Problem("format", FORMAT, found)], fix)
        return msgspec.json.decode(text, type=Report)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InputError(source, [Problem("content", f"a report ({FORMAT})", str(error))], fix) from error
