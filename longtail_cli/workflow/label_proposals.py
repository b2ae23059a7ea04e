"""Labels of the proposals of a detector: each is matched to the annotations of its image. Imports torch.

The rules are those by which two-stage detectors label and sample proposals for training: Ren et al., "Faster R-CNN:
Towards Real-Time Object Detection with Region Proposal Networks", NeurIPS 2015, and Girshick, "Fast R-CNN", ICCV 2015,
section 2.3.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluation.geometry import MIN_IOU, Overlaps, overlaps
from longtail_cli.evaluation.protocol import Objects, Protocol, objects_of
from longtail_cli.files.faults import raise_faults
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.tables import Bools, Detections, Floats, GroundTruth, Ints, LogitColumns, Logits, Longs, Singles
from longtail_cli.tuning.folds import rarest_category
from longtail_cli.workflow.labelled_rows import TensorName, held_out_images, rows_at
from longtail_cli.workflow.locate_detections import index_of, look_up
from longtail_cli.workflow.logit_batches import LOGITS_PER_BATCH
from longtail_cli.workflow.progress import Progress

IGNORED = -100
"""The label of a proposal that is neither an object nor background; losses skip it."""

CROWD_SHARE = 0.5
"""Of the own area of a proposal: with so much of it in a crowd region, it is not background."""

BOXES = 1 << 18
"""Boxes that are matched together."""


@dataclass(frozen=True, slots=True)
class ProposalOptions:
    """How proposals are labelled and drawn. Raises UsageError for values out of range."""

    foreground_iou: float = 0.5
    """A proposal has the class of the object with the highest IoU if that is at least so high."""
    background_iou: float = 0.5
    """It is background if its highest IoU is lower; 0.1 <= background_iou <= foreground_iou <= 1."""
    negatives: float = 3.0
    """Background rows for each row with a class, >= 0, drawn at random from those of all images; infinity for all."""
    seed: int = 0
    """Of the draw, and of the choice of images that are held out."""

    def __post_init__(self) -> None:
        problems = []
        if not MIN_IOU <= self.background_iou <= self.foreground_iou <= 1:
            expected = f"{MIN_IOU} <= background_iou <= foreground_iou <= 1"
            found = f"{self.background_iou} and {self.foreground_iou}"
            problems.append(Problem("`background_iou=` and `foreground_iou=`", expected, found))
        if not self.negatives >= 0:
            problems.append(Problem("`negatives=`", "a number from 0, or inf", str(self.negatives)))
        if problems:
            raise UsageError("labels of proposals", problems, "state values in these ranges")


@dataclass(frozen=True, slots=True)
class ProposalCounts:
    """How many rows of the file got which label."""

    foreground: int
    """With a class; all of them are kept."""
    background: int
    ignored: int
    """Neither an object nor background."""
    kept_background: int
    """Background rows that were drawn."""
    images: int
    """Images with rows in the file."""


@dataclass(frozen=True, slots=True)
class LabelledProposals:
    """The proposals that something is fitted on."""

    rows: LabelledRows
    """In file order."""
    counts: ProposalCounts


def labelled_proposals(
    file: LogitsFile,
    truth: GroundTruth,
    options: ProposalOptions,
    tensors: Collection[TensorName],
    progress: Progress,
) -> LabelledProposals:
    """The proposals with a class, and as many background rows as the options say, with a fifth of the images held out.

    See `labels_of_proposals`. The target of a background row is the column of the background, or K under a sigmoid head
    without such a column; under a softmax without one, background rows are left out. Images without proposals have no
    rows. The images that are held out are spread evenly over the rarest categories of images.

    tensors: what is kept of these rows in memory. The file is read twice, the first time only its boxes if there is one
    for each row.
    Raises InputError for a file without boxes, unknown image ids and categories, no proposal with a class, and as
    `rows_at` does.
    """
    image = _images(file, truth)
    label = labels_of_proposals(file, truth, image, options, progress)
    background = np.flatnonzero(label == len(file.columns))
    ignored = int((label == IGNORED).sum())
    foreground = file.rows - len(background) - ignored
    if not foreground:
        expected = f"at least one with an IoU of {options.foreground_iou} or more with an object in {truth.source}"
        problem = Problem("tensor `boxes`", expected, "none")
        raise InputError(file.source, [problem], "check that the boxes are x1, y1, x2, y2 in pixels of the whole image")
    unused = np.ones(len(background), bool)
    unused[_drawn(len(background), foreground, file.columns, options)] = False
    label[background[unused]] = IGNORED
    index = np.flatnonzero(label != IGNORED)
    present = np.unique(image)
    rarest = rarest_category(truth.image, truth.category, len(truth.image_id), len(truth.categories))[present]
    held_out_image = np.zeros(len(truth.image_id), bool)
    held_out_image[present] = held_out_images(rarest, options.seed)
    counts = ProposalCounts(foreground, len(background), ignored, len(index) - foreground, len(present))
    target, held_out = _targets(label[index], file.columns), held_out_image[image[index]]
    return LabelledProposals(rows_at(file, index, target, held_out, tensors, progress), counts)


def labels_of_proposals(
    file: LogitsFile, truth: GroundTruth, image: Ints, options: ProposalOptions, progress: Progress
) -> Ints:
    """The label of each row: a class, C for background, or `IGNORED`: int32 [N]; classes count in order of id.

    A proposal has the class of the object with the highest IoU in its image, of equals the first in the file, if that
    IoU is at least `foreground_iou`. Otherwise it is ignored if the IoU is at least `background_iou`, or if at least
    half of its own area is in a crowd region; and else background. It is ignored too if that object is to be ignored,
    or of a category that the file has no column for. A row with one box for each class is matched by the box of its
    class with the highest logit.

    image: int32 [N], the index of the image of each row in `truth`.
    """
    objects = objects_of(truth, Protocol("coco", 1))
    class_of_object = _classes(file, truth)[objects.category]
    class_of_object[truth.ignore[objects.row] & ~objects.crowd] = IGNORED
    label = np.empty(file.rows, np.int32)
    done = 0
    for boxes in _boxes(file):
        part = slice(done, done + len(boxes))
        pairs = overlaps(_as_detections(boxes, image[part]), truth, objects, "bbox", np.arange(len(boxes)))
        label[part] = _labels(pairs, objects, class_of_object, len(file.columns), options)
        done += len(boxes)
        progress("labelling", done / file.rows)
    return label


def _labels(pairs: Overlaps, objects: Objects, class_of_object: Ints, classes: int, options: ProposalOptions) -> Ints:
    """The labels of M boxes from their overlaps: int32 [M]."""
    number = len(pairs.start) - 1
    row, crowd = np.repeat(np.arange(number), np.diff(pairs.start)), objects.crowd[pairs.object]
    highest, in_crowd, best = np.zeros(number), np.zeros(number), np.zeros(number, np.int32)
    np.maximum.at(highest, row[~crowd], pairs.iou[~crowd])
    np.maximum.at(in_crowd, row[crowd], pairs.iou[crowd])
    equal = np.flatnonzero(~crowd & (pairs.iou == highest[row]))[::-1]  # backwards, so that the first is kept
    best[row[equal]] = pairs.object[equal]
    label = np.full(number, classes, np.int32)
    label[(highest >= options.background_iou) | (in_crowd >= CROWD_SHARE)] = IGNORED
    matched = highest >= options.foreground_iou
    label[matched] = class_of_object[best[matched]]
    return label


def _images(file: LogitsFile, truth: GroundTruth) -> Ints:
    """The index of the image of each row in `truth`: int32 [N]. Raises InputError."""
    if file.image_id is None:
        problem = Problem("tensors", "`image_id` and `boxes` of detection logits", "neither")
        raise InputError(file.source, [problem], "pass the labels of a classifier with `labels=`, not `annotations=`")
    image, unknown = look_up("image_id", file.image_id, truth.image_id, truth.source)
    raise_faults(file.source, unknown)
    return image


def _classes(file: LogitsFile, truth: GroundTruth) -> Ints:
    """The class of each category, in order of id, or `IGNORED` for one that the file has no column for: int32.

    Raises InputError if a class of the file is not a category of the annotations.
    """
    known = np.sort(file.columns.category_id)
    raise_faults(file.source, look_up("category_id", known, truth.categories.id, truth.source)[1])
    index, _ = index_of(truth.categories.id, known)
    return np.where(index < 0, np.int32(IGNORED), index)


def _boxes(file: LogitsFile) -> Iterator[Singles]:
    """The box of each row that is matched, float32 [n, 4] at a time."""
    if not file.per_class_boxes:
        yield from file.boxes(BOXES)
        return
    if file.columns.head == "bags":
        problem = Problem(
            "boxes", "one for each row, as the columns of a bags head have no common scale", "one per class"
        )
        raise InputError(file.source, [problem], "save the proposals as the boxes")
    for batch in file.batches(max(1, LOGITS_PER_BATCH["cpu"] // file.width)):
        yield _box_of_highest(batch, file.columns)


def _box_of_highest(batch: Logits, columns: LogitColumns) -> Singles:
    """The box of the class with the highest logit, of equals the first: float32 [n, 4]."""
    assert batch.boxes is not None
    highest = batch.logits[:, columns.classes].float().numpy().argmax(axis=1)
    chosen: Singles = batch.boxes[np.arange(len(batch)), highest]
    return chosen


def _as_detections(boxes: Singles, image: Ints) -> Detections:
    """Boxes, xyxy, as detections, to compute their overlaps."""
    corners: Floats = boxes.astype(np.float64)
    bbox = np.hstack([corners[:, :2], corners[:, 2:] - corners[:, :2]])
    nothing = np.zeros(len(boxes))
    return Detections(image, np.zeros(len(boxes), np.int32), nothing, bbox, nothing, None, "")


def _drawn(background: int, foreground: int, columns: LogitColumns, options: ProposalOptions) -> Longs:
    """Which of the background rows are kept: int64, none if they have no target."""
    if columns.head == "softmax" and columns.background == "none":
        return np.zeros(0, np.int64)
    wanted = background if math.isinf(options.negatives) else min(background, round(options.negatives * foreground))
    drawn: Longs = np.random.default_rng(options.seed).choice(background, wanted, replace=False)
    return drawn


def _targets(label: Ints, columns: LogitColumns) -> Longs:
    """The column of each label when the classes are in order of id: int64."""
    background: Bools = label == len(columns)
    column: Longs = label.astype(np.int64) + columns.classes.start
    column[background] = 0 if columns.background == "first" else len(columns)
    return column
