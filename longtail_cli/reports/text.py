"""Reports for the terminal."""

from __future__ import annotations

from tabulate import tabulate

from longtail_cli.errors import one_line
from longtail_cli.reports.format import Table
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import gate_tables, headline, tables_of


def to_text(report: Report) -> str:
    """The tables of the report in plain text, shares in percent points, with one trailing newline.

    The gates come last, where a terminal shows them.
    """
    tables = [*tables_of(report), *gate_tables(report)]
    return "\n\n".join([headline(report), *map(_table, tables)]) + "\n"


def _table(table: Table) -> str:
    rows = [[one_line(cell) for cell in row] for row in table.rows]
    header = [one_line(cell) for cell in table.header]
    text = tabulate(
        rows, header, tablefmt="simple", colalign=table.align, disable_numparse=True, preserve_whitespace=True
    )
    return f"{one_line(table.title)}\n{text}"
