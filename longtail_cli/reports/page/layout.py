"""How the plots of a page fill its rows."""

from __future__ import annotations

from collections.abc import Sequence

from longtail_cli.reports.plots.plot import Plot


def classes_of(plots: Sequence[Plot]) -> list[str]:
    """The CSS classes of each plot, so that no row of two or three columns ends in a gap.

    A wide plot takes two columns, and any later plot may fill the third. What is left goes to the last plot that is not
    wide: ``row-of-2`` and ``row-of-3`` make it as wide as the page, ``double-of-3`` as wide as two columns.
    """
    narrow = [number for number, plot in enumerate(plots) if not plot.wide]
    wide = len(plots) - len(narrow)
    left = (len(narrow) - wide) % 3 if len(narrow) > wide else 0
    last = ["row-of-2"] if len(narrow) % 2 else []
    last += {1: ["row-of-3"], 2: ["double-of-3"]}.get(left, [])
    found = ["wide" if plot.wide else "" for plot in plots]
    if narrow:
        found[narrow[-1]] = " ".join(last)
    return found
