"""Methods applied to logits in memory: NumPy arrays and torch tensors. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NoReturn

import numpy as np
import torch

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.logits.metadata import checked_columns
from longtail_cli.frequency import uncounted_table
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.base import Method, MethodContext, RowKind
from longtail_cli.methods.steps import Step
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Singles
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import FileAccess, check_classes, class_blocks, open_like
from longtail_cli.workflow.progress import note_lines


def adjust_array(
    logits: Any,
    table: FrequencyTable | None,
    method: Method,
    head: HeadName,
    background: BackgroundName,
    category_ids: Sequence[int] | None,
) -> tuple[Any, tuple[str, ...]]:
    """The adjusted logits, with the type, dtype and device of `logits` [..., K], and notes on some classes.

    Raises InputError if the shape or the classes do not fit, UsageError if the method does not.
    """
    given = logits if isinstance(logits, torch.Tensor) else torch.from_numpy(np.array(logits))
    if not given.is_floating_point() or given.ndim < 1 or not given.shape[-1]:
        problem = Problem("logits", "floating-point numbers [..., K]", f"{given.dtype} {list(given.shape)}")
        raise InputError("adjust", [problem], "pass the output of the last layer")
    rows = given.reshape(-1, given.shape[-1])
    exact = rows if rows.dtype in (torch.float32, torch.float64) else rows.float()
    columns = _columns(table, rows.shape[1], head, background, category_ids)
    access = _ArrayAccess(exact.detach(), columns)
    adjustment = method.adjustment(MethodContext(columns, table, None, access))
    adjuster = Adjuster(adjustment.steps, columns, exact.device, exact.dtype)
    adjusted = adjuster(exact)
    result = (adjusted.clone() if adjusted is exact else adjusted).to(given.dtype)
    result = result.reshape(*given.shape[:-1], adjusted.shape[1])
    notes = note_lines(adjustment.notes, uncounted_table(columns.category_id) if table is None else table)
    return (result if isinstance(logits, torch.Tensor) else result.numpy()), notes


def _columns(
    table: FrequencyTable | None,
    width: int,
    head: HeadName,
    background: BackgroundName,
    category_ids: Sequence[int] | None,
) -> LogitColumns:
    """The description of the columns. Raises InputError if their number does not fit the classes."""
    ids = category_ids if category_ids is not None else None if table is None else table.category_id.tolist()
    if ids is None:
        ids = list(range(width - (background != "none")))
    columns = checked_columns(head, background, list(ids), None, source="adjust")
    if columns.width is not None and columns.width != width:
        expected = f"{columns.width} columns: {len(columns)} classes, background {background}"
        fix = "pass the counts of all classes in column order, and the position of the background: `background=`"
        raise InputError("adjust", [Problem("logits", expected, f"{width} columns")], fix)
    if table is not None:
        check_classes(columns, table, "adjust")
    return columns


class _ArrayAccess(FileAccess):
    """The data that methods may use besides the counts: files that they name, and the given logits."""

    def __init__(self, logits: torch.Tensor, columns: LogitColumns) -> None:
        self._logits, self._columns = logits, columns

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        return (scores.astype(np.float32) for scores in self._own_rows(steps, "scores"))

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        self._refuse()

    def rows(self, path: str, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles | Floats]:
        if not path:
            return self._own_rows(steps, kind)
        columns = self._columns
        options = InputOptions(columns.head, columns.background, columns.category_id)
        file = open_like(path, options, columns, steps, "the given array")
        return (block for block, _ in class_blocks(file, steps, kind, torch.device("cpu")))

    def _own_rows(self, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles | Floats]:
        adjuster = Adjuster(steps, self._columns, self._logits.device, self._logits.dtype)
        rows = adjuster(self._logits)
        if kind == "scores":
            rows = activated(rows, adjuster.columns)
        yield rows[:, adjuster.columns.classes].cpu().numpy()

    def _refuse(self) -> NoReturn:
        problem = Problem("prior", "uniform, file or em", "bbse, which needs a labelled logits file of the same model")
        raise UsageError("adjust", [problem], "evaluate the logits as a file to use prior=bbse")
