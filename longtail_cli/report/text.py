"""Reports for the terminal."""

from __future__ import annotations

from tabulate import tabulate

from longtail_cli.report.model import Report
from longtail_cli.report.tables import Table, headline, tables_of


def to_text(report: Report) -> str:
    """The tables of the report in plain text, shares in percent points, with one trailing newline."""
    return "\n\n".join([headline(report), *map(_table, tables_of(report))]) + "\n"


def _table(table: Table) -> str:
    align = ("left", *["right"] * (len(table.header) - 1))
    rows = [[_one_line(cell) for cell in row] for row in table.rows]
    header = [_one_line(cell) for cell in table.header]
    text = tabulate(rows, header, tablefmt="simple", colalign=align, disable_numparse=True, preserve_whitespace=True)
    return f"{_one_line(table.title)}\n{text}"


def _one_line(cell: str) -> str:
    """Names from files may hold line breaks and control characters, which would act on the terminal."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in cell)
