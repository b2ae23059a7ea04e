"""Tuning on the logits of a classifier, by its likelihood after a fitted temperature or by its accuracy.

The search works on rows in memory, all of a usual held-out set; a larger one is searched on rows drawn from it evenly
over the classes, and reported on as a whole.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
import torch

from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation.bootstrap.resampling import interval
from longtail_cli.evaluation.classification.metrics import GROUPS
from longtail_cli.files.logits.digests import Digests, digests_of
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.metrics import Interval
from longtail_cli.parallel import THREADS, one_thread_each
from longtail_cli.reports.model import Report
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Logits, Longs
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.likelihood import RATIO, best_inverse, class_means, least_losses, losses, node_near
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.logit_batches import ThreadMemory
from longtail_cli.workflow.moved_scores import RowSample
from longtail_cli.workflow.options import InputOptions, device_of
from longtail_cli.workflow.prepare_methods import PreparedMethod, prepare_methods
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.report_classification import ClassificationReporter, ClassifierRun
from longtail_cli.workflow.tune_data import CrossFitted, Estimate

NLL, TOP1 = "classification/nll", "classification/top1"
METRICS = (NLL, TOP1, *(f"classification/{name}" for name in ("balanced", *GROUPS)))
"""The metrics that can be optimised. The likelihood is that after the candidate's own temperature was fitted; it and
top-1 are weighted to the target distribution."""

MOST_ROWS, MOST_LOGITS = 1 << 16, 1 << 28
"""What is searched on at most: rows, and logits."""

FIRST_ROWS = 1 << 10
"""Rows on which the temperature of a candidate is looked for before its figures are computed on all."""

BLOCK = 1 << 19
"""Logits that are processed together, in the cache."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that are searched on."""

    index: Longs
    """int64 [n], of the file, ascending."""
    logits: torch.Tensor
    """[n, K], as stored."""
    features: torch.Tensor | None
    label: Longs
    """int64 [n], class indices."""
    digests: Digests
    """uint64 [n]."""

    def at(self, rows: Longs, memory: ThreadMemory) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits in float32, in `memory`, and features of some rows."""
        together = len(rows) > 0 and rows[-1] - rows[0] == len(rows) - 1  # a slice needs no copy
        index = slice(rows[0], rows[-1] + 1) if together else torch.from_numpy(rows)
        chosen = self.logits[index]
        logits = memory.shaped(chosen.shape).copy_(chosen)
        return logits, None if self.features is None else self.features[index]


class ClassifierData:
    """See `longtail_cli.workflow.tune_data.TuningData`."""

    at_once = 4

    def __init__(
        self,
        file: LogitsFile,
        label: Longs,
        folds: Folds,
        goal: Goal,
        target: Floats,
        table: FrequencyTable | None,
        options: InputOptions,
        reporter: ClassificationReporter,
    ) -> None:
        """label: int64 [N]. folds: of the N rows. target: float64 [C], the share of each class in column order.

        Raises InputError for a file without rows.
        """
        self._file, self.folds, self.goal, self._table, self._options = file, folds, goal, table, options
        self._device, self._reporter = device_of(options.device), reporter
        self._target = target
        self._rows = _searched(file, label)
        self._memory = ThreadMemory(torch.device("cpu")), ThreadMemory(torch.device("cpu"))
        self._first = _spread(self._rows.label, FIRST_ROWS)
        self._inverses: dict[tuple[str, int], float] = {}
        self._weights = self._lane_weights()
        classes = len(target)
        self._present = np.stack([np.bincount(self._rows.label, one > 0, classes) > 0 for one in self._weights])
        self._members = {"balanced": np.ones(classes, bool)}
        if reporter.groups is not None:
            self._members |= {name: reporter.groups == number for number, name in enumerate(GROUPS)}
        none = prepare_methods(file, (parse_method("none"),), table, options, self._device)[0]
        self._sample = RowSample(file, none.adjuster)
        self._sample.offer(Logits(self._rows.logits, 0, features=self._rows.features))
        self._sample.close()

    def figures(self, methods: Sequence[Method], progress: Progress) -> Iterator[Figures]:
        for number, method in enumerate(methods):
            progress("evaluating", number / len(methods))
            prepared = self._prepared(method)
            lanes = self._lanes(prepared)
            shown = {name: None if np.isnan(values[0]) else float(values[0]) for name, values in lanes.items()}
            of_goal = {name: lanes[name] for name in self.goal.metrics}
            yield Figures(of_goal, shown, self._sample.moved(prepared.adjuster))

    @property
    def digests(self) -> tuple[int, ...]:
        """Of the rows that are searched on."""
        return tuple(self._rows.digests.tolist())

    @property
    def notes(self) -> tuple[str, ...]:
        number = len(self._rows.label)
        if number == self._file.rows:
            return ()
        return (f"searched on {number:,} of {self._file.rows:,} rows, spread evenly over the classes",)

    def retain(self, specs: Collection[str]) -> None:
        """Nothing is kept: a method is applied again."""

    def with_temperature(self, method: Method, part: int) -> Method:
        """The method followed by the temperature that maximises the weighted likelihood of the rows in the part."""
        temperature = f"temperature:t={1 / self._inverse_of_part(method, part):.6g}"
        fitted = parse_method(temperature if method.spec == "none" else f"{method.spec}+{temperature}")
        self._inverses[fitted.spec, part] = 1.0
        return fitted

    def objectives(self, runs: Sequence[CrossFitted], report: Report) -> list[Estimate]:
        """On the rows that are searched on; the temperatures of a fold are those fitted to the other folds."""
        rows = [self._cross_fitted(run) for run in runs]
        ones = np.ones(len(rows[0]))
        values = [self._objective(ones, one) for one in rows]
        resampled = np.array(
            [[self._objective(weight, one) for one in rows] for weight in self._resamples()], np.float64
        ).reshape(-1, len(rows))
        return [
            Estimate(
                None if np.isnan(value) else value,
                _interval(resampled[:, number], value),
                _interval(resampled[:, number] - resampled[:, 0], value - values[0]) if number else None,
            )
            for number, value in enumerate(values)
        ]

    def _cross_fitted(self, run: CrossFitted) -> Floats:
        """See `losses`, each row with the method and the temperature of its fold: float64 [n, 5]."""
        fold = self.folds.fold[self._rows.index]
        rows = np.zeros((len(fold), 5))
        for number, method in enumerate(run.methods):
            own, prepared = np.flatnonzero(fold == number), self._prepared(method)
            rows[own] = self._losses(prepared, own, self._inverse_of_part(method, number + 1))
        return rows

    def _resamples(self) -> Iterator[Floats]:
        """How often each row is drawn in each resample; none without a bootstrap."""
        if self._reporter.draws is not None:
            draws = replace(self._reporter.draws, images=len(self._rows.index))
            yield from (draws.weight(b).astype(np.float64) for b in range(draws.number))

    def _objective(self, weight: Floats, rows: Floats) -> float:
        """The objective of weighted rows, NaN if undefined."""
        label, classes, name = self._rows.label, len(self._target), self.goal.objective
        total = np.bincount(label, weight, minlength=classes)
        sums = np.bincount(label, weight * rows[:, 0 if name == NLL else 4], minlength=classes)
        known = total > 0
        if name not in (NLL, TOP1):
            known &= self._members[name.rpartition("/")[2]]
        share = self._target if name in (NLL, TOP1) else np.ones(classes)
        if not share[known].sum():
            return float("nan")
        return float((share[known] * sums[known] / total[known]).sum() / share[known].sum())

    def report(self, runs: Sequence[CrossFitted], progress: Progress) -> Report:
        adjusted = []
        for run in runs:
            prepared = [self._prepared(one) for one in run.methods]
            notes = tuple(dict.fromkeys(note for one in prepared for note in one.notes))
            adjusted.append(ClassifierRun(run.name, None, _FoldAdjuster(prepared, self.folds), notes))
        return self._reporter.report(self._reporter.outcomes(self._file, adjusted, self._device, progress))

    def _prepared(self, method: Method) -> PreparedMethod:
        """Raises UsageError unless the result is a softmax over the columns of the file."""
        prepared = prepare_methods(self._file, (method,), self._table, self._options, self._device)[0]
        if prepared.adjuster.columns.head != "softmax":
            problem = Problem("head", "logits of a softmax, before and after", prepared.adjuster.columns.head)
            raise UsageError(f"method {method.spec}", [problem], "leave this method out of the search")
        return prepared

    def _first_inverse(self, prepared: PreparedMethod) -> float:
        """The inverse temperature that is best for some rows, spread evenly over the classes."""
        return self._inverse(prepared, self._first, 1.0)

    def _inverse_of_part(self, method: Method, part: int) -> float:
        """The inverse temperature that is best for the rows in the part."""
        key = method.spec, part
        if key not in self._inverses:
            prepared, inside = self._prepared(method), np.flatnonzero(self.folds.inside(part)[self._rows.index])
            self._inverses[key] = self._inverse(prepared, inside, self._first_inverse(prepared))
        return self._inverses[key]

    def _inverse(self, prepared: PreparedMethod, chosen: Longs, start: float) -> float:
        """The inverse temperature that is best for the chosen rows, weighted to the target."""
        label = self._rows.label[chosen]
        weight = class_means(label, np.ones(len(label)), len(self._target)) * self._target[label]

        def loss(inverse: float) -> tuple[float, float]:
            slope, curvature = weight @ self._losses(prepared, chosen, inverse)[:, 1:3]
            return float(slope), float(curvature)

        return best_inverse(loss, start)

    def _losses(self, prepared: PreparedMethod, chosen: Longs, inverse: float) -> Floats:
        """See `losses`, of the chosen rows: float64 [m, 5]."""
        adjuster, columns = prepared.adjuster, prepared.adjuster.columns
        found = np.empty((len(chosen), 5))
        size = max(1, BLOCK // self._file.width)

        def block(first: int) -> None:
            rows = chosen[first : first + size]
            logits, features = self._rows.at(rows, self._memory[0])
            label = torch.from_numpy(self._rows.label[rows] + columns.classes.start)
            logits = adjuster(logits, features, logits if self._device.type == "cpu" else None).cpu()
            found[first : first + size] = losses(logits, label, inverse, self._memory[1].shaped(logits.shape))

        with one_thread_each(), ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(block, range(0, len(chosen), size)))
        return found

    def _lane_weights(self) -> Floats:
        """The weight of each row in each lane, as a mean within its class: float64 [L, n]."""
        index, label, classes = self._rows.index, self._rows.label, len(self._target)
        weight = (self.folds.weight(lane)[index].astype(np.float64) for lane in range(self.folds.number))
        return np.stack([class_means(label, one, classes) for one in weight])

    def _lanes(self, prepared: PreparedMethod) -> dict[str, Floats]:
        """Every metric in each lane: float64 [L]."""
        every, target = np.arange(len(self._rows.label)), self._target[self._rows.label]
        share = (self._present @ self._target)[:, None]
        predicted = np.zeros(len(every))

        def sums_at(node: int) -> Floats:
            rows = self._losses(prepared, every, RATIO**node)
            predicted[:] = rows[:, 4]  # the same at every temperature
            return np.asarray(self._weights @ (rows[:, :4] * target[:, None]) / share)

        start = int(node_near(np.array(self._first_inverse(prepared))))
        lanes = {NLL: least_losses(sums_at, start)}
        lanes[TOP1] = self._weights @ (predicted * target) / share[:, 0]
        for name, member in self._members.items():
            number = self._present[:, member].sum(axis=1)
            total = self._weights @ (predicted * member[self._rows.label])
            recall = np.divide(total, number, out=np.full(len(number), np.nan), where=number > 0)
            lanes[f"classification/{name}"] = recall
        return lanes


def _interval(resampled: Floats, value: float) -> Interval | None:
    found = None if np.isnan(value) else interval(resampled, value)
    return None if found is None else Interval(*found)


class _FoldAdjuster:
    """Adjusts each row by the method of its fold."""

    def __init__(self, prepared: Sequence[PreparedMethod], folds: Folds) -> None:
        self.columns: LogitColumns = prepared[0].adjuster.columns
        self._adjusters, self._dtype = [one.adjuster for one in prepared], torch.float32
        self._fold = torch.from_numpy(folds.fold)

    def in_double(self) -> _FoldAdjuster:
        double = copy(self)
        double._adjusters, double._dtype = [one.in_double() for one in self._adjusters], torch.float64
        return double

    def of_batch(self, batch: Logits, out: torch.Tensor | None = None) -> torch.Tensor:
        adjusted = torch.empty(batch.logits.shape, dtype=self._dtype) if out is None else out
        fold = self._fold[batch.first : batch.first + len(batch)]
        for number, adjuster in enumerate(self._adjusters):
            row = (fold == number).nonzero()[:, 0]
            features = None if batch.features is None else batch.features[row]
            adjusted[row] = adjuster(batch.logits[row], features)
        return adjusted


def _searched(file: LogitsFile, label: Longs) -> _Rows:
    """The rows to search on: all, or as many as may be, spread evenly over the classes."""
    most = min(MOST_ROWS, max(1, MOST_LOGITS // file.width))
    index = np.arange(len(label)) if len(label) <= most else _spread(label, most)
    logits, features = [], []
    memory = ThreadMemory(torch.device("cpu"))
    for batch in file.unchecked_batches(max(1, BLOCK // file.width), memory.shaped):
        file.check(batch)
        row = torch.from_numpy(
            index[slice(*np.searchsorted(index, [batch.first, batch.first + len(batch)]))] - batch.first
        )
        logits.append(batch.logits[row])
        if batch.features is not None:
            features.append(batch.features[row])
    together = torch.cat(logits)
    return _Rows(index, together, torch.cat(features) if features else None, label[index], digests_of(together))


def _spread(label: Longs, number: int) -> Longs:
    """About `number` rows, ascending, with as equal a number of each class as there are: int64 [n]."""
    if len(label) <= number:
        return np.arange(len(label))
    order = np.argsort(label, kind="stable")
    start = np.searchsorted(label[order], label[order])
    place = np.empty(len(label), np.int64)
    place[order] = np.arange(len(label)) - start  # how many rows of the class come before
    return np.sort(np.argsort(place, kind="stable")[:number])
