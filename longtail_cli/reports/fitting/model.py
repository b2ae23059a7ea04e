"""What a fit was made from and how it went; the learned numbers themselves are apart from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_cli.metrics import Value
from longtail_cli.reports.origin import Origin


@dataclass(frozen=True, slots=True)
class Tried:
    """A setting that was tried, with what it was chosen by."""

    value: float
    """Of the setting: the strength of the penalty, or tau."""
    score: float
    """The negative log-likelihood in nats on the held-out rows, as a mean over the classes of the mean over the rows
    of a class; for tau the balanced accuracy on all rows."""


@dataclass(frozen=True, slots=True)
class RowCounts:
    """The rows that were fitted on: images of a classifier, proposals or detections of a detector."""

    used: int
    """All, the held-out ones included."""
    held_out: int
    """Those that settings were chosen on; 0 if nothing was chosen."""
    images: int | None
    """Images with such rows; None for classification."""
    background: int | None
    """Rows of the background, and for detections those that matched nothing; None without a background."""
    left_out: int
    """Proposals between the two IoU thresholds, background rows that were not drawn, detections that are ignored."""
    classes: int
    """Classes with rows."""


@dataclass(frozen=True, slots=True)
class ClassNorms:
    """The lengths of the weight vectors of the classes; empty unless a head was fitted."""

    image_count: tuple[int, ...] = ()
    """C images of each class in the training set."""
    before: tuple[float, ...] = ()
    """C lengths; empty if the file has no weights of the given head."""
    after: tuple[float, ...] = ()
    """C lengths."""


@dataclass(frozen=True, slots=True)
class FitRecord:
    """What `ltcal fit` did."""

    version: str
    """Version of the tool."""
    method: str
    """The spec of what was fitted."""
    seed: int
    target: str | None
    """The class distribution that the rows are weighted to; None where the method has its own."""
    settings: Mapping[str, float]
    """The values that were found for `l2`, `tau` or `temperature`."""
    tried: tuple[Tried, ...]
    """In the order in which they were tried; empty if there was nothing to choose."""
    curve: tuple[float, ...]
    """The loss after each iteration, the start first, or after each epoch; empty for closed forms."""
    passes: int
    """Passes over the rows, all in all."""
    converged: bool
    rows: RowCounts
    accuracy: Value
    """Share of the rows that the given head is right about, before the fit; None for scores."""
    norms: ClassNorms
    fitted_on: Origin
    notes: tuple[str, ...]

    @property
    def description(self) -> str:
        """What was fitted, with the values that were found."""
        found = ", ".join(f"{name} {value:.4g}" for name, value in self.settings.items())
        return f"{self.method} ({found})" if found else self.method
