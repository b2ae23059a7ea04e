"""What a fit returns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_cli.methods.base import Note
from longtail_cli.methods.steps import Step
from longtail_cli.tables import LogitColumns


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting that was tried on the held-out rows."""

    value: float
    """Of the setting: the strength of the penalty, or tau."""
    score: float
    """What it was chosen by: the negative log-likelihood in nats, the mean over the classes of the mean over the
    held-out rows of a class; for tau the balanced accuracy."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A correction or a head that was learned."""

    steps: tuple[Step, ...]
    """What it does to the columns of the rows, whose classes are in order of id."""
    columns: LogitColumns
    """What the columns are after the steps."""
    settings: Mapping[str, float]
    """The values that were found for `l2`, `tau` or `temperature`; empty if there are none."""
    tried: tuple[Tried, ...]
    """In the order in which they were tried; empty if there was nothing to choose."""
    curve: tuple[float, ...]
    """The loss after each iteration, the start first, or after each epoch; empty for closed forms."""
    passes: int
    """Passes over the rows, all in all; of the choice among settings, over the rows that were fitted on then."""
    converged: bool
    """Whether the search ended at a minimum; after a schedule, whether the loss of the last epoch is not larger than
    that of the first; true for closed forms."""
    notes: tuple[Note, ...] = ()
    """On the classes in order of id."""
