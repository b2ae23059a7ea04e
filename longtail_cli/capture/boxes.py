"""Boxes of a model into boxes of a logits file: xyxy, in pixels of the original image."""

from __future__ import annotations

import torch

from longtail_cli.capture.mismatch import misfit

Size = tuple[int, int]
"""(height, width) in pixels."""


def cxcywh_to_xyxy(boxes: torch.Tensor) -> torch.Tensor:
    """Corners (x1, y1, x2, y2) of boxes [..., 4] that are given by centre and size (cx, cy, w, h)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def per_class(boxes: torch.Tensor, classes: int) -> torch.Tensor:
    """[N, 4] as it is, or [N, C, 4] from the flat [N, C * 4] of C `classes`; raises `UsageError` for other widths."""
    width = boxes.shape[1]
    if width == 4:
        return boxes
    if width != 4 * classes:
        expected = f"4 or {4 * classes} numbers a proposal (xyxy)"
        raise misfit("capture", "boxes", expected, str(width), "rotated boxes have no place in a logits file")
    return boxes.reshape(len(boxes), classes, 4)


def clipped(boxes: torch.Tensor, size: Size) -> torch.Tensor:
    """The part of xyxy boxes [..., 4] that lies in an image of `size`; a box outside it becomes one of no area."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    corners = [x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)]
    return torch.stack(corners, dim=-1)


def resized(boxes: torch.Tensor, size: Size, original: Size) -> torch.Tensor:
    """Boxes [..., 4] of an image of `size` in the pixels of the same image at its `original` size; float32."""
    return boxes.float() * torch.tensor(_ratios(size, original), device=boxes.device)


def _ratios(size: Size, original: Size) -> list[float]:
    y, x = original[0] / size[0], original[1] / size[1]
    return [x, y, x, y]
