"""Small logits files of every kind, for the tests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

Tensors = dict[str, torch.Tensor]

DETECTION_METADATA = {"format": "ltcal-logits/1", "head": "softmax", "background": "last", "category_ids": [3, 1, 7]}
CLASSIFICATION_METADATA = {"head": "softmax", "background": "none"}


def detection(images: list[int], first_id: int = 1) -> Tensors:
    """`images[i]` proposals for image `first_id` + i; three classes and a background; logits are multiples of 1/8."""
    rows = sum(images)
    ids = torch.repeat_interleave(torch.arange(len(images)) + first_id, torch.tensor(images, dtype=torch.int64))
    corner = torch.arange(rows, dtype=torch.float32)[:, None]
    return {
        "logits": (torch.arange(rows * 4).reshape(rows, 4) % 97 / 8 - 6).half(),
        "image_id": ids,
        "boxes": torch.cat([corner, corner, corner + 2, corner + 3], dim=1),
    }


def classification(rows: int, classes: int = 3) -> Tensors:
    """Logits with labels, no background."""
    return {
        "logits": torch.arange(rows * classes).reshape(rows, classes) / 8,
        "labels": torch.arange(rows) % classes,
    }


def save(path: Path, tensors: Tensors, metadata: dict[str, Any] | None = None) -> Path:
    """A file of the kind given by its suffix, with its metadata."""
    if path.suffix == ".safetensors":
        texts = {name: one if isinstance(one, str) else json.dumps(one) for name, one in (metadata or {}).items()}
        save_file({name: one.contiguous() for name, one in tensors.items()}, path, texts or None)
    elif path.suffix == ".npz":
        np.savez(path, **{name: one.numpy() for name, one in tensors.items()})
        if metadata is not None:
            path.with_suffix(".meta.json").write_text(json.dumps(metadata))
    else:
        torch.save(tensors if metadata is None else {**tensors, "metadata": metadata}, path)
    return path
