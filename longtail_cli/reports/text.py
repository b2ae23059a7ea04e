"""Reports as plain text for terminals."""

from __future__ import annotations

from dataclasses import replace

from longtail_cli.escapes import one_line
from longtail_cli.reports.format import Table
from longtail_cli.reports.gates.words import reprieved
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_layout import table_text
from longtail_cli.reports.text_tables import gate_tables, headline, in_order, main_tables, outcome, tables_of
from longtail_cli.reports.widths import wrapped


def to_text(report: Report, *, verbose: bool = False) -> str:
    """The report as plain text, fractions in percent points, with one trailing newline.

    The rules, the warnings, the tables, and last the gates, so that a terminal shows them. Lines have at most
    `longtail_cli.reports.widths.WIDTH` columns, except those of a table of categories with more than three runs.
    verbose: whether to print all metrics (`tables_of`) rather than the main ones (`main_tables`).
    """
    warnings = [_line(f"warning: {warning}") for warning in report.warnings]
    tables = tables_of(report) if verbose else main_tables(report)
    parts = [_line(headline(report)), *warnings, *map(table_text, tables), *_gates(report)]
    return "\n\n".join(parts) + "\n"


def _gates(report: Report) -> list[str]:
    """The verdict and the table of the gates, and below it what the table does not say.

    That is why gates were not judged, or passed although beyond their limit. The table says why the others failed.
    """
    explained = [
        verdict for verdict in in_order(report) if verdict.outcome not in ("passed", "failed") or reprieved(verdict)
    ]
    reasons = [_line(f"{outcome(verdict)}: {verdict.message}") for verdict in explained]
    tables = [table_text(_without_last_column(table)) for table in gate_tables(report)]
    return [*tables, "\n".join(reasons)] if reasons else tables


def _without_last_column(table: Table) -> Table:
    last = len(table.header) - 1
    rows, changes = (tuple(cells[:last] for cells in part) for part in (table.rows, table.changes))
    texts = tuple(index for index in table.text_columns if index != last)
    return replace(table, header=table.header[:last], rows=rows, changes=changes, text_columns=texts)


def _line(text: str) -> str:
    return wrapped(one_line(text), "  ")
