"""Balanced Group Softmax: the columns come in slices, each with its own softmax."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Adjustment, MethodContext, NamedMethod, binary_columns
from longtail_cli.methods.steps import SliceSoftmax
from longtail_cli.tables import FrequencyTable, LogitColumns

INSTANCE_BOUNDS = (10, 100, 1000)
"""Instance counts at which a new slice begins."""


@dataclass(frozen=True, slots=True)
class BalancedGroupSoftmax(NamedMethod):
    """s_c = softmax_g(z)_c P(foreground): the softmax over the slice g of the class, times the score of the foreground
    in the softmax of the slice that has the background; not normalised over the classes. The slices are those in the
    metadata of the file, otherwise they follow from the instance counts (< 10, < 100, < 1000, >= 1000).

    Source: Li et al., "Overcoming Classifier Imbalance for Long-tail Object Detection with Balanced Group Softmax",
    CVPR 2020, section 3.2
    """

    name: ClassVar[str] = "bags"
    uses_counts: ClassVar[bool] = False

    def adjustment(self, context: MethodContext) -> Adjustment:
        columns = context.columns
        if columns.head != "bags":
            problem = Problem("head", "bags", columns.head)
            raise UsageError(f"method {self.spec}", [problem], "use it on logits of a bags head: `head='bags'`")
        if columns.bags is None:
            columns = replace(columns, bags=slices_by_count(context.counts(f"{self.spec} without slices")))
        return Adjustment((slice_softmax(columns),), binary_columns(columns))


def slices_by_count(table: FrequencyTable) -> tuple[tuple[int, ...], ...]:
    """The classes of each slice with classes, by instance count, in order of id (section 3.2)."""
    group = np.searchsorted(INSTANCE_BOUNDS, table.instance_count, side="right")
    return tuple(tuple(table.category_id[group == g].tolist()) for g in range(len(INSTANCE_BOUNDS) + 1))


def slice_softmax(columns: LogitColumns) -> SliceSoftmax:
    """The step that turns the columns of a ``bags`` head with known slices into one score per class."""
    slices, last = columns.bags or (), columns.background == "last"
    sizes = [1 + len(members) for members in slices]
    bounds = np.cumsum([0, *sizes, 2] if last else [0, 2, *sizes])
    column_of = {
        category: int(start) + 1 + index
        for start, members in zip(bounds[0 if last else 1 :], slices, strict=False)
        for index, category in enumerate(members)
    }
    column = np.array([column_of[category] for category in columns.category_id.tolist()], np.int64)
    return SliceSoftmax(bounds, column, int(bounds[-2]) if last else 1)
