"""The report as one self-contained HTML page: cards of the headline metrics, plots, tables and a grid of categories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

from longtail_cli.errors import missing_package
from longtail_cli.escapes import xml_text
from longtail_cli.metrics import CategoryMetrics, Value
from longtail_cli.reports.format import between, between_signed, delta, difference, percent, shown
from longtail_cli.reports.headline import headline_metrics
from longtail_cli.reports.metric_names import lower_is_better, metrics_of
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.plots.figures import plots_of
from longtail_cli.reports.plots.formats import as_svg
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.reliance import is_withheld
from longtail_cli.reports.text_tables import (
    CATEGORY_METRIC,
    IOU_TITLES,
    WITHHELD,
    gate,
    headline,
    in_order,
    outcome,
    sides_of,
    tables_of,
    without_rows,
)

if TYPE_CHECKING:
    from jinja2 import Environment


GROUP_OF = {"APr": "r", "APc": "c", "APf": "f", "many": "many", "medium": "medium", "few": "few"}
PAGE = files(__package__)


def to_html(report: Report, command: str) -> str:
    """The page with its style, script and plots; it needs no network.

    command: what made the report, to be shown if it is not empty. The same arguments give the same page. The template
    escapes names from files and isolates text of any direction. Raises MissingExtraError if jinja2 or matplotlib is not
    installed.
    """
    return rendered_page(
        "report",
        plots_of(report),
        title=", ".join(run.name for run in report.runs),
        headline=headline(report),
        report=report,
        verdicts=[(outcome(verdict), gate(verdict), verdict) for verdict in in_order(report)],
        cards=cards_of(report),
        tables=tables_of(without_rows(report)),
        grid=grid_of(report),
        command=command,
        notes=[*report.notes, *(f"{run.name}: {note}" for run in report.runs for note in run.notes)],
    )


def rendered_page(kind: str, plots: Sequence[Plot], **values: object) -> str:
    """The page ``KIND.html`` with `values` for its names, and its plots, style and script."""
    environment = _environment()
    from markupsafe import Markup

    text: str = environment.get_template(f"{kind}.html").render(
        kind=kind,
        plots=[(plot, Markup(as_svg(plot))) for plot in plots],
        style=Markup((PAGE / "report.css").read_text("utf-8")),
        script=Markup((PAGE / "report.js").read_text("utf-8")),
        **values,
    )
    return xml_text(text)


def _environment() -> Environment:
    """Templates that escape their values and refuse unknown names."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise missing_package("jinja2", "HTML pages", "html") from error
    return Environment(
        loader=PackageLoader("longtail_cli.reports.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


@dataclass(frozen=True, slots=True)
class Card:
    """A metric of a run as text; parts that do not apply are empty."""

    title: str
    value: str
    interval: str
    change: str
    """Difference to the reference; empty for the reference itself."""
    change_interval: str
    """The interval of the difference, and its p-value if there is one."""
    trend: str
    """``better``, ``worse``, or ``same`` if nothing changed, or the interval of the difference contains 0 or is
    withheld."""
    basis: str
    """How many categories and objects a group has."""


def cards_of(report: Report) -> list[tuple[str, list[Card]]]:
    """The cards of each run by its name."""
    return [
        (run.name, [_card(report, run, name, title) for name, title in headline_metrics(report).items()])
        for run in report.runs
    ]


def _card(report: Report, run: Run, name: str, title: str) -> Card:
    value, base = metrics_of(run).get(name), metrics_of(report.reference).get(name)
    plain, interval = name.split("/")[-1], run.intervals.get(name)
    compared = run is not report.reference
    none = WITHHELD if value is not None and is_withheld(report, name) else ""
    return Card(
        title=title,
        value=shown(plain, value),
        interval=between(plain, interval) if interval else none,
        change=difference(plain, value, base) if compared else "",
        change_interval=_change_interval(run, name, none) if compared else "",
        trend=_trend(report, run, name, value, base) if compared else "same",
        basis=_basis(report, plain),
    )


def _change_interval(run: Run, name: str, none: str) -> str:
    """none: what stands for an interval that does not exist."""
    delta, p_value = run.deltas.get(name), run.p_values.get(name)
    parts = [between_signed(name.split("/")[-1], delta) if delta else none]
    parts += [] if p_value is None else [f"p = {p_value:.3g}"]
    return ", ".join(filter(None, parts))


def _trend(report: Report, run: Run, name: str, value: Value, base: Value) -> str:
    delta = run.deltas.get(name)
    if value is None or base is None or value == base or (delta is not None and delta.low <= 0 <= delta.high):
        return "same"
    if delta is None and is_withheld(report, name):
        return "same"
    return "better" if (value > base) != lower_is_better(name) else "worse"


def _basis(report: Report, metric: str) -> str:
    size = report.groups.get(GROUP_OF.get(metric, "all"))
    if size is None or metric not in GROUP_OF:
        return ""
    if report.signature.protocol == "classification":
        return f"{size.categories:,} classes, {size.images:,} images"
    return f"{size.categories:,} categories, {size.instances:,} ground truths"


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of the table of categories."""

    text: str
    key: float | None = None
    """What it is sorted by; None for text, and for undefined values, which come last."""


@dataclass(frozen=True, slots=True)
class Grid:
    """The table of categories."""

    header: tuple[str, ...]
    """Titles of the columns; the first column holds text."""
    groups: tuple[str, ...]
    """Groups that occur."""
    rows: tuple[tuple[Cell, ...], ...]
    """One per category."""


def grid_of(report: Report) -> Grid | None:
    """One row per category of the first run; None if it has none."""
    first = report.runs[0].categories
    if not first:
        return None
    header = ["category", "id", "group", "training images", "images", "objects"]
    columns = []
    for kind in report.kinds:
        base = _values(report.reference, kind)
        prefix = f"{IOU_TITLES[kind]} " if len(report.kinds) > 1 else ""
        for side, run in sides_of(report):
            values = _values(run, kind)
            header.append(f"{prefix}{CATEGORY_METRIC[kind]}, {side}")
            columns.append({key: Cell(percent(value), value) for key, value in values.items()})
            if run is not report.reference:
                header.append(f"{prefix}change")
                columns.append({key: _change(value, base.get(key)) for key, value in values.items()})
    rows = tuple((*_about(row), *(column.get(row.id, Cell("-")) for column in columns)) for row in first)
    return Grid(tuple(header), tuple(dict.fromkeys(row.group for row in first if row.group)), rows)


def _values(run: Run, kind: str) -> dict[int, Value]:
    """The shown metric of each category, by id."""
    return {row.id: row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind]) for row in run.categories}


def _change(value: Value, base: Value) -> Cell:
    return Cell(delta(value, base), None if value is None or base is None else value - base)


def _about(row: CategoryMetrics) -> tuple[Cell, ...]:
    counts = (row.train_images, row.images, row.instances)
    return (
        Cell(row.name),
        Cell(str(row.id), row.id),
        Cell(row.group or ""),
        *(Cell("-" if count is None else f"{count:,}", count) for count in counts),
    )
