"""What mending each kind of error would add to AP50, over all categories and by group."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from longtail_cli.report.cells import GROUP_TITLES
from longtail_cli.report.model import Gains, Report, Tide
from longtail_cli.report.pictures.bars import Bars, bars_legend, draw_bars
from longtail_cli.report.pictures.picture import Drawing, Picture
from longtail_cli.report.pictures.style import COLUMN, WIDE, sheet
from longtail_cli.report.tables import IOU_TITLES, sides_of

Panel = tuple[str, list[str], list[float], list[Bars]]


def pictures(report: Report, kind: str) -> list[Picture]:
    """One picture of those runs whose breakdown follows the rules of the last run's. kind: ``bbox`` or ``segm``."""
    last = report.runs[-1].tide.get(kind)
    if last is None:
        return []
    found = [(side, run.tide.get(kind)) for side, run in sides_of(report)]
    alike = [(side, tide) for side, tide in found if tide is not None and tide.protocol == last.protocol]
    parts: dict[str, list[tuple[str, Tide | Gains]]] = {"all categories": list(alike)}
    for group in last.groups:
        of_group = [(side, tide.groups[group]) for side, tide in alike if group in tide.groups]
        parts[f"{GROUP_TITLES.get(group, group)} categories"] = list(of_group)
    panels = [_panel(title, gains) for title, gains in parts.items() if any(one.AP50 is not None for _, one in gains)]
    if not panels:
        return []
    caption = "AP50 gained by mending each kind of error; FalsePos and FalseNeg stand for all errors of their side."
    return [
        Picture(
            f"tide-{kind}",
            f"{IOU_TITLES[kind]}: TIDE error breakdown ({last.protocol})",
            caption,
            f"Bars of AP50 gained by error kind, for {', '.join(title for title, *_ in panels)}.",
            partial(_draw, panels),
            wide=len(panels) > 1,
        )
    ]


def _panel(title: str, gains: Sequence[tuple[str, Tide | Gains]]) -> Panel:
    """Main errors, then after a gap the special ones."""
    main, special = list(gains[-1][1].main), list(gains[-1][1].special)
    places = [float(place) for place in range(len(main))]
    places += [len(main) + 0.5 + place for place in range(len(special))]
    bars = [Bars(side, [{**one.main, **one.special}.get(key) for key in (*main, *special)]) for side, one in gains]
    return title, [*main, *special], places, bars


def _draw(panels: Sequence[Panel]) -> Drawing:
    rows, columns = (len(panels) + 1) // 2, min(len(panels), 2)
    figure = sheet(WIDE if columns == 2 else COLUMN, 0.7 + 2.4 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, (title, ticks, places, bars) in zip(grid.flat, panels, strict=False):
        draw_bars(axes, ticks, places, bars)
        axes.set_title(title, loc="left")
        axes.axvline((places[-3] + places[-2]) / 2, color="#dddddd", linewidth=0.6)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("AP50 gained (points)")
    bars_legend(figure, [bars.run for bars in panels[0][3]])
    return Drawing(figure)
