"""What a picture is, and what the pictures of a report are drawn from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longtail_cli.reports.format import fit
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import Side, sides_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LONGEST = 28
"""Letters of a name that are shown in a picture."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A figure of matplotlib, and what its dots are called: by gid of a collection a text for each of its points."""

    figure: Figure
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plot:
    """A picture that has something to show.

    name: file name without suffix, unique in a report. title: a few words. caption: a sentence. alt: what is to be
    seen, for those who cannot see it. draw: makes it anew, inside `styled`. wide: over the width of two others.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Drawing]
    wide: bool = False


def short(name: str) -> str:
    """The name on one line, cut off with an ellipsis where it is long."""
    line = fit(" ".join(name.split()))
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1].rstrip()}\N{HORIZONTAL ELLIPSIS}"


def pairs_of(report: Report) -> list[tuple[Side | None, Side]]:
    """Each run with the reference before it; a lone run with None."""
    first, *others = sides_of(report)
    return [(first, other) for other in others] or [(None, first)]


def numbered(stem: str, number: int, count: int) -> str:
    """The stem of a file name, told apart where there are several."""
    return stem if count == 1 else f"{stem}-{number}"
