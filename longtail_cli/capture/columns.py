"""Converts the columns of a model to those of a logits file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from longtail_cli.capture.common import mismatch
from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.files.logits.class_columns import of_classes
from longtail_cli.tables import LogitColumns

Kind = tuple[HeadName, BackgroundName]
"""The head and background of a model, as a logits file declares them."""


@dataclass(frozen=True, slots=True)
class ColumnChoice:
    """Which columns of a model's logits are the C classes of a logits file."""

    source: str
    """The calling function, for messages."""
    columns: LogitColumns
    """The columns of the file."""
    classes: tuple[int, ...] | None
    """The columns of the model that are the file's classes, in the order of `LogitColumns.category_id`; None if they
    are all of the model's columns except the background, in its order."""

    def logits(self, logits: torch.Tensor) -> torch.Tensor:
        """[N, K] of the file from [N, M] of the model.

        Columns that are not classes of the file are dealt with as `of_classes` describes.
        Raises `UsageError` if M does not fit.
        """
        self.check_width(logits.shape[-1])
        if self.classes is None:
            return logits
        return of_classes(logits, self.classes, self.columns.background)

    def boxes(self, boxes: torch.Tensor) -> torch.Tensor:
        """[N, 4] unchanged; [N, C, 4] of the file from one box per class of the model, without the background."""
        if self.classes is None or boxes.ndim == 2:
            return boxes
        first = int(self.columns.background == "first")
        return boxes[:, [column - first for column in self.classes]]

    def check_width(self, width: int) -> None:
        """Raise `UsageError` unless `width` columns of a model fit the classes and the file."""
        background = int(self.columns.background != "none")
        if self.classes is None:
            if width != len(self.columns) + background:
                raise self._width_error(width)
            return
        low = int(self.columns.background == "first")
        high = width - int(self.columns.background == "last")
        outside = [column for column in self.classes if not low <= column < high]
        if outside:
            raise mismatch(
                self.source,
                "classes",
                f"columns {low}..{high - 1} of the model's {width}",
                f"{outside[0]}",
                "give the model's column of each category id; the background is not one of them",
            )

    def _width_error(self, width: int) -> Exception:
        plus = "" if self.columns.background == "none" else " and a background"
        return mismatch(
            self.source,
            "logits",
            f"{self.columns.width} columns, as the writer has {len(self.columns)} category ids{plus}",
            f"{width} columns",
            "give the writer the head and background of this model and an id for each of its classes; if some of its"
            " columns are not categories of the data, pass those that are as `classes=`",
        )


def choose_columns(source: str, columns: LogitColumns, kind: Kind, classes: Sequence[int] | None) -> ColumnChoice:
    """The choice of `classes` (columns of the model) for a model of a known `kind`.

    Raises `UsageError` if the file declares another head or background, or another number of classes.
    """
    head, background = kind
    if (columns.head, columns.background) != kind:
        raise mismatch(
            source,
            "the writer",
            f"head={head!r}, background={background!r}, which is what this model computes",
            f"head={columns.head!r}, background={columns.background!r}",
            f"open it as LogitsWriter(..., head={head!r}, background={background!r}, ...)",
        )
    if classes is not None and (len(classes) != len(columns) or len(set(classes)) != len(classes)):
        raise mismatch(
            source,
            "classes",
            f"{len(columns)} different columns, one for each category id of the writer",
            f"{len(classes)}, {len(set(classes))} of them different",
            "give one column of the model for each category id, in their order",
        )
    return ColumnChoice(source, columns, None if classes is None else tuple(classes))
