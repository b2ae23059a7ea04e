"""An inspection as plain text for a terminal, at most `WIDTH` columns wide except for words that are longer."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from operator import attrgetter

from longtail_cli.escapes import one_line
from longtail_cli.reports.inspection.model import Command, Inspection, Section, Step

WIDTH = 100

Words = Callable[[Command], Sequence[str]]


def to_text(inspection: Inspection, words: Words = attrgetter("words")) -> str:
    """What it is in one line, then the facts by section, the notes, and the commands that fit.

    words: the parts of a command; one that is too long for a line is continued after a backslash.
    """
    names = [one_line(fact.name) for section in inspection.sections for fact in section.facts]
    column = max(map(len, names), default=0) + 4
    parts = [one_line(f"{inspection.source}: {inspection.headline}")]
    parts += [_section(section, column) for section in inspection.sections]
    parts += [_titled("Notes", [_wrapped(note, "- ", 4) for note in inspection.notes])] if inspection.notes else []
    parts += [_titled("Next", [_step(step, words) for step in inspection.steps])] if inspection.steps else []
    return "\n\n".join(parts) + "\n"


def _titled(title: str, blocks: list[str]) -> str:
    return "\n".join([title, *blocks])


def _section(section: Section, column: int) -> str:
    rows = [_wrapped(fact.text, one_line(fact.name).ljust(column - 2), column) for fact in section.facts]
    return _titled(one_line(section.title), rows)


def _wrapped(text: str, start: str, column: int) -> str:
    """The text after `start`, both indented; its other lines begin at `column`."""
    lines = textwrap.wrap(
        one_line(text), WIDTH, initial_indent=f"  {start}", subsequent_indent=" " * max(column, 2),
        break_long_words=False, break_on_hyphens=False,
    )  # fmt: skip
    return "\n".join(lines) or f"  {start}".rstrip()


def _step(step: Step, words: Words) -> str:
    missing = f" ({step.missing})" if step.missing else ""
    return f"{_wrapped(f'{step.purpose}{missing}', '', 2)}\n{_continued(words(step.command))}"


def _continued(words: Sequence[str]) -> str:
    """The command over as many lines as it needs; no word is divided."""
    lines = ["   "]
    for word in map(one_line, words):
        if len(lines[-1]) + len(word) + 3 > WIDTH:
            lines.append("     ")
        lines[-1] += f" {word}"
    return " \\\n".join(lines)
