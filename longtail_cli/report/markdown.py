"""Reports for pull requests and pages: GitHub-flavoured Markdown."""

from __future__ import annotations

import re

from tabulate import tabulate

from longtail_cli.report.model import Report
from longtail_cli.report.tables import Table, headline, tables_of


def to_markdown(report: Report) -> str:
    """The tables of the report as Markdown, shares in percent points, with one trailing newline."""
    notes = [f"- {_escaped(note)}" for note in _notes(report)]
    parts = [headline(report), *map(_table, tables_of(report)), "\n".join(notes)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _notes(report: Report) -> list[str]:
    return [*report.notes, *(f"{run.name}: {note}" for run in report.runs for note in run.notes)]


def _table(table: Table) -> str:
    align = ("left", *["right"] * (len(table.header) - 1))
    rows = [[_escaped(cell) for cell in row] for row in table.rows]
    header = [_escaped(cell) for cell in table.header]
    text = tabulate(rows, header, tablefmt="pipe", colalign=align, disable_numparse=True)
    return f"**{_escaped(table.title)}**\n\n{text}"


def _escaped(cell: str) -> str:
    """The text with every character that Markdown or HTML would act on made harmless, on one line."""
    one_line = " ".join(cell.split())
    plain = one_line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#$])", r"\\\1", plain)
