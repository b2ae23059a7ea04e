"""From the scores of a batch of images to its detections. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch

from longtail_cli.choices import ObjectnessName
from longtail_cli.decode.nms import NO_NMS, decode_pairs, decode_scores, xywh
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.tables import Ints, LogitColumns, Logits, Longs, Singles


@dataclass(frozen=True, slots=True)
class Decoded:
    """Detections, image by image, best first."""

    image_id: Longs
    """int64 [M]."""
    category_id: Longs
    """int64 [M]."""
    score: Singles
    """float32 [M]."""
    bbox: Singles
    """float32 [M, 4], xywh in pixels."""
    box_index: Longs
    """int64 [M], the index of the box in the logits file: the same for every method."""

    def __len__(self) -> int:
        return len(self.score)


def joined(parts: Iterable[Decoded]) -> Decoded:
    """The parts one after another; no detections if there are no parts."""
    known = [_nothing(), *parts]
    return Decoded(*(np.concatenate([getattr(part, field.name) for part in known]) for field in fields(Decoded)))


def decode(scores: torch.Tensor, columns: LogitColumns, batch: Logits, options: DecodeOptions) -> Decoded:
    """The detections of a batch.

    scores: float32 [N, K'] on any device, from the adjusted logits of the batch. columns: what their columns are.
    batch: with image ids, boxes and, if the options use it, objectness.
    """
    if options.objectness != "none" and batch.objectness is not None:
        objectness = torch.from_numpy(batch.objectness.copy()).to(scores)
        scores = _with_objectness(scores, objectness, options.objectness)
    if scores.device.type == "cpu":
        return _from_scores(scores.numpy(), columns, batch, options)
    return _from_pairs(*_pairs_above(scores[:, columns.classes], options.threshold), columns, batch, options)


def _from_scores(scores: Singles, columns: LogitColumns, batch: Logits, options: DecodeOptions) -> Decoded:
    first, classes = columns.classes.start, len(columns)
    found = decode_scores(scores, first, classes, _starts(batch), _boxes(batch), options.threshold, *_limits(options))
    return _decoded(found, columns, batch)


def _limits(options: DecodeOptions) -> tuple[float, int]:
    """The last two arguments of the kernels."""
    above = options.suppressed_above
    return NO_NMS if above is None else above, options.detections_per_image


def _pairs_above(scores: torch.Tensor, threshold: float) -> tuple[Longs, Singles]:
    """Row and class of the scores above the threshold, int64 [P, 2] in order, and their values, float32 [P]."""
    pairs = (scores > threshold).nonzero()
    return pairs.cpu().numpy(), scores[pairs[:, 0], pairs[:, 1]].cpu().numpy()


def _from_pairs(pairs: Longs, value: Singles, columns: LogitColumns, batch: Logits, options: DecodeOptions) -> Decoded:
    """pairs: int64 [P, 2], row of the batch and class, in order. value: float32 [P], their scores."""
    start = _starts(batch)
    image = np.searchsorted(start, pairs[:, 0], side="right") - 1
    flat_index = (pairs[:, 0] - start[image]) * len(columns) + pairs[:, 1]
    pair_start = np.searchsorted(pairs[:, 0], start)
    found = decode_pairs(flat_index, value, pair_start, len(columns), start, _boxes(batch), *_limits(options))
    return _decoded(found, columns, batch)


def _decoded(found: tuple[Longs, Ints, Singles], columns: LogitColumns, batch: Logits) -> Decoded:
    row, column, score = found
    image_id, boxes = _image_id(batch), _boxes(batch)
    box = column if boxes.shape[1] > 1 else np.zeros_like(column)
    return Decoded(
        image_id=image_id[row],
        category_id=columns.category_id[column],
        score=score,
        bbox=xywh(boxes[row, box]),
        box_index=(batch.first + row) * boxes.shape[1] + box,
    )


def _starts(batch: Logits) -> Longs:
    """The first row of each image of the batch, and the end: int64 [I + 1]."""
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
    return np.ascontiguousarray(batch.boxes if batch.boxes.ndim == 3 else batch.boxes[:, None, :])


def _nothing() -> Decoded:
    longs = np.zeros(0, np.int64)
    return Decoded(longs, longs, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), longs)


def _with_objectness(scores: torch.Tensor, objectness: torch.Tensor, how: ObjectnessName) -> torch.Tensor:
    """Scores [N, K] with the objectness [N] of each row, as `longtail_cli.decode.options.DecodeOptions` defines it."""
    if how == "none":
        return scores
    product = scores * objectness[:, None]
    return product.sqrt() if how == "sqrt" else product
