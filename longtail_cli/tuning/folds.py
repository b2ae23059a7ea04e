"""Folds of the images, and which images count in each figure of a candidate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Floats, Ints, Longs

ImageWeights = npt.NDArray[np.uint8]

LEAST_RESAMPLES = 12
"""Resamples of a part, at least; they give the standard errors of differences between candidates."""

LANES = 32
"""Lanes come in multiples of this, as they are evaluated together."""


@dataclass(frozen=True, slots=True)
class Folds:
    """The fold of each of I images (of a classifier, rows), and L lanes: the weightings that candidates are scored in.

    Part 0 are all images, part k >= 1 the images outside fold k - 1: what may be looked at to choose for that fold.
    Lanes 0 to `folds` are the parts. The others are resamples of one part each, drawn with replacement, from which the
    standard errors of that part follow; so nothing that is chosen for a fold depends on its images.
    """

    fold: Ints
    """int32 [I], from 0."""
    folds: int
    """K >= 1."""
    seed: int

    @property
    def images(self) -> int:
        """I."""
        return len(self.fold)

    @property
    def parts(self) -> int:
        """K + 1."""
        return self.folds + 1

    @property
    def resamples_of_part(self) -> int:
        """As many as fit into the least multiple of `LANES` with at least `LEAST_RESAMPLES`."""
        least = self.parts * (1 + LEAST_RESAMPLES)
        return -(-least // LANES) * LANES // self.parts - 1

    @property
    def number(self) -> int:
        """L."""
        return self.parts * (1 + self.resamples_of_part)

    def resamples(self, part: int) -> slice:
        """The lanes of the resamples of `part`."""
        first = self.parts + part * self.resamples_of_part
        return slice(first, first + self.resamples_of_part)

    def inside(self, part: int) -> npt.NDArray[np.bool_]:
        """The images of the part: bool [I]."""
        return np.asarray(self.fold != part - 1)

    def weight(self, lane: int) -> ImageWeights:
        """How often each image counts in the lane: uint8 [I]."""
        if lane < self.parts:
            return self.inside(lane).astype(np.uint8)
        part = (lane - self.parts) // self.resamples_of_part
        rows = np.flatnonzero(self.inside(part))
        drawn = np.random.default_rng((self.seed, lane)).integers(0, len(rows), len(rows))
        return np.bincount(rows[drawn], minlength=self.images).astype(np.uint8)


def stratified_folds(stratum: Longs, folds: int, seed: int) -> Folds:
    """Folds of about the same size, over which the images of each stratum are spread evenly, at random by `seed`.

    stratum: int64 [I], any numbers; for a classifier the class of each row, for detection `rarest_category`.
    Raises UsageError unless there are at least two folds and as many images.
    """
    if not 2 <= folds <= len(stratum):
        problem = Problem("`folds=`", f"a number from 2 to {len(stratum)}, so that no fold is empty", str(folds))
        raise UsageError("tune", [problem], "choose fewer folds, or tune on more images")
    order = np.random.default_rng(seed).permutation(len(stratum))
    order = order[np.argsort(stratum[order], kind="stable")]
    fold = np.empty(len(stratum), np.int32)
    fold[order] = np.arange(len(stratum)) % folds
    return Folds(fold, folds, seed)


def one_fold(images: int) -> Folds:
    """All images in one fold, for data that nothing is chosen on."""
    return Folds(np.zeros(images, np.int32), 1, 0)


def rarest_category(image: Ints, category: Ints, images: int, categories: int) -> Longs:
    """The category with the fewest images among those of the objects of each image: int64 [I].

    image, category: int32 [G], of the objects. `categories` for an image without objects.
    """
    pairs = np.unique(image.astype(np.int64) * categories + category)
    own_image, own_category = np.divmod(pairs, max(categories, 1))
    count = np.bincount(own_category, minlength=categories)
    order = np.lexsort((own_category, count[own_category], own_image))
    first, where = np.unique(own_image[order], return_index=True)
    rarest = np.full(images, categories, np.int64)
    rarest[first] = own_category[order][where]
    return rarest


def spread(values: Floats) -> float:
    """The standard deviation of the values that are not NaN; 0 with fewer than two."""
    known = values[~np.isnan(values)]
    return float(known.std(ddof=1)) if len(known) > 1 else 0.0
