"""The result of `ltcal tune`: the choice, its cross-fitted figures, and every candidate that was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from longtail_cli.metrics import Interval, Value, Values
from longtail_cli.reports.metric_names import lower_is_better
from longtail_cli.reports.model import Report
from longtail_cli.reports.origin import Origin

Setting = float | str
"""The value of a parameter: a number or a word."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One adjustment that was tried, with its figures on all of the tuning data (in-sample)."""

    spec: str
    """The canonical spec of the method."""
    space: str
    """The space that it is a point of, as given: ``norcal:gamma=0..1.5``; ``none`` for no adjustment."""
    settings: Mapping[str, Setting]
    """The parameters that the space varies, by name; empty if it varies none."""
    objective: Value
    error: Value
    """The standard error of the difference between its objective and that of the best candidate; 0 for the best, None
    if undefined."""
    moved: float
    """How far the adjustment moves the scores: the mean over rows of the total variation distance between the scores
    before and after, in [0, 1]; for a head without softmax and for result files the mean absolute difference. Of
    candidates within one standard error of the best, the one that moves the scores least is chosen."""
    metrics: Values
    """Metrics by name (``bbox/AP``, ``bbox/APr``, ..., or ``classification/top1``, ...)."""
    kept: bool
    """Whether it meets the constraints."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The best adjustment of a space, or of all spaces; or no adjustment."""

    space: str
    """The space, or ``all``, or ``none``."""
    spec: str
    """What was chosen on all of the tuning data."""
    candidate: str
    """The spec of the candidate: `spec` without a temperature that was fitted to it."""
    fold_specs: tuple[str, ...]
    """For each fold what was chosen on the other folds; the fold is scored with it."""
    in_sample: Value
    """The objective of `spec` on the data it was chosen on."""
    cross_fitted: Value
    """The objective on the union of the folds, each scored with its own of `fold_specs`; None if not computed."""
    interval: Interval | None
    """Of `cross_fitted`."""
    gain: Interval | None
    """Of the difference between `cross_fitted` and that of no adjustment."""
    run: str
    """Name of the run of `Tuning.report` with the cross-fitted figures."""


@dataclass(frozen=True, slots=True)
class Tuning:
    """What `ltcal tune` found; ``tuned.json`` holds all of it."""

    version: str
    """Version of the tool."""
    objective: str
    """Name of the metric that was optimised."""
    keep: tuple[str, ...]
    """The constraints as given: ``bbox/APf=-0.005``, against no adjustment."""
    target: str | None
    """Classification: the class distribution that the rows are weighted to; None for detection."""
    folds: int
    seed: int
    split: str | None
    """``half:0`` if only half of the images was tuned on and the other half reported on; else None."""
    partial: bool
    """Whether it was interrupted: then there are only the candidates so far and no `report`, or no `heldout`."""
    unadjusted: Choice
    """No adjustment, to compare with."""
    chosen: Choice
    best: tuple[Choice, ...]
    """The best of each space, the best objective first."""
    candidates: tuple[Candidate, ...]
    """In the order in which they were tried; the first is ``none``."""
    tuned_on: Origin
    report: Report | None
    """Cross-fitted figures: no adjustment first, then the choice, then the best of each space; None if the search was
    interrupted."""
    heldout: Report | None = None
    """With `split`: no adjustment and the choice on the other half."""
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """One line: a tuning may hold thousands of images."""
        return f"<Tuning: {self.chosen.spec}, {self.objective} {self.chosen.cross_fitted} cross-fitted>"

    @property
    def optimism(self) -> Value:
        """By how much the in-sample objective of the choice is better than its cross-fitted one; None if unknown."""
        one, other = self.chosen.in_sample, self.chosen.cross_fitted
        if one is None or other is None:
            return None
        return other - one if lower_is_better(self.objective) else one - other

    def to_json(self) -> str:
        """JSON of the schema ``ltcal-tuned/1``: the file for ``@tuned.json``."""
        from longtail_cli.reports.tuning.json import to_json

        return to_json(self)

    def to_text(self) -> str:
        """Plain-text tables for a terminal."""
        from longtail_cli.reports.tuning.text import to_text

        return to_text(self)

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown tables."""
        from longtail_cli.reports.tuning.text import to_markdown

        return to_markdown(self)

    def to_html(self, command: str = "") -> str:
        """A self-contained HTML page with plots and all candidates. command: what made the tuning, to be shown."""
        from longtail_cli.reports.page.tuning import to_html

        return to_html(self, command)
