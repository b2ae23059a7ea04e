"""The style of the plots: the colours of Okabe and Ito, doubled by marker, hatching and line style."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from longtail_cli.errors import missing_package

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


INK, MUTED, GREY, LINE, PAPER = "#1b1b1b", "#666666", "#9a9a9a", "#dddddd", "#ffffff"
BLUE, ORANGE, GREEN, VERMILLION, SKY, PURPLE = "#0072b2", "#e69f00", "#009e73", "#d55e00", "#56b4e9", "#cc79a7"

COLUMN, WIDE = 4.6, 9.4
"""Widths in inches, so that text is readable over one column and over both columns of a paper."""

LETTERS, HANDLE = 13, 6
"""Letters of a legend per inch, and the width in letters of the mark and gap before each entry."""

CURVES = (
    (BLUE, "-"),
    (ORANGE, "--"),
    (GREEN, "-."),
    (VERMILLION, ":"),
    (SKY, (0, (5, 1))),
    (PURPLE, (0, (3, 1, 1, 1))),
    (INK, (0, (1, 1))),
)


@dataclass(frozen=True, slots=True)
class Look:
    """A colour, and what distinguishes it without colour."""

    colour: str
    marker: str
    hatch: str = ""


GROUPS = {
    "f": Look(BLUE, "o"), "c": Look(ORANGE, "s"), "r": Look(VERMILLION, "^"),
    "many": Look(BLUE, "o"), "medium": Look(ORANGE, "s"), "few": Look(VERMILLION, "^"),
}  # fmt: skip
NO_GROUP = Look(MUTED, "D")

_SIDES = (
    Look(GREY, "o"), Look(BLUE, "s"), Look(ORANGE, "^", "////"), Look(GREEN, "D", "...."),
    Look(VERMILLION, "v", "xxxx"), Look(SKY, "P", "----"), Look(PURPLE, "X", "++++"),
)  # fmt: skip
"""Of the runs in turn; the first is the reference."""

_RULES: Any = {
    "font.size": 8.5, "axes.labelsize": 8.5, "axes.titlesize": 8.5, "xtick.labelsize": 8, "ytick.labelsize": 8,
    "legend.fontsize": 8, "legend.frameon": False, "legend.borderaxespad": 0.2, "legend.handletextpad": 0.5,
    "legend.columnspacing": 1.4, "text.color": INK, "text.parse_math": False, "axes.labelcolor": INK,
    "axes.edgecolor": MUTED, "axes.linewidth": 0.6, "axes.spines.top": False, "axes.spines.right": False,
    "axes.axisbelow": True, "axes.grid": True, "grid.color": LINE, "grid.linewidth": 0.6, "xtick.color": MUTED,
    "ytick.color": MUTED, "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.major.size": 0,
    "ytick.major.size": 0, "xtick.minor.size": 0, "ytick.minor.size": 0, "hatch.linewidth": 0.6,
    "figure.constrained_layout.h_pad": 0.06, "figure.constrained_layout.w_pad": 0.06, "path.simplify": False,
    "svg.fonttype": "none", "svg.hashsalt": "ltcal", "pdf.fonttype": 42,
}  # fmt: skip


def look_of(side: int) -> Look:
    """The look of the n-th run; from the eighth on all but the first repeat."""
    return _SIDES[side] if side < len(_SIDES) else _SIDES[1 + (side - 1) % (len(_SIDES) - 1)]


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in this style instead of the user's; glyphs that the font lacks are boxes.

    Raises MissingExtraError if matplotlib is not installed.
    """
    try:
        import matplotlib
        import matplotlib.figure
    except ImportError as error:
        raise missing_package("matplotlib", "plots", "plots") from error
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_RULES)
        yield


def sheet(width: float = COLUMN, height: float = 3.2) -> Figure:
    """An empty figure, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=300, layout="constrained")


def legend(figure: Figure, entries: Sequence[tuple[Artist, str]]) -> None:
    """Add a legend above the axes, in as many columns as fit.

    The texts are set last: labels that begin with an underscore would be skipped.
    """
    handles, labels = [handle for handle, _ in entries], [label for _, label in entries]
    columns = _columns(labels, int(LETTERS * figure.get_figwidth()))
    box = figure.legend(handles, ["-"] * len(handles), loc="outside upper left", ncols=columns)
    for text, label in zip(box.get_texts(), labels, strict=True):
        text.set_text(label)


def _columns(labels: Sequence[str], room: int) -> int:
    """The most columns, filled one after another, that are at most `room` letters wide; at least one."""
    for rows in range(1, len(labels)):
        columns = [labels[first : first + rows] for first in range(0, len(labels), rows)]
        if sum(max(map(len, column)) + HANDLE for column in columns) <= room:
            return len(columns)
    return 1


def horizontal_grid(axes: Axes) -> None:
    """Hide the vertical grid lines, which mean nothing between bars."""
    axes.grid(visible=False, axis="x")
