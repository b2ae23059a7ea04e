"""Tunings as plain text for a terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from longtail_cli.escapes import one_line
from longtail_cli.reports.format import Table
from longtail_cli.reports.markdown import escaped, table_markdown
from longtail_cli.reports.text_layout import table_text
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.reports.tuning.tables import folds_line, headline, notes_of, tables_of, warning


def to_text(tuning: Tuning) -> str:
    """The choice, the best of each space, the folds and the notes; fractions in percent points."""
    return _joined(tuning, partial(table_text, width=None), one_line)


def to_markdown(tuning: Tuning) -> str:
    """The same as GitHub-flavoured Markdown."""
    return _joined(tuning, table_markdown, escaped)


def _joined(tuning: Tuning, table: Callable[[Table], str], line: Callable[[str], str]) -> str:
    """The parts, an empty line between each two, with one trailing newline."""
    notes = "\n".join(f"- {line(note)}" for note in notes_of(tuning))
    choice, spaces, *others = map(table, tables_of(tuning))
    parts = [warning(tuning), line(headline(tuning)), choice, spaces, line(folds_line(tuning)), *others, notes]
    return "\n\n".join(part for part in parts if part) + "\n"
