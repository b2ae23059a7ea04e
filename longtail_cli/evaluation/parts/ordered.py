"""The metrics of a category from its rows in order, piece after piece: memory does not grow with their number.

They equal those of `share_metrics`, which needs all rows at once, to the last bit. What is held are the true positives,
of which there are at most as many as objects, the 10,000 rows of Fixed AP, and sums; with resamples also detections
that are false positives at some thresholds and ignored at others, as in crowd regions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby, pairwise, takewhile

import numpy as np

from longtail_cli.evaluation import summary
from longtail_cli.evaluation.bootstrap.metrics import Weighted
from longtail_cli.evaluation.bootstrap.ordered_events import ScratchFile
from longtail_cli.evaluation.matching import counts_of
from longtail_cli.evaluation.parts.ordered_resamples import OrderedResamples
from longtail_cli.evaluation.parts.resamples import ShareCurves, curves_of_share
from longtail_cli.evaluation.parts.rows import CAPPED, MatchedRows, bits_of
from longtail_cli.evaluation.parts.running_curves import RunningCurves, RunningRecall
from longtail_cli.evaluation.parts.running_scores import RunningBest, RunningCalibration, RunningHits
from longtail_cli.evaluation.parts.running_tide import RunningTide
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics, WideMetrics, share_metrics, share_of, wide_metrics
from longtail_cli.tables import Longs

Scratch = Callable[[], AbstractContextManager[ScratchFile]]
"""Opens a new file to write to and to read from, which is gone at the end of the block."""


def metrics_in_order(
    rules: Rules, category: Longs, pieces: Iterable[MatchedRows], scratch: Scratch
) -> Iterator[ShareMetrics]:
    """The metrics of each of the categories `category` (int64 [c], ascending), one after another.

    pieces: all rows of these categories, each row once, at least one. The rows of a piece come before those of the next
    by category, then score descending, then `tie`; within a piece they are in any order. scratch: for what resamples
    need of all rows. Raises what `pieces` and scratch files raise.
    """
    waiting = iter(category.tolist())
    for own, chunks in groupby(_by_category(pieces), key=lambda rows: int(rows.category[0])):
        with scratch() if rules.draws is not None else nullcontext() as file:
            running = _Running(rules, own, file)
            for rows in chunks:
                running.add(rows)
                none = rows.at(np.zeros(0, np.int64))
                del rows  # before the next piece is read
            found = running.metrics()
        yield from (share_metrics(rules, np.array([one]), none) for one in takewhile(own.__ne__, waiting))
        yield found
    yield from (share_metrics(rules, np.array([one]), none) for one in waiting)


def _by_category(pieces: Iterable[MatchedRows]) -> Iterator[MatchedRows]:
    """The rows of each piece in order, by category: some of one category at a time."""
    for rows in map(MatchedRows.in_order_of_evaluation, pieces):
        start = np.flatnonzero(np.diff(rows.category, prepend=-1))
        for low, high in pairwise([*start.tolist(), len(rows)]):
            yield rows.at(slice(low, high))
        del rows  # before the next piece is read


class _Running:
    """What is computed of a category while its rows come, in the order of evaluation."""

    def __init__(self, rules: Rules, category: int, file: ScratchFile | None) -> None:
        """file: for resamples, if there are any."""
        self._rules, self._category, options = rules, np.array([category]), rules.options
        counts = counts_of(rules.own_objects(self._category))
        number = counts.sum(axis=0)
        self._objects = int(number[0])
        self._curves = RunningCurves(number)
        self._ranked = {rank: RunningRecall(rank, self._objects) for rank in summary.RANKS[rules.protocol.name]}
        aligned = options.tide == "aligned"
        self._tide = RunningTide(rules.objects_of(self._category), counts[:, 0]) if aligned else None
        self._hits = RunningHits() if aligned or options.thresholds else None
        self._calibration = RunningCalibration(number) if options.reliability else None
        self._best = RunningBest() if options.beyond_limits else None
        self._resamples = None if file is None else OrderedResamples(rules, category, file)

    def add(self, rows: MatchedRows) -> None:
        """The next rows, at least one. They may share memory with others, so what is kept of them is copied."""
        for of_all in (self._tide, self._best, self._resamples):
            if of_all is not None:
                of_all.add(rows)
        narrow = rows.where((rows.flags & CAPPED) != 0)
        true_positive = bits_of(narrow.true_positive)
        self._curves.add(true_positive, bits_of(narrow.ignored))
        if self._ranked:
            assert narrow.rank is not None
            for recall in self._ranked.values():
                recall.add(narrow.rank, true_positive)
        if self._hits is not None:
            self._hits.add(narrow)
        if self._calibration is not None:
            self._calibration.add(rows, narrow)

    def metrics(self) -> ShareMetrics:
        """Of all rows, of which there was at least one."""
        rules, category, hits = self._rules, self._category, self._hits
        best = None if self._best is None else share_of(rules, category, self._best.rows())
        wide = WideMetrics() if best is None else wide_metrics(rules, best)
        return ShareMetrics(
            category=category,
            curves=self._curves.curves(),
            ranked={rank: one.recall() for rank, one in self._ranked.items()},
            fixed=wide.fixed,
            pooled=wide.pooled,
            tide=None if self._tide is None else self._tide.ap(),
            true_positives=None if hits is None else hits.true_positives(int(category[0])),
            points=[hits.points(self._objects)] if hits is not None and rules.options.thresholds else None,
            calibration=None if self._calibration is None else self._calibration.sums(),
            resampled=self._resampled(wide.weighted),
        )

    def _resampled(self, wide: Mapping[str, Weighted]) -> dict[str, dict[str, ShareCurves]]:
        """See `ShareMetrics.resampled`. wide: see `WideMetrics.weighted`."""
        rules = self._rules
        if self._resamples is None or rules.draws is None:
            return {}
        found = self._resamples.curves()
        return found | curves_of_share(wide, rules.draws, self._category, rules.categories) if wide else found
