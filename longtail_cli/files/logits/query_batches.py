"""Outputs of a query model as Hugging Face transformers leaves them, batch by batch, as arrays over all images.

`Trainer.predict` returns predictions, `label_ids` and metrics (src/transformers/trainer_utils.py, `PredictionOutput`).
With ``eval_do_concat_batches=False``, as in examples/pytorch/object-detection/run_object_detection.py, the predictions
are a list of batches, and `label_ids` a list of batches of dicts with `image_id` and `orig_size`. A batch is a tuple of
all outputs but the loss (src/transformers/trainer.py, `prediction_step`): first a dict of losses if there were labels,
then logits and boxes, then hidden states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.queries import NAMES
from longtail_cli.files.reading import reading

Array = npt.NDArray[Any]

_FIX = "save arrays [B, Q, ...] of all images: `logits`, `pred_boxes`, `image_id` and `orig_size`"
_SAVED_AS = {"logits": "logits", "boxes": "pred_boxes", "image_id": "image_id", "size": "orig_size"}


def query_arrays(content: object, source: str) -> dict[str, Array] | None:
    """The arrays `logits` [B, Q, K], `pred_boxes` [B, Q, 4] and, if there are labels, `image_id` and `orig_size`.

    content: what was unpickled: predictions as above, alone, or with their labels in a tuple or a dict; or a dict of
    lists of batches, or a list of dicts, by the names in `NAMES`.
    None for anything else. Raises InputError if the batches have different numbers of queries or columns, or labels
    for other images.
    """
    predictions, labels = _parts(content)
    batches = list(map(_outputs, _batches(predictions)))
    if not batches or not all(batches):
        return None
    found = {}
    for what, name in _SAVED_AS.items():
        parts = [batch[what] for batch in batches if what in batch]
        if len(parts) == len(batches):
            found[name] = _joined(parts, name, source)
    return found | _of_labels(labels, len(found["logits"]), source)


def _parts(content: object) -> tuple[object, object]:
    """Predictions and labels, None without labels."""
    if isinstance(content, tuple) and len(content) in (2, 3) and not _outputs(content):
        return content[0], content[1]
    if isinstance(content, Mapping) and isinstance(content.get("predictions"), list | tuple):
        return content["predictions"], content.get("label_ids")
    return content, None


def _batches(predictions: object) -> Sequence[Any]:
    """One value for each batch."""
    if isinstance(predictions, list):
        return predictions
    if isinstance(predictions, Mapping):
        columns = {name: one for name, one in predictions.items() if isinstance(one, list)}
        if columns and len({len(one) for one in columns.values()}) == 1:
            return [dict(zip(columns, one, strict=True)) for one in zip(*columns.values(), strict=True)]
    return [predictions]


def _outputs(batch: object) -> dict[str, Array]:
    """The arrays of a batch by what they are; empty if it is not the output of a query model."""
    if isinstance(batch, Mapping):
        named = {what: next((batch[name] for name in names if name in batch), None) for what, names in NAMES.items()}
        found = {what: np.asarray(value) for what, value in named.items() if _is_array(value)}
        return found if _are_outputs(found.get("logits"), found.get("boxes")) else {}
    for logits, boxes in pairwise(batch) if isinstance(batch, list | tuple) else ():
        if _are_outputs(logits, boxes):
            return {"logits": logits, "boxes": boxes}
    return {}


def _are_outputs(logits: object, boxes: object) -> bool:
    """Whether these are arrays [B, Q, K] and [B, Q, 4]."""
    if not isinstance(logits, np.ndarray) or not isinstance(boxes, np.ndarray) or logits.ndim != 3:
        return False
    return bool(boxes.shape == (*logits.shape[:2], 4))


def _is_array(value: object) -> bool:
    """Whether it is an array of numbers, or a list of numbers."""
    if isinstance(value, list):
        return all(isinstance(one, int | float) for one in value)
    return isinstance(value, np.ndarray)


def _of_labels(labels: object, images: int, source: str) -> dict[str, Array]:
    """`image_id` [B] and `orig_size` [B, 2] of the labels of `images` images, as far as each states them."""
    entries = [_plain(one) for one in _entries(labels)]
    if not entries:
        return {}
    if len(entries) != images:
        problem = Problem("labels", f"{images}, one for each image of the predictions", str(len(entries)))
        raise InputError(source, [problem], _FIX)
    found = {}
    for name, shape in (("image_id", (images,)), ("orig_size", (images, 2))):
        values = [np.asarray(one[name]).reshape(-1) for one in entries if _is_array(one.get(name))]
        if len(values) == images and all(len(one) == shape[1:].count(2) + 1 for one in values):
            with reading(source, f"`{name}` of every image", _FIX, where="labels"):
                found[name] = np.stack(values).reshape(shape)
    return found


def _entries(labels: object) -> Iterator[Mapping[str, Any]]:
    """The labels of each image, from batches of them or one after another."""
    for batch in labels if isinstance(labels, list | tuple) else ():
        for one in batch if isinstance(batch, list | tuple) else (batch,):
            if isinstance(one, Mapping):
                yield one


def _plain(label: Mapping[str, Any]) -> Mapping[str, Any]:
    """The fields of a label, which a `BatchFeature` has in `data`."""
    data = label.get("data")
    return data if isinstance(data, Mapping) else label


def _joined(parts: Sequence[Array], name: str, source: str) -> Array:
    """The arrays of all batches as one."""
    shapes = {part.shape[1:] for part in parts}
    if len(shapes) > 1:
        expected = "the same shape in every batch"
        found = " and ".join(str(["B", *shape]) for shape in sorted(shapes)[:3]).replace("'", "")
        raise InputError(source, [Problem(f"`{name}`", expected, found)], _FIX)
    with reading(source, "arrays of numbers", _FIX, where=f"`{name}`"):
        return parts[0] if len(parts) == 1 else np.concatenate(parts)
