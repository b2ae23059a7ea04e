"""From adjusted logits to scores, on any device. Importing this module imports torch."""

from __future__ import annotations

import torch

from longtail_cli.decode.options import ObjectnessName
from longtail_cli.tables import LogitColumns


def activated(logits: torch.Tensor, columns: LogitColumns, out: torch.Tensor | None = None) -> torch.Tensor:
    """Scores [N, K] of [N, K]: a softmax over all columns, the background's too, or the sigmoid of each.

    The classes are ``columns.classes`` of the K columns. out: where to put them, which may be `logits` itself; a new
    tensor without it.
    """
    if columns.head == "softmax":
        return torch.softmax(logits, dim=1, out=out)
    return torch.sigmoid(logits, out=out)


def with_objectness(scores: torch.Tensor, objectness: torch.Tensor, how: ObjectnessName) -> torch.Tensor:
    """Scores [N, K] with the objectness [N] of each row, as `longtail_cli.decode.options.Rules` puts it."""
    if how == "none":
        return scores
    product = scores * objectness[:, None]
    return product.sqrt() if how == "sqrt" else product
