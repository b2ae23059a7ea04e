"""Training a classifier head as a spec says: its loss, sampler, start and solver."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.fitting.fitted import Fitted, Tried
from longtail_cli.fitting.head_inputs import notes_on_absent, required, rows_per_target
from longtail_cli.fitting.head_losses import HeadLoss, head_loss
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.linear_solver import LinearSolver, fit_cosine, pack, training_rows, unpack
from longtail_cli.fitting.methods import AUTO, Classifier
from longtail_cli.fitting.progress import Progress
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.fitting.samplers import repeats
from longtail_cli.fitting.schedules import schedule_of
from longtail_cli.fitting.sgd import random_head, train
from longtail_cli.fitting.strengths import all_right, choose_strength
from longtail_cli.methods.bags import slice_softmax
from longtail_cli.methods.base import binary_columns
from longtail_cli.methods.steps import Classify
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns

_NO_BACKGROUND = -30.0
"""The logit of the background against 0 for the foreground, where a ``bags`` head has no background: P = 1 - 1e-13."""


@dataclass(frozen=True, slots=True)
class Training:
    """What a head is trained from."""

    method: Classifier
    rows: LabelledRows
    features: FeatureRows
    """Those of `rows`."""
    table: FrequencyTable | None
    given: LinearHead | None
    given_columns: LogitColumns
    """Those of the given head."""
    seed: int
    progress: Progress

    def fit(self) -> Fitted:
        """The trained head. Raises UsageError and InputError as `fit_head` says."""
        self._check_negatives()
        loss = head_loss(self.method, self.rows.columns, self.table, self.seed)
        if self.method.solver == "sgd":
            return self._by_schedule(loss)
        if self.method.is_cosine:
            return self._cosine_head(loss)
        return self._full_batch(loss)

    def _by_schedule(self, loss: HeadLoss) -> Fitted:
        schedule = schedule_of(self.method)
        new = schedule.start == "new"
        trained = train(
            self.features,
            self.rows.target,
            torch.from_numpy(self._repeats(schedule.sampler))[self.rows.target],
            loss,
            schedule,
            random_head(loss.width, self.features.dimensions, self.seed) if new else self._given_head(loss),
            cosine=self._cosine,
            seed=self.seed,
            progress=lambda share: self.progress("training the head", share),
        )
        passes, fell = -(-trained.rows // len(self.rows)), trained.curve[-1] <= trained.curve[0]
        return self._fitted(trained.head, loss, trained.curve, passes, converged=fell)

    def _cosine_head(self, loss: HeadLoss) -> Fitted:
        data = training_rows(self.features, self.rows.target, self._repeats(self._sampler), loss)
        start = self._given_head(loss) if self.method.start == "given" else None
        counter = _Passes(self.progress)
        found = fit_cosine(data, loss, self._cosine or 1.0, self._directions(start, loss.width), counter)
        head = unpack(found.point, loss.width, self.features.dimensions)
        return self._fitted(head, loss, found.curve, counter.passes, converged=found.converged)

    def _full_batch(self, loss: HeadLoss) -> Fitted:
        times, counter = self._repeats(self._sampler), _Passes(self.progress)
        start = pack(self._given_head(loss)) if self.method.start == "given" else None
        last = self.rows.last
        data = training_rows(self._where(last), self.rows.target[last], times, loss)
        tried: tuple[Tried, ...] = ()
        if self.method.l2 == AUTO:
            kept, held_out = ~self.rows.held_out, self.rows.held_out
            part = training_rows(self._where(kept), self.rows.target[kept], times, loss)
            solver = LinearSolver(part, loss, counter)
            begin = solver.start() if start is None else start
            l2, begin, tried = choose_strength(solver, begin, self._where(held_out), self.rows.target[held_out])
        else:
            solver, l2 = LinearSolver(data, loss, counter), float(self.method.l2)
            begin = solver.start() if start is None else start
        found = solver.fit(begin, l2, data)
        head = unpack(found.point, loss.width, self.features.dimensions)
        endless = l2 == 0 and all_right(head, loss, data.rows, data.target)
        fitted = self._fitted(head, loss, found.curve, counter.passes, converged=found.converged and not endless)
        return replace(fitted, tried=tried, settings={"l2": l2} if tried else {})

    def _fitted(
        self, head: LinearHead, loss: HeadLoss, curve: tuple[float, ...], passes: int, *, converged: bool
    ) -> Fitted:
        """The steps that apply a head that was trained with `loss`."""
        weight, bias, columns = head.weight, head.bias, loss.columns
        if self._cosine is not None:
            weight = self._cosine * _unit_rows(weight)
        weight, bias = loss.factor[:, None] * weight, loss.factor * bias
        if columns.head == "bags" and columns.background == "none":
            weight = np.concatenate([np.zeros((2, weight.shape[1])), weight])
            bias = np.concatenate([[_NO_BACKGROUND, 0.0], bias])
        classify = Classify(weight, bias, np.zeros(weight.shape[1]), self._cosine is not None, columns)
        notes = notes_on_absent(self.rows, self.method.loss) + loss.module.notes
        if columns.head == "bags":
            steps = classify, slice_softmax(columns)
            return Fitted(steps, binary_columns(columns), {}, (), curve, passes, converged, notes)
        return Fitted((classify,), columns, {}, (), curve, passes, converged, notes)

    @property
    def _cosine(self) -> float | None:
        """For a cosine head what cosines are multiplied by, if the loss does not do so itself."""
        if not self.method.is_cosine:
            return None
        return 1.0 if self.method.loss == "ldam" else self.method.logit_scale

    @property
    def _sampler(self) -> str:
        return "random" if self.method.sampler == "auto" else self.method.sampler

    def _repeats(self, sampler: str) -> Floats:
        return repeats(sampler, rows_per_target(self.rows), self.rows.columns, self.table)

    def _check_negatives(self) -> None:
        """Raise InputError for ``eql`` without background rows, the only negatives of rare classes."""
        count = rows_per_target(self.rows)
        if self.method.loss == "eql" and count.sum() == count[self.rows.columns.classes].sum():
            problem = Problem("rows", "some of the background, the only negatives of rare classes", "none")
            fix = "fit on proposals with background, or choose loss=seql"
            raise InputError(f"method {self.method.spec}", [problem], fix)

    def _where(self, chosen: torch.Tensor) -> FeatureRows:
        """The rows of a mask, bool [N]."""
        return replace(self.features, index=self.features.index[chosen])

    def _directions(self, given: LinearHead | None, width: int) -> Floats:
        """Weights of unit length, those of the given head or random ones, as a vector."""
        random = np.random.default_rng(self.seed)
        start = random.normal(size=(width, self.features.dimensions)) if given is None else given.weight
        return _unit_rows(start).ravel()

    def _given_head(self, loss: HeadLoss) -> LinearHead:
        """The head that made the logits, as a start for `loss`. Raises UsageError if it has other columns."""
        given, have, want = required(self.given, "start=given"), self.given_columns, loss.columns
        if (have.head, have.background, have.width) != (want.head, want.background, loss.width):
            expected = f"{loss.width} columns of a {want.head} head, for loss={self.method.loss}"
            problem = Problem("head", expected, f"{have.width} columns of a {have.head} head")
            raise UsageError(f"method {self.method.spec}", [problem], "choose start=new")
        scale = self.method.logit_scale if self.method.loss == "ldam" else 1.0
        return LinearHead(given.weight / scale, given.bias / scale)


class _Passes:
    """Counts passes over the rows, and reports them."""

    def __init__(self, progress: Progress) -> None:
        self.passes = 0
        self._progress = progress

    def __call__(self) -> None:
        self.passes += 1
        self._progress("fitting the head", None)


def _unit_rows(weight: Floats) -> Floats:
    """Rows divided by their length; rows of zeros stay."""
    length = np.linalg.norm(weight, axis=1, keepdims=True)
    return weight / np.where(length > 0, length, 1.0)
