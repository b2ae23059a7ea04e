"""The labelled rows that something is fitted on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from longtail_cli.tables import LogitColumns


@dataclass(frozen=True, slots=True)
class LabelledRows:
    """N rows of a classifier or proposals of a detector, with the classes in order of id."""

    columns: LogitColumns
    """What the K columns of the logits are; `category_id` ascending."""
    target: torch.Tensor
    """int64 [N], the column of the true class, 0 to K - 1; that of the background for background, or K if a ``sigmoid``
    head has no such column."""
    held_out: torch.Tensor
    """bool [N], the rows that settings such as the strength of a penalty are chosen on."""
    logits: torch.Tensor | None
    """[N, K], float16, bfloat16 or float32; None if they were not read."""
    features: torch.Tensor | None
    """[N, D], float16, bfloat16 or float32; None if there are none or they were not read."""
    apart: bool = False
    """Whether the held-out rows are of other data, and so are left out of the last fit too."""

    def __len__(self) -> int:
        return len(self.target)

    @property
    def last(self) -> torch.Tensor:
        """Bool [N], the rows of the last fit, after settings were chosen: all, or those that are not held out."""
        return ~self.held_out if self.apart else torch.ones_like(self.held_out)

    def with_held_out(self, other: LabelledRows) -> LabelledRows:
        """These rows to fit on, and all of another file of the same model to choose settings on."""
        held_out = torch.arange(len(self) + len(other)) >= len(self)
        logits, features = (
            None if one is None or two is None else torch.cat([one, two])
            for one, two in ((self.logits, other.logits), (self.features, other.features))
        )
        return LabelledRows(
            self.columns, torch.cat([self.target, other.target]), held_out, logits, features, apart=True
        )

    def where(self, rows: torch.Tensor) -> LabelledRows:
        """The rows of a mask, bool [N]."""
        logits, features = (None if one is None else one[rows] for one in (self.logits, self.features))
        return replace(self, target=self.target[rows], held_out=self.held_out[rows], logits=logits, features=features)
