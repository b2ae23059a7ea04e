"""The report as one self-contained HTML page: the verdict, runs by metrics, plots, categories and all tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files
from typing import TYPE_CHECKING

from longtail_cli.errors import missing_package
from longtail_cli.escapes import xml_text
from longtail_cli.reports.gates.words import verdict_line
from longtail_cli.reports.model import Report
from longtail_cli.reports.page.about import about
from longtail_cli.reports.page.cards import cards_of
from longtail_cli.reports.page.glossary import entries_in, entry_of
from longtail_cli.reports.page.grid import grid_of
from longtail_cli.reports.page.matrix import matrices_of, slice_matrices
from longtail_cli.reports.plots.figures import plots_of
from longtail_cli.reports.plots.formats import as_svg
from longtail_cli.reports.plots.plot import Plot, short
from longtail_cli.reports.text_tables import gate, headline, in_order, notes_of, outcome, tables_of, without_rows

if TYPE_CHECKING:
    from jinja2 import Environment
    from markupsafe import Markup


PAGE = files(__package__)

MAX_NAMED = 3
"""Runs that the title names; more are counted."""

NAME_WIDTH = 40
"""Letters of a name in the title."""

_BREAKS = re.compile(r"(?<=\w[:+=,/_@])(?=[^\W\d])")
"""Where a name of a run or a file may be broken: after a separator, before a letter."""


def to_html(report: Report, command: str) -> str:
    """The page with its style, script and plots; it needs no network.

    command: what made the report, to be shown if it is not empty. The same arguments give the same page. The templates
    escape names from files and isolate text of any direction. Raises MissingExtraError if jinja2 or matplotlib is not
    installed.
    """
    return rendered_page(
        "report",
        plots_of(report),
        title=title_of(report),
        headline=headline(report),
        report=report,
        verdict=verdict_line(report),
        verdicts=[(outcome(verdict), gate(verdict), verdict) for verdict in in_order(report)],
        matrices=matrices_of(report),
        cards=cards_of(report),
        slices=slice_matrices(report),
        tables=[table.inline() for table in tables_of(without_rows(report))],
        grid=grid_of(report),
        command=command,
        about=about(report),
        notes=notes_of(report),
    )


def title_of(report: Report) -> str:
    """The names of the runs, shortened; only their number if there are many."""
    names = [short(run.name, NAME_WIDTH) for run in report.runs]
    return ", ".join(names) if len(names) <= MAX_NAMED else f"{len(names)} runs"


def rendered_page(kind: str, plots: Sequence[Plot], title: str, headline: str, **values: object) -> str:
    """The page ``KIND.html`` in ``frame.html``, with plots, style, script, and a glossary of the terms that it uses.

    values: by name in the template.
    """
    environment = _environment()
    from markupsafe import Markup

    drawn = [
        (plot, own, Markup(as_svg(plot, f"plot-{number}")))
        for number, (plot, own) in enumerate(zip(plots, classes_of(plots), strict=True))
    ]
    main: str = environment.get_template(f"{kind}.html").render(plots=drawn, **values)
    text: str = environment.get_template("frame.html").render(
        kind=kind,
        title=title,
        headline=headline,
        main=Markup(main),
        glossary=entries_in(main),
        style=Markup((PAGE / "report.css").read_text("utf-8")),
        script=Markup((PAGE / "report.js").read_text("utf-8")),
    )
    return xml_text(text)


def _environment() -> Environment:
    """Templates that escape their values and refuse unknown names."""
    try:
        from jinja2 import Environment, PackageLoader, StrictUndefined
    except ImportError as error:
        raise missing_package("jinja2", "HTML pages", "html") from error
    environment = Environment(
        loader=PackageLoader("longtail_cli.reports.page", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {"breakable": _breakable, "term": _term}
    return environment


def _breakable(text: str) -> Markup:
    """The text, isolated, with break opportunities after the separators of specs and paths."""
    from markupsafe import Markup, escape

    return Markup("<bdi>{}</bdi>").format(Markup("<wbr>").join(escape(part) for part in _BREAKS.split(text)))


def _term(text: str) -> Markup:
    """The text, as a button that shows its definition if the glossary has one."""
    from markupsafe import Markup

    entry = entry_of(text)
    if entry is None:
        return _breakable(text)
    return Markup('<button type="button" class="term" aria-describedby="{}">{}</button>').format(entry.id, text)


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
