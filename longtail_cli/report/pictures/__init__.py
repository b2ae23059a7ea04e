"""The pictures of a report, drawn once for pages and papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from longtail_cli.report.model import Report
from longtail_cli.report.pictures import by_frequency, changes, frequency, groups, reliability, tide
from longtail_cli.report.pictures.formats import as_pdf, as_png, as_svg
from longtail_cli.report.pictures.picture import Picture
from longtail_cli.tables import Floats

__all__ = ["Picture", "as_pdf", "as_png", "as_svg", "pictures_of", "rendered"]


def pictures_of(report: Report, weights: Mapping[str, Floats]) -> list[Picture]:
    """The pictures that the report has figures for, in reading order; nothing is drawn yet.

    weights: curves float64 [C] by name, in order of the categories of the report's first run; may be empty.
    """
    found: list[Picture] = []
    for kind in report.signature.iou_types or ("classification",):
        found += groups.pictures(report, kind)
        found += by_frequency.pictures(report, kind)
        found += changes.pictures(report, kind)
        found += reliability.pictures(report, kind)
        found += tide.pictures(report, kind) if kind != "classification" else []
    return found + frequency.pictures(report, weights)


def rendered(report: Report, weights: Mapping[str, Floats], file_format: Literal["png", "pdf"]) -> dict[str, bytes]:
    """The pictures by name without suffix. Raises MissingExtraError where matplotlib is not installed."""
    draw = {"png": as_png, "pdf": as_pdf}[file_format]
    return {picture.name: draw(picture) for picture in pictures_of(report, weights)}
