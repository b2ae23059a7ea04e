"""Slices of a report on detections: their images, metrics and sizes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluated, Evaluation
from longtail_cli.evaluation.slices import Sliceable, evaluation_within, slice_metrics
from longtail_cli.files.slices import read_slices, slices_of
from longtail_cli.metrics import Metrics
from longtail_cli.reports.model import GroupSize, Report
from longtail_cli.tables import GroundTruth, Longs, Slices
from longtail_cli.workflow.category_rows import group_sizes, images_behind
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.names import images_named

_SHOWN = 5
_FIX = "pass the annotations that the slices were made for, or correct the slices"


def load_slices(source: Any) -> Slices:
    """The slices of a path, or of data in memory (`slices_of`)."""
    return read_slices(source) if isinstance(source, Path) else slices_of(source)


@dataclass(frozen=True, slots=True)
class ImageSlices:
    """Slices whose images were found in the annotations."""

    images: Mapping[str, Longs]
    """By name of the slice, the indices of its images: int64 [n], ascending, n >= 1."""
    draws: Draws | None
    """Resamples of the whole set, or None."""

    def added(self, outcome: Outcome, evaluations: Sequence[Evaluation], found: Sequence[Evaluated]) -> Outcome:
        """The outcome of a run with its metrics on each slice. found: of each of `evaluations`."""
        slices: dict[str, Mapping[str, Metrics]] = {}
        resampled = dict(outcome.resampled)
        runs = [(evaluation, Sliceable.of(one.matched)) for evaluation, one in zip(evaluations, found, strict=True)]
        for name, images in self.images.items():
            by_type: dict[str, Metrics] = {}
            for evaluation, run in runs:
                own = slice_metrics(evaluation, run, images, self.draws)
                by_type[evaluation.iou_type] = own.metrics
                prefix = f"slices/{name}/{evaluation.iou_type}"
                resampled |= {f"{prefix}/{metric}": values for metric, values in own.resampled.items()}
            slices[name] = by_type
        return replace(outcome, run=replace(outcome.run, slices=slices), resampled=resampled)

    def described(self, report: Report, evaluation: Evaluation) -> Report:
        """The report with the size and the digest of each slice, and a note on those without ground truth."""
        sizes = {name: group_sizes(evaluation_within(evaluation, one))["all"] for name, one in self.images.items()}
        ids = evaluation.ground_truth.image_id
        digests = {name: sha256(ids[one].astype("<i8").tobytes()).hexdigest() for name, one in self.images.items()}
        return replace(
            report,
            slices=sizes,
            signature=replace(report.signature, slices_sha256=digests),
            notes=(*report.notes, *_notes(sizes)),
        )

    def images_behind(self, evaluation: Evaluation) -> dict[str, float]:
        """On how many images the metrics of slices effectively rest; see `Bootstrap.images`."""
        found: dict[str, float] = {}
        for name, images in self.images.items():
            within = evaluation_within(evaluation, images)
            sizes, effective = group_sizes(within), images_behind(within)
            found |= {f"slices/{name}/{part}": effective[part] for part in sizes}
            if evaluation.options.pooled_ap:
                found |= {f"slices/{name}/pooled/{part}": float(size.images) for part, size in sizes.items()}
        return found


def image_slices(slices: Slices, truth: GroundTruth, draws: Draws | None) -> ImageSlices:
    """The slices with the images that the annotations hold. Raises InputError for images that they do not."""
    if slices.key == "row":
        problem = Problem("columns", "`image_id` or `file_name`", "`row`, which is for the rows of a classifier")
        raise InputError(slices.source, [problem], "state the ids of the images as the annotations do")
    ids = slices.member
    if slices.key == "file_name":
        ids = images_named(slices.file_names, np.arange(len(slices.file_names)), truth, slices.source)[ids]
    index = np.minimum(np.searchsorted(truth.image_id, ids), len(truth.image_id) - 1)
    unknown = truth.image_id[index] != ids
    if unknown.any():
        raise _unknown(slices, ids, unknown, truth)
    parts = zip(slices.name, np.split(index, slices.start[1:-1]), strict=True)
    return ImageSlices({name: np.sort(part) for name, part in parts}, draws)


def _unknown(slices: Slices, ids: Longs, unknown: np.ndarray[Any, Any], truth: GroundTruth) -> InputError:
    """The error of ids that no image has, slice by slice."""
    problems = []
    cuts = slices.start[1:-1]
    for name, own, wrong in zip(slices.name, np.split(ids, cuts), np.split(unknown, cuts), strict=True):
        if wrong.any():
            found = f"{wrong.sum():,} of {len(own):,} that no image has: {first_few(own[wrong])}"
            problems.append(Problem(f"slice {name}", f"ids of images in {truth.source}", found))
    return InputError(slices.source, problems, _hint(ids, truth) or _FIX)


def first_few(numbers: Longs) -> str:
    """The first five of them, for messages."""
    return ", ".join(map(str, numbers[:_SHOWN].tolist())) + (", ..." if len(numbers) > _SHOWN else "")


def _hint(ids: Longs, truth: GroundTruth) -> str | None:
    """What would make the ids fit, if there is anything."""
    for offset in (1, -1):
        if np.isin(ids + offset, truth.image_id).all():
            first, then = int(ids[0]), int(ids[0]) + offset
            return f"add {offset} to every id: each is that of an image then, {first} becomes {then}"
    if (ids >= 0).all() and (ids < len(truth.image_id)).all():
        return "write the ids or the file names of the images; these numbers look like positions in a list, from 0"
    return None


def _notes(sizes: Mapping[str, GroupSize]) -> tuple[str, ...]:
    empty = [name for name, size in sizes.items() if size.instances == 0]
    if not empty:
        return ()
    return (f"metrics are undefined in slices whose images have no ground truth that counts: {', '.join(empty)}",)
