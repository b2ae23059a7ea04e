"""Statistics of each row of scores, from which the metrics of a classifier are computed for resampled rows."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

from longtail_cli.engine import score_rows as engine
from longtail_cli.evaluation.bootstrap.resampling import Resampled, Weightings
from longtail_cli.evaluation.classification.kernels import BINS
from longtail_cli.evaluation.classification.metrics import GROUPS, check_groups, check_rows, ratios
from longtail_cli.metrics import Value, mean, ratio
from longtail_cli.parallel import THREADS
from longtail_cli.tables import Ints, Longs, Singles

Bytes = npt.NDArray[np.uint8]

_COLUMNS = ("label", "hit", "in_first_five", "confidence", "bin", "log_loss", "squares")


class RowTally:
    """Statistics of each of N rows: 27 bytes per row, for any number of classes C.

    num_rows: N. classes: C >= 1. group: int8 [C], index into `GROUPS`, -1 for a class in no group; None without groups.
    Raises ValueError for groups of another shape or index.

    label: int32 [N], the true class; C until the row is added. hit: bool [N], whether it is predicted.
    in_first_five: bool [N]. confidence: float32 [N], the greatest score. bin: uint8 [N], the bin of the confidence.
    log_loss: float64 [N], -ln s_y in nats. squares: float64 [N], sum_c (s_c - [y = c])^2. Defined as for `Tally`.
    """

    def __init__(self, num_rows: int, classes: int, group: npt.NDArray[np.int8] | None = None) -> None:
        check_groups(group, classes)
        self.classes = classes
        self.group: npt.NDArray[np.int8] = np.full(classes, -1, np.int8) if group is None else group
        self.label: Ints = np.full(num_rows, classes, np.int32)
        self.hit, self.in_first_five = np.zeros((2, num_rows), bool)
        self.confidence: Singles = np.zeros(num_rows, np.float32)
        self.bin: Bytes = np.zeros(num_rows, np.uint8)
        self.log_loss, self.squares = np.zeros((2, num_rows))

    def __len__(self) -> int:
        return len(self.label)

    def add(self, first_row: int, scores: Singles, labels: Longs) -> None:
        """Fill in rows `first_row` to ``first_row + n``.

        scores: float32 [n, C] in [0, 1], which is not checked. labels: int64 [n], the column of the true class.
        Several threads may fill in different rows at once; the GIL is released.
        Raises ValueError as `check_rows`, and for rows outside the table.
        """
        scores, labels = np.ascontiguousarray(scores), np.ascontiguousarray(labels)
        check_rows(scores, labels, self.classes)
        if not 0 <= first_row <= len(self) - len(scores):
            raise ValueError(f"expected rows from 0 to {len(self)}, found {first_row} to {first_row + len(scores)}")
        there = slice(first_row, first_row + len(scores))
        self.label[there] = labels
        engine.fill_rows(
            scores, scores.view(np.int32), labels, self.hit[there], self.in_first_five[there],
            self.confidence[there], self.bin[there], self.log_loss[there], self.squares[there],
        )  # fmt: skip


def side_by_side(first: RowTally, second: RowTally) -> RowTally:
    """The rows of two runs on the same data: 2i is row i of the first run, 2i + 1 of the second."""
    both = RowTally(2 * len(first), first.classes, first.group)
    for name in _COLUMNS:
        setattr(both, name, np.column_stack([getattr(first, name), getattr(second, name)]).ravel())
    return both


def rows_at(rows: RowTally, index: Longs) -> RowTally:
    """Some of the rows. index: int64 [n]."""
    part = RowTally(len(index), rows.classes, rows.group)
    for name in _COLUMNS:
        setattr(part, name, getattr(rows, name)[index])
    return part


def row_metrics(rows: RowTally) -> dict[str, Value]:
    """The metrics of all rows; see `resampled_metrics`."""
    return resampled_metrics(rows, np.ones(len(rows), np.uint8))


def resampled_rows(rows: RowTally, draws: Weightings) -> Resampled:
    """The metrics by name with the rows counted in each of these ways."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda b: resampled_metrics(rows, draws.weight(b)), range(draws.number)))
    return {name: np.array([one[name] for one in found], np.float64) for name in found[0]}


def resampled_metrics(rows: RowTally, weight: Bytes) -> dict[str, Value]:
    """The metrics with row i counted weight[i] times, by their names in `Classification`.

    weight: uint8 [N]. ``classwise_ece`` is missing, as it needs every score of a row. Recall is undefined for a class
    of weight 0, and every metric is without rows. The GIL is released. Raises ValueError for
    weights of another shape or type, and if a row of weight > 0 was never added.
    """
    if weight.dtype != np.uint8 or weight.shape != (len(rows),):
        raise ValueError(f"expected weights uint8 [{len(rows)}], found {weight.dtype} {list(weight.shape)}")
    count, gap, totals = np.zeros((rows.classes + 1, 2), np.int64), np.zeros(BINS), np.zeros(3)
    engine.weighted_sums(
        rows.label, rows.hit, rows.in_first_five, rows.confidence, rows.bin, rows.log_loss, rows.squares,
        np.ascontiguousarray(weight), count, gap, totals,
    )  # fmt: skip
    if count[rows.classes].any():
        raise ValueError(f"expected all {len(rows)} rows to be added, found rows without scores")
    first_five, log_loss, squares = totals.tolist()
    number, hits = int(count.sum()), count[: rows.classes, 1]
    samples = count[: rows.classes].sum(axis=1)
    recall = ratios(hits, samples)
    return {
        "top1": ratio(float(hits.sum()), number),
        "top5": ratio(first_five, number),
        "balanced": mean(recall),
        **{name: mean(recall[rows.group == g]) for g, name in enumerate(GROUPS)},
        "ece": ratio(float(np.abs(gap).sum()), number),
        "nll": ratio(log_loss, number),
        "brier": ratio(squares, number),
    }
