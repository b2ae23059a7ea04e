"""timm, and any other classifier that returns one row of logits per image."""

from __future__ import annotations

import torch

from longtail_cli.capture.columns import choose_columns
from longtail_cli.capture.common import mismatch
from longtail_cli.files.logits.writer import LogitsWriter

SOURCE = "append_classification"


def append_classification(
    logits: torch.Tensor,
    writer: LogitsWriter,
    labels: torch.Tensor | None = None,
    features: torch.Tensor | None = None,
) -> None:
    """Append a batch of B images.

    logits: [B, C], what ``model(images)`` returns, before any softmax.
    writer: opened with ``background="none"``.
    labels: int [B], the true class of each image as an index into the writer's category ids; or None.
    features: [B, D], the input of the model's last layer, in timm what
        ``model.forward_head(model.forward_features(images), pre_logits=True)`` returns; or None.

    Raises `UsageError` if the writer has a background, or `logits` are not [B, C] with one column for each of its
    category ids; `InputError` if labels or features do not fit the logits.
    """
    columns = writer.columns
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2:
        found = str(list(logits.shape)) if isinstance(logits, torch.Tensor) else type(logits).__name__
        fix = "pass what the classifier returns for a batch, with its pooling and last layer"
        raise mismatch(SOURCE, "logits", "a tensor [B, C]", found, fix)
    choice = choose_columns(SOURCE, columns, (columns.head, "none"), None)
    writer.append(choice.logits(logits), labels=labels, features=features)
