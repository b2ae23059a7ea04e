"""What others call labels, and the images that they belong to."""

from __future__ import annotations

from collections.abc import Sequence

LABEL_NAMES = (
    "labels", "label", "targets", "target", "y", "y_true", "label_ids", "gt_label", "gt_labels",
)  # fmt: skip
"""Of arrays, columns and keys."""

ROW_NAMES = ("filename", "file_name", "img_path", "image_path", "image", "path", "file", "img")
"""Of columns and keys with the names of images."""


def known_names(names: Sequence[str]) -> list[str]:
    """Which of `names` may be the labels: ``labels`` or ``label`` alone, else all that are known."""
    return next(([own] for own in LABEL_NAMES[:2] if own in names), [name for name in LABEL_NAMES if name in names])
