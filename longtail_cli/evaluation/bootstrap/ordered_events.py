"""The events along curves whose detections come in order, piece after piece: the false positives lie in a file.

What a resample needs of a curve are its events, of which there are about as many as objects, and how many false
positives are drawn before each of them. So memory does not grow with the number of false positives.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from longtail_cli.engine import weighted_curves as engine
from longtail_cli.evaluation.bootstrap.events import CurveObjects
from longtail_cli.evaluation.bootstrap.metrics import WeightedCurves
from longtail_cli.evaluation.bootstrap.resampling import LANES, ImageWeights
from longtail_cli.evaluation.matching import Bits
from longtail_cli.parallel import in_threads
from longtail_cli.tables import Floats, Ints, Longs

RECORD = np.dtype([("image", np.int32), ("curves", np.uint16)])
"""A detection that is a false positive at all thresholds; bit c is set if it is one on curve c. 6 bytes."""

Outcome = tuple[Bits, Bits]
"""`CurveEvents.hit` and `CurveEvents.miss` of each of M detections, uint16 [M]; detections that are not on a curve, or
ignored at all thresholds, have no bit of either."""

READ = 1 << 20
"""Records that are in memory at once."""


class ScratchFile(Protocol):
    """What is needed of a binary file."""

    def write(self, data: memoryview, /) -> object: ...

    def seek(self, offset: int, /) -> object: ...

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class _Events:
    """E events of a curve, best score first; see `CurveEvents`."""

    image: Ints
    """int32 [E]."""
    hit: Bits
    """uint16 [E]."""
    miss: Bits
    """uint16 [E]."""
    before: Longs
    """int64 [E], the records of all curves up to each; its own, if it has one, is not of this curve."""

    @classmethod
    def joined(cls, parts: Sequence[_Events]) -> _Events:
        """At least one part, one after another, up to the last hit: later events change no metric."""
        hit = np.concatenate([one.hit for one in parts])
        end = int(np.flatnonzero(hit).max(initial=-1)) + 1
        image, miss, before = (
            np.concatenate([getattr(one, name) for one in parts])[:end] for name in ("image", "miss", "before")
        )
        return cls(image, hit[:end], miss, before)


_NO_EVENTS = _Events(np.zeros(0, np.int32), np.zeros(0, np.uint16), np.zeros(0, np.uint16), np.zeros(0, np.int64))


class OrderedEvents:
    """The events of at most 16 curves."""

    def __init__(self, file: ScratchFile, thresholds: Mapping[str, int]) -> None:
        """thresholds: how many each of the curves has, 1 to 16, by its name.

        file: empty and buffered, to write to and to read from, used by nothing else.
        """
        self._file = file
        self._thresholds = dict(thresholds)
        self._events = {name: [_NO_EVENTS] for name in thresholds}
        self._records = 0
        self._with_false = 0  # bit c: curve c has false positives in the file

    def add(self, image: Ints, outcomes: Iterable[Outcome]) -> None:
        """Add the next M detections, best score first. Raises what `file` raises.

        image: int32 [M]. outcomes: on each of the curves, in the order of `thresholds`.
        """
        curves, events = np.zeros(len(image), np.uint16), {}
        for number, (name, (hit, miss)) in enumerate(zip(self._thresholds, outcomes, strict=True)):
            false = miss == (1 << self._thresholds[name]) - 1
            curves |= false * np.uint16(1 << number)
            row = np.flatnonzero(((hit | miss) != 0) & ~false)
            events[name] = row, hit[row], miss[row]
        recorded = curves != 0
        before = self._records + np.cumsum(recorded)
        for name, (row, hit, miss) in events.items():
            self._events[name].append(_Events(image[row], hit, miss, before[row]))
        self._write(image[recorded], curves[recorded])

    def _write(self, image: Ints, curves: Bits) -> None:
        records = np.empty(len(image), RECORD)
        records["image"], records["curves"] = image, curves
        self._file.write(records.view(np.uint8).data)
        self._records += len(records)
        self._with_false |= int(np.bitwise_or.reduce(curves))

    def bytes_of_lanes(self, images: int) -> int:
        """About how many bytes `reduced` takes for `LANES` resamples, with their weights."""
        most = max(sum(len(one.image) for one in parts) for parts in self._events.values())
        return LANES * (np.dtype(np.float64).itemsize * most + images)

    def reduced(self, name: str, objects: CurveObjects, weights: Sequence[ImageWeights]) -> list[WeightedCurves]:
        """The curve `name` in the `LANES` resamples of each of `weights`, after all detections were added.

        objects: of K curves, which have the same detections. weights: uint8 [I, LANES] each.
        Raises what `file` raises.
        """
        events = self._all_of(name)
        seen = self._seen(name, events, weights)
        false_start = np.append(0, events.before)

        def reduce(n: int, _: int) -> WeightedCurves:
            ap, recall = np.empty((2, len(objects.start) - 1, self._thresholds[name], LANES))
            engine.curves_of_seen(
                events.image, events.hit, events.miss, false_start, objects.start, objects.image, weights[n],
                weights[n].view(np.uint64), seen[n].reshape(-1), ap, recall,
            )  # fmt: skip
            return WeightedCurves(ap, recall)

        return in_threads(reduce, range(len(weights) + 1))

    def _seen(self, name: str, events: _Events, weights: Sequence[ImageWeights]) -> Floats:
        """The detections up to each event, itself included, in each resample: float64 [len(weights), E, LANES]."""
        seen = np.zeros((len(weights), len(events.image), LANES))
        most, cuts = [engine.most_images(one) for one in weights], range(len(weights) + 1)

        def add_false(part: slice, start: Longs, image: Ints) -> None:
            def add(n: int, _: int) -> None:
                engine.add_weights(start, image, weights[n].view(np.uint64), most[n], seen[n, part].reshape(-1))

            in_threads(add, cuts)

        def add_events(n: int, _: int) -> None:
            seen[n] += weights[n][events.image]
            np.cumsum(seen[n], axis=0, out=seen[n])

        for piece in self._false_before(name, events.before):
            add_false(*piece)
        in_threads(add_events, cuts)
        return seen

    def _all_of(self, name: str) -> _Events:
        self._events[name] = [_Events.joined(self._events[name])]
        return self._events[name][0]

    def _false_before(self, name: str, before: Longs) -> Iterator[tuple[slice, Longs, Ints]]:
        """The false positives of a curve, up to its last event, in pieces.

        Each piece has images (int32 [F]), the events before which they are, and where in the images those of each event
        start (int64 [events + 1]).
        """
        number = list(self._thresholds).index(name)
        last = int(before[-1]) if len(before) and self._with_false >> number & 1 else 0
        for first in range(0, last, READ):
            records = self._read(first, min(READ, last - first))
            chosen = (records["curves"] >> number & 1) != 0
            position = np.append(0, np.cumsum(chosen))
            low = int(np.searchsorted(before, first, side="right"))
            high = int(np.searchsorted(before, first + len(records))) + 1
            start = position[np.clip(before[low:high] - first, 0, len(records))]
            yield slice(low, high), np.append(0, start), records["image"][chosen]

    def _read(self, first: int, number: int) -> np.ndarray[tuple[int], np.dtype[np.void]]:
        """The `number` records from `first` on."""
        self._file.seek(first * RECORD.itemsize)
        return np.frombuffer(self._file.read(number * RECORD.itemsize), RECORD, number)
