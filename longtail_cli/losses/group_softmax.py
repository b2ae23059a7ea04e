"""Balanced Group Softmax: a softmax in each slice of classes that occur about equally often."""

from __future__ import annotations

from itertools import pairwise
from math import inf

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from longtail_cli.choices import BackgroundName
from longtail_cli.losses.base import LongTailLoss, Reduction, floats
from longtail_cli.losses.counts import Frequencies
from longtail_cli.methods.bags import slice_softmax, slices_by_count
from longtail_cli.tables import Bools, LogitColumns, Longs


class GroupSoftmaxLoss(LongTailLoss):
    """l = Σ_s -ln softmax_s(z)_{y_s}: a cross entropy in each of S slices, averaged over the rows that it selects.

    The slices hold the classes with fewer than 10, 100 and 1,000 instances, and the others, in the order of the table,
    each after a column of its own for whatever is not in it (others). With a background, one more slice is
    [background, foreground] before them (background=first) or [foreground, background] after them (last). y_s is the
    column of the true class in slice s, or that of the others. The slice of the background selects all rows. Each other
    one selects the n_s rows of its classes and at random ``beta n_s`` of the others, rounded down, or all if there are
    not so many; no rows if n_s = 0.

    K = C + slices, with a background + 2. The loss of a row has weight N / (rows that the slice selects), so that the
    mean over the N rows is the authors' sum of the means of the slices. beta: >= 0. seed: of the selection, which is
    the same on every device.

    Source: Li et al., "Overcoming Classifier Imbalance for Long-tail Object Detection with Balanced Group Softmax",
    CVPR 2020, section 3.2
    """

    label: torch.Tensor
    """int64 [targets, S], the column of each target in each slice."""
    column: torch.Tensor
    """int64 [C], the column of each class."""

    def __init__(
        self,
        frequencies: Frequencies,
        *,
        beta: float = 8.0,
        background: BackgroundName = "none",
        reduction: Reduction = "mean",
        ignore_index: int = -100,
        seed: int = 0,
    ) -> None:
        super().__init__(frequencies, background, reduction, ignore_index)
        self._require(0 <= beta < inf, "beta", beta, "a number >= 0")
        self.beta = beta
        self._random = np.random.default_rng(seed)
        self._slices = slices_by_count(self.frequencies)
        self._lay_out()

    def _lay_out(self) -> None:
        """Compute the columns of the slices, classes and targets."""
        layout = slice_softmax(self.columns(self.frequencies.category_id))
        bounds, column = layout.bounds, layout.column
        if self.background == "none":
            bounds, column = bounds[1:] - 2, column - 2
        slices = np.searchsorted(bounds, column, side="right") - 1
        label = np.zeros((self.classes, len(bounds) - 1), np.int64)
        label[np.arange(self.classes), slices] = column - bounds[slices]
        self.width = int(bounds[-1])
        self._bounds: list[int] = bounds.tolist()
        self._foreground = None if self.background == "none" else layout.foreground
        self._background_slice = {"none": None, "first": 0, "last": label.shape[1] - 1}[self.background]
        if self.background == "first":  # [background, foreground]: classes have label 1, and background 0, as others
            label[:, 0] = 1
            label = np.insert(label, 0, 0, axis=0)
        if self.background == "last":  # [foreground, background]: background has label 1, and 0 in the other slices
            label = np.append(label, np.eye(label.shape[1], dtype=np.int64)[-1:], axis=0)
        self.register_buffer("label", torch.tensor(label), persistent=False)
        self.register_buffer("column", torch.tensor(column), persistent=False)

    def draw(self, target: torch.Tensor) -> torch.Tensor:
        """The weight of each row in each slice, float64 [N, S]: N / (rows that the slice selects), or 0."""
        counted = (target != self.ignore_index).cpu().numpy()
        label = self.label[self._known(target)].cpu().numpy()
        weight = np.zeros(label.shape)
        for index in range(label.shape[1]):
            selected = counted if index == self._background_slice else self._selected(label[:, index] > 0, counted)
            weight[selected, index] = counted.sum() / max(selected.sum(), 1)
        return torch.from_numpy(weight).to(target.device)

    def _selected(self, members: Bools, counted: Bools) -> Bools:
        """The rows that a slice of classes selects, bool [N]. members: the rows with another label than others."""
        members = members & counted
        others = np.flatnonzero(counted & ~members)
        number = int(self.beta * members.sum())
        if number < len(others):
            others = self._random.choice(others, number, replace=False)
        selected = members.copy()
        selected[others] = True
        return selected

    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        z, label = floats(logits), self.label[self._known(target)]
        weight = torch.ones_like(label, dtype=z.dtype) if drawn is None else drawn.to(z)
        parts = [
            weight[:, index] * cross_entropy(z[:, start:end], label[:, index], reduction="none")
            for index, (start, end) in enumerate(pairwise(self._bounds))
        ]
        return torch.stack(parts).sum(dim=0).where(target != self.ignore_index, 0)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """The score of each class, [N, C] in [0, 1]: s_c = softmax_s(z)_c P(foreground), as in the method ``bags``.

        P(foreground) is 1 without a background. logits: [N, K].
        """
        z = floats(logits)
        score = torch.cat([torch.softmax(z[:, start:end], dim=1) for start, end in pairwise(self._bounds)], dim=1)
        classes = score[:, self.column]
        return classes if self._foreground is None else classes * score[:, self._foreground, None]

    def columns(self, category_id: Longs) -> LogitColumns:
        """What the columns of the logits are. category_id: int64 [C], ascending.

        `LogitColumns` always have a slice [background, foreground]; logits without a background lack it, so they need
        two constant columns, such as -1000 and 0, in front before a logits file can hold them.
        """
        slices = tuple(
            tuple(category_id[np.searchsorted(self.frequencies.category_id, members)].tolist())
            for members in self._slices
        )
        return LogitColumns("bags", self.background, category_id, slices)
