"""Linear heads, and the rows of features that they are applied to, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch.nn.functional import normalize

from longtail_cli.tables import Floats

_NUMBERS_PER_BLOCK = 1 << 19
"""Of a block of features or logits: 4 MiB in float64, so that what is computed from a block stays in the cache."""


@dataclass(frozen=True, slots=True)
class LinearHead:
    """The head z_k = f · weight_k + bias_k of features f."""

    weight: Floats
    """float64 [K, D]."""
    bias: Floats
    """float64 [K]."""


@dataclass(frozen=True, slots=True)
class FeatureRows:
    """Some of the rows of features, in their order; their memory is used and not copied."""

    features: torch.Tensor
    """[all rows, D], float16, bfloat16 or float32."""
    index: torch.Tensor
    """int64 [N], which rows."""
    center: torch.Tensor | None = None
    """float64 [D], subtracted first; or None."""
    unit_length: bool = False
    """Whether each row is then divided by its length; rows of zeros stay."""

    def __len__(self) -> int:
        return len(self.index)

    @property
    def dimensions(self) -> int:
        """D."""
        return self.features.shape[1]

    def blocks(self, width: int, dtype: torch.dtype = torch.float64) -> Iterator[tuple[slice, torch.Tensor]]:
        """Consecutive rows as a slice of 0 to N, and their features [n, D] in `dtype`; none if N = 0.

        width: of what is computed from a block, such as the K columns of logits.
        """
        rows = max(_NUMBERS_PER_BLOCK // max(width, self.dimensions), 1)
        for first in range(0, len(self.index), rows):
            block = slice(first, min(first + rows, len(self.index)))
            yield block, self.at(self.index[block], dtype)

    def at(self, rows: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
        """The features of rows, int64 [n], of the whole: [n, D] in `dtype`."""
        taken = self.features[rows].to(dtype)
        if self.center is not None:
            taken -= self.center.to(dtype)
        return normalize(taken, dim=1) if self.unit_length else taken

    def logits(self, head: LinearHead) -> Iterator[tuple[slice, torch.Tensor]]:
        """Consecutive rows, and their logits, float64 [n, K]."""
        weight, bias = torch.tensor(head.weight), torch.tensor(head.bias)
        for block, features in self.blocks(len(bias)):
            yield block, torch.addmm(bias, features, weight.T)
