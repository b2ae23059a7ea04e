"""Some detections of a result file, on which it is measured how far a method moves the scores.

The sample is the same however the detections are divided: those with the least hashes of their image and of their
position in it, so that the sample of a whole is that of the samples of its parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.methods.base import Method
from longtail_cli.tables import Floats, Ints, Longs
from longtail_cli.workflow.rescore_results import AdjustableResults

SAMPLED = 1 << 14
"""How many detections a sample has at most."""


def positions(image: Ints, number: Longs) -> Longs:
    """The number of the image of each detection, times 2^32, plus its position among those of the image: int64 [N].

    image: int32 [N], from 0. number: int64 [I], of each image, ascending.
    """
    order = np.argsort(image, kind="stable")
    ordered = image[order]
    position = np.empty(len(image), np.int64)
    position[order] = np.arange(len(image)) - np.searchsorted(ordered, ordered)
    return number[image] << 32 | position


def sampled(position: Longs) -> Longs:
    """The rows of the sample in ascending order of `position`, which is unique: int64 [n], all if they are few."""
    row = np.arange(len(position))
    if len(position) > SAMPLED:
        row = np.argpartition(_hash(position), SAMPLED)[:SAMPLED]
    return row[np.argsort(position[row])]


def _hash(values: Longs) -> npt.NDArray[np.uint64]:
    """Different for different values: the output function of SplitMix64 (Steele et al. 2014, Fast Splittable PRNGs)."""
    mixed = values.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


@dataclass(frozen=True, slots=True)
class ScoreSample:
    """The sample, to be adjusted by any number of methods."""

    score: Floats
    """float64 [n]."""
    adjustable: AdjustableResults
    """Of the same detections."""

    def moved(self, method: Method) -> float:
        """The mean absolute difference between the scores before and after; 0 without detections."""
        after = self.adjustable.adjusted(method).results.score
        return float(np.abs(after - self.score).mean()) if len(after) else 0.0
