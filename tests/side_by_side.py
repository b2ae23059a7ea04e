"""Our metrics in the form of the official ones, for the tests that compare the two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from longtail_cli.verify.official import OfficialMetrics, compare

METRICS_TOLERANCE = 1e-12
TIDE_TOLERANCE = 1e-9


def ours(
    annotations: Path, predictions: Path, protocol: str, iou_type: str, *, max_dets: int | None = None
) -> OfficialMetrics:
    """The metrics of a report on one result file."""
    run = _run(annotations, predictions, protocol, iou_type, max_dets, "off")
    return OfficialMetrics(dict(run.metrics[iou_type]), {row.id: row.metrics[iou_type]["AP"] for row in run.categories})


def our_tide(
    annotations: Path, predictions: Path, protocol: str, iou_type: str, *, mode: str, max_dets: int | None = None
) -> dict[str, Any]:
    """The TIDE breakdown of a report: AP50, main, special, false_positives, and groups of the same."""
    tide = _run(annotations, predictions, protocol, iou_type, max_dets, mode).tide[iou_type]
    return _breakdown(tide) | {"groups": {name: _breakdown(group) for name, group in tide.groups.items()}}


def assert_same_metrics(one: OfficialMetrics, official: OfficialMetrics) -> None:
    """Every metric and the AP of every category, to 1e-12; undefined on both sides or on neither."""
    assert compare(one.metrics, official.metrics, METRICS_TOLERANCE) == ()
    assert one.categories.keys() == official.categories.keys()
    assert compare(_named(one), _named(official), METRICS_TOLERANCE) == ()


def _named(metrics: OfficialMetrics) -> dict[str, float | None]:
    return {f"category {category}": ap for category, ap in metrics.categories.items()}


def _run(annotations: Path, predictions: Path, protocol: str, iou_type: str, max_dets: int | None, tide: str) -> Any:
    from longtail_cli.evaluation.options import EvaluationOptions
    from longtail_cli.workflow.report_detection import evaluate

    options = EvaluationOptions(
        protocol=protocol, iou_types=(iou_type,), max_dets=max_dets, tide=tide, per_category=True
    )
    return evaluate([predictions], annotations, options=options).runs[0]


def _breakdown(tide: Any) -> dict[str, Any]:
    parts = {name: dict(getattr(tide, name)) for name in ("main", "special", "false_positives")}
    return {"AP50": tide.AP50, **parts}
