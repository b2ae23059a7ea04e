"""Resamples of the images for the bootstrap: how often each image occurs in each of them, and the intervals.

Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). Images are drawn, not detections or objects, as those
of one image depend on each other. All runs, and a baseline on the same data, share the resamples, so differences are
paired.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Protocol

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.bootstrap.effective import widening
from longtail_cli.metrics import LEAST_IMAGES, Value
from longtail_cli.parallel import THREADS
from longtail_cli.tables import Floats

ImageWeights = npt.NDArray[np.uint8]

Resampled = dict[str, Floats]
"""The value of each metric in each resample: float64 [B] by name, NaN if undefined."""

Reduction = Callable[[ImageWeights], list[dict[str, Value]]]
"""Takes the weights of the images in `LANES` resamples, uint8 [I, LANES]; returns the metrics of each."""

LANES = 32
"""Resamples that are processed together: each step is the same for all, so that the compiler vectorises it."""

LEVEL = 0.95
"""Share of the resamples inside an interval."""

DIGESTED = 16
"""Resamples that are hashed for the digest; the others follow from the same generator."""


HELD = 1 << 27
"""Bytes of weights that may be held in memory: 128 MiB, 1,000 resamples of 134,217 images."""


class Weightings(Protocol):
    """Ways to count the images, for each of which every metric is computed."""

    @property
    def images(self) -> int:
        """I."""
        ...

    @property
    def number(self) -> int:
        """How many there are."""
        ...

    def weight(self, b: int, /) -> ImageWeights:
        """How often each image counts in the b-th: uint8 [I]."""
        ...


@dataclass(frozen=True, slots=True)
class Draws:
    """`resamples` >= 1 times `images` >= 1 images, drawn with replacement by `seed` >= 0; computed on demand."""

    images: int
    resamples: int
    seed: int

    @property
    def number(self) -> int:
        return self.resamples

    def weight(self, b: int, /) -> ImageWeights:
        """How often each image occurs in resample b: uint8 [I], of sum I.

        Depends on `seed` and b alone, so a larger number of resamples starts with the same ones. Raises ValueError
        if an image is drawn more than 255 times, which has a probability below 1e-300.
        """
        drawn = np.random.default_rng((self.seed, b)).integers(0, self.images, self.images)
        count = np.bincount(drawn, minlength=self.images)
        if count.max() > np.iinfo(np.uint8).max:
            raise ValueError("expected no image to be drawn more than 255 times")
        return count.astype(np.uint8)

    def sha256(self) -> str:
        """Hex digest of the first resamples: equal for equal draws, on any machine."""
        digest = sha256()
        for b in range(min(self.resamples, DIGESTED)):
            digest.update(self.weight(b).tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Drawn:
    """Weightings in memory."""

    weights: ImageWeights
    """uint8 [B, I]."""

    @property
    def images(self) -> int:
        return len(self.weights[0])

    @property
    def number(self) -> int:
        return len(self.weights)

    def weight(self, b: int, /) -> ImageWeights:
        found: ImageWeights = self.weights[b]
        return found


def drawn_once(draws: Weightings) -> Weightings:
    """The same weightings, in memory if they take at most `HELD` bytes, for those that go through them many times."""
    if draws.images * draws.number > HELD:
        return draws
    return Drawn(np.array([draws.weight(b) for b in range(draws.number)]))


def resampled(reduction: Reduction, draws: Weightings) -> Resampled:
    """The metrics of each resample, or of each other weighting of the images, as `reduction` computes them."""
    return by_lanes(lambda first: reduction(lane_weights(draws, first)), draws.number)


def lane_weights(draws: Weightings, first: int) -> ImageWeights:
    """The weights of the images in `LANES` weightings from `first` on, zeros beyond the last: uint8 [I, LANES]."""
    weight = np.zeros((draws.images, LANES), np.uint8)
    for lane in range(min(LANES, draws.number - first)):
        weight[:, lane] = draws.weight(first + lane)
    return weight


def by_lanes(metrics: Callable[[int], list[dict[str, Value]]], number: int) -> Resampled:
    """Join the metrics of `number` >= 1 weightings. metrics: gives those of `LANES` of them, from a first one on."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(chain.from_iterable(pool.map(metrics, range(0, number, LANES))))
    return {name: np.array([one[name] for one in found[:number]], np.float64) for name in found[0]}


def interval(resampled: Floats, value: float, images: float | None = None) -> tuple[float, float] | None:
    """The centred percentile interval of the metric `value`, of level `LEVEL`, as wide as its images require.

    None if no resample defines the metric, or if it rests on fewer than `LEAST_IMAGES`.

    resampled: float64 [B], NaN if undefined. images: how many the metric effectively rests on (`effective_images`);
    None if that is unknown, for an interval of plain percentiles.

    The interval is `value` plus the middle `LEVEL` of the deviations of
    the resamples from their own mean, extended to include `value`: the percentile interval (Efron and Tibshirani, "An
    Introduction to the Bootstrap", 1993, section 13.3) shifted by the bootstrap estimate of bias (section 10.2). It is
    not their BCa interval. The bias is an artefact of resampling: resampled AP is higher, because precision rises with
    images drawn more than once, and categories whose images are not drawn drop out of the mean. Both ends are
    then moved away from `value` by the factor `widening`.

    AP rises as a set shrinks. The interval holds the metric on sets of this size, not on all the images they come from.
    """
    defined = resampled[~np.isnan(resampled)]
    if not len(defined) or (images is not None and images < LEAST_IMAGES):
        return None
    low, high = np.quantile(defined - defined.mean(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    factor = 1.0 if images is None else widening(images)
    return value + factor * min(float(low), 0.0), value + factor * max(float(high), 0.0)
