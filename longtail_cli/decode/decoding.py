"""Scores of a batch of images in, detections out. Importing this module imports torch and numba."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch

from longtail_cli.decode.activation import with_objectness
from longtail_cli.decode.nms import NO_NMS, decode_pairs, decode_scores, xywh
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.tables import Ints, LogitColumns, Logits, Longs, Singles


@dataclass(frozen=True, slots=True)
class Decoded:
    """Detections, image by image, best first.

    image_id, category_id: int64 [M]. score: float32 [M]. bbox: float32 [M, 4], xywh in pixels.
    place: int64 [M], which box of the logits file it is: equal for equal boxes of one file, whatever the method.
    """

    image_id: Longs
    category_id: Longs
    score: Singles
    bbox: Singles
    place: Longs

    def __len__(self) -> int:
        return len(self.score)


def joined(parts: Iterable[Decoded]) -> Decoded:
    """The parts one after another; no detections where there are none."""
    known = [_nothing(), *parts]
    return Decoded(
        image_id=np.concatenate([part.image_id for part in known]),
        category_id=np.concatenate([part.category_id for part in known]),
        score=np.concatenate([part.score for part in known]),
        bbox=np.concatenate([part.bbox for part in known]),
        place=np.concatenate([part.place for part in known]),
    )


def decode(scores: torch.Tensor, columns: LogitColumns, batch: Logits, rules: DecodeOptions) -> Decoded:
    """The detections of a batch.

    scores: [N, K'] float32 on any device, what the activation makes of `batch.logits` after a correction; columns: what
    its columns are. The batch has image ids and boxes, and objectness where the rules ask for it.
    """
    if rules.objectness != "none" and batch.objectness is not None:
        objectness = torch.from_numpy(batch.objectness.copy()).to(scores)
        scores = with_objectness(scores, objectness, rules.objectness)
    if scores.device.type == "cpu":
        return _from_scores(scores.numpy(), columns, batch, rules)
    return _from_pairs(*_pairs_above(scores[:, columns.classes], rules.threshold), columns, batch, rules)


def _from_scores(scores: Singles, columns: LogitColumns, batch: Logits, rules: DecodeOptions) -> Decoded:
    first, classes, start = columns.classes.start, len(columns), _starts(batch)
    nms_iou = NO_NMS if rules.nms_iou is None else rules.nms_iou
    found = decode_scores(scores, first, classes, start, _boxes(batch), np.float32(rules.threshold), nms_iou, rules.cap)
    return _decoded(found, columns, batch)


def _pairs_above(scores: torch.Tensor, threshold: float) -> tuple[Longs, Singles]:
    """Row and class of the scores above the threshold, int64 [P, 2] in order, and these scores, float32 [P]."""
    pairs = (scores > threshold).nonzero()
    return pairs.cpu().numpy(), scores[pairs[:, 0], pairs[:, 1]].cpu().numpy()


def _from_pairs(pairs: Longs, value: Singles, columns: LogitColumns, batch: Logits, rules: DecodeOptions) -> Decoded:
    """pairs: int64 [P, 2], row of the batch and class, in order. value: float32 [P], their scores."""
    start = _starts(batch)
    image = np.searchsorted(start, pairs[:, 0], side="right") - 1
    place = (pairs[:, 0] - start[image]) * len(columns) + pairs[:, 1]
    pair_start = np.searchsorted(pairs[:, 0], start)
    nms_iou = NO_NMS if rules.nms_iou is None else rules.nms_iou
    found = decode_pairs(place, value, pair_start, len(columns), start, _boxes(batch), nms_iou, rules.cap)
    return _decoded(found, columns, batch)


def _decoded(found: tuple[Longs, Ints, Singles, Longs], columns: LogitColumns, batch: Logits) -> Decoded:
    row, column, score, _ = found
    image_id, boxes = _image_id(batch), _boxes(batch)
    box = column if boxes.shape[1] > 1 else np.zeros_like(column)
    return Decoded(
        image_id=image_id[row],
        category_id=columns.category_id[column],
        score=score,
        bbox=xywh(boxes[row, box]),
        place=(batch.first + row) * boxes.shape[1] + box,
    )


def _starts(batch: Logits) -> Longs:
    """Where each image of the batch begins, and the end: int64 [I + 1]."""
    image_id = _image_id(batch)
    edges = np.flatnonzero(image_id[1:] != image_id[:-1]) + 1
    return np.concatenate([np.zeros(1, np.int64), edges, np.full(min(1, len(batch)), len(batch))])


def _image_id(batch: Logits) -> Longs:
    if batch.image_id is None:
        raise ValueError("only detection logits, with image ids and boxes, can be decoded")
    return batch.image_id


def _boxes(batch: Logits) -> Singles:
    """float32 [N, 1 or C, 4]."""
    if batch.boxes is None:
        raise ValueError("only detection logits, with image ids and boxes, can be decoded")
    return batch.boxes if batch.boxes.ndim == 3 else batch.boxes[:, None, :]


def _nothing() -> Decoded:
    longs = np.zeros(0, np.int64)
    return Decoded(longs, longs, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), longs)
