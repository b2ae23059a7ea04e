"""The best score thresholds as JSON, schema ``ltcal-thresholds/1``; see docs/formats.md."""

from __future__ import annotations

import msgspec

from longtail_cli.metrics import CategoryThresholds, OperatingPoint, Thresholds, Value
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.schema import Schema, indented

SCHEMA = Schema("ltcal-thresholds", 1, "file of thresholds", "ltcal report")

CHOSEN_HERE = (
    "the thresholds were chosen on these annotations, so their precision, recall, F1 and LRP are optimistic: on other "
    "images of the same kind expect worse"
)


class _Data(msgspec.Struct):
    """What the thresholds were chosen on, and by which rules."""

    annotations_sha256: str
    images: int
    split: str | None
    protocol: str
    max_dets: int | None


class _Point(msgspec.Struct, omit_defaults=True):
    """A threshold with what it keeps; `reason` only without a threshold."""

    threshold: Value
    precision: Value
    recall: Value


class _F1(_Point):
    F1: Value
    reason: str | None = None


class _LRP(_Point):
    LRP: Value
    localisation: Value
    reason: str | None = None


class _Points(msgspec.Struct):
    f1: _F1
    lrp: _LRP


class _Category(msgspec.Struct):
    id: int
    name: str
    group: str | None
    ground_truths: int
    detections: int
    f1: _F1
    lrp: _LRP


class _ByType(msgspec.Struct):
    """`overall`: one threshold for all categories; `mean`: over categories, each at its own."""

    iou_threshold: float
    overall: _Points
    mean: _Points
    categories: list[_Category]


class _Run(msgspec.Struct):
    name: str
    source: str
    sha256: str | None
    method: str | None
    thresholds: dict[str, _ByType]


class _Document(msgspec.Struct):
    format: str
    version: str
    chosen_on: _Data
    runs: list[_Run]
    notes: list[str]


def thresholds_json(report: Report) -> str:
    """The thresholds of all runs as indented JSON with one trailing newline; undefined values are ``null``."""
    signature = report.signature
    names = ("annotations_sha256", "images", "split", "protocol", "max_dets")
    data = _Data(*(getattr(signature, name) for name in names))
    runs = [_run(run, report) for run in report.runs]
    return indented(_Document(SCHEMA.format, signature.version, data, runs, [CHOSEN_HERE]))


def _run(run: Run, report: Report) -> _Run:
    by_type = {iou_type: _by_type(one) for iou_type, one in report.thresholds.get(run.name, {}).items()}
    return _Run(run.name, run.source, run.sha256, run.method, by_type)


def _by_type(one: Thresholds) -> _ByType:
    return _ByType(
        one.iou_threshold,
        _Points(_f1(one.f1), _lrp(one.lrp)),
        _Points(_f1(one.mean_f1), _lrp(one.mean_lrp)),
        [_category(row) for row in one.categories],
    )


def _category(row: CategoryThresholds) -> _Category:
    return _Category(row.id, row.name, row.group, row.ground_truths, row.detections, _f1(row.f1), _lrp(row.lrp))


def _f1(point: OperatingPoint) -> _F1:
    return _F1(point.threshold, point.precision, point.recall, point.value, point.reason)


def _lrp(point: OperatingPoint) -> _LRP:
    return _LRP(point.threshold, point.precision, point.recall, point.value, point.localisation, point.reason)
