"""Hugging Face transformers: the outputs of object detection models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Protocol

import torch

from longtail_cli.capture.columns import Kind, choose_columns
from longtail_cli.capture.common import Size, cxcywh_to_xyxy, mismatch, resized
from longtail_cli.files.logits.writer import LogitsWriter

SOURCE = "append_object_detections"


class ObjectDetectionOutput(Protocol):
    """What `append_object_detections` reads from the outputs of a model."""

    logits: torch.Tensor
    """[B, Q, K], Q queries per image."""
    pred_boxes: torch.Tensor
    """[B, Q, 4], cxcywh as fractions of the image's width and height."""


def append_object_detections(
    outputs: ObjectDetectionOutput,
    writer: LogitsWriter,
    image_ids: Iterable[int],
    target_sizes: Iterable[Size] | torch.Tensor,
    classes: Sequence[int] | None = None,
    features: bool = False,
) -> None:
    """Append all queries of a batch of B images.

    outputs: what a ``...ForObjectDetection`` model returns. DETR, YOLOS and Table Transformer are softmax with the
        background last (K = labels + 1); Deformable, Conditional and DAB DETR, RT-DETR and D-FINE are sigmoid without
        background (K = labels). The writer states which of the two it is; its number of columns must be K.
    image_ids: B ids.
    target_sizes: B pairs (height, width) of the original images in pixels, or a tensor [B, 2], as
        ``post_process_object_detection`` takes them, which does not clip boxes either.
    classes: the model's labels that are the writer's category ids, in their order; all labels if None.
    features: save the decoder's last hidden state, for `ltcal fit`: the input of the classifier. Its weight is the
        writer's `weight` if `classes` is None, but not for D-FINE, which adds to the logits of this layer. YOLOS, whose
        classifier has several layers, is refused.

    Raises `UsageError` if `outputs` are not object detections, if they lack the features that are asked for, if their
    columns do not fit the writer's, and if the number of ids or sizes is not B.
    """
    logits, boxes = _tensors(outputs)
    kind: Kind = ("softmax", "last") if writer.columns.head == "softmax" else ("sigmoid", "none")
    choice = choose_columns(SOURCE, writer.columns, kind, classes)
    ids, sizes = list(image_ids), _sizes(target_sizes)
    for what, found in (("image_ids", ids), ("target_sizes", sizes)):
        if len(found) != len(logits):
            raise mismatch(
                SOURCE, what, f"{len(logits)}, one per image", f"{len(found)}", "pass those of the images of this batch"
            )
    corners = cxcywh_to_xyxy(boxes.float())
    hidden = _hidden_state(outputs, logits) if features else [None] * len(logits)
    for image_id, size, rows, box, feature in zip(ids, sizes, logits, corners, hidden, strict=True):
        writer.append(choice.logits(rows), image_id=int(image_id), boxes=resized(box, (1, 1), size), features=feature)


def _tensors(outputs: ObjectDetectionOutput) -> tuple[torch.Tensor, torch.Tensor]:
    logits, boxes = getattr(outputs, "logits", None), getattr(outputs, "pred_boxes", None)
    if logits is None or boxes is None or logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4):
        raise mismatch(
            SOURCE,
            "outputs",
            "logits [B, Q, K] and pred_boxes [B, Q, 4]",
            f"{type(outputs).__name__} with logits {_shape(logits)} and pred_boxes {_shape(boxes)}",
            "pass what a ...ForObjectDetection model returns, before its post-processing",
        )
    return logits.detach(), boxes.detach()


def _hidden_state(outputs: Any, logits: torch.Tensor) -> torch.Tensor:
    """[B, Q, D]."""
    hidden: torch.Tensor | None = getattr(outputs, "last_hidden_state", None)
    if hidden is None or hidden.shape[:2] != logits.shape[:2]:
        raise mismatch(
            SOURCE,
            "outputs",
            f"last_hidden_state [{logits.shape[0]}, {logits.shape[1]}, D], one row per query",
            f"{type(outputs).__name__} with last_hidden_state {_shape(hidden)}",
            "leave `features=` out: this model does not classify the last hidden state of a decoder",
        )
    return hidden


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else str(list(tensor.shape))


def _sizes(sizes: Iterable[Size] | torch.Tensor) -> list[Size]:
    pairs = sizes.tolist() if isinstance(sizes, torch.Tensor) else sizes
    return [(int(height), int(width)) for height, width in pairs]
