"""A method that applies given steps to scores, for the tests of what reads and adjusts them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.methods.base import Adjustment, MethodContext, binary_columns
from longtail_cli.methods.steps import ScoreKnots, ScoreStep


@dataclass(frozen=True, eq=False)
class GivenSteps:
    """Adjusts each score by these steps, whose classes are the rows of the table; equal to no other."""

    steps: tuple[ScoreStep, ...]
    spec: str = "given"
    uses_counts: bool = False
    files: tuple[str, ...] = ()
    tuned_on: None = None

    def adjustment(self, context: MethodContext) -> Adjustment:
        return Adjustment(self.steps, binary_columns(context.columns))


def scaled(*factors: list[float], edges: list[list[float]] | None = None) -> GivenSteps:
    """Multiplies the scores of each class and area bin by its factor, 0 to 1."""
    bounds = np.empty((len(factors), 0)) if edges is None else np.array(edges)
    top = np.ravel(factors)
    x, y = np.tile([0.0, 1.0], len(top)), np.ravel([[0.0, one] for one in top.tolist()])
    curve = np.arange(len(top)).reshape(len(factors), -1)
    return GivenSteps((ScoreKnots(bounds, curve, 2 * np.arange(len(top) + 1), x, y),))
