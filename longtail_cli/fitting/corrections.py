"""Corrections of the logits that are learned by maximum likelihood: temperatures, scales and shifts of the columns.

Every correction starts at the identity, all its numbers at 0, and is penalised towards it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.fitting.affine_loss import Affine, AffineLoss
from longtail_cli.fitting.correction_forms import Form, form_of
from longtail_cli.fitting.fitted import Fitted, Tried
from longtail_cli.fitting.methods import (
    AUTO,
    BiasCorrectedTemperature,
    DisAlign,
    LogitsFit,
    Temperature,
)
from longtail_cli.fitting.minimise import Minimum, minimise
from longtail_cli.fitting.progress import Progress
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.fitting.strengths import STRENGTHS, balanced_mean
from longtail_cli.methods.base import Note
from longtail_cli.methods.steps import ColumnAffine, ConfidenceAffine, Step
from longtail_cli.tables import Floats

ROUGH, FINE = 1e-5, 1e-6
"""The largest partial derivative of the mean loss at which a search ends: when it tries a penalty, and at last."""

EVALUATIONS = 500
"""Passes over the rows that a search may take."""


def fit_correction(method: LogitsFit, rows: LabelledRows, weight: Floats, progress: Progress) -> Fitted:
    """The correction of the method that minimises Σ weight l / Σ weight plus the penalty of the method.

    l: the negative log-likelihood of a row, see `AffineLoss`. Under a sigmoid head the target of a background row may
    be K, for no column.
    weight: float64 [N], >= 0, the importance of each row. For `DisAlign` it only decides which rows count: its weights
    are (1/r_c)^exponent, with mean 1 over the classes that have rows, and 1 for background rows; r_c is the share of
    the class among the rows with a class.

    l2=auto tries `STRENGTHS` on the rows that are not held out, takes the one with the least negative log-likelihood on
    those that are, the mean over the classes of the mean over the rows of a class, the background being one more class,
    and then fits all rows, or those that `LabelledRows.last` names. Of equals it takes the strongest.

    A column without rows has scale 1 and shift 0, and of a temperature for all columns its share. It has no part in
    the softmax of the fit, unless the method is `Temperature`: otherwise the likelihood would grow without end as all
    other logits are raised above it. The result has a note on the classes of such columns.

    Raises UsageError for rows without logits, a head that is neither softmax nor sigmoid, no rows of positive weight, a
    confidence on features without features, and l2=auto with no rows to fit on or none that are held out. Raises
    InputError if the result is not finite.
    """
    _check(method, rows, weight)
    search = _Search(method, AffineLoss(rows, _inputs(method, rows)), torch.tensor(weight))
    every = torch.from_numpy(np.flatnonzero(weight > 0))
    l2, start = getattr(method, "l2", 0.0), None
    tried: tuple[Tried, ...] = ()
    passes = 0
    if l2 == AUTO:
        kept, held = (every[rows.held_out[every] == chosen] for chosen in (False, True))
        _check_parts(method, kept, held)
        l2, start, tried, passes = search.chosen(kept, held, progress)
    progress(f"fitting {method.name}", None)
    last = every[rows.last[every]]
    form = search.form(last)
    found = search.minimum(form, last, float(l2), FINE, start)
    affine = form.affine(torch.from_numpy(found.point))
    _check_finite(method, found, affine)
    return Fitted(
        (_step(method, affine),),
        rows.columns,
        _settings(method, affine, float(l2)),
        tried,
        found.curve,
        passes + found.evaluations,
        found.converged,
        _notes(rows, form),
    )


class _Choice(NamedTuple):
    """The strength of the penalty that was chosen."""

    l2: float
    point: Floats
    """float64 [P], the numbers that it led to."""
    tried: tuple[Tried, ...]
    passes: int


@dataclass(frozen=True, slots=True)
class _Search:
    """The numbers of a correction with the least loss on some of the rows."""

    method: LogitsFit
    loss: AffineLoss
    weight: torch.Tensor
    """float64 [N]."""

    def form(self, row: torch.Tensor) -> Form:
        """The form of the method for the rows (int64 [n]) that it is fitted on."""
        rows, inputs = self.loss.rows, self.loss.inputs
        width = _logits(rows).shape[1]
        with_rows = torch.bincount(rows.target[row], minlength=width)[:width] > 0
        return form_of(self.method, rows.columns, with_rows, None if inputs is None else inputs.shape[1])

    def chosen(self, kept: torch.Tensor, held: torch.Tensor, progress: Progress) -> _Choice:
        """The penalty of those tried on the rows `kept` (int64 [n]) that is best on the rows `held` (int64 [m])."""
        form = self.form(kept)
        found: list[Minimum] = []
        tried: list[Tried] = []
        for number, l2 in enumerate(STRENGTHS):
            progress(f"choosing l2 of {self.method.name}", number / len(STRENGTHS))
            found.append(self.minimum(form, kept, l2, ROUGH, found[-1].point if found else None))
            tried.append(Tried(l2, self.balanced(form.affine(torch.from_numpy(found[-1].point)), held)))
        best = min(range(len(tried)), key=lambda number: tried[number].score)
        return _Choice(tried[best].value, found[best].point, tuple(tried), sum(one.evaluations for one in found))

    def minimum(self, form: Form, row: torch.Tensor, l2: float, tolerance: float, start: Floats | None) -> Minimum:
        """Where the weighted mean loss of the rows (int64 [n]) plus l2/2 Σ x² over the penalised numbers x is least.

        start: float64 [P]; None for the identity.
        """
        importance = self.importance(row)

        def objective(point: Floats) -> tuple[float, Floats]:
            x = torch.tensor(point, requires_grad=True)
            affine = form.affine(x)
            fixed = Affine(*(one.detach() for one in affine.tensors))
            value, gradient = self.loss.with_gradient(row, importance, fixed, form.left_out)
            pairs = zip(affine.tensors, gradient.tensors, strict=True)
            learned = [(one, own) for one, own in pairs if one.requires_grad]
            torch.autograd.backward([one for one, _ in learned], [own for _, own in learned])
            assert x.grad is not None
            penalty = l2 * form.penalised * point
            return value + float(penalty @ point) / 2, x.grad.numpy() + penalty

        nothing = np.zeros(len(form.penalised))
        with np.errstate(over="ignore", invalid="ignore"):  # a result that is not finite is refused later
            return minimise(objective, nothing if start is None else start, tolerance=tolerance, most=EVALUATIONS)

    def importance(self, row: torch.Tensor) -> torch.Tensor:
        """The weight of each row in a fit on the rows `row` (int64 [n]), whose sum over these is 1: float64 [N]."""
        importance, rows = self.weight, self.loss.rows
        if isinstance(self.method, DisAlign):
            target, width, classes = rows.target[row], _logits(rows).shape[1], rows.columns.classes
            count = torch.bincount(target, minlength=width)[classes].double()
            raised = torch.where(count > 0, count.clamp(min=1) ** -self.method.exponent, 0)
            of_column = torch.ones(width + 1, dtype=torch.float64)  # one more for background rows without a column
            of_column[classes] = raised * (count > 0).sum() / max(float(raised.sum()), 1e-300)
            importance = of_column[rows.target]
        return importance / importance[row].sum()

    def balanced(self, affine: Affine, held: torch.Tensor) -> float:
        """The mean over the classes of the mean loss of their rows among `held` (int64 [n])."""
        return balanced_mean(self.loss.of_rows(held, affine), self.loss.rows.target[held])


def _step(method: LogitsFit, affine: Affine) -> Step:
    scale, shift = affine.scale.numpy(), affine.shift.numpy()
    if affine.weight is None or affine.bias is None:
        return ColumnAffine(1 + scale, shift)
    of_features = isinstance(method, DisAlign) and method.confidence == "features"
    return ConfidenceAffine(scale, shift, affine.weight.numpy(), float(affine.bias), of_features)


def _settings(method: LogitsFit, affine: Affine, l2: float) -> dict[str, float]:
    settings = {} if isinstance(method, Temperature) else {"l2": l2}
    if isinstance(method, Temperature | BiasCorrectedTemperature):
        settings["temperature"] = 1 / (1 + float(affine.scale[0]))
    return settings


def _notes(rows: LabelledRows, form: Form) -> tuple[Note, ...]:
    without = form.left_out[rows.columns.classes].numpy()
    return (
        (Note(without, "have no rows to learn from; they get no scale and no shift of their own"),)
        if without.any()
        else ()
    )


def _logits(rows: LabelledRows) -> torch.Tensor:
    """Raises UsageError if they were not read."""
    if rows.logits is None:
        raise UsageError("rows", [Problem("logits", "[N, K]", "none")], "pass the logits of the rows")
    return rows.logits


def _inputs(method: LogitsFit, rows: LabelledRows) -> torch.Tensor | None:
    """What the confidence is computed from, [N, D]; None without one. Raises UsageError if it is missing."""
    if not isinstance(method, DisAlign) or method.confidence == "none":
        return None
    if method.confidence == "logits":
        return rows.logits
    if rows.features is None:
        problem = Problem("tensors", "`features` [N, D], which the confidence is computed from", "none")
        fix = "save the features with the logits (docs/logits.md), or choose confidence=logits or confidence=none"
        raise UsageError(f"method {method.spec}", [problem], fix)
    return rows.features


def _check(method: LogitsFit, rows: LabelledRows, weight: Floats) -> None:
    _logits(rows)
    if rows.columns.head not in ("softmax", "sigmoid"):
        problem = Problem("head", "softmax or sigmoid", rows.columns.head)
        raise UsageError(f"method {method.spec}", [problem], "fit it on the logits of such a head")
    if not (weight > 0).any():
        problem = Problem("rows", "at least one that counts", f"none of {len(rows)}")
        raise UsageError(f"method {method.spec}", [problem], "pass rows with known classes")


def _check_parts(method: LogitsFit, kept: torch.Tensor, held: torch.Tensor) -> None:
    """Raise UsageError unless there are rows to fit on and rows to choose on."""
    if not (len(kept) and len(held)):
        found = f"{len(kept)} rows to fit on, {len(held)} held out"
        problem = Problem("rows", "some to fit on, and others that are held out to choose l2 on", found)
        raise UsageError(f"method {method.spec}", [problem], "pass more rows, or state l2, as in l2=0.01")


def _check_finite(method: LogitsFit, found: Minimum, affine: Affine) -> None:
    if not (np.isfinite(found.loss) and all(bool(one.isfinite().all()) for one in affine.tensors)):
        problem = Problem("result", "finite numbers", "an overflow")
        fix = "divide the logits by a constant before saving them, or raise l2"
        raise InputError(f"method {method.spec}", [problem], fix)
