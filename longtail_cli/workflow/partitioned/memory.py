"""How much is in memory at once, so that a process stays within its memory: a rule with rates that were measured.

A process needs memory for itself, for the annotations, and for the part that it works on or the matches that it
reduces:

    memory >= PROCESS + 4 * a + r + max(rows of a part * bytes per row, rows of a piece * bytes per match)

for annotations of `a` bytes, whose arrays are held for the whole and again for the parts, with the objects in the order
of the images. To read them takes 6 * a. Resamples take `r` bytes. A part also holds a byte for each of its images and
categories and each IoU type, which says what the image judges, so an image counts as some rows.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from decimal import Decimal

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.evaluation.bootstrap import resampling
from longtail_cli.evaluation.bootstrap.resampling import LANES
from longtail_cli.evaluation.parts import ordered_resamples
from longtail_cli.tables import GroundTruth

PROCESS = 300_000_000
"""Bytes of the interpreter, the libraries, and what these keep of memory that was freed."""
BYTES_PER_ROW = 600
"""Of a part, while it is read and matched: its detections, overlaps and matches."""
BYTES_PER_RUN = 150
"""The same of each further run of the same boxes or masks."""
BYTES_PER_MASK = 2_400
"""Instead of `BYTES_PER_ROW`, for run-length encoded masks."""
BYTES_PER_MATCH = 450
"""Of a row of matches, while it is reduced: 180 with all that can be computed of it, and more with resamples."""
BYTES_PER_MOVED, BYTES_PER_COLLECTED = 24, 100
"""Of a score that a method would make equal to another, which all parts hold; and while these are collected."""

BYTES_PER_OBJECT, BYTES_PER_EVENT = 150, 12
"""Of each object of the largest category, with resamples: its events on all curves, and on one curve in a resample."""

MOST_ROWS = 1 << 21
"""Of a part: larger ones are no faster."""
LEAST_ROWS = 100_000
"""Of a part: smaller ones are slow, as each takes its time for the annotations."""
MOST_PIECE_ROWS = 1 << 22
"""Of the rows of matches that are reduced at once: larger pieces are no faster."""

_HELD, _READING = 4, 6


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of an input is in memory at once."""

    part: int
    """About how many detections a part has at most, > 0."""
    image: int = 0
    """As how many detections an image of a part counts, beside those that it has."""
    piece: int = MOST_PIECE_ROWS
    """How many matches are reduced at once, > 0: those of a bucket, or of a piece of it."""
    memory: int | None = None
    """Bytes that a process may use; None for no bound."""
    held: int = 0
    """Bytes beside parts and pieces."""
    row: int = BYTES_PER_ROW
    """Bytes for a detection of a part."""

    @classmethod
    def within(
        cls, memory: int | None, truth: GroundTruth, *, runs: int = 1, iou_types: int = 1, masks: bool = False,
        resamples: int = 0,
    ) -> Sizes:  # fmt: skip
        """Those with which a process stays within `memory` bytes, or the fastest if it is None.

        runs: of an input, >= 1. iou_types: how many, >= 1. masks: whether masks of detections are read. resamples: of
        the images, >= 0. Raises UsageError if `memory` is too small for parts of `LEAST_ROWS`, or for the annotations.
        """
        row = (BYTES_PER_MASK if masks else BYTES_PER_ROW) + BYTES_PER_RUN * (runs * iou_types - 1)
        image = -(-len(truth.categories) * iou_types // row)
        if memory is None:
            return cls(MOST_ROWS, image, MOST_PIECE_ROWS)
        size = _bytes_of(truth)
        held = PROCESS + _HELD * size + _bytes_of_resamples(truth, resamples)
        least = max(held + LEAST_ROWS * row, _READING * size)
        _check(memory, least, f"annotations with {len(truth.id):,} objects")
        rows, matches = (memory - held) // row, (memory - held) // BYTES_PER_MATCH
        return cls(min(rows, MOST_ROWS), image, min(matches, MOST_PIECE_ROWS), memory, held, row)

    def beside_moved(self, moved: int) -> Sizes:
        """With parts that leave room for `moved` scores, see `methods.scores.MovedScores`.

        Raises UsageError if the memory is too small for them and parts of `LEAST_ROWS`, or to collect them.
        """
        if self.memory is None:
            return self
        held = self.held + BYTES_PER_MOVED * moved
        least = max(held + LEAST_ROWS * self.row, self.held + BYTES_PER_COLLECTED * moved)
        _check(self.memory, least, f"{moved:,} scores that a method would make equal")
        return replace(self, part=min(self.part, (self.memory - held) // self.row), held=held)


def _check(memory: int, least: int, reason: str) -> None:
    """Raise UsageError if there is less than the least."""
    if memory < least:
        expected = f"at least {gigabytes(-(-least // 10**8) * 10**8)}, for {reason}"
        problem = Problem("`memory=`", expected, gigabytes(memory))
        raise UsageError("parts of the images", [problem], "allow more memory")


def gigabytes(size: int) -> str:
    """Exactly so many bytes, such as ``0.35 GB``."""
    return f"{Decimal(size).scaleb(-9).normalize():f} GB"


def _bytes_of_resamples(truth: GroundTruth, number: int) -> int:
    """The weights of the images, the events of the largest category, and the resamples that are computed together."""
    if not number:
        return 0
    images, objects = len(truth.image_id), int(np.bincount(truth.category).max(initial=0))
    resample = images + BYTES_PER_EVENT * objects
    together = max(min(number * resample, ordered_resamples.HELD), LANES * resample)
    return min(images * number, resampling.HELD) + BYTES_PER_OBJECT * objects + together


def _bytes_of(truth: GroundTruth) -> int:
    """Of the arrays."""
    held = [getattr(truth, field.name) for field in fields(truth)]
    held += [] if truth.masks is None else [getattr(truth.masks, field.name) for field in fields(truth.masks)]
    return sum(one.nbytes for one in held if isinstance(one, np.ndarray))
