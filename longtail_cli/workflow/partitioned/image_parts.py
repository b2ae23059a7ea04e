"""A part of the images of a run, and the detections of it that a worker reads, adjusts and decodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from longtail_cli.tables import GroundTruth, Ints, Longs
from longtail_cli.workflow.detection_inputs import Source


class Loader(Protocol):
    """Reads the detections of a part. Can be pickled; holds paths, URLs and options, no data."""

    def load(self, truth: GroundTruth) -> Loaded:
        """The runs of the part, with images as indices into `truth`, which has the images of the part alone.

        Raises InputError, which names the file, as reading the whole input would.
        """
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The runs of a part of an input."""

    source: Source
    file_row: tuple[Longs, ...]
    """int64 [N] of each run, ascending and unique over all parts: the order of the detections in the whole input."""


@dataclass(frozen=True, slots=True)
class ImagePart:
    """Some of the images, with their annotations and where their detections are."""

    truth: GroundTruth
    """Of these images alone."""
    image: Longs
    """int64 [i], ascending, their indices among all images."""
    object: Ints
    """int32 [g], for each row of the part's `Objects` that of all images."""
    loader: Loader
