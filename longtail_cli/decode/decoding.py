"""From the scores of a batch of images to its detections. Importing this module imports torch."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import numpy as np
import torch

from longtail_cli.choices import ObjectnessName
from longtail_cli.decode.nms import NO_NMS, decode_pairs, decode_scores, xywh
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.tables import Bools, Ints, LogitColumns, Logits, Longs, Singles


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
    within_limit: Bools
    """bool [M], whether each is among the best `DecodeOptions.detections_per_image` of its image."""

    def __len__(self) -> int:
        return len(self.score)

    def rows(self, chosen: Longs | Bools) -> Decoded:
        """Some of the detections. chosen: int64, or bool [M]."""
        return Decoded(*(getattr(self, field.name)[chosen] for field in fields(Decoded)))


def joined(parts: Iterable[Decoded]) -> Decoded:
    """The parts one after another; no detections if there are no parts."""
    known = [_nothing(), *parts]
    return Decoded(*(np.concatenate([getattr(part, field.name) for part in known]) for field in fields(Decoded)))


def decode(
    scores: torch.Tensor, columns: LogitColumns, batch: Logits, options: DecodeOptions, bars: Singles | None = None
) -> Decoded:
    """The detections of a batch.

    scores: float32 [N, K'] on any device, from the adjusted logits of the batch. columns: what their columns are.
    batch: with image ids, boxes and, if the options use it, objectness. bars: float32 [C]; with them also those beyond
    the limit per image whose scores are above the bar of their class.
    """
    if options.objectness != "none" and batch.objectness is not None:
        objectness = torch.from_numpy(batch.objectness.copy()).to(scores)
        scores = _with_objectness(scores, objectness, options.objectness)
    of_classes = scores[:, columns.classes]
    if scores.device.type == "cpu":
        found = _from_scores(scores.numpy(), columns, batch, options)
    else:
        pairs = _pairs(of_classes, of_classes > options.threshold)
        found = _from_pairs(*pairs, columns, batch, options, options.detections_per_image)
    if bars is not None:
        pairs = _pairs(of_classes, _above_bars(of_classes, found, bars, batch, options))
        found = _from_pairs(*pairs, columns, batch, options, None)
    return _decoded(found, columns, batch, options.detections_per_image)


_Found = tuple[Longs, Ints, Singles]
"""Row, class and score of the detections, as of `decode_scores`."""


def _from_scores(scores: Singles, columns: LogitColumns, batch: Logits, options: DecodeOptions) -> _Found:
    return decode_scores(
        scores, columns.classes.start, len(columns), _starts(batch), _boxes(batch), options.threshold,
        _suppressed_above(options), options.detections_per_image,
    )  # fmt: skip


def _suppressed_above(options: DecodeOptions) -> float:
    above = options.suppressed_above
    return NO_NMS if above is None else above


def _above_bars(
    scores: torch.Tensor, found: _Found, bars: Singles, batch: Logits, options: DecodeOptions
) -> torch.Tensor:
    """Bool [N, C], the pairs to choose from: above the bars, and those that `found` was chosen from.

    scores: float32 [N, C]. found: the detections within the limit. If an image has as many as that, no pair below its
    worst one has a part in them, as only better pairs suppress a pair.
    """
    start, limit = _starts(batch), options.detections_per_image
    begin = np.searchsorted(found[0], start)
    full = np.flatnonzero(np.diff(begin) == limit)
    least = np.full(len(start) - 1, options.threshold, np.float32)
    least[full] = np.nextafter(found[2][begin[full] + limit - 1], np.float32(0))
    of_rows = torch.from_numpy(np.repeat(least, np.diff(start))).to(scores)[:, None]
    above_bars = torch.from_numpy(np.maximum(bars, np.float32(options.threshold))).to(scores)
    return scores > torch.minimum(of_rows, above_bars)


def _pairs(scores: torch.Tensor, chosen: torch.Tensor) -> tuple[Longs, Singles]:
    """Row and class of the chosen scores, bool [N, C]: int64 [P, 2] in order; and their values, float32 [P]."""
    pairs = chosen.nonzero()
    return pairs.cpu().numpy(), scores[pairs[:, 0], pairs[:, 1]].cpu().numpy()


def _from_pairs(
    pairs: Longs, value: Singles, columns: LogitColumns, batch: Logits, options: DecodeOptions, limit: int | None
) -> _Found:
    """pairs: int64 [P, 2], row of the batch and class, in order. value: float32 [P], their scores."""
    start = _starts(batch)
    image = np.searchsorted(start, pairs[:, 0], side="right") - 1
    flat_index = (pairs[:, 0] - start[image]) * len(columns) + pairs[:, 1]
    pair_start = np.searchsorted(pairs[:, 0], start)
    iou = _suppressed_above(options)
    return decode_pairs(flat_index, value, pair_start, len(columns), start, _boxes(batch), iou, limit)


def _decoded(found: _Found, columns: LogitColumns, batch: Logits, detections_per_image: int) -> Decoded:
    row, column, score = found
    image_id, boxes = _image_id(batch), _boxes(batch)
    box = column if boxes.shape[1] > 1 else np.zeros_like(column)
    return Decoded(
        image_id=image_id[row],
        category_id=columns.category_id[column],
        score=score,
        bbox=xywh(boxes[row, box]),
        box_index=(batch.first + row) * boxes.shape[1] + box,
        within_limit=_rank(image_id[row]) < detections_per_image,
    )


def _rank(image_id: Longs) -> Longs:
    """The number of each detection within its image, from 0: int64 [M]. image_id: int64 [M], image by image."""
    number = np.arange(len(image_id))
    begins = np.ones(len(image_id), bool)
    begins[1:] = image_id[1:] != image_id[:-1]
    return number - np.maximum.accumulate(np.where(begins, number, 0))


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
    return Decoded(longs, longs, np.zeros(0, np.float32), np.zeros((0, 4), np.float32), longs, np.zeros(0, bool))


def _with_objectness(scores: torch.Tensor, objectness: torch.Tensor, how: ObjectnessName) -> torch.Tensor:
    """Scores [N, K] with the objectness [N] of each row, as `longtail_cli.decode.options.DecodeOptions` defines it."""
    if how == "none":
        return scores
    product = scores * objectness[:, None]
    return product.sqrt() if how == "sqrt" else product
