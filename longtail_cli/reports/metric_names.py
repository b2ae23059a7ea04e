"""Names of metrics: the paths of the JSON, without the words that only structure it.

``bbox/APr``, ``bbox/APfixed/APr``, ``tide/bbox/FalsePos``, ``tide/bbox/r/Bkg``, ``tide/bbox/FP@R60``,
``reliability/bbox/D-ECE``, ``classification/top1``, ``categories/17/bbox/AP``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping

from longtail_cli.metrics import Classification, Tide, TideGains, Value
from longtail_cli.reports.format import is_count
from longtail_cli.reports.model import Run

STRUCTURE = frozenset({"metrics", "main", "special", "false_positives", "groups", "errors", "all"})
"""Words of the JSON paths that names omit; paths with them are understood too."""

LOWER_IS_BETTER = ("tide/", "reliability/", "classification/ece", "classification/classwise_ece", "classification/nll",
                   "classification/brier")  # fmt: skip


def canonical(path: str) -> str:
    """The name of the metric at a JSON path inside a run."""
    return "/".join(part for part in path.strip("/").split("/") if part not in STRUCTURE)


def lower_is_better(name: str) -> bool:
    """Whether a metric is an error, a number of errors, or the gain from fixing them."""
    return name.startswith(LOWER_IS_BETTER) and not name.endswith("/AP50")


def bounds_of(name: str) -> tuple[float, float]:
    """The lowest and highest possible value of a metric."""
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
