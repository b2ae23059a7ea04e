"""What a plot is, and which runs it compares."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longtail_cli.escapes import xml_text
from longtail_cli.reports.model import Report
from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.text_tables import IOU_TITLES, Side, sides_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure


MAX_NAME = 28
"""Letters of a name that are shown where there is little room."""

MAX_TITLE = 48
"""Letters of a name that are shown in a title."""

MAX_SLUG = 48
"""Letters of a run's name in the name of a file."""


_DIRECTIONS = re.compile("[\u202a-\u202e\u2066-\u2069]")


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


def printed(name: str) -> str:
    """The name on one line, without characters that would turn the text after it around."""
    return _DIRECTIONS.sub("\N{REPLACEMENT CHARACTER}", xml_text(" ".join(name.split())))


def short(name: str, width: int = MAX_NAME) -> str:
    """The printed name with an ellipsis in its middle if it has more than `width` letters; see `short_names`."""
    return short_names([printed(name)], width)[0]


Pair = tuple[Side | None, Side]
"""The reference, or None for a lone run, and a run that is compared with it."""


def pairs_of(report: Report, run: str | None = None) -> list[Pair]:
    """Each run after the reference. run: the name of the only run wanted, which may be the reference itself."""
    sides = sides_of(report)
    reference = next(side for side in sides if side[1] is report.reference)
    pairs: list[Pair] = [(reference, side) for side in sides if side is not reference]
    if run is None:
        return pairs or [(None, reference)]
    return [pair for pair in pairs if pair[1][0] == run] or [(None, reference)]


def title_of(report: Report, kind: str, title: str, runs: str) -> str:
    """The title of a plot: of boxes or masks, if the report has both, and of which runs. runs: may be empty."""
    prefix = f"{IOU_TITLES[kind]}: " if len(report.kinds) > 1 else ""
    return f"{prefix}{title[:1].upper()}{title[1:]}{f': {runs}' if runs else ''}"


def names_of(report: Report, pair: Pair) -> str:
    """A pair in a title: ``none -> norcal`` with an arrow, or the lone run. No two runs have the same name there."""
    sides = [side for side, _ in sides_of(report)]
    names = dict(zip(sides, short_names(list(map(printed, sides)), MAX_TITLE), strict=True))
    return " \N{RIGHTWARDS ARROW} ".join(names[side[0]] for side in pair if side is not None)


def lone(runs: Sequence[str]) -> str:
    """The name of the only run of a plot, for its title; empty if there are several, which the legend names."""
    return short(runs[0], MAX_TITLE) if len(runs) == 1 else ""


def stem_of(name: str, kind: str) -> str:
    """The file name of a plot of this kind, without suffix."""
    return name if kind == "classification" else f"{name}-{kind}"


def slugs_of(report: Report) -> dict[str, str]:
    """By title of each run a part of a file name: lower-case letters of ASCII, digits and dashes, unique."""
    slugs: dict[str, str] = {}
    for side, _ in sides_of(report):
        plain = re.sub("[^a-z0-9]+", "-", side.lower())[:MAX_SLUG].strip("-") or "run"
        tries = (plain if number == 1 else f"{plain}-{number}" for number in itertools.count(1))
        slugs[side] = next(slug for slug in tries if slug not in slugs.values())
    return slugs
