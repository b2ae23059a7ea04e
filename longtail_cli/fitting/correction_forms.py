"""What each correction learns: how numbers that are 0 for the identity make scales and shifts of the columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from longtail_cli.fitting.affine_loss import Affine
from longtail_cli.fitting.methods import (
    BiasCorrectedTemperature,
    ClassTemperature,
    DisAlign,
    LearnableWeightScaling,
    LogitsFit,
    Temperature,
    VectorScaling,
)
from longtail_cli.tables import Floats, LogitColumns

LARGEST_LOGARITHM = 30.0
"""Of a temperature and of its inverse: so that the line search never meets an infinite one."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the P numbers that are searched, 0 for the identity, make a correction."""

    penalised: Floats
    """float64 [P], 1 for those that the penalty counts, else 0."""
    affine: Callable[[torch.Tensor], Affine]
    """The correction from float64 [P]; differentiable."""
    left_out: torch.Tensor
    """bool [K], the columns without rows, which have no part in a softmax."""


def form_of(method: LogitsFit, columns: LogitColumns, with_rows: torch.Tensor, inputs: int | None) -> Form:
    """The form of the method.

    with_rows: bool [K], the columns that are the target of a row. inputs: D, how many numbers the confidence of a row
    is computed from; None without a confidence.
    """
    width = len(with_rows)
    classes = torch.zeros(width, dtype=torch.bool)
    classes[columns.classes] = True
    every, unshifted = torch.ones(width, dtype=torch.float64), torch.zeros(width, dtype=torch.float64)
    free, own = with_rows.double(), (with_rows & classes).double()  # columns, and classes, that learn their own numbers
    none, all_columns = np.zeros(1), np.ones(width)
    match method:
        case Temperature():
            nothing = torch.zeros_like(classes)
            return Form(none, lambda x: Affine(every * (inverse_temperature(x) - 1), unshifted), nothing)
        case BiasCorrectedTemperature():
            # of ln 1/T, which moves all columns, so that the loss is about as curved in it as in beta
            unit = width**-0.5

            def with_shifts(x: torch.Tensor) -> Affine:
                return Affine(every * (inverse_temperature(unit * x[:1]) - 1), free * x[1:])

            return Form(np.concatenate([none, all_columns]), with_shifts, ~with_rows)
        case ClassTemperature():
            return Form(all_columns, lambda x: Affine(own * (inverse_temperature(x) - 1), unshifted), ~with_rows)
        case LearnableWeightScaling():
            return Form(all_columns, lambda x: Affine(own * x, unshifted), ~with_rows)
        case VectorScaling() | DisAlign() if inputs is None:
            learned = free if isinstance(method, VectorScaling) else own
            penalised = np.concatenate([all_columns, all_columns])
            return Form(penalised, lambda x: Affine(learned * x[:width], learned * x[width:]), ~with_rows)
        case DisAlign() if inputs is not None:
            penalised = np.concatenate([all_columns, all_columns, np.ones(inputs), none])

            def with_confidence(x: torch.Tensor) -> Affine:
                return Affine(own * x[:width], own * x[width : 2 * width], x[2 * width : -1], x[-1])

            return Form(penalised, with_confidence, ~with_rows)
    raise TypeError(f"{method.spec} is not a correction of logits")


def inverse_temperature(logarithm: torch.Tensor) -> torch.Tensor:
    """The inverse temperature with this logarithm."""
    return logarithm.clamp(-LARGEST_LOGARITHM, LARGEST_LOGARITHM).exp()
