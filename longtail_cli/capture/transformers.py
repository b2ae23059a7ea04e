"""Hugging Face transformers: the outputs of object detection models."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import torch

from longtail_cli.capture.boxes import Size, cxcywh_to_xyxy, resized
from longtail_cli.capture.columns import Kind, choose_columns
from longtail_cli.capture.mismatch import misfit
from longtail_cli.files.logits.writer import LogitsWriter

SOURCE = "append_object_detections"


class ObjectDetectionOutput(Protocol):
    """What `append_object_detections` reads of the outputs of a model.

    logits: [B, Q, K], Q queries an image.
    pred_boxes: [B, Q, 4], cxcywh as fractions of the image's width and height.
    """

    logits: torch.Tensor
    pred_boxes: torch.Tensor


def append_object_detections(
    outputs: ObjectDetectionOutput,
    writer: LogitsWriter,
    image_ids: Iterable[int],
    target_sizes: Iterable[Size] | torch.Tensor,
    classes: Sequence[int] | None = None,
) -> None:
    """Append all queries of a batch of B images.

    outputs: what a ``...ForObjectDetection`` model returns. DETR, YOLOS and Table Transformer are softmax with the
        background last (K = labels + 1); Deformable, Conditional and DAB DETR, RT-DETR and D-FINE are sigmoid without
        background (K = labels). The writer says which of them it is; its number of columns is checked against K.
    image_ids: B ids.
    target_sizes: B pairs (height, width) of the original images in pixels, or a tensor [B, 2], as
        ``post_process_object_detection`` takes them. Boxes are not clipped, as they are not there.
    classes: the model's labels that are the writer's category ids, in their order; all labels where None.

    Raises `UsageError` where `outputs` are no object detections, where their columns do not fit the writer's, and
    where the number of ids or sizes is not B.
    """
    logits, boxes = _tensors(outputs)
    kind: Kind = ("softmax", "last") if writer.columns.head == "softmax" else ("sigmoid", "none")
    choice = choose_columns(SOURCE, writer.columns, kind, classes)
    ids, sizes = list(image_ids), _sizes(target_sizes)
    for what, found in (("image_ids", ids), ("target_sizes", sizes)):
        if len(found) != len(logits):
            raise misfit(SOURCE, what, f"{len(logits)}, one an image", f"{len(found)}", "give the batch's own")
    corners = cxcywh_to_xyxy(boxes.float())
    for image_id, size, rows, box in zip(ids, sizes, logits, corners, strict=True):
        writer.append(choice.logits(rows), image_id=int(image_id), boxes=resized(box, (1, 1), size))


def _tensors(outputs: ObjectDetectionOutput) -> tuple[torch.Tensor, torch.Tensor]:
    logits, boxes = getattr(outputs, "logits", None), getattr(outputs, "pred_boxes", None)
    if logits is None or boxes is None or logits.ndim != 3 or boxes.shape != (*logits.shape[:2], 4):
        raise misfit(
            SOURCE,
            "outputs",
            "logits [B, Q, K] and pred_boxes [B, Q, 4]",
            f"{type(outputs).__name__} with logits {_shape(logits)} and pred_boxes {_shape(boxes)}",
            "pass what a ...ForObjectDetection model returns, before its post-processing",
        )
    return logits.detach(), boxes.detach()


def _shape(tensor: torch.Tensor | None) -> str:
    return "missing" if tensor is None else str(list(tensor.shape))


def _sizes(sizes: Iterable[Size] | torch.Tensor) -> list[Size]:
    pairs = sizes.tolist() if isinstance(sizes, torch.Tensor) else sizes
    return [(int(height), int(width)) for height, width in pairs]
