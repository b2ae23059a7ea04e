"""The metrics of resamples of the images: curves of shares of the categories, joined a few resamples at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import SEEK_END
from threading import Lock
from typing import IO

import numpy as np

from longtail_cli.evaluation.bootstrap.metrics import LaneCurves, Weighted
from longtail_cli.evaluation.bootstrap.resampling import LANES, Resampled, Weightings, by_lanes, lane_weights
from longtail_cli.metrics import Value
from longtail_cli.parallel import in_threads
from longtail_cli.tables import Floats, Longs

HEADLINE, FIXED, TIDE = "headline", "fixed", "tide"
"""The metrics whose resamples follow from curves of categories."""


@dataclass(frozen=True, slots=True)
class ShareCurves:
    """K curves in L resamples: those of some of the categories that at least one resample defines."""

    ranges: int
    """R, the number of area ranges."""
    curve: Longs
    """int64 [K], the index of the area range times C plus the category."""
    values: Floats
    """float64 [L / LANES, K, T, LANES]; T thresholds."""

    @property
    def thresholds(self) -> int:
        """T."""
        return int(self.values.shape[2])

    def lanes(self, number: int) -> Floats:
        """The curves in the `number`-th `LANES` resamples: float64 [K, T, LANES]."""
        found: Floats = self.values[number]
        return found


@dataclass(frozen=True, slots=True)
class StoredCurves:
    """The same, in a file."""

    ranges: int
    curve: Longs
    thresholds: int
    store: CurveStore
    begin: int
    """The offset in the file, in bytes."""

    def lanes(self, number: int) -> Floats:
        """As `ShareCurves.lanes`. Raises OSError if the file cannot be read."""
        return self.store.read(self.begin, number, (len(self.curve), self.thresholds, LANES))


class CurveStore:
    """Curves in a file, so that they are in memory only for the few resamples that are put together."""

    def __init__(self, file: IO[bytes]) -> None:
        """file: to write to and to read from; used by nothing else until the curves are no longer needed."""
        self._file = file
        self._lock = Lock()

    def add(self, curves: ShareCurves) -> StoredCurves:
        """Raises OSError if the file cannot be written to."""
        with self._lock:
            begin = self._file.seek(0, SEEK_END)
            self._file.write(np.ascontiguousarray(curves.values).data)
            self._file.flush()
        return StoredCurves(curves.ranges, curves.curve, curves.thresholds, self, begin)

    def read(self, begin: int, number: int, shape: tuple[int, ...]) -> Floats:
        """The `number`-th of the float64 arrays of a shape that lie one after another from `begin` on."""
        found = np.empty(shape)
        with self._lock:
            self._file.seek(begin + number * found.nbytes)
            data = self._file.read(found.nbytes)
        return np.frombuffer(data).reshape(shape)


def curves_of_share(
    weighted: Mapping[str, Weighted], draws: Weightings, category: Longs, categories: int
) -> dict[str, dict[str, ShareCurves]]:
    """The curves of every resample, by the names of `weighted` and their own.

    category: int64 [c], those of the curves, of all `categories`.
    """
    firsts = range(0, draws.number, LANES)

    def work(first: int, last: int) -> list[dict[str, LaneCurves]]:
        weights = (lane_weights(draws, firsts[n]) for n in range(first, last))
        return [{name: curves(weight) for name, curves in weighted.items()} for weight in weights]

    found = [one for part in in_threads(work, range(len(firsts) + 1)) for one in part]
    return of_lanes(found, category, categories)


def of_lanes(
    found: Sequence[Mapping[str, LaneCurves]], category: Longs, categories: int
) -> dict[str, dict[str, ShareCurves]]:
    """The curves of every resample, from those of each `LANES` resamples, at least one. Parameters as above."""
    return {
        name: {curve: _shared([one[name][curve] for one in found], category, categories) for curve in curves}
        for name, curves in found[0].items()
    }


def _shared(lanes: Sequence[Floats], category: Longs, categories: int) -> ShareCurves:
    """lanes: float64 [R, c, T, LANES] of each `LANES` resamples."""
    ranges = len(lanes[0])
    defined = np.any([~np.isnan(one).all(axis=(2, 3)) for one in lanes], axis=0)
    area, own = np.nonzero(defined)
    return ShareCurves(ranges, area * categories + category[own], np.array([one[defined] for one in lanes]))


def resampled(
    shares: Sequence[Mapping[str, ShareCurves | StoredCurves]], values: Callable[[LaneCurves], list[dict[str, Value]]],
    number: int, categories: int,
) -> Resampled:  # fmt: skip
    """The metrics of `number` resamples. shares: curves of all `categories`, each once, by name."""

    def metrics(first: int) -> list[dict[str, Value]]:
        return values({name: _whole([one[name] for one in shares], first // LANES, categories) for name in shares[0]})

    return by_lanes(metrics, number)


def _whole(parts: Sequence[ShareCurves | StoredCurves], number: int, categories: int) -> Floats:
    """float64 [R, C, T, LANES] of the `number`-th `LANES` resamples, NaN for curves that no resample defines."""
    ranges, thresholds = parts[0].ranges, parts[0].thresholds
    found = np.full((ranges * categories, thresholds, LANES), np.nan)
    for one in parts:
        found[one.curve] = one.lanes(number)
    return found.reshape(ranges, categories, thresholds, LANES)
