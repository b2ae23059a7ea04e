"""AP, or recall, by frequency group, run beside run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from longtail_cli.report.cells import GROUP_TITLES
from longtail_cli.report.metrics import figures_of
from longtail_cli.report.model import Report
from longtail_cli.report.pictures.bars import Bars, bars_legend, draw_bars
from longtail_cli.report.pictures.picture import Drawing, Picture
from longtail_cli.report.pictures.style import sheet
from longtail_cli.report.tables import IOU_TITLES, sides_of

AP = {"AP": "all", "APr": GROUP_TITLES["r"], "APc": GROUP_TITLES["c"], "APf": GROUP_TITLES["f"]}
RECALL = {"balanced": "all", "many": "many", "medium": "medium", "few": "few"}


def pictures(report: Report, kind: str) -> list[Picture]:
    """One picture; none where no run has any of the figures. kind: ``bbox``, ``segm`` or ``classification``."""
    parts = RECALL if kind == "classification" else AP
    names = {f"{kind}/{part}": title for part, title in parts.items()}
    found = [(side, figures_of(run), run.intervals) for side, run in sides_of(report)]
    names = {name: title for name, title in names.items() if any(figures.get(name) is not None
                                                                for _, figures, _ in found)}  # fmt: skip
    runs = [
        Bars(side, [figures.get(name) for name in names], [intervals.get(name) for name in names])
        for side, figures, intervals in found
        if any(figures.get(name) is not None for name in names)
    ]
    if not runs:
        return []
    figure = "Recall" if kind == "classification" else "AP"
    stem = "recall-by-group" if kind == "classification" else f"ap-by-group-{kind}"
    whiskers = " Whiskers: 95% intervals." if any(any(bars.intervals) for bars in runs) else ""
    title = f"{IOU_TITLES.get(kind, 'Classes')}: {figure} by frequency group"
    caption = f"Mean over the categories of each group.{whiskers}"
    alt = f"Bars of {figure} for {', '.join(names.values())}."
    return [Picture(stem, title, caption, alt, partial(_draw, names, runs, f"{figure} (%)"))]


def _draw(names: Mapping[str, str], runs: Sequence[Bars], axis: str) -> Drawing:
    figure = sheet()
    axes = figure.subplots()
    draw_bars(axes, list(names.values()), list(map(float, range(len(names)))), runs)
    axes.set_ylabel(axis)
    axes.margins(y=0.08)
    bars_legend(figure, [bars.run for bars in runs])
    return Drawing(figure)
