"""Pictures as PNG and PDF for papers, and as SVG for the page. The same picture gives the same bytes."""

from __future__ import annotations

import io

from longtail_cli.report.pictures.picture import Picture
from longtail_cli.report.pictures.style import styled
from longtail_cli.report.pictures.svg import inline


def as_png(picture: Picture) -> bytes:
    """300 dots an inch. Raises MissingExtraError where matplotlib is not installed."""
    content = io.BytesIO()
    with styled("--plots", "plots"):
        picture.draw().figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def as_pdf(picture: Picture) -> bytes:
    """Vectors, with the font embedded as Type 42. Raises MissingExtraError where matplotlib is not installed."""
    content = io.BytesIO()
    with styled("--plots", "plots"):
        picture.draw().figure.savefig(content, format="pdf", metadata={"CreationDate": None})
    return content.getvalue()


def as_svg(picture: Picture) -> str:
    """An ``<svg>`` element for a page that defines the colours of `svg.VARIABLES`; its ids begin with the name.

    Dots carry what they are called in ``data-label``. Raises MissingExtraError where matplotlib is not installed.
    """
    content = io.StringIO()
    with styled("--html", "html"):
        drawing = picture.draw()
        drawing.figure.savefig(content, format="svg", metadata={"Date": None})
    return inline(content.getvalue(), picture.name, picture.alt, drawing.labels)
