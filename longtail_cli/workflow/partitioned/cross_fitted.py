"""Other runs of a planned input: on some of its images alone, and with the method of its fold for each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation.selection import FIXED_AP_PER_CATEGORY
from longtail_cli.execution.base import NamedPart
from longtail_cli.files.results.rows import masks_at
from longtail_cli.tables import Bools, Detections, GroundTruth, Ints, Longs
from longtail_cli.tuning.folds import Folds
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.image_subset import truth_of
from longtail_cli.workflow.partitioned.image_parts import ImagePart, Loaded, Loader
from longtail_cli.workflow.partitioned.inputs import Planned, PlannedRun
from longtail_cli.workflow.tune_data import CrossFitted


def kept_images(planned: Planned, truth: GroundTruth, keep: Bools) -> Planned:
    """The input on some of the images of `truth`, bool [I], as if the annotations had no others.

    The detections of the others are read and left out, so that they are checked as in one process.
    """
    if keep.all():
        return planned
    image = np.sort(truth.image, kind="stable")
    kept = _Kept(keep, np.cumsum(keep) - 1, image, (np.cumsum(keep[image]) - 1).astype(np.int32))
    return replace(planned, parts=tuple(map(kept.part, planned.parts)))


@dataclass(frozen=True, slots=True)
class _Kept:
    """The images and objects that are kept, and their numbers."""

    keep: Bools
    """bool [I]."""
    number: Longs
    """int64 [I], of each image among those that are kept."""
    image: Ints
    """int32 [G], of each of the `Objects` of all images."""
    object: Ints
    """int32 [G], the number of each of the `Objects` among those that are kept."""

    def part(self, part: NamedPart[ImagePart]) -> NamedPart[ImagePart]:
        own = part.content
        keep, objects = self.keep[own.image], own.object[self.keep[self.image[own.object]]]
        kept = ImagePart(
            truth_of(own.truth, keep), self.number[own.image[keep]], self.object[objects],
            SomeImages(own.loader, own.truth, keep),
        )  # fmt: skip
        return replace(part, content=kept)


@dataclass(frozen=True, slots=True)
class SomeImages:
    """Loads a part and leaves out the detections of some images."""

    loader: Loader
    truth: GroundTruth
    """Of all images of the part."""
    keep: Bools
    """bool [i]."""

    def load(self, truth: GroundTruth) -> Loaded:
        """See `Loader`. truth: of the images that are kept."""
        loaded = self.loader.load(self.truth)
        number = (np.cumsum(self.keep) - 1).astype(np.int32)
        rows = [np.flatnonzero(self.keep[run.detections.image]) for run in loaded.source.runs]
        runs = []
        for run, row in zip(loaded.source.runs, rows, strict=True):
            kept = _rows_of(run.detections, row)
            runs.append(replace(run, detections=replace(kept, image=number[kept.image])))
        box_index = loaded.source.box_index
        if box_index is not None:
            box_index = tuple(own[row] for own, row in zip(box_index, rows, strict=True))
        file_row = tuple(own[row] for own, row in zip(loaded.file_row, rows, strict=True))
        return Loaded(replace(loaded.source, runs=tuple(runs), box_index=box_index), file_row)


def cross_fitted(
    planned: Planned, runs: Sequence[CrossFitted], specs: Sequence[str], folds: Folds, *, beyond_limit: bool
) -> Planned:
    """The input with these runs instead of one for each method.

    specs: of the methods of `planned`, in order. beyond_limit: whether logits were planned with detections beyond the
    limit per image.
    """
    number = {spec: index for index, spec in enumerate(specs)}
    best_known = beyond_limit and planned.from_logits
    methods = tuple(tuple(number[method.spec] for method in run.methods) for run in runs)
    names = tuple(run.name for run in runs)
    parts = tuple(
        replace(
            part,
            content=replace(
                part.content,
                loader=MethodOfFold(
                    part.content.loader,
                    names,
                    methods,
                    folds.fold[part.content.image],
                    best_known,
                ),
            ),
        )
        for part in planned.parts
    )
    return replace(planned, runs=tuple(PlannedRun(name, None, ()) for name in names), parts=parts)


@dataclass(frozen=True, slots=True)
class MethodOfFold:
    """Loads a part with a run for each method, and gives runs that take each image from the method of its fold."""

    loader: Loader
    names: tuple[str, ...]
    """Of the runs that it gives."""
    methods: tuple[tuple[int, ...], ...]
    """For each of these, the number of the method of each fold."""
    fold: Ints
    """int32 [i], of each image of the part."""
    best_known: bool
    """Whether of the detections of a method only the best of each category of the part are known."""

    def load(self, truth: GroundTruth) -> Loaded:
        """See `Loader`. Runs have no notes.

        Raises UsageError if Fixed AP or pooled AP could need detections of an image that its method has, but that other
        images of the part have better ones than.
        """
        loaded = self.loader.load(truth)
        if self.best_known and any(len(set(methods)) > 1 for methods in self.methods):
            _check_complete(loaded.source)
        chosen = [np.array(methods)[self.fold] for methods in self.methods]
        if loaded.source.box_index is None:
            runs = [_same_boxes(loaded.source, name, own) for name, own in zip(self.names, chosen, strict=True)]
            return Loaded(replace(loaded.source, runs=tuple(runs)), loaded.file_row[:1] * len(runs))
        first = _first_boxes(loaded.source, len(self.fold))
        taken = [_Taken.of(loaded, own, first) for own in chosen]
        return Loaded(
            replace(
                loaded.source,
                runs=tuple(RunInput(name, None, own.detections) for name, own in zip(self.names, taken, strict=True)),
                box_index=tuple(own.box for own in taken),
            ),
            tuple(own.file_row for own in taken),
        )


def _check_complete(source: Source) -> None:
    """Raise UsageError if a run may lack detections: the decoder keeps `FIXED_AP_PER_CATEGORY` of each category."""
    most = max((int(np.bincount(run.detections.category, minlength=1).max()) for run in source.runs), default=0)
    if most >= FIXED_AP_PER_CATEGORY:
        problem = Problem("detections of a category in a part", f"less than {FIXED_AP_PER_CATEGORY:,}", f"{most:,}")
        fix = "choose a smaller `memory=`, so that parts are smaller, or tune on a metric without APfixed and APpool"
        raise UsageError(source.name, [problem], fix)


def _same_boxes(source: Source, name: str, chosen: Ints) -> RunInput:
    """A run of a result file. chosen: int [i], the number of the run that each image is taken from."""
    detections = source.runs[0].detections
    score = np.empty(len(detections))
    for number, run in enumerate(source.runs):
        row = chosen[detections.image] == number
        score[row] = run.detections.score[row]
    return RunInput(name, None, replace(detections, score=score))


def _first_boxes(source: Source, images: int) -> Longs:
    """The first box of each image of which a run of logits has detections, by which images are in order: int64 [i]."""
    assert source.box_index is not None
    first = np.full(images, np.iinfo(np.int64).max)
    for run, box in zip(source.runs, source.box_index, strict=True):
        np.minimum.at(first, run.detections.image, box)
    return first


@dataclass(frozen=True, slots=True)
class _Taken:
    """A run of logits whose images are taken from several runs."""

    detections: Detections
    box: Longs
    """int64 [N], see `Source.box_index`."""
    file_row: Longs
    """int64 [N], see `Loaded`."""

    @classmethod
    def of(cls, loaded: Loaded, chosen: Ints, first: Longs) -> _Taken:
        """chosen: int [i], the number of the run that each image is taken from. first: see `_first_boxes`."""
        runs, boxes = [run.detections for run in loaded.source.runs], loaded.source.box_index
        assert boxes is not None
        rows = [np.flatnonzero(chosen[run.image] == number) for number, run in enumerate(runs)]
        columns: list[Sequence[npt.NDArray[Any]]] = [[run.image for run in runs], boxes, loaded.file_row]
        image, box, file_row = (
            np.concatenate([own[row] for own, row in zip(column, rows, strict=True)]) for column in columns
        )
        order = np.lexsort((file_row, first[image]))
        begin = min((int(own[0]) for own in loaded.file_row if len(own)), default=0)
        return cls(_joined(runs, rows, order), box[order], begin + np.arange(len(order)))


def _joined(runs: Sequence[Detections], rows: Sequence[Longs], order: Longs) -> Detections:
    """Some rows of each run, without masks, in another order. order: int64 [N], rows of those one after another."""

    def column(name: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(run, name)[row] for run, row in zip(runs, rows, strict=True)])[order]

    within = None
    if any(run.within_limit is not None for run in runs):
        every = [np.ones(len(run), bool) if run.within_limit is None else run.within_limit for run in runs]
        within = np.concatenate([own[row] for own, row in zip(every, rows, strict=True)])[order]
    names = ("image", "category", "score", "bbox", "area")
    return Detections(**{name: column(name) for name in names}, masks=None, source=runs[0].source, within_limit=within)


def _rows_of(detections: Detections, row: Longs) -> Detections:
    """Some of the detections, int64 [n]."""
    masks, within = detections.masks, detections.within_limit
    return replace(
        detections,
        **{name: getattr(detections, name)[row] for name in ("image", "category", "score", "bbox", "area")},
        masks=None if masks is None else masks_at(masks, row),
        within_limit=None if within is None else within[row],
    )
