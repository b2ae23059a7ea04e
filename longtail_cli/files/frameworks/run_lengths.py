"""Masks of frameworks: COCO run lengths as Python objects, or pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from longtail_cli.engine import run_lengths as engine
from longtail_cli.files.faults import Fault
from longtail_cli.files.masks import decode_counts, read_segmentations
from longtail_cli.tables import Longs, Masks

_AT_ONCE = 1 << 16


def masks_of(segmentations: Sequence[Any], where: Callable[[int], str]) -> tuple[Masks, list[Fault]]:
    """N masks, and the faults of those that cannot be read.

    segmentations: N run lengths, ``{"size": [height, width], "counts": ...}`` with counts as text, bytes or a list; or
    pixels, bool [height, width]. where: what messages call a mask.
    """
    return read_segmentations([_as_json(one) for one in segmentations], None, where)


def masks_at(text: npt.NDArray[np.uint8], spans: Longs, size: Longs) -> Masks | None:
    """N masks of compressed counts within a text; None if one is not valid.

    text: uint8. spans: int64 [N, 2], begin and end of each. size: int64 [N, 2], (height, width).
    """
    pixels = size[:, 0] * size[:, 1]
    if (size < 0).any() or (size >= engine.MOST_PIXELS).any() or (pixels >= engine.MOST_PIXELS).any():
        return None
    parts = []
    for first in range(0, len(spans), _AT_ONCE):
        some = spans[first : first + _AT_ONCE]
        start = np.zeros(len(some) + 1, np.int64)
        np.cumsum(some[:, 1] - some[:, 0], out=start[1:])
        at = np.arange(start[-1]) + np.repeat(some[:, 0] - start[:-1], some[:, 1] - some[:, 0])
        masks, valid = decode_counts(text[at], start, size[first : first + _AT_ONCE].astype(np.int32))
        if not valid.all():
            return None
        parts.append(masks)
    start = np.zeros(len(spans) + 1, np.int64)
    np.cumsum([length for masks in parts for length in np.diff(masks.start).tolist()], out=start[1:])
    return Masks(size.astype(np.int32), np.concatenate([np.empty(0, np.uint32), *(one.counts for one in parts)]), start)


def _as_json(segmentation: Any) -> msgspec.Raw:
    """As in a result file; what is none of these becomes text, which is no segmentation."""
    if isinstance(segmentation, np.ndarray) and segmentation.ndim == 2:
        segmentation = _run_lengths(segmentation)
    if not isinstance(segmentation, dict) or set(segmentation) != {"size", "counts"}:
        return msgspec.Raw(msgspec.json.encode(type(segmentation).__name__))
    size, counts = segmentation["size"], segmentation["counts"]
    counts = counts.decode("latin-1") if isinstance(counts, bytes) else counts
    sides = size.tolist() if isinstance(size, np.ndarray) else size
    if not isinstance(counts, str | list) or not isinstance(sides, list | tuple):
        return msgspec.Raw(msgspec.json.encode(type(counts).__name__))
    try:
        return msgspec.Raw(msgspec.json.encode({"size": sides, "counts": counts}))
    except (TypeError, ValueError, RecursionError):  # of other than numbers
        return msgspec.Raw(b'"other objects"')


def _run_lengths(pixels: npt.NDArray[Any]) -> dict[str, Any]:
    """The runs of a mask, column by column, that of zeros first."""
    flat = pixels.astype(np.bool_).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    runs = np.diff(np.concatenate([[0], changes, [len(flat)]])).tolist()
    return {"size": list(pixels.shape), "counts": [0, *runs] if len(flat) and flat[0] else runs}
