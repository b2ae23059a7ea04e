"""A fit from what was learned and what it was learned from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem
from longtail_cli.fitting.fitted import Fitted
from longtail_cli.fitting.methods import FitMethod
from longtail_cli.frequency import uncounted_table
from longtail_cli.methods.fitted import FittedStep, LearnedStep, is_finite
from longtail_cli.metrics import Value
from longtail_cli.reports.fitting.model import ClassNorms, FitRecord, RowCounts, Tried
from longtail_cli.reports.origin import Origin
from longtail_cli.tables import FrequencyTable, LogitColumns
from longtail_cli.workflow.progress import note_lines
from longtail_cli.workflow.saved_method import Fit

NO_NORMS = ClassNorms()


@dataclass(frozen=True, slots=True)
class FitData:
    """What was fitted on."""

    rows: RowCounts
    origin: Origin
    accuracy: Value = None
    """Share of the rows that the given head is right about; None if unknown."""
    other_rows: int = 0
    """How many of the rows, the last ones, are of other data to choose settings on."""
    notes: tuple[str, ...] = ()


def fit_of(
    method: FitMethod,
    fitted: Fitted,
    data: FitData,
    table: FrequencyTable | None,
    seed: int,
    target: str | None,
    norms: ClassNorms = NO_NORMS,
) -> Fit:
    """The fit: the learned step with the record of how it was learned. table: of the classes, for their names."""
    rows, origin = data.rows, data.origin
    if not fitted.tried or ("tau" in fitted.settings and not data.other_rows):  # nothing was chosen on held-out rows
        rows = replace(rows, used=rows.used - data.other_rows, held_out=0)
        origin = replace(origin, rows=origin.rows[: len(origin.rows) - data.other_rows])
    columns = LogitColumns(origin.head, origin.background, np.array(origin.category_ids, np.int64))
    notes = data.notes + note_lines(fitted.notes, uncounted_table(columns.category_id) if table is None else table)
    if not fitted.converged:
        notes += (_not_converged(method, fitted),)
    record = FitRecord(
        version=__version__,
        method=method.spec,
        seed=seed,
        target=target,
        settings=dict(fitted.settings),
        tried=tuple(Tried(one.value, one.score) for one in fitted.tried),
        curve=fitted.curve,
        passes=fitted.passes,
        converged=fitted.converged,
        rows=rows,
        accuracy=data.accuracy,
        norms=norms,
        fitted_on=origin,
        notes=notes,
    )
    return Fit(record, FittedStep(_learned_step(fitted), columns))


def _not_converged(method: FitMethod, fitted: Fitted) -> str:
    """The note on a fit that did not converge."""
    if fitted.curve and fitted.curve[-1] > fitted.curve[0]:
        slower = "lower lr, or " if any(p.name == "lr" for p in method.parameters()) else ""
        return f"the loss grew from {fitted.curve[0]:.4g} to {fitted.curve[-1]:.4g}; {slower}scale the features"
    advice = ". A stronger penalty (l2) makes it converge sooner" if method.uses_l2 else ""
    return f"stopped after {fitted.passes} passes over the rows before it converged{advice}"


def _learned_step(fitted: Fitted) -> LearnedStep:
    """The first step; decoding follows from its columns. Raises InputError unless all its numbers are finite."""
    step = fitted.steps[0]
    assert isinstance(step, LearnedStep)
    arrays = FittedStep(step, fitted.columns).to_arrays()
    if not all(is_finite(name, one) for name, one in arrays.items() if one.dtype.kind == "f"):
        problem = Problem("result", "finite numbers", "NaN or infinity")
        raise InputError("fit", [problem], "choose a stronger penalty (l2), or look for outliers among the rows")
    return step
