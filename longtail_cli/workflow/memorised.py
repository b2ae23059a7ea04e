"""Whether a classifier was probably trained on the rows that something is fitted on. Imports torch."""

from __future__ import annotations

import numpy as np
import torch

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Bools, LogitColumns, Logits, Longs
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import prepare_methods
from longtail_cli.workflow.progress import no_progress

MEMORISED = 0.99
"""A classifier that is right about more of its rows has probably been trained on them."""

GAP = 0.1
"""So has one whose balanced accuracy on held-out logits is lower by more."""


def right_rows(file: LogitsFile, label: Longs) -> Bools:
    """Whether the class with the highest score is the true one, bool [N]. label: int64 [N]."""
    right = np.zeros(file.rows, bool)
    unadjusted = prepare_methods(file, (parse_method("none"),), None, InputOptions(), torch.device("cpu"))[0].adjuster

    def look(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> None:
        rows = slice(batch.first, batch.first + len(batch))
        right[rows] = scores[:, columns.classes].argmax(dim=1).numpy() == label[rows]

    for _ in map_batches(file, [(unadjusted, look)], torch.device("cpu"), no_progress, activate=False):
        pass
    return right


def balanced_accuracy(right: Bools, label: Longs) -> float:
    """The mean over the classes with rows of the share of right rows."""
    number, hits = np.bincount(label), np.bincount(label, right)
    return float((hits[number > 0] / number[number > 0]).mean())


def memorised(accuracy: float) -> tuple[str, ...]:
    """A warning if so many of the rows are right that the model was probably trained on them."""
    if accuracy <= MEMORISED:
        return ()
    return (
        f"the model is right about {100 * accuracy:.1f}% of these rows: they look like those that it was trained on. "
        "What is fitted on them gains little; fit on rows that it has not seen (docs/fit.md)",
    )


def memorised_against(fitted: float, held_out: float, source: str) -> tuple[str, ...]:
    """A warning if the balanced accuracy is that much lower on the held-out rows, which are called `source`."""
    if fitted - held_out <= GAP:
        return ()
    return (
        f"the model has a balanced accuracy of {100 * fitted:.1f}% on these rows and of {100 * held_out:.1f}% on "
        f"{source}: it looks as if it was trained on them. What is fitted on them gains little; fit on rows that it "
        "has not seen (docs/fit.md)",
    )
