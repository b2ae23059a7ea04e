"""Resamples of the images for the bootstrap: how often each image stands in each of them.

Efron, "Bootstrap Methods: Another Look at the Jackknife" (1979). Images, not detections or objects, are drawn, as those
of one image depend on each other. All runs, and a baseline of the same data, see the same resamples: differences are
paired.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

ImageWeights = npt.NDArray[np.uint8]

LEVEL = 0.95
"""Share of the resamples that an interval holds."""


DIGESTED = 16
"""Resamples that the digest looks at; the others follow from the same generator."""


@dataclass(frozen=True, slots=True)
class Draws:
    """`resamples` >= 1 times `images` >= 1 images, drawn with replacement by `seed` >= 0; made when asked for."""

    images: int
    resamples: int
    seed: int

    def weight(self, b: int) -> ImageWeights:
        """How often each image stands in resample b: uint8 [I], of sum I.

        Depends on `seed` and b alone, so that fewer resamples are the first of more. Raises ValueError where an image
        comes up more than 255 times; where that can be, at 256 images or more, its chance is below 1e-300.
        """
        drawn = np.random.default_rng((self.seed, b)).integers(0, self.images, self.images)
        count = np.bincount(drawn, minlength=self.images)
        if count.max() > np.iinfo(np.uint8).max:
            raise ValueError("expected no image to be drawn more than 255 times")
        return count.astype(np.uint8)

    def sha256(self) -> str:
        """Hex digest of the first resamples: equal where two sets of draws are the same, whatever machine made them."""
        digest = sha256()
        for b in range(min(self.resamples, DIGESTED)):
            digest.update(self.weight(b).tobytes())
        return digest.hexdigest()


def interval(resampled: npt.NDArray[np.float64], value: float) -> tuple[float, float] | None:
    """Where the figure `value` lies in the middle `LEVEL` of its resamples (float64 [B], NaN where undefined).

    The percentile interval (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3) of the
    deviations from the mean of the resamples, about the value. Precision rises where images stand more than once, and
    a category none of whose images is drawn leaves its mean, so resampled AP lies higher than the AP it is of; that
    bias belongs to resampling and is taken out. None where no resample defines the figure.
    """
    defined = resampled[~np.isnan(resampled)]
    if not len(defined):
        return None
    low, high = np.quantile(defined - defined.mean(), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return value + min(float(low), 0.0), value + max(float(high), 0.0)
