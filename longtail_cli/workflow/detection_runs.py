"""Detections evaluated one set after another, as the runs of a report.

Importing this module imports numba; `reporting` hashes the files meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail_cli.evaluate.bootstrap.resampling import Draws
from longtail_cli.evaluate.evaluation import Evaluation, Figures, load_kernels
from longtail_cli.evaluate.geometry import Overlaps, rows_of
from longtail_cli.evaluate.options import EvaluationOptions, IouType
from longtail_cli.evaluate.protocol import Protocol
from longtail_cli.evaluate.reliability import IOU_THRESHOLD, ReliabilityMetrics, are_confidences
from longtail_cli.evaluate.selection import images_over
from longtail_cli.evaluate.tide import Breakdown
from longtail_cli.files.results.file import held_fields, locate, read_results
from longtail_cli.files.source import printable
from longtail_cli.metrics import DetectionBin, Reliability, Tide, TideGains
from longtail_cli.reports.model import Run
from longtail_cli.tables import Detections, Longs, Masks, Results
from longtail_cli.workflow.category_rows import TrainCounts, category_rows
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.options import kind_of
from longtail_cli.workflow.progress import Progress, bytes_progress

__all__ = [
    "Draws",
    "Evaluation",
    "EvaluationOptions",
    "RunInput",
    "Source",
    "evaluate_sources",
    "held_iou_types",
    "load_kernels",
    "read_in_turn",
]

IOU_FIELDS: dict[IouType, str] = {"bbox": "bbox", "segm": "masks"}
"""The field of a result file that each IoU type is measured on."""


def held_iou_types(path: Path) -> tuple[IouType, ...]:
    """What a file can be evaluated on; boxes where it is empty, and for logits."""
    if kind_of(path) == "logits":
        return ("bbox",)
    held = held_fields(path)
    return tuple(iou_type for iou_type, field in IOU_FIELDS.items() if field in held) or ("bbox",)


def read_in_turn(
    predictions: Sequence[Path], types: Iterable[IouType], pool: ThreadPoolExecutor, progress: Progress
) -> Iterator[Results]:
    """The result files one after another; the first is begun at once, each other one while its forerunner is in use."""
    fields = frozenset(IOU_FIELDS[iou_type] for iou_type in types)
    ahead = [
        pool.submit(read_results, path, fields=fields, advance=bytes_progress(progress, "reading", [path]))
        for path in predictions[:1]
    ]

    def iterate() -> Iterator[Results]:
        for path in (*predictions[1:], None):
            results = ahead.pop().result()
            if path is not None:
                ahead.append(pool.submit(read_results, path, fields=fields))
            yield results

    return iterate() if predictions else iter(())


@dataclass(frozen=True, slots=True)
class RunInput:
    """What one run evaluates.

    method: the spec of what was done to the scores here, or None. notes: what a reader should know of it.
    """

    name: str
    method: str | None
    results: Results
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Source:
    """One file with its candidates: the same detections with other scores or, from logits, others of the same boxes.

    place: for each candidate int64 [N], equal for equal boxes; None where all candidates hold the same boxes in
        the same order.
    """

    path: Path
    sha256: str | None
    candidates: tuple[RunInput, ...]
    place: tuple[Longs, ...] | None = None


def evaluate_sources(
    evaluations: Sequence[Evaluation], sources: Iterable[Source], train: TrainCounts | None, progress: Progress
) -> tuple[Outcome, ...]:
    """A run for each candidate; geometry is computed once a source, and again only where boxes or masks differ."""
    outcomes: list[Outcome] = []
    before: Detections | None = None
    geometry: list[Overlaps] = []
    for source in sources:
        found = [locate(candidate.results, evaluations[0].ground_truth) for candidate in source.candidates]
        shared = None if source.place is None else _dealt_out(evaluations, found, source.place)
        for number, (candidate, detections) in enumerate(zip(source.candidates, found, strict=True)):
            progress(f"evaluating {candidate.name}", None)
            if shared is not None:
                geometry = shared[number]
            elif before is None or not _same_places(before, detections):
                geometry = [one.geometry(detections) for one in evaluations]
            figures = [one.figures(detections, pairs) for one, pairs in zip(evaluations, geometry, strict=True)]
            run = _run(evaluations, figures, detections, source, candidate, train)
            resampled = {name: values for one in figures for name, values in (one.resampled or {}).items()}
            outcomes.append(Outcome(run, resampled))
            before = None if shared is not None else detections
    return tuple(outcomes)


def _dealt_out(
    evaluations: Sequence[Evaluation], found: Sequence[Detections], place: Sequence[Longs]
) -> list[list[Overlaps]]:
    """The overlaps of each set of detections, for each evaluation; those of a box are computed once."""
    everything = np.concatenate(place)
    _, first = np.unique(everything, return_index=True)
    known = everything[first]
    image, bbox = (np.concatenate([getattr(one, name) for one in found])[first] for name in ("image", "bbox"))
    nothing = np.zeros(len(first))
    boxes = Detections(image, np.zeros(len(first), np.int32), nothing, bbox, nothing, None, "")
    pairs = [one.geometry_of_boxes(boxes) for one in evaluations]
    rows = [np.searchsorted(known, own) for own in place]
    return [[rows_of(one, row) for one in pairs] for row in rows]


def _same_places(one: Detections, other: Detections) -> bool:
    """Whether the two hold the same boxes and masks of the same categories in the same order."""
    columns = ("image", "category", "bbox")
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns):
        return False
    if one.masks is None or other.masks is None:
        return one.masks is other.masks
    return _same_masks(one.masks, other.masks)


def _same_masks(one: Masks, other: Masks) -> bool:
    columns = ("size", "start", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)


def _run(
    evaluations: Sequence[Evaluation],
    figures: Sequence[Figures],
    detections: Detections,
    source: Source,
    candidate: RunInput,
    train: TrainCounts | None,
) -> Run:
    types = [one.iou_type for one in evaluations]
    return Run(
        name=candidate.name,
        source=printable(str(source.path)),
        sha256=source.sha256,
        method=candidate.method,
        metrics={iou_type: _metrics(found) for iou_type, found in zip(types, figures, strict=True)},
        tide={
            iou_type: _tide(found.tide, found.tide_groups, one.options.tide)
            for iou_type, found, one in zip(types, figures, evaluations, strict=True)
            if found.tide is not None and found.tide_groups is not None
        },
        categories=category_rows(evaluations, figures, train),
        notes=(_cap_note(detections, evaluations[0].protocol), *_score_note(evaluations, detections), *candidate.notes),
        reliability={
            iou_type: _reliability(found.reliability)
            for iou_type, found in zip(types, figures, strict=True)
            if found.reliability is not None
        },
    )


def _metrics(figures: Figures) -> dict[str, float | Mapping[str, float | None] | None]:
    metrics: dict[str, float | Mapping[str, float | None] | None] = dict(figures.headline)
    if figures.fixed is not None:
        metrics["APfixed"] = figures.fixed
    if figures.pooled is not None:
        metrics["APpool"] = figures.pooled
    return metrics


def _tide(overall: Breakdown, groups: Mapping[str, Breakdown], mode: str) -> Tide:
    by_group = {name: TideGains(one.ap50, one.main, one.special) for name, one in groups.items()}
    return Tide(mode, overall.ap50, overall.main, overall.special, by_group)


def _reliability(found: ReliabilityMetrics) -> Reliability:
    bins = {
        group: tuple(DetectionBin(one.count, one.confidence, one.precision, one.iou) for one in of_group)
        for group, of_group in found.bins.items()
    }
    return Reliability(IOU_THRESHOLD, found.errors, bins)


def _score_note(evaluations: Sequence[Evaluation], detections: Detections) -> tuple[str, ...]:
    if not evaluations[0].options.reliability or are_confidences(detections.score):
        return ()
    return ("D-ECE and LaECE are undefined: some scores lie outside [0, 1]",)


def _cap_note(detections: Detections, protocol: Protocol) -> str:
    number, cap = len(detections), protocol.max_dets
    if protocol.name == "coco":
        return f"{number} detections; the cap of {cap} is per image and category"
    reach, exceed = images_over(detections, cap)
    note = f"{number} detections; {reach} images reach the cap of {cap}, {exceed} exceed it"
    if exceed:
        return note
    return f"{note}: a correction that keeps the order within each category cannot change per-category AP"
