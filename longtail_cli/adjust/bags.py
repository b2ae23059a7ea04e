"""Balanced Group Softmax: logits of slices of classes, each with a softmax of its own."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from longtail_cli.adjust.base import Adjustment, MethodContext, NamedMethod, binary_columns
from longtail_cli.adjust.steps import SliceSoftmax
from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import FrequencyTable, LogitColumns

INSTANCE_BOUNDS = (10, 100, 1000)
"""Instance counts at which a slice ends and the next begins."""


@dataclass(frozen=True, slots=True)
class BalancedGroupSoftmax(NamedMethod):
    """s_c = softmax_g(z)_c P(foreground): a softmax in each slice of columns, the class's share of its slice times the
    foreground's share of slice 0; not normalised over classes. Slices come from the metadata of the file, else from the
    instance counts (< 10, < 100, < 1000, >= 1000).

    Source: Li et al., "Overcoming Classifier Imbalance for Long-tail Object Detection with Balanced Group Softmax",
    CVPR 2020, section 3.2
    """

    name: ClassVar[str] = "bags"
    uses_counts: ClassVar[bool] = False

    def adjustment(self, context: MethodContext) -> Adjustment:
        columns = context.columns
        if columns.head != "bags":
            problem = Problem("head", "bags", columns.head)
            raise UsageError(f"method {self.spec}", [problem], "use it on logits of such a head; --head bags states it")
        if columns.bags is None:
            columns = replace(columns, bags=slices_by_count(context.counts(f"{self.spec} without slices")))
        return Adjustment((decoded(columns),), binary_columns(columns))


def slices_by_count(table: FrequencyTable) -> tuple[tuple[int, ...], ...]:
    """The classes of each slice after the first by instance count, in order of id (section 3.2)."""
    group = np.searchsorted(INSTANCE_BOUNDS, table.instance_count, side="right")
    return tuple(tuple(table.category_id[group == g].tolist()) for g in range(len(INSTANCE_BOUNDS) + 1))


def decoded(columns: LogitColumns) -> SliceSoftmax:
    """The step that decodes `columns`, a ``bags`` head whose slices are known."""
    slices = columns.bags or ()
    bounds = np.cumsum([0, 2, *(1 + len(members) for members in slices)])
    place = {
        category: int(start) + 1 + number
        for start, members in zip(bounds[1:], slices, strict=False)
        for number, category in enumerate(members)
    }
    return SliceSoftmax(bounds, np.array([place[category] for category in columns.category_id.tolist()], np.int64))
