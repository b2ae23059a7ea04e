"""The style of the plots. A colour is that of a run, doubled by mark, hatching and line style; the rest is grey."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from longtail_cli.errors import missing_package
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import printed
from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.text_tables import sides_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure


INK, MUTED, GREY, LINE, PAPER = "#1b1b1b", "#666666", "#9a9a9a", "#dddddd", "#ffffff"
GAIN, LOSS = "#00515a", "#c49aae"
"""Of bars that say better and worse; they mean nothing else."""

COLUMN, WIDE = 4.6, 9.4
"""Widths in inches, so that text is readable over one column and over both columns of a paper."""

TITLE_SIZE, TITLE_LINE, TITLE_LETTERS = 9, 0.2, 12
"""Font size of a title in points, the height of one of its lines in inches, and its letters per inch."""

LETTERS, HANDLE, LEGEND_LINE = 14, 6, 0.165
"""Letters of a legend per inch, the width in letters of the mark and gap before each entry, and the height of a line in
inches."""


@dataclass(frozen=True, slots=True)
class Look:
    """What a run looks like, in every plot and on the page: a colour, and what tells it apart without colour."""

    colour: str
    variable: str
    """The CSS variable that holds the colour on a page, which redefines it in dark mode."""
    marker: str
    hatch: str
    """Of lines alone: a page has a shape for each dot of a hatching, which comes to half a megabyte."""
    line: Any
    """The line style, as matplotlib understands it."""


LOOKS = (
    Look("#0072b2", "--run-1", "D", "", "-"),
    Look("#e09c14", "--run-2", "v", "////", (0, (5, 2))),
    Look("#4a9e66", "--run-3", "P", "||||", (0, (5, 1, 1, 1))),
    Look("#96447f", "--run-4", "X", "xxxx", (0, (1, 1))),
    Look("#50b4f5", "--run-5", "d", "----", (0, (8, 2))),
    Look("#bf4016", "--run-6", "p", "\\\\\\\\", (0, (3, 1, 1, 1, 1, 1))),
    Look("#2b1272", "--run-7", "<", "++++", (0, (2, 2))),
    Look("#5a3a0a", "--run-8", ">", "//--", (0, (6, 1, 2, 1))),
)
"""The looks of the runs in the order of `sides_of`. No two colours are close for readers who cannot tell red from
green, or blue from yellow."""

WIDE_RANGE = 300
"""From this ratio on a logarithmic axis has room for powers of ten alone."""

GROUP_MARKERS = {"f": "o", "c": "s", "r": "^", "many": "o", "medium": "s", "few": "^"}
"""The marks of the categories of a frequency group; the marks of the runs are others."""
NO_GROUP = "h"

CURVES = tuple((look.colour, look.line) for look in LOOKS)
"""Colours and line styles of curves that are not of runs."""

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


def look_of(index: int) -> Look:
    """The look of the run with this index, from 0, in `sides_of(report)`.

    From the ninth on the colours repeat with another mark, hatching and line style.
    """
    again, index = divmod(index, len(LOOKS))
    other = LOOKS[(index + 3 * again) % len(LOOKS)]
    return replace(LOOKS[index], marker=other.marker, hatch=other.hatch, line=other.line)


def looks_of(report: Report) -> dict[str, Look]:
    """The look of each run, and of the baseline, by its title in `sides_of(report)`."""
    return {side: look_of(index) for index, (side, _) in enumerate(sides_of(report))}


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
    """Add a legend above the axes, in as many columns as fit; names wider than the figure are cut in the middle.

    With several rows the figure gets higher, so that the axes keep their size.
    The texts are set last: labels that begin with an underscore would be skipped.
    """
    room = letters(figure)
    handles = [handle for handle, _ in entries]
    labels = short_names([printed(label) for _, label in entries], room - HANDLE)
    columns = _columns(labels, room)
    box = figure.legend(handles, ["-"] * len(handles), loc="outside upper left", ncols=columns, alignment="left")
    figure.set_figheight(figure.get_figheight() + LEGEND_LINE * (-(-len(labels) // columns) - 1))
    for text, label in zip(box.get_texts(), labels, strict=True):
        text.set_text(label)


def entitle(figure: Figure, title: str) -> None:
    """Write the title above the legend and the axes, and make the figure higher by as much; for files."""
    from matplotlib.font_manager import FontProperties

    lines = textwrap.wrap(title, int(TITLE_LETTERS * figure.get_figwidth()), break_on_hyphens=False)
    figure.set_figheight(figure.get_figheight() + TITLE_LINE * len(lines))
    if figure.legends:
        figure.legends[0].set_title("\n".join(lines), prop=FontProperties(size=TITLE_SIZE, weight="bold"))
    else:
        figure.suptitle("\n".join(lines), x=0.015, ha="left", size=TITLE_SIZE, weight="bold")


def letters(figure: Figure) -> int:
    """How many letters are as wide as the figure."""
    return int(LETTERS * figure.get_figwidth())


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


def plain_counts(axis: Axis, low: int, high: int) -> None:
    """Label a logarithmic axis of counts from `low` to `high` in plain numbers; 2 and 5 too if it spans few powers."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    if low >= 1 and high < WIDE_RANGE * low:
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axis.set_minor_formatter(NullFormatter())
