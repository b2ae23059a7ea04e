"""Logits of some of a model's classes."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from longtail_cli.choices import BackgroundName


def of_classes(logits: torch.Tensor, classes: Sequence[int], background: BackgroundName) -> torch.Tensor:
    """[N, C], or with a background [N, C + 1], from the columns `classes` of [N, M]; float32.

    Without a background the other columns are left out, as a sigmoid head allows it. Otherwise they count as
    background: z_bg' = ln(e^z_bg + sum of e^z over them), so the softmax of the classes does not change.
    """
    kept = logits[:, list(classes)].float()
    if background == "none":
        return kept
    known = set(classes)
    others = [column for column in range(logits.shape[-1]) if column not in known]
    outside = torch.logsumexp(logits[:, others].float(), dim=-1, keepdim=True)
    return torch.cat([outside, kept] if background == "first" else [kept, outside], dim=-1)
