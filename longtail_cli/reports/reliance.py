"""On how many images the metrics of a report rest."""

from __future__ import annotations

from longtail_cli.metrics import LEAST_IMAGES
from longtail_cli.reports.metric_names import counts_images_alike, is_resampled, part_of, slice_of
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
    part, images, found = part_of(metric), report.bootstrap.images, slice_of(metric)
    if found is not None:
        return images.get(f"slices/{found}/{'pooled/' if counts_images_alike(metric) else ''}{part}")
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
    """Which intervals are withheld, in a sentence for all images and in one for all slices."""
    images = {} if report.bootstrap is None else report.bootstrap.images
    few = {name: number for name, number in images.items() if 0 < number < LEAST_IMAGES}
    whole = [_rests(part, number) for part, number in few.items() if part in PARTS]
    by_slice: dict[str, list[str]] = {}
    for path, number in few.items():
        match path.split("/"):
            case ["slices", name, part] if part in PARTS:
                by_slice.setdefault(name, []).append(_rests(part, number))
    sliced = "; ".join(f"{name}, {', '.join(numbers)}" for name, numbers in by_slice.items())
    why = f"for metrics that effectively rest on fewer than {LEAST_IMAGES:g} images"
    notes = {f"no intervals {why}": ", ".join(whole), f"no intervals in slices {why}": sliced}
    return tuple(f"{words}: {shown}" for words, shown in notes.items() if shown)


def _rests(part: str, number: float) -> str:
    return f"{number:.1f} for {PARTS[part]}"
