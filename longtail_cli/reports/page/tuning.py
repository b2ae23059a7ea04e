"""The tuning as one self-contained HTML page: the choice, plots, tables and a grid of candidates."""

from __future__ import annotations

from longtail_cli.metrics import Value
from longtail_cli.reports.format import shown
from longtail_cli.reports.page.about import Fact
from longtail_cli.reports.page.grid import Cell, Grid
from longtail_cli.reports.page.html import rendered_page
from longtail_cli.reports.plots.tuning_figures import plots_of
from longtail_cli.reports.tuning.model import Candidate, Tuning
from longtail_cli.reports.tuning.tables import (
    candidate_metrics,
    folds_line,
    headline,
    notes_of,
    tables_of,
    warning,
)


def to_html(tuning: Tuning, command: str) -> str:
    """The page with its style, script and plots; it needs no network.

    command: what made the tuning, to be shown if it is not empty. The same arguments give the same page. Raises
    MissingExtraError if jinja2 or matplotlib is not installed.
    """
    return rendered_page(
        "tuning",
        plots_of(tuning),
        title=tuning.chosen.spec,
        headline=headline(tuning),
        warning=warning(tuning),
        tables=tables_of(tuning),
        folds=folds_line(tuning),
        grid=grid_of(tuning),
        command=command,
        about=about(tuning),
        notes=notes_of(tuning),
    )


def grid_of(tuning: Tuning) -> Grid:
    """One row per candidate, in the order tried: its figures on all of the tuning data."""
    names = candidate_metrics(tuning)
    header = ("candidate", "number", "space", tuning.objective, "standard error", *names, "moved", "kept")
    spaces = dict.fromkeys(one.space for one in tuning.candidates if one.space != "none")
    rows = tuple(_row(number, one, tuning.objective, names) for number, one in enumerate(tuning.candidates))
    return Grid(header, tuple(spaces), rows)


def _row(number: int, one: Candidate, objective: str, names: tuple[str, ...]) -> tuple[Cell, ...]:
    return (
        Cell(one.spec),
        Cell(str(number), number),
        Cell(one.space),
        _cell(objective, one.objective),
        _cell(objective, one.error),
        *(_cell(name, one.metrics.get(name)) for name in names),
        Cell(f"{one.moved:.4f}", one.moved),
        Cell("yes" if one.kept else "no"),
    )


def _cell(name: str, value: Value) -> Cell:
    return Cell(shown(name.rpartition("/")[2], value), value)


def about(tuning: Tuning) -> list[Fact]:
    """By which rules and on which data."""
    data = tuning.tuned_on
    rows = [
        ("version", tuning.version),
        ("objective", tuning.objective),
        ("keep", ", ".join(tuning.keep) or "-"),
        ("target", tuning.target or "-"),
        ("folds", f"{tuning.folds}, seed {tuning.seed}"),
        ("split", tuning.split or "-"),
        ("head", f"{data.kind}: {data.head}, background {data.background}, {len(data.category_ids)} categories"),
        ("tuned on", f"{len(data.rows):,} rows" if data.rows else f"{len(data.images):,} images"),
    ]
    files = [Fact(one.role, one.name, one.sha256) for one in data.inputs]
    return [*(Fact(name, value) for name, value in rows), *files]
