"""Reports for pull requests and pages: GitHub-flavoured Markdown.

A difference stands in the cell, behind the value: ``24.90 (+6.70)``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence

from tabulate import tabulate

from longtail_cli.escapes import xml_text
from longtail_cli.reports.format import Table
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import gate_tables, headline, notes_of, tables_of

MARKS = {"passed": "✅", "undefined, allowed": "⚠️", "withheld": "⚠️"}
"""By outcome of a gate; all other outcomes fail."""


def to_markdown(report: Report, limit: int | None = None) -> str:
    """The tables of the report as Markdown, fractions in percent points, with one trailing newline.

    Warnings come first, then the gates. limit: maximal size in bytes of UTF-8. A longer report keeps as many rows of
    the tables of categories as fit: those that changed most, or for a single run the first by id. If that is not
    enough, whole tables are omitted from the end, then the notes, then gates and warnings, and a line says so. Empty if
    not even that line fits.
    """
    tables = [table.inline() for table in tables_of(report)]
    whole = _page(report, tables, None)
    if limit is None or _fits(whole, limit):
        return whole
    longest = max((len(table.rows) for table in tables if table.weights), default=0)
    fitting = bisect_right(range(longest), False, key=lambda rows: not _fits(_page(report, tables, rows), limit))
    if fitting:
        return _page(report, tables, fitting - 1)
    return next((page for page in _shorter(report, tables) if _fits(page, limit)), "")


def _fits(page: str, limit: int) -> bool:
    return len(page.encode()) <= limit


def _page(report: Report, tables: Sequence[Table], rows: int | None) -> str:
    """The whole page, with at most `rows` rows of each table of categories."""
    shown = [_shortened(table, rows) for table in tables]
    return _joined([_head(report), *_gates(report), *shown, _notes(report)])


def _shorter(report: Report, tables: Sequence[Table]) -> Iterator[str]:
    """Shorter and shorter pages: from one table less to the headline alone."""
    gates, notes = _gates(report), _notes(report)
    shown = [_shortened(table, 0) for table in tables]
    omitted = "omitted to stay within the size limit; the JSON report has all metrics."
    for kept in range(len(shown) - 1, -1, -1):
        line = f"{len(shown) - kept} of {len(shown)} tables {omitted}"
        yield _joined([_head(report), *gates, *shown[:kept], line, notes])
    yield _joined([_head(report), *gates, f"All tables and notes {omitted}"])
    yield _joined([escaped(headline(report)), f"All warnings, gates, tables and notes {omitted}"])


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"


def _head(report: Report) -> str:
    """The rules, and the warnings as a quotation."""
    warnings = "\n>\n".join(f"> **Warning:** {escaped(warning)}" for warning in report.warnings)
    return _joined([escaped(headline(report)), warnings]).rstrip("\n")


def _notes(report: Report) -> str:
    baseline = [] if report.baseline is None else [f"baseline {report.baseline.source} cannot be compared: {found}"
                                                   for found in report.baseline.differences]  # fmt: skip
    return "\n".join(f"- {escaped(note)}" for note in (*baseline, *notes_of(report)))


def _gates(report: Report) -> list[str]:
    """The gates with a mark beside the word of each outcome."""
    marked = []
    for table in map(Table.inline, gate_tables(report)):
        rows = [(f"{MARKS.get(first, '❌')} **{first}**", *map(escaped, rest)) for first, *rest in table.rows]
        marked.append(_titled(table, rows))
    return marked


def _shortened(table: Table, limit: int | None) -> str:
    """The table with the `limit` rows of the greatest weight, in its own order, and a line on the omitted rows."""
    if limit is None or not table.weights or limit >= len(table.rows):
        return table_markdown(table)
    rows = [[escaped(cell) for cell in row] for row in table.rows]
    heaviest = sorted(range(len(rows)), key=lambda row: -table.weights[row])[:limit]
    kept = "those that changed most are kept" if any(table.weights) else "the first by id are kept"
    line = (
        f"{len(rows) - limit:,} of {len(rows):,} rows omitted to stay within the size limit"
        f"{f'; {kept}' if limit else ''}; the CSV report has all rows."
    )
    if not limit:
        return f"**{escaped(table.title)}**\n\n{line}"
    return f"{_titled(table, [rows[row] for row in sorted(heaviest)])}\n\n{line}"


def table_markdown(table: Table) -> str:
    """The title and the table below it, without a newline at the end."""
    return _titled(table, [[escaped(cell) for cell in row] for row in table.rows])


def _titled(table: Table, rows: Sequence[Sequence[str]]) -> str:
    """The table with `rows`, which are Markdown already."""
    header = [escaped(cell) for cell in table.header]
    text = tabulate(rows, header, tablefmt="pipe", colalign=table.align, disable_numparse=True)
    return f"**{escaped(table.title)}**\n\n{text}"


def escaped(cell: str) -> str:
    """The text on one line, with every special character of Markdown and HTML escaped."""
    one_line = xml_text(" ".join(cell.split()))
    plain = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", plain)
