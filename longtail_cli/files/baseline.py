"""The text of an earlier report."""

from __future__ import annotations

from pathlib import Path

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.source import check_readable


def read_baseline(path: Path) -> str:
    """The text of a report for `longtail_cli.report.schema.from_json`, which judges what it says.

    Raises InputError where `path` is no readable, non-empty file of UTF-8.
    """
    check_readable(path)
    try:
        return path.read_text(encoding="utf-8-sig")  # shells of Windows put a mark in front
    except UnicodeDecodeError as error:
        problem = Problem("content", "a report in JSON, which is UTF-8", str(error))
        raise InputError(str(path), [problem], "pass a file that `ltcal report --json` wrote") from error
