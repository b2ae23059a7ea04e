"""Tuning on the logits of a detector: every method is decoded once, matched once, and scored in all folds from that."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch

from longtail_cli.decode.decoding import Decoded, decode, joined
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.files.faults import raise_faults
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.model import Report
from longtail_cli.tables import (
    Bools,
    Detections,
    FrequencyTable,
    Ints,
    LogitColumns,
    Logits,
    Longs,
    Singles,
)
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.best_detections import BestDetections
from longtail_cli.workflow.decode_logits import check_decodable
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.locate_detections import index_of, look_up
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.moved_scores import RowSample
from longtail_cli.workflow.options import InputOptions, device_of
from longtail_cli.workflow.prepare_methods import PreparedMethod, prepare_methods
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.report_detection import DetectionReporter
from longtail_cli.workflow.tune_data import CrossFitted, DetectionData, detection_figures

AT_ONCE = 24
"""Methods that are decoded in one pass: an interrupted search keeps the passes before, and memory stays bounded."""

TOGETHER = 256
"""Batches whose detections are located together."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The detections of a method, in the order of the decoder."""

    box: Longs
    """int64 [M], see `Decoded.box_index`."""
    category: Ints
    """int32 [M], index into the categories of the annotations."""
    score: Singles
    """float32 [M]."""
    within_limit: Bools
    """bool [M], see `Decoded.within_limit`."""

    def rows(self, chosen: Longs) -> _Kept:
        return _Kept(self.box[chosen], self.category[chosen], self.score[chosen], self.within_limit[chosen])


@dataclass(frozen=True, slots=True)
class _Boxes:
    """The boxes of all detections of several methods."""

    index: Longs
    """int64 [B], ascending, see `Decoded.box_index`."""
    image: Ints
    """int32 [B], index of the image in the annotations."""
    bbox: Singles
    """float32 [B, 4], xywh."""

    def detections(self, kept: _Kept, row: Longs, source: str) -> Detections:
        """The detections of a method. row: int64 [M], their boxes."""
        bbox = self.bbox[row].astype(np.float64)
        return Detections(
            self.image[row], kept.category, kept.score.astype(np.float64), bbox, bbox[:, 2] * bbox[:, 3], None, source,
            None if kept.within_limit.all() else kept.within_limit,
        )  # fmt: skip

    def alone(self) -> Detections:
        """Each box as a detection, to compute its overlaps."""
        nothing = np.zeros(len(self.index))
        return Detections(
            self.image, np.zeros(len(nothing), np.int32), nothing, self.bbox.astype(np.float64), nothing, None, ""
        )


class DetectorData(DetectionData):
    """See `longtail_cli.workflow.tune_data.TuningData`."""

    at_once = AT_ONCE

    def __init__(
        self,
        file: LogitsFile,
        evaluation: Evaluation,
        known_images: Longs,
        folds: Folds,
        goal: Goal,
        table: FrequencyTable | None,
        options: InputOptions,
        reporter: DetectionReporter,
    ) -> None:
        """evaluation: of the images that are tuned on, with the lanes of `folds` as its resamples.

        known_images: int64, the ids of all images of the annotations; those that are not tuned on are left out.
        Raises InputError if the file holds no boxes.
        """
        super().__init__(folds, goal)
        check_decodable(file, options)
        self._file, self._evaluation, self._known = file, evaluation, known_images
        self._table, self._options, self._reporter = table, options, reporter
        self._device = device_of(options.device)
        self._beyond_limit = reporter.evaluations[0].options.beyond_limits
        self._kept: dict[str, _Kept] = {}
        self._notes: dict[str, tuple[str, ...]] = {}
        self._boxes = _joined_boxes([])
        none = prepare_methods(file, (parse_method("none"),), table, options, self._device)[0]
        self._sample = RowSample(file, none.adjuster)

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        prepared = prepare_methods(self._file, methods, self._table, self._options, self._device)
        boxes, kept = self._decode(prepared, progress)
        pairs = self._evaluation.overlaps_of_boxes(boxes.alone())
        for method, one, own in zip(methods, prepared, kept, strict=True):
            row = np.searchsorted(boxes.index, own.box)
            detections = boxes.detections(own, row, self._file.source)
            candidates = self._evaluation.candidates_of_boxes(detections, pairs, row)
            found = self._evaluation.metrics(detections, candidates)
            self._kept[method.spec], self._notes[method.spec] = own, one.notes
            yield detection_figures([found], self.goal, self._sample.moved(one.adjuster))
        self._boxes = _joined_boxes([self._boxes, boxes])

    def retain(self, specs: Collection[str]) -> None:
        self._kept = {spec: kept for spec, kept in self._kept.items() if spec in specs}

    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report:
        methods = {method.spec: method for run in runs for method in run.methods}
        missing = [method for spec, method in methods.items() if spec not in self._kept]
        for first in range(0, len(missing), AT_ONCE):
            list(self.figures(missing[first : first + AT_ONCE], progress))
        found = [self._cross_fitted(run) for run in runs]
        inputs = tuple(
            RunInput(run.name, None, self._boxes.detections(own, np.searchsorted(self._boxes.index, own.box), ""),
                     run.notes(self._notes))
            for run, own in zip(runs, found, strict=True)
        )  # fmt: skip
        source = Source(self._file.source, None, inputs, tuple(own.box for own in found))
        return self._reporter.report(self._reporter.outcomes([source], progress))

    def _cross_fitted(self, run: CrossFitted) -> _Kept:
        """The detections of each image by the method of its fold, with the images in the order of the file."""
        specs = [method.spec for method in run.methods]
        if len(set(specs)) == 1:
            return self._kept[specs[0]]
        parts = []
        for number, spec in enumerate(specs):
            own = self._kept[spec]
            parts.append(own.rows(np.flatnonzero(self.folds.fold[self._image_of(own)] == number)))
        every, first = _joined(parts), np.full(self.folds.images, np.iinfo(np.int64).max)
        np.minimum.at(first, self._boxes.image, self._boxes.index)
        return every.rows(np.argsort(first[self._image_of(every)], kind="stable"))

    def _image_of(self, kept: _Kept) -> Ints:
        """The index of the image of each detection: int32 [M]."""
        return self._boxes.image[np.searchsorted(self._boxes.index, kept.box)]

    def _decode(self, prepared: Sequence[PreparedMethod], progress: Progress) -> tuple[_Boxes, list[_Kept]]:
        """The detections of each method on the images that are tuned on, and their boxes."""
        decoding = self._options.decode.for_queries(self._file.queries)
        bars = np.zeros(len(self._file.columns), np.float32) if self._beyond_limit else None

        def work(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> Decoded:
            self._sample.offer(batch)
            return decode(scores, columns, batch, decoding, bars)

        boxes: list[_Boxes] = []
        kept: list[list[_Kept]] = [[] for _ in prepared]
        tasks = [(method.adjuster, work) for method in prepared]
        batches = map_batches(self._file, tasks, self._device, progress)
        for decoded in self._best(batches, len(prepared)) if self._beyond_limit else _together(batches):
            found, located = self._located(decoded)
            boxes.append(found)
            for own, detections in zip(kept, located, strict=True):
                own.append(detections)
        self._sample.close()
        return _joined_boxes(boxes), [_joined(parts) for parts in kept]

    def _best(self, batches: Iterator[list[Decoded]], methods: int) -> Iterator[list[Decoded]]:
        """The detections that Fixed AP and pooled AP need, of all batches at once.

        These are the best of each category in every fold, as a fold may be scored by another method than the others.
        """
        groups = len(self._file.columns) * (self.folds.folds + 1)
        best = [BestDetections(self._category_and_fold, groups) for _ in range(methods)]
        for batch in batches:
            for own, part in zip(best, batch, strict=True):
                own.add(part)
        yield [own.found() for own in best]

    def _category_and_fold(self, detections: Decoded) -> Ints:
        """A number for each category and fold: int32 [M]. Images that are not tuned on make up a further fold."""
        image, _ = index_of(detections.image_id, self._evaluation.ground_truth.image_id)
        fold = np.where(image < 0, self.folds.folds, self.folds.fold[image])
        category = np.searchsorted(np.sort(self._file.columns.category_id), detections.category_id)
        return np.asarray(category * (self.folds.folds + 1) + fold, np.int32)

    def _located(self, decoded: Sequence[Decoded]) -> tuple[_Boxes, list[_Kept]]:
        """The boxes, and the detections of each method, of some batches, on the images that are tuned on.

        Raises InputError for unknown images and categories.
        """
        truth, whole = self._evaluation.ground_truth, joined(decoded)
        category, unknown = look_up("category_id", whole.category_id, truth.categories.id, truth.source)
        raise_faults(self._file.source, unknown)
        image, all_inside = index_of(whole.image_id, truth.image_id)
        if not all_inside:
            raise_faults(self._file.source, look_up("image_id", whole.image_id, self._known, truth.source)[1])
        kept = _Kept(whole.box_index, category, whole.score, whole.within_limit)
        ends = np.cumsum([len(one) for one in decoded])
        inside = [
            np.flatnonzero(part >= 0) + end - len(part)
            for part, end in zip(np.split(image, ends[:-1]), ends, strict=True)
        ]
        return _boxes_at(whole, image), [kept.rows(row) for row in inside]


def _together(batches: Iterator[list[Decoded]]) -> Iterator[list[Decoded]]:
    """The detections of each method, of some batches at a time."""
    while together := list(islice(batches, TOGETHER)):
        yield [joined(parts) for parts in zip(*together, strict=True)]


def _boxes_at(decoded: Decoded, image: Ints) -> _Boxes:
    """The boxes of detections, each once. image: int32 [M], -1 for images that are left out."""
    row = np.flatnonzero(image >= 0)
    if not len(row):
        return _joined_boxes([])
    index = decoded.box_index[row]
    first = int(index.min())
    place = np.full(int(index.max()) - first + 1, -1)
    place[index - first] = row
    known = np.flatnonzero(place >= 0)
    return _Boxes(known + first, image[place[known]], decoded.bbox[place[known]])


def _joined(parts: Sequence[_Kept]) -> _Kept:
    """The parts one after another."""
    nothing = _Kept(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros(0, np.float32), np.zeros(0, bool))
    columns = zip(*((one.box, one.category, one.score, one.within_limit) for one in (nothing, *parts)), strict=True)
    return _Kept(*map(np.concatenate, columns))


def _joined_boxes(parts: Sequence[_Boxes]) -> _Boxes:
    """The boxes of all parts, each once."""
    known = [_Boxes(np.zeros(0, np.int64), np.zeros(0, np.int32), np.zeros((0, 4), np.float32)), *parts]
    index, first = np.unique(np.concatenate([one.index for one in known]), return_index=True)
    image, bbox = np.concatenate([one.image for one in known]), np.concatenate([one.bbox for one in known])
    return _Boxes(index, image[first], bbox[first])
