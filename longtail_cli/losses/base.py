"""What the losses share: the columns, the checks, and the reduction."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal, get_args

import numpy as np
import torch

from longtail_cli.choices import BACKGROUNDS, BackgroundName
from longtail_cli.errors import LtcalWarning, Problem, UsageError, check_choice
from longtail_cli.frequency import named
from longtail_cli.losses.counts import Frequencies, frequency_table
from longtail_cli.methods.apply import activated
from longtail_cli.methods.base import Note
from longtail_cli.tables import Floats, LogitColumns, Longs

Reduction = Literal["none", "sum", "mean"]
REDUCTIONS: tuple[Reduction, ...] = get_args(Reduction)


_WARNS: ContextVar[bool] = ContextVar("_WARNS", default=True)


@contextmanager
def without_warnings() -> Iterator[None]:
    """Losses that are built inside issue no warnings; their `notes` alone say what they would warn of."""
    token = _WARNS.set(False)
    try:
        yield
    finally:
        _WARNS.reset(token)


class LongTailLoss(torch.nn.Module, ABC):
    """A loss of logits [N, K] and target columns [N] that depends on how often the C classes occur.

    frequencies: a `FrequencyTable`, whose order is that of the columns, or the counts of classes 0 to C-1. Classes that
        never occur follow `zero_count`, with an `LtcalWarning` that names them.
    background: ``none``, or whether the background is the ``first`` or the ``last`` column.
    reduction: ``none`` gives [N]; ``sum``; ``mean`` is Σ w l / Σ w, with the `sample_weight` w of each row.
    ignore_index: rows with this target have loss 0 and do not count in the mean.

    The mean over no rows, or over rows of weight 0, is 0. float16 and bfloat16 logits are computed in float32, inside
    autocast too; float64 stays. The constants are buffers that are not part of the ``state_dict``, so checkpoints of a
    model do not depend on its loss; they are float64, so on a device without it call ``loss.float()`` first. Targets
    are checked, for which a GPU has to be waited for.

    Raises InputError for counts, and UsageError for parameters, logits or targets, that cannot be used.
    """

    classes: int
    """C."""
    width: int
    """K, the number of columns of the logits."""

    def __init__(
        self, frequencies: Frequencies, background: BackgroundName, reduction: Reduction, ignore_index: int
    ) -> None:
        super().__init__()
        check_choice("background", background, BACKGROUNDS)
        check_choice("reduction", reduction, REDUCTIONS)
        self.frequencies = frequency_table(frequencies)
        self.background: BackgroundName = background
        self.reduction: Reduction = reduction
        self.ignore_index = ignore_index
        self.classes = len(self.frequencies)
        self.targets = self.classes + (background != "none")
        """Targets are 0 to this number minus one: the classes, and the background before or after them."""
        self.width = self.targets
        self.notes: tuple[Note, ...] = ()
        """What the loss warns of: classes that never occur."""

    def forward(
        self, logits: torch.Tensor, target: torch.Tensor, sample_weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The reduced loss: [N] for reduction ``none``, otherwise one number.

        logits: [N, K], floating-point, before any activation. target: int64 [N], the column of the true class or of the
        background, or `ignore_index`. sample_weight: [N], >= 0.
        """
        self._check(logits, target, sample_weight)
        losses = self.row_losses(logits, target, self.draw(target))
        if sample_weight is not None:
            losses = losses * sample_weight.to(losses)
        if self.reduction == "none":
            return losses
        if self.reduction == "sum":
            return losses.sum()
        weight = self.mean_weight(target).to(losses)
        total = (weight if sample_weight is None else weight * sample_weight.to(losses)).sum()
        return losses.sum() / total.where(total != 0, 1)

    def draw(self, target: torch.Tensor) -> torch.Tensor | None:
        """What is random about these rows, different in each call; None if nothing is."""
        return None

    @abstractmethod
    def row_losses(self, logits: torch.Tensor, target: torch.Tensor, drawn: torch.Tensor | None) -> torch.Tensor:
        """The loss of each row, [N], float32 or float64; the arguments are not checked.

        logits, target: as in `forward`. drawn: what `draw` returned for these rows.
        """
        ...

    def mean_weight(self, target: torch.Tensor) -> torch.Tensor:
        """What a row of sample weight 1 adds to the divisor of the mean, [N]: 1, unless the loss says otherwise.

        It is 0 for rows that are ignored, so that the mean of the losses l_i is Σ l_i / Σ mean_weight_i.
        """
        return target != self.ignore_index

    def columns(self, category_id: Longs) -> LogitColumns:
        """What the columns of the logits are. category_id: int64 [C], the ids of the classes."""
        return LogitColumns("softmax", self.background, category_id)

    def score_logits(self, logits: torch.Tensor) -> torch.Tensor:
        """The logits that the scores of a model trained with this loss are computed from, of the same shape.

        They are the logits themselves, without what the loss adds in training, unless the loss says otherwise.
        """
        return floats(logits)

    def decode(self, logits: torch.Tensor) -> torch.Tensor:
        """The score of each class after training, [N, C] in [0, 1]: softmax or sigmoid of the `score_logits`.

        logits: [N, K].
        """
        columns = self.columns(self.frequencies.category_id)
        return activated(self.score_logits(logits), columns)[:, columns.classes]

    def extra_repr(self) -> str:
        return f"classes={self.classes}, background={self.background}, reduction={self.reduction}"

    @property
    def _background_target(self) -> int | None:
        """The target of background rows."""
        return {"none": None, "first": 0, "last": self.classes}[self.background]

    def _known(self, target: torch.Tensor) -> torch.Tensor:
        """The targets with 0 for rows that are ignored, so that they can be used as an index."""
        return target.where(target != self.ignore_index, 0)

    def _true_class(self, target: torch.Tensor) -> torch.Tensor:
        """Which class is the true one, bool [N, C]; none in rows of background. Rows to ignore may have any or none."""
        target_of_class = torch.arange(self.classes, device=target.device) + (self.background == "first")
        return target[:, None] == target_of_class

    def _keep(self, name: str, values: Floats, background: float) -> None:
        """Register a buffer with a value for each target: those of the classes, and the background's if it has one."""
        where = self._background_target
        of_targets = values if where is None else np.insert(values, where, background)
        self.register_buffer(name, torch.tensor(of_targets), persistent=False)

    def _warn(self, notes: tuple[Note, ...]) -> None:
        """Keep the notes, and issue them as warnings, unless the loss is built `without_warnings`."""
        self.notes = notes
        for note in notes if _WARNS.get() else ():
            classes = f"{note.rows.sum()} of {self.classes} classes"
            text = f"{type(self).__name__}: {classes} {note.text}: {named(self.frequencies, note.rows)}"
            warnings.warn(text, LtcalWarning, stacklevel=3)

    def _require(self, accepted: bool, name: str, value: float, expected: str) -> None:
        """Raise UsageError unless the `value` of a parameter is `accepted`."""
        if not accepted:
            raise self._error(f"`{name}`", expected, repr(value), "choose a number in this range")

    def _check(self, logits: torch.Tensor, target: torch.Tensor, sample_weight: torch.Tensor | None) -> None:
        if logits.ndim != 2 or logits.shape[1] != self.width or not logits.is_floating_point():
            expected = f"floating-point numbers [N, {self.width}], for {self.classes} classes{self._with_background()}"
            raise self._error("logits", expected, _described(logits), "check the last layer and `background=`")
        rows = len(logits)
        if target.shape != (rows,) or target.dtype != torch.int64:
            expected = f"int64 [{rows}], one column for each row of the logits"
            raise self._error("target", expected, _described(target), "pass class indices, not one-hot rows")
        if sample_weight is not None and sample_weight.shape != (rows,):
            expected = f"[{rows}], one number for each row of the logits"
            raise self._error("sample_weight", expected, _described(sample_weight), "pass one weight for each row")
        wrong = ((target < 0) | (target >= self.targets)) & (target != self.ignore_index)
        if wrong.any():
            row = int(wrong.nonzero()[0])
            expected = f"0 to {self.targets - 1}, or {self.ignore_index} for rows that are ignored"
            fix = "number the classes from 0 in the order of the frequencies, and check `background=`"
            raise self._error(f"target of row {row}", expected, str(int(target[row])), fix)

    def _with_background(self) -> str:
        return "" if self.background == "none" else f" and background={self.background}"

    def _error(self, where: str, expected: str, found: str, fix: str) -> UsageError:
        return UsageError(type(self).__name__, [Problem(where, expected, found)], fix)


def floats(logits: torch.Tensor) -> torch.Tensor:
    """The logits in float64 if they are float64, otherwise in float32."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _described(tensor: torch.Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"
