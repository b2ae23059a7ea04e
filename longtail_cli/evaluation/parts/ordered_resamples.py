"""The curves of all resamples of a category whose rows come in order, piece after piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.bootstrap.events import CurveObjects
from longtail_cli.evaluation.bootstrap.metrics import AP, NONE_FALSE, RECALL, LaneCurves, WeightedCurves, recall_name
from longtail_cli.evaluation.bootstrap.ordered_events import OrderedEvents, Outcome, ScratchFile
from longtail_cli.evaluation.bootstrap.resampling import LANES, ImageWeights, lane_weights
from longtail_cli.evaluation.matching import counts_of
from longtail_cli.evaluation.parts.resamples import HEADLINE, TIDE, ShareCurves, of_lanes
from longtail_cli.evaluation.parts.rows import CAPPED, MatchedRows, bits_of
from longtail_cli.evaluation.parts.running_tide import KEPT, RunningObjects, hit_and_shown, outcomes
from longtail_cli.evaluation.parts.share import Rules
from longtail_cli.evaluation.protocol import AREA_NAMES, IOU_THRESHOLDS
from longtail_cli.parallel import in_threads
from longtail_cli.tables import Bools

HELD = 1 << 26
"""Bytes for the resamples that are computed together: 64 MiB, or as many as `LANES` of them need."""

_MISS, _FALSE_POS, _FALSE_NEG = "Miss", *tide.SPECIAL
_OF_TIDE = (*KEPT, _FALSE_POS, NONE_FALSE)
"""The curves of TIDE that differ in their detections: only hits on that of FalsePos, and none on `NONE_FALSE`. Miss and
FalseNeg have those of `tide.BASE`."""


class OrderedResamples:
    """The curves of all resamples of a category, equal to those of `share_metrics` to the last bit.

    The false positives go to a file, with 6 bytes for each. What stays in memory depends on the number of objects.
    """

    def __init__(self, rules: Rules, category: int, file: ScratchFile) -> None:
        """rules: with resamples. file: empty and buffered, to write to and to read from, used by nothing else."""
        assert rules.draws is not None
        self._draws, self._categories = rules.draws, rules.categories
        self._category = np.array([category])
        objects = rules.own_objects(self._category)
        self._object_image, self._counts = objects.image, counts_of(objects)
        self._areas = AREA_NAMES if rules.resampled_sizes else AREA_NAMES[:1]
        self._ranks = summary.RANKS[rules.protocol.name]
        self._found = None
        if rules.options.tide == "aligned":
            self._found = RunningObjects(rules.objects_of(self._category), self._counts[:, 0])
        self._false = np.zeros(self._draws.images, bool)  # images with a false positive
        thresholds = dict.fromkeys([*self._areas, *map(recall_name, self._ranks)], len(IOU_THRESHOLDS))
        self._events = OrderedEvents(file, thresholds | dict.fromkeys(_OF_TIDE if self._found else (), 1))

    def add(self, rows: MatchedRows) -> None:
        """Add the next rows, by score from high to low, then `tie`: all of the category, also those beyond the limits.

        Raises what `file` raises.
        """
        if self._found is not None:
            self._found.add(rows)
            hit, shown = hit_and_shown(rows)
            self._false[rows.image[shown & ~hit]] = True
        self._events.add(rows.image, self._outcomes(rows))

    def curves(self) -> dict[str, dict[str, ShareCurves]]:
        """See `ShareMetrics.resampled`, without Fixed AP; after all rows were added.

        Raises what `file` raises.
        """
        firsts = range(0, self._draws.number, LANES)
        together = max(1, HELD // self._events.bytes_of_lanes(self._draws.images))
        found: list[dict[str, LaneCurves]] = []
        for begin in range(0, len(firsts), together):
            own = firsts[begin : begin + together]
            weights = in_threads(lambda first, _: lane_weights(self._draws, first), [*own, own.stop])
            found += self._lanes(weights)
        return of_lanes(found, self._category, self._categories)

    def _outcomes(self, rows: MatchedRows) -> Iterator[Outcome]:
        """Of the rows, on each curve."""
        capped = (rows.flags & CAPPED) != 0
        hit, ignored = bits_of(rows.true_positive * capped), bits_of(rows.ignored)
        every, none = capped * np.uint16((1 << len(IOU_THRESHOLDS)) - 1), np.zeros(len(rows), np.uint16)
        for area in range(len(self._areas)):
            yield hit[:, area], ~(hit[:, area] | ignored[:, area]) & every
        for rank in self._ranks:
            assert rows.rank is not None
            yield hit[:, 0] * (rows.rank < rank), none
        if self._found is not None:
            yield from _fixed_outcomes(rows)

    def _lanes(self, weights: Sequence[ImageWeights]) -> list[dict[str, LaneCurves]]:
        """The curves in the `LANES` resamples of each of `weights`."""
        headline = self._headline(weights)
        if self._found is None:
            return [{HEADLINE: one} for one in headline]
        of_tide = self._tide(self._found, weights)
        return [{HEADLINE: one, TIDE: other} for one, other in zip(headline, of_tide, strict=True)]

    def _headline(self, weights: Sequence[ImageWeights]) -> list[LaneCurves]:
        areas = [self._reduced(area, weights, of) for area, of in zip(self._areas, self._counts.T, strict=False)]
        ranks = {name: self._reduced(name, weights, self._counts[:, 0]) for name in map(recall_name, self._ranks)}
        return [
            {AP: np.array([one[n].ap for one in areas]), RECALL: np.array([one[n].recall for one in areas])}
            | {name: one[n].recall[None] for name, one in ranks.items()}
            for n in range(len(weights))
        ]

    def _tide(self, found: RunningObjects, weights: Sequence[ImageWeights]) -> list[LaneCurves]:
        counts, holding = self._counts[:, 0], np.flatnonzero(self._false).astype(np.int32)
        base = self._reduced(tide.BASE, weights, counts, counts & ~found.missed, found.used)
        false_pos = self._reduced(_FALSE_POS, weights, counts)
        main = {name: self._reduced(name, weights, counts) for name in tide.MAIN_ERRORS}
        none = self._events.reduced(NONE_FALSE, CurveObjects(np.array([0, len(holding)]), holding), weights)

        def lane(n: int) -> LaneCurves:
            unfixed, miss, false_neg = base[n].ap[:, None, None]
            special = {_MISS: miss, _FALSE_POS: false_pos[n].ap[None], _FALSE_NEG: false_neg}
            fixed = {name: one[n].ap[None] for name, one in main.items()}
            return {tide.BASE: unfixed, **fixed, **special, NONE_FALSE: none[n].ap[None]}

        return [lane(n) for n in range(len(weights))]

    def _reduced(self, name: str, weights: Sequence[ImageWeights], *objects: Bools) -> list[WeightedCurves]:
        """A curve with each of some sets of objects, bool [g]; see `OrderedEvents.reduced`."""
        image = [self._object_image[of] for of in objects]
        of_curves = CurveObjects(np.cumsum([0, *map(len, image)]), np.concatenate(image))
        return self._events.reduced(name, of_curves, weights)


def _fixed_outcomes(rows: MatchedRows) -> Iterator[Outcome]:
    """Of the rows, on each curve of `_OF_TIDE`."""
    for hit, false in outcomes(rows):
        yield hit.astype(np.uint16), false.astype(np.uint16)
    none = np.zeros(len(rows), np.uint16)
    yield hit_and_shown(rows)[0].astype(np.uint16), none
    yield none, none
