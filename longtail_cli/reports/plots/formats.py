"""Pictures as PNG and PDF for papers, and as SVG for the page. The same picture gives the same bytes."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from xml.etree import ElementTree as ET

from longtail_cli.reports.plots import style
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.style import styled


def as_png(picture: Plot) -> bytes:
    """300 dots an inch. Raises MissingExtraError where matplotlib is not installed."""
    content = io.BytesIO()
    with styled("--plots", "plots"):
        picture.draw().figure.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def as_pdf(picture: Plot) -> bytes:
    """Vectors, with the font embedded as Type 42. Raises MissingExtraError where matplotlib is not installed."""
    content = io.BytesIO()
    with styled("--plots", "plots"):
        picture.draw().figure.savefig(content, format="pdf", metadata={"CreationDate": None})
    return content.getvalue()


def as_svg(picture: Plot) -> str:
    """An ``<svg>`` element for a page that defines the colours of `svg.VARIABLES`; its ids begin with the name.

    Dots carry what they are called in ``data-label``. Raises MissingExtraError where matplotlib is not installed.
    """
    content = io.StringIO()
    with styled("--html", "html"):
        drawing = picture.draw()
        drawing.figure.savefig(content, format="svg", metadata={"Date": None})
    return inline(content.getvalue(), picture.name, picture.alt, drawing.labels)


VARIABLES = {
    style.INK: "--ink", style.MUTED: "--muted", style.GREY: "--grey", style.LINE: "--line", style.PAPER: "--paper",
    style.BLUE: "--blue", style.ORANGE: "--orange", style.GREEN: "--green", style.VERMILLION: "--vermillion",
    style.SKY: "--sky", style.PURPLE: "--purple",
}  # fmt: skip
"""The colours of the pictures, and what the page calls them, as it has others of its own for dark surroundings."""

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COLOUR = re.compile("|".join(VARIABLES))
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_FONT = re.compile(r"font-family: [^;]*;?\s*")
_GEOMETRY = ("d", "x", "y", "transform", "points", "width", "height")


def inline(text: str, name: str, alt: str, labels: Mapping[str, Sequence[str]]) -> str:
    """The ``<svg>`` element of a document that matplotlib wrote.

    name: what ids begin with, so that they are unique in a page. labels: by id of a group, what its dots are called.
    """
    root = ET.fromstring(text)
    for tag in ("metadata", "style"):
        _remove(root, f"{_SVG}{tag}")
    for group in root.iter(f"{_SVG}g"):
        called = labels.get(group.get("id", ""))
        if called is not None:
            _label(group, called)
    used = set(_references(root))
    for element in root.iter():
        _adapt(element, name, used)
    for attribute in ("width", "height", "version"):
        root.attrib.pop(attribute, None)
    root.attrib |= {"role": "img", "aria-label": alt}
    if labels:
        root.attrib |= {"tabindex": "0", "data-dots": ""}
    return ET.tostring(root, encoding="unicode")


def _remove(root: ET.Element, tag: str) -> None:
    for parent in list(root.iter()):
        for child in parent.findall(tag):
            parent.remove(child)


def _label(group: ET.Element, called: Sequence[str]) -> None:
    """Say of each dot what it is; matplotlib writes them in the order of the data. A shared style is moved up."""
    hidden = {shape for defs in group.iter(f"{_SVG}defs") for shape in defs.iter()}
    dots = [one for one in group.iter() if one.tag in (f"{_SVG}use", f"{_SVG}path") and one not in hidden]
    looks = {dot.get("style", "") for dot in dots}
    for dot, label in zip(dots, called, strict=True):
        dot.set("data-label", label)
        if len(looks) == 1:
            dot.attrib.pop("style", None)
    if len(looks) == 1:
        group.set("style", looks.pop())


def _references(root: ET.Element) -> Iterator[str]:
    """The ids that something points to."""
    for element in root.iter():
        target = element.get(f"{_XLINK}href")
        if target is not None:
            yield target.removeprefix("#")
        for value in element.attrib.values():
            yield from _REFERENCE.findall(value)


def _adapt(element: ET.Element, name: str, used: set[str]) -> None:
    """Plain tags, own ids, coordinates to a hundredth of a point, colours and fonts of the page."""
    element.tag = element.tag.removeprefix(_SVG)
    if element.tag != "text" and element.tag != "tspan":
        element.text = None
    element.tail = None
    identity = element.attrib.pop("id", None)
    if identity in used:
        element.set("id", f"{name}-{identity}")
    target = element.attrib.pop(f"{_XLINK}href", None)
    if target is not None:
        element.set("href", f"#{name}-{target.removeprefix('#')}")
    for key, value in element.attrib.items():
        if key in _GEOMETRY:
            value = _NUMBER.sub(lambda number: f"{float(number[0]):.2f}", value).replace("\n", "").strip()
        if key == "style":
            value = _COLOUR.sub(lambda colour: f"var({VARIABLES[colour[0]]})", _FONT.sub("", value))
        if key != "data-label":
            value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
        element.set(key, value)
