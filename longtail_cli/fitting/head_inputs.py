"""What heads are learned from, checked: features, the head that made the logits, and how many rows each class has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.methods.base import Note
from longtail_cli.tables import LogitColumns, Longs


def features_of(rows: LabelledRows) -> FeatureRows:
    """The features of all rows.

    Raises UsageError if there are none, and InputError if there are no rows, if D = 0, or if a number is not finite.
    """
    if rows.features is None:
        problem = Problem("features", "the input of the last layer of each row, to learn a head from", "none")
        raise UsageError("logits", [problem], "save `features` with the logits (docs/logits.md)")
    if not len(rows):
        raise InputError("rows", [Problem("rows", "at least one with a label", "none")], "check the labels")
    found = FeatureRows(rows.features, torch.arange(len(rows)))
    if not found.dimensions:
        problem = Problem("features", "at least one number for each row", "none")
        raise InputError("features", [problem], "check the layer that they come from")
    for block, features in found.blocks(1, torch.float32):
        wrong = ~torch.isfinite(features).all(dim=1)
        if wrong.any():
            row = block.start + int(wrong.nonzero()[0])
            problem = Problem(f"row {row} of the labelled rows", "finite numbers", "NaN or infinity")
            raise InputError("features", [problem], "check the model that they come from")
    return found


def required(given: LinearHead | None, purpose: str) -> LinearHead:
    """The head that made the logits. Raises UsageError if it is not known."""
    if given is None:
        problem = Problem("head", f"the weights of the last layer, for {purpose}", "none")
        raise UsageError("logits", [problem], "save `weight` with the features (docs/logits.md)")
    return given


def with_background_column(rows: LabelledRows) -> LabelledRows:
    """The rows with a background column after the classes, if the head that made them has none for its background rows.

    A ``sigmoid`` head may have no such column, but a head that is learned from its rows needs the target.
    """
    columns = rows.columns
    if columns.background != "none" or not (rows.target >= len(columns)).any():
        return rows
    return replace(rows, columns=LogitColumns(columns.head, "last", columns.category_id))


def rows_per_target(rows: LabelledRows) -> Longs:
    """How many rows of the last fit each target has, the classes and the background: int64 [targets]."""
    targets = len(rows.columns) + (rows.columns.background != "none")
    return np.asarray(torch.bincount(rows.target[rows.last], minlength=targets).numpy())


def notes_on_absent(rows: LabelledRows, learned: str) -> tuple[Note, ...]:
    """What becomes of classes without rows. learned: the loss, or ``ncm``."""
    absent = rows_per_target(rows)[rows.columns.classes] == 0
    if not absent.any():
        return ()
    return (Note(absent, f"have no rows to learn from; {_WITHOUT_ROWS.get(learned, _NEVER_RAISED)}"),)


_NEVER_RAISED = "nothing raises their logits, so they are hardly ever predicted"
_WITHOUT_ROWS: Mapping[str, str] = MappingProxyType(
    {
        "ncm": "without a mean they get a logit below all others",
        "eql": "the scores of rare ones are lowered by background rows alone",
        "bags": "nothing raises their logits within their slice, and a slice without rows stays where it started",
    }
)
