"""Reports as JSON, schema ``ltcal-report/1``; see docs/formats.md."""

from __future__ import annotations

import re

import msgspec

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem
from longtail_cli.reports.model import Report

KIND, VERSION = "ltcal-report", 1
FORMAT = f"{KIND}/{VERSION}"

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
    """The report as indented JSON with one trailing newline; undefined figures are ``null``."""
    parts = (getattr(report, name) for name in _Document.__struct_fields__[1:])
    document = _Document(FORMAT, *parts)
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
        problem = Problem("content", f"a report ({FORMAT})", str(error))
        raise InputError(source, [problem], _mending(text, str(error)) or fix) from error


def _mending(text: str, reason: str) -> str | None:
    """How to mend a text that does not decode, where the reason tells; None where it does not."""
    if "truncated" in reason:
        return "the file is cut off: write it again with `ltcal report --json`"
    if "malformed" in reason and _NOT_A_NUMBER.search(text):
        return "the file holds NaN or Infinity, which are no JSON: `ltcal report --json` writes null for undefined"
    if text.lstrip().startswith("["):
        return "this is a list, as result files are: pass a file that `ltcal report --json` wrote"
    return None
