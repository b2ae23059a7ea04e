"""The report as one page of HTML: pictures, tables and a table of categories to sort and search, and no network."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.resources import files
from typing import TYPE_CHECKING

from longtail_cli.errors import MissingExtraError, Problem
from longtail_cli.reports.format import fit
from longtail_cli.reports.model import Report
from longtail_cli.reports.page.content import cards_of, grid_of
from longtail_cli.reports.plots import as_svg, plots_of
from longtail_cli.reports.text_tables import gate, headline, in_order, outcome, tables_of, without_rows
from longtail_cli.tables import Floats

if TYPE_CHECKING:
    from jinja2 import Environment


PAGE = files(__package__)


def to_html(report: Report, weights: Mapping[str, Floats], command: str) -> str:
    """The page, complete in itself: style, script and pictures stand inside.

    weights: curves float64 [C] by name, in order of the categories of the first run; may be empty. command: that made
    the report. The same arguments give the same page. Names from files are escaped by the template, and text of any
    direction is kept apart. Raises MissingExtraError where jinja2 or matplotlib is not installed.
    """
    environment = _environment()
    from markupsafe import Markup

    pictures = [(picture, Markup(as_svg(picture))) for picture in plots_of(report, weights)]
    text: str = environment.get_template("report.html").render(
        title=", ".join(run.name for run in report.runs),
        headline=headline(report),
        report=report,
        verdicts=[(outcome(verdict), gate(verdict), verdict) for verdict in in_order(report)],
        cards=cards_of(report),
        pictures=pictures,
        tables=tables_of(without_rows(report)),
        grid=grid_of(report),
        command=command,
        notes=[*report.notes, *(f"{run.name}: {note}" for run in report.runs for note in run.notes)],
        style=Markup((PAGE / "report.css").read_text("utf-8")),
        script=Markup((PAGE / "report.js").read_text("utf-8")),
    )
    return fit(text)


def _environment() -> Environment:
    """Templates that escape what they are given and refuse what they do not know."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        problem = Problem("jinja2", "an installed package", "none")
        raise MissingExtraError("--html", [problem], "pip install 'ltcal[html]'") from error
    return Environment(
        loader=PackageLoader("longtail_cli.reports.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
