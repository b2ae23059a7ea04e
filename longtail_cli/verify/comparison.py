"""Verification of a report: the same files evaluated by the official packages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail_cli.choices import IOU_TYPES, IouType, ProtocolName
from longtail_cli.errors import Problem, VerificationError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.metrics import Metrics, Tide
from longtail_cli.reports.model import Report, Run, Signature
from longtail_cli.verify.official import compare, official_coco, official_lvis, official_tide

TOLERANCE = 1e-9
"""The largest difference that counts as agreement."""


def verify(report: Report, predictions: Sequence[Path], annotations: Path, frequencies: Path | None = None) -> None:
    """Raise VerificationError if a metric of `report` differs from the official value by more than `TOLERANCE`.

    predictions, annotations, frequencies: the files that the report was made from. AP and AR, overall and by category
    if the report has them, are compared with lvis or pycocotools, and TIDE of mode ``tidecv`` with tidecv. Fixed AP,
    pooled AP and `aligned` TIDE are not compared. Raises MissingExtraError if a package is not installed.
    """
    table = None if frequencies is None else read_frequencies(frequencies)
    groups = None if table is None else dict(zip(table.category_id.tolist(), table.group, strict=True))
    problems = [
        problem
        for path, run in zip(predictions, report.runs, strict=True)
        for iou_type in IOU_TYPES
        if iou_type in report.signature.iou_types
        for problem in _differences(report.signature, run, iou_type, annotations, path, groups)
    ]
    if problems:
        fix = "please report this with the two files; until this is resolved, trust the official value"
        raise VerificationError("`verify=`", problems, fix)


def _differences(
    signature: Signature, run: Run, iou_type: IouType, annotations: Path, path: Path, groups: Mapping[int, str] | None
) -> list[Problem]:
    """The metrics of one run and IoU type that differ from the official values."""
    if signature.max_dets is None:
        raise ValueError("there is no official package for classification")
    if signature.protocol == "lvis":
        official = official_lvis(annotations, path, iou_type, signature.max_dets, groups)
    else:
        official = official_coco(annotations, path, iou_type, signature.max_dets)
    rows = list(compare(run.metrics[iou_type], official.metrics, TOLERANCE))
    ours = {f"AP of category {row.id}": row.metrics[iou_type]["AP"] for row in run.categories}
    theirs = {f"AP of category {category}": ap for category, ap in official.categories.items()}
    rows += compare(ours, theirs, TOLERANCE) if run.categories else ()
    tide = run.tide.get(iou_type)
    if tide is not None and tide.protocol == "tidecv":
        protocol: ProtocolName = "lvis" if signature.protocol == "lvis" else "coco"
        rows += compare(_as_mapping(tide), official_tide(annotations, path, iou_type, protocol), TOLERANCE)
    return [Problem(f"{run.name}, {iou_type}, {row.name}", f"{row.official!r}", f"{row.ours!r}") for row in rows]


def _as_mapping(tide: Tide) -> Metrics:
    return {"AP50": tide.AP50, "main": tide.main, "special": tide.special}
