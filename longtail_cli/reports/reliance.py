"""On how many images the metrics of a report rest."""

from __future__ import annotations

from longtail_cli.metrics import LEAST_IMAGES
from longtail_cli.reports.metric_names import counts_images_alike, is_resampled, part_of
from longtail_cli.reports.model import Report

PARTS = {
    "all": "all categories",
    "r": "rare categories",
    "c": "common categories",
    "f": "frequent categories",
    "s": "small objects",
    "m": "medium objects",
    "l": "large objects",
    "many": "many-shot classes",
    "medium": "medium-shot classes",
    "few": "few-shot classes",
}


def effective_images(report: Report, metric: str) -> float | None:
    """The number of images that a metric effectively rests on; None if it has no intervals, and in older reports.

    A mean over categories rests on fewer images than the data has if some categories are in few of them.
    """
    if report.bootstrap is None or not is_resampled(metric, report.signature.tide):
        return None
    part, images = part_of(metric), report.bootstrap.images
    if images and counts_images_alike(metric) and part in report.groups:
        return float(report.groups[part].images)
    return images.get(part)


def is_withheld(report: Report, metric: str) -> bool:
    """Whether a metric rests on too few images for an interval."""
    images = effective_images(report, metric)
    return images is not None and images < LEAST_IMAGES


def reliance(report: Report, metric: str) -> str:
    """What a metric rests on, for sentences: ``effectively rests on 2.3 images``."""
    return f"effectively rests on {effective_images(report, metric) or 0.0:.1f} images"


def withheld_notes(report: Report) -> tuple[str, ...]:
    """One sentence for each part of the data whose intervals are withheld."""
    images = {} if report.bootstrap is None else report.bootstrap.images
    return tuple(
        f"no intervals for metrics of {PARTS[part]}: they effectively rest on {number:.1f} images, and need "
        f"{LEAST_IMAGES:g}"
        for part, number in images.items()
        if 0 < number < LEAST_IMAGES
    )
