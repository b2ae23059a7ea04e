"""The paired permutation test: two runs exchange the detections of some images, drawn at random, again and again.

If it makes no difference which run an image's detections come from, every exchange is as likely as what was observed.
The share of exchanges with a difference at least as great is then an exact p-value (Noreen, "Computer-Intensive Methods
for Testing Hypotheses", 1989: approximate randomization), however few images there are. The runs lie side by side, each
image once with the detections of either, so that an exchange is a way to weight images, and matching is done once.

Two runs may score on different scales, as after an adjustment. A mixture of both is then worse than either, which hides
differences. Metrics that follow from the order of the detections within each category are therefore computed with each
score replaced by its rank in the run's own category, which changes the order in neither run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from longtail_cli.evaluation.bootstrap.resampling import ImageWeights
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import Objects
from longtail_cli.evaluation.selection import Scored, by_category, in_order
from longtail_cli.evaluation.tide import Errors, Points
from longtail_cli.tables import Floats, Ints, Longs

TIE = 1e-12
"""Differences closer than this are equal: far above the rounding of sums, far below what is printed."""


@dataclass(frozen=True, slots=True)
class Swaps:
    """Exchanges of the images of two runs, computed on demand: none of the images, then `swaps` >= 1 drawn by `seed`.

    Weights 2i and 2i + 1 are those of image i with the detections of the first and of the second run. The weightings
    come in pairs: after exchange b the first run is weighting 2b and the second 2b + 1.
    """

    pairs: int
    """I, images of each run."""
    swaps: int
    seed: int

    @property
    def images(self) -> int:
        return 2 * self.pairs

    @property
    def number(self) -> int:
        return 2 * (self.swaps + 1)

    def weight(self, b: int, /) -> ImageWeights:
        """Whether the detections of each image are those of either run: uint8 [2 I], of sum I."""
        swap, second = divmod(b, 2)
        source = self.exchanged(swap) ^ np.uint8(second)
        return np.column_stack([1 - source, source]).ravel()

    def exchanged(self, swap: int) -> ImageWeights:
        """Whether each image is exchanged, each with probability 1/2: uint8 [I]; none is in exchange 0."""
        if not swap:
            return np.zeros(self.pairs, np.uint8)
        return np.random.default_rng((self.seed, swap)).integers(0, 2, self.pairs, np.uint8)


def p_values(found: Mapping[str, Floats]) -> dict[str, float]:
    """The two-sided p-value of the difference of each metric, in (0, 1]; undefined metrics have none.

    found: the metrics of the two runs after each exchange, as `Swaps` orders them. p is the share of exchanges, the
    observed data among them, whose absolute difference is at least the observed one.
    """
    differences = {name: values[1::2] - values[::2] for name, values in found.items()}
    return {name: _p_value(one) for name, one in differences.items() if not np.isnan(one).any()}


def _p_value(difference: Floats) -> float:
    size = np.abs(difference)
    return float((size >= size[0] - TIE).mean())


@dataclass(frozen=True, slots=True)
class Matched:
    """What the metrics of a run are reduced from."""

    scored: Scored
    objects: Objects
    capped: Matches
    """With the cap of the protocol."""
    wide: Matches | None
    """For Fixed AP and pooled AP; or None."""
    points: Points | None
    """For TIDE (`aligned`); or None."""
    wide_score: Floats | None = None
    """float64 [N], the scores for `wide`; None if they are those of `scored`."""

    @property
    def wide_scored(self) -> Scored:
        """The detections with their scores for `wide`."""
        return self.scored if self.wide_score is None else replace(self.scored, score=self.wide_score)


@dataclass(frozen=True, slots=True)
class Comparable:
    """A run, ready to exchange images with another."""

    by_score: Matched
    by_rank: Matched
    """With scores that fall with the rank of a detection in its category; the same order within each category. The
    rank is that among the detections within the limit of the decoder, for `wide` among all."""


def falling_with_rank(category: Ints, score: Floats, num_categories: int) -> Floats:
    """1 / k for the k-th best score of a category, of equal ones the best k: float64 [N]."""
    order, start = by_category(category, score, None, num_categories)
    position = np.arange(len(order))
    begins = np.ones(len(order), bool)
    begins[1:] = (category[order[1:]] != category[order[:-1]]) | (score[order[1:]] != score[order[:-1]])
    first = np.maximum.accumulate(np.where(begins, position, 0))
    found = np.empty(len(order))
    found[order] = 1 / (1 + first - start[category[order]])
    return found


def side_by_side(first: Matched, second: Matched) -> Matched:
    """Two runs on the same objects as one on twice the images: 2i is image i of the first run, 2i + 1 of the second.

    What was chosen by the caps of each run stays chosen. Images and the detections within an image keep their order,
    so equal scores are ranked as if the detections that count stood in one file.
    """
    both = (first, second)
    scored = Scored(
        _interleaved([one.scored.image for one in both]),
        np.concatenate([one.scored.category for one in both]),
        np.concatenate([one.scored.score for one in both]),
    )
    image = _interleaved([one.objects.image for one in both])
    order = np.argsort(image, kind="stable")
    position = np.empty(len(order), np.int32)
    position[order] = np.arange(len(order))
    joined = _Joined(scored, len(first.scored.image), order, position)
    wide_score = None
    if first.wide_score is not None or second.wide_score is not None:
        wide_score = np.concatenate([one.wide_scored.score for one in both])
    wide_scored = scored if wide_score is None else replace(scored, score=wide_score)
    return Matched(
        scored=scored,
        objects=_objects(first.objects, image, order),
        capped=_matches(first.capped, second.capped, joined),
        wide=None if first.wide is None or second.wide is None
        else _matches(first.wide, second.wide, replace(joined, scored=wide_scored)),
        points=None if first.points is None or second.points is None
        else _points(first.points, second.points, joined),
        wide_score=wide_score,
    )  # fmt: skip


def _interleaved(images: Sequence[Ints]) -> Ints:
    """The index of each row's image among the images of both runs."""
    return np.concatenate([2 * image + run for run, image in enumerate(images)]).astype(np.int32)


def _objects(objects: Objects, image: Ints, order: Longs) -> Objects:
    """The objects of both runs, image by image. image: int32 [2 G], before they are put in `order`, int64 [2 G]."""
    row = order % max(len(objects), 1)
    columns = ("row", "category", "area", "ignore", "crowd", "excluded")
    return replace(
        objects,
        start=np.searchsorted(image[order], np.arange(2 * len(objects.start) - 1)).astype(np.int64),
        image=image[order],
        **{name: getattr(objects, name)[row] for name in columns},
    )


@dataclass(frozen=True, slots=True)
class _Joined:
    """The rows of both runs."""

    scored: Scored
    second: int
    """The first row of the second run."""
    order: Longs
    """int64 [2 G], the objects of the first run, then of the second, in the order of `Objects`."""
    position: Ints
    """int32 [2 G], its inverse."""

    def objects(self, first: Ints, second: Ints) -> Ints:
        """Objects that detections of the two runs point to, among those of both; -1 for none stays."""
        moved = np.where(second < 0, second, second + len(self.position) // 2)
        found: Ints = np.append(self.position, np.int32(-1))[np.concatenate([first, moved])]
        return found


def _matches(first: Matches, second: Matches, joined: _Joined) -> Matches:
    """The matches of both runs in the order of evaluation."""
    row = np.concatenate([first.selection.row, second.selection.row + joined.second])
    index = np.full(len(joined.scored.image), -1)
    index[row] = np.arange(len(row))
    selection = in_order(joined.scored, index >= 0, len(first.num_objects))
    own = index[selection.row]
    ranks = [one.selection.rank for one in (first, second) if one.selection.rank is not None]
    return Matches(
        selection=replace(selection, rank=np.concatenate(ranks)[own] if len(ranks) == 2 else None),
        true_positive=np.concatenate([first.true_positive, second.true_positive])[own],
        ignored=np.concatenate([first.ignored, second.ignored])[own],
        taken=joined.objects(first.taken, second.taken)[own],
        num_objects=first.num_objects + second.num_objects,
        counts=np.concatenate([first.counts, second.counts])[joined.order],
    )


def _points(first: Points, second: Points, joined: _Joined) -> Points:
    """The points of both runs; a detection's error depends on its image alone. They are not in the order of a curve."""
    both = (first, second)
    image = _interleaved([one.image for one in both])
    tie = np.empty(len(image), np.int64)
    tie[np.lexsort((np.concatenate([one.tie for one in both]), image))] = np.arange(len(image))
    errors = Errors(
        kind=np.concatenate([one.errors.kind for one in both]),
        fixed_object=joined.objects(first.errors.fixed_object, second.errors.fixed_object),
        missed=np.concatenate([one.errors.missed for one in both])[joined.order],
    )
    return Points(
        image=image,
        category=np.concatenate([one.category for one in both]),
        hit=np.concatenate([one.hit for one in both]),
        shown=np.concatenate([one.shown for one in both]),
        errors=errors,
        score=np.concatenate([one.score for one in both]),
        tie=tie,
        start=first.start + second.start,
        before=first.before,
        after=first.after,
        object_category=np.concatenate([one.object_category for one in both])[joined.order],
        counts=np.concatenate([one.counts for one in both])[joined.order],
        used=np.concatenate([one.used for one in both])[joined.order],
    )
