"""Plots as PNG and PDF for papers, and as SVG for the page. The same plot gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal
from xml.etree import ElementTree as ET

from longtail_cli.reports.plots import style
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.style import entitle, styled

Format = Literal["png", "pdf"]

_UNDATED = {"png": {"Software": None}, "pdf": {"CreationDate": None}}


def as_file(plot: Plot, file_format: Format) -> bytes:
    """The plot under its title: PNG at 300 dots per inch, or PDF with the font embedded as Type 42.

    Raises MissingExtraError if matplotlib is not installed.
    """
    content = io.BytesIO()
    with styled():
        figure = plot.draw().figure
        entitle(figure, plot.title)
        figure.savefig(content, format=file_format, metadata=_UNDATED[file_format])
    return content.getvalue()


def as_svg(plot: Plot, prefix: str) -> str:
    """An ``<svg>`` element for a page that defines the colours of `VARIABLES`.

    prefix: of its ids, which makes them unique in a page. It is without the title, which the page writes. Points carry
    their labels in ``data-label``. Raises MissingExtraError if matplotlib is not installed.
    """
    content = io.StringIO()
    with styled():
        drawing = plot.draw()
        drawing.figure.savefig(content, format="svg", metadata={"Date": None})
    return inline(content.getvalue(), prefix, plot.alt, drawing.labels)


VARIABLES = {
    style.INK: "--ink", style.MUTED: "--muted", style.GREY: "--grey", style.LINE: "--line", style.PAPER: "--paper",
    style.GAIN: "--gain", style.LOSS: "--loss", **{look.colour: look.variable for look in style.LOOKS},
}  # fmt: skip
"""The colours of the plots, and their CSS variables, which the page redefines in dark mode."""

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COLOUR = re.compile("|".join(VARIABLES))
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"font-family: [^;]*;?\s*")
_GEOMETRY = ("d", "x", "y", "transform", "points", "width", "height")


def inline(text: str, prefix: str, alt: str, labels: Mapping[str, Sequence[str]]) -> str:
    """The ``<svg>`` element of a document that matplotlib wrote.

    prefix: of the ids, which are numbered, as thousands of points refer to them. labels: by id of a group, the labels
    of its points.
    """
    root = ET.fromstring(text)
    for tag in ("metadata", "style"):
        _remove(root, f"{_SVG}{tag}")
    for group in root.iter(f"{_SVG}g"):
        own = labels.get(group.get("id", ""))
        if own is not None:
            _label(group, own)
    ids = {own: f"{prefix}-{number}" for number, own in enumerate(dict.fromkeys(_references(root)))}
    for element in root.iter():
        _adapt(element, ids)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    if labels:
        root.attrib |= {"tabindex": "0", "data-points": ""}
    return ET.tostring(root, encoding="unicode")


def _remove(root: ET.Element, tag: str) -> None:
    for parent in list(root.iter()):
        for child in parent.findall(tag):
            parent.remove(child)


def _label(group: ET.Element, labels: Sequence[str]) -> None:
    """Label each point; matplotlib writes them in the order of the data. A style they share moves to the group."""
    hidden = {shape for defs in group.iter(f"{_SVG}defs") for shape in defs.iter()}
    points = [one for one in group.iter() if one.tag in (f"{_SVG}use", f"{_SVG}path") and one not in hidden]
    looks = {point.get("style", "") for point in points}
    for point, label in zip(points, labels, strict=True):
        point.set("data-label", label)
        if len(looks) == 1:
            point.attrib.pop("style", None)
    if len(looks) == 1:
        group.set("style", looks.pop())


def _references(root: ET.Element) -> Iterator[str]:
    """The ids that are referred to."""
    for element in root.iter():
        target = element.get(f"{_XLINK}href")
        if target is not None:
            yield target.removeprefix("#")
        for value in element.attrib.values():
            yield from _REFERENCE.findall(value)


def _adapt(element: ET.Element, ids: Mapping[str, str]) -> None:
    """Plain tags, unique ids, coordinates to a hundredth of a point, colours and fonts of the page.

    ids: the new ids of the elements that are referred to, by their own.
    """
    element.tag = element.tag.removeprefix(_SVG)
    if element.tag != "text" and element.tag != "tspan":
        element.text = None
    element.tail = None
    own = element.attrib.pop("id", None)
    if own is not None and own in ids:
        element.set("id", ids[own])
    fill = element.attrib.pop("fill", None)  # of hatching; an attribute cannot hold a CSS variable
    if fill is not None:
        element.set("style", f"fill: {fill}; {element.get('style', '')}".rstrip("; "))
    target = element.attrib.pop(f"{_XLINK}href", None)
    if target is not None:
        element.set("href", f"#{ids[target.removeprefix('#')]}")
    for key, value in element.attrib.items():
        if key in _GEOMETRY:
            value = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", value).replace("\n", "").strip()
        if key == "style":
            value = _COLOUR.sub(lambda colour: f"var({VARIABLES[colour[0]]})", _FONT.sub("", value))
        if key != "data-label":
            value = _REFERENCE.sub(lambda reference: f"url(#{ids[reference[1]]})", value)
        element.set(key, value)
