"""Our figures in the form of the official ones, for the tests that put the two side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail_cli.verify.official import OfficialMetrics, compare

FIGURES_TOLERANCE = 1e-12
TIDE_TOLERANCE = 1e-9

Breakdown = dict[str, Any]


def ours(
    annotations: Path, predictions: Path, protocol: str, iou_type: str, *, max_dets: int | None = None
) -> OfficialMetrics:
    """What `longtail_cli.workflow.report` says of one result file."""
    run = _run(annotations, predictions, protocol, iou_type, max_dets, "off")
    return OfficialMetrics(dict(run.metrics[iou_type]), {row.id: row.metrics[iou_type]["AP"] for row in run.categories})


def our_tide(
    annotations: Path, predictions: Path, protocol: str, iou_type: str, *, mode: str, max_dets: int | None = None
) -> Breakdown:
    """The breakdown of `longtail_cli.workflow.report`: AP50, main, special, and groups of the same."""
    tide = _run(annotations, predictions, protocol, iou_type, max_dets, mode).tide[iou_type]
    return _breakdown(tide) | {"groups": {name: _breakdown(group) for name, group in tide.groups.items()}}


def assert_same_figures(one: OfficialMetrics, official: OfficialMetrics) -> None:
    """Every figure and the AP of every category, to 1e-12; undefined ones undefined on both sides."""
    assert compare(one.metrics, official.metrics, FIGURES_TOLERANCE) == ()
    assert one.categories.keys() == official.categories.keys()
    assert compare(_named(one), _named(official), FIGURES_TOLERANCE) == ()


def _named(figures: OfficialMetrics) -> dict[str, float | None]:
    return {f"category {category}": ap for category, ap in figures.categories.items()}


def _run(annotations: Path, predictions: Path, protocol: str, iou_type: str, max_dets: int | None, tide: str) -> Any:
    from longtail_cli.evaluate.options import EvaluationOptions
    from longtail_cli.workflow.report_detection import evaluate

    choices = EvaluationOptions(
        protocol=protocol, iou_types=(iou_type,), max_dets=max_dets, tide=tide, per_category=True
    )
    return evaluate([predictions], annotations, choices=choices).runs[0]


def _breakdown(tide: Any) -> Breakdown:
    return {"AP50": tide.AP50, "main": dict(tide.main), "special": dict(tide.special)}
