"""What a plot is, and which runs it compares."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longtail_cli.escapes import xml_text
from longtail_cli.reports.model import ORACLE, Report
from longtail_cli.reports.text_tables import Side, sides_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_NAME = 28
"""Letters of a name that are shown in a plot."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A drawn plot."""

    figure: Figure
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By gid of a collection, a label for each of its points."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot that has something to show."""

    name: str
    """File name without suffix, unique in a report."""
    title: str
    caption: str
    """One or two sentences."""
    alt: str
    """A description for readers who cannot see the plot."""
    draw: Callable[[], Drawing]
    """Draws it anew; to be called inside `styled`."""
    wide: bool = False
    """As wide as two others."""


def short(name: str) -> str:
    """The name on one line, cut off with an ellipsis if it is long; the mark of an oracle run stays."""
    line = xml_text(" ".join(name.split()))
    if len(line) <= MAX_NAME:
        return line
    end = ORACLE if line.endswith(ORACLE) else ""
    return f"{line[: MAX_NAME - 1 - len(end)].rstrip()}\N{HORIZONTAL ELLIPSIS}{end}"


def pairs_of(report: Report, run: str | None = None) -> list[tuple[Side | None, Side]]:
    """Each run after the reference, which is None for a lone run. run: the name of the only run wanted."""
    first, *others = sides_of(report)
    pairs: list[tuple[Side | None, Side]] = [(first, other) for other in others]
    if run is None:
        return pairs or [(None, first)]
    return [pair for pair in pairs if pair[1][0] == run] or [(None, first)]


def numbered(stem: str, number: int, count: int) -> str:
    """The stem of a file name, with a number if there are several."""
    return stem if count == 1 else f"{stem}-{number}"
