"""Names of metrics: the paths of the JSON, without the words that only structure it.

``bbox/APr``, ``bbox/APfixed/APr``, ``tide/bbox/FalsePos``, ``tide/bbox/r/Bkg``, ``tide/bbox/FP@R60``,
``reliability/bbox/D-ECE``, ``classification/top1``, ``categories/17/bbox/AP``, ``slices/night/bbox/AP``.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Iterator, Mapping

from longtail_cli.metrics import Classification, Tide, TideGains, Value
from longtail_cli.reports.format import is_count
from longtail_cli.reports.model import Run

STRUCTURE = frozenset({"metrics", "main", "special", "false_positives", "groups", "errors", "all"})
"""Words of the JSON paths that names omit; paths with them are understood too."""

_PART = re.compile(
    r"(?:bbox|segm)/(?:\w+/)?AP([rcfsml])|(?:bbox|segm)/AR([sml])@\d+|(?:tide|reliability)/\w+/([rcf])/.*"
    r"|classification/(many|medium|few)"
)
_SIZES = ("s", "m", "l")
_ALIKE = re.compile(r"(?:bbox|segm)/APpool/\w+|classification/(?:top1|top5|ece|nll|brier)")

LOWER_IS_BETTER = ("tide/", "reliability/", "classification/ece", "classification/classwise_ece", "classification/nll",
                   "classification/brier")  # fmt: skip


def canonical(path: str) -> str:
    """The name of the metric at a JSON path inside a run."""
    found = slice_of(path.strip("/"))
    if found is not None:  # a slice may have the name of a structure
        return f"slices/{found}/{canonical(within_slice(path.strip('/')))}"
    return "/".join(part for part in path.strip("/").split("/") if part not in STRUCTURE)


def slice_of(name: str) -> str | None:
    """The slice that a metric is of; None for those of all images."""
    kind, *path = name.split("/")
    return path[0] if kind == "slices" and len(path) > 1 else None


def within_slice(name: str) -> str:
    """The name of a metric without its slice: ``bbox/AP`` of ``slices/night/bbox/AP``; others as they are."""
    return name if slice_of(name) is None else name.split("/", 2)[2]


def part_of(name: str) -> str:
    """What a metric is about: a frequency group (``r``, ``few``), an object size (``s``, ``m``, ``l``), or ``all``."""
    match = _PART.fullmatch(within_slice(name))
    return next(filter(None, match.groups()), "all") if match else "all"


def counts_images_alike(name: str) -> bool:
    """Whether a metric is taken over all detections or rows together, rather than a mean over categories."""
    return _ALIKE.fullmatch(within_slice(name)) is not None


def is_resampled(name: str, tide: str) -> bool:
    """Whether a metric is computed for resamples. tide: the mode of the report."""
    if slice_of(name) is not None and part_of(name) in _SIZES:
        return False
    kind, *path = within_slice(name).split("/")
    if kind == "classification":
        return len(path) == 1 and path[0] != "classwise_ece"
    return kind in ("bbox", "segm") or (kind == "tide" and tide == "aligned")


def lower_is_better(name: str) -> bool:
    """Whether a metric is an error, a number of errors, or the gain from fixing them."""
    return within_slice(name).startswith(LOWER_IS_BETTER) and not name.endswith("/AP50")


def bounds_of(name: str) -> tuple[float, float]:
    """The lowest and highest possible value of a metric."""
    name = within_slice(name)
    if is_count(name):
        return 0.0, math.inf
    if name.startswith("tide/") and not name.endswith("/AP50"):
        return -1.0, 1.0
    return 0.0, math.inf if name in ("classification/nll", "classification/brier") else 1.0


def metrics_of(run: Run) -> dict[str, Value]:
    """Every metric of a run by its name; None if undefined."""
    return dict(_metrics(run))


def _metrics(run: Run) -> Iterator[tuple[str, Value]]:
    yield from _flat("", run.metrics)
    for iou_type, tide in run.tide.items():
        parts: dict[str, Tide | TideGains] = {"": tide, **{f"/{group}": gains for group, gains in tide.groups.items()}}
        for group, gains in parts.items():
            values = {"AP50": gains.AP50, **gains.main, **gains.special, **gains.false_positives}
            yield from _flat(f"tide/{iou_type}{group}/", values)
    for iou_type, reliability in run.reliability.items():
        for group, errors in reliability.errors.items():
            yield from _flat(canonical(f"reliability/{iou_type}/{group}") + "/", errors)
    if run.classification is not None:
        yield from _flat("classification/", _of_classification(run.classification))
    for name, metrics in run.slices.items():
        yield from _flat(f"slices/{name}/", metrics)
    for row in run.categories:
        yield from _flat(f"categories/{row.id}/", row.metrics)


def _of_classification(found: Classification) -> dict[str, object]:
    values = {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    return {name: value for name, value in values.items() if name != "reliability"}


def _flat(prefix: str, metrics: Mapping[str, object]) -> Iterator[tuple[str, Value]]:
    for name, value in metrics.items():
        if isinstance(value, Mapping):
            yield from _flat(f"{prefix}{name}/", value)
        elif value is None or isinstance(value, float | int):
            yield f"{prefix}{name}", value
