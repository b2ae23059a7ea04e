"""The meanings that the numbers of a result file can have: ids, positions in a list, and formats of boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from longtail_cli.choices import BoxFormat
from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Convention, Floats, GroundTruth, Ints, Longs
from longtail_cli.workflow.locate_detections import index_of
from longtail_cli.workflow.options import ConventionOptions

IdPart = Literal["images", "categories"]
Part = Literal["images", "categories", "boxes"]
PARTS: frozenset[Part] = frozenset(get_args(Part))

RELATIVE = "relative-"


@dataclass(frozen=True, slots=True)
class Listing:
    """The ids of the annotations, by value and by position."""

    id: Longs
    """int64 [M], ascending."""
    order: Ints
    """int32 [M], the index in `id` of each position."""

    @classmethod
    def of_images(cls, truth: GroundTruth) -> Listing:
        """The images, positions being those in the file."""
        return cls(truth.image_id, np.argsort(truth.image_position, kind="stable").astype(np.int32))

    @classmethod
    def of_categories(cls, truth: GroundTruth) -> Listing:
        """The categories, positions being those in order of id."""
        return cls(truth.categories.id, np.arange(len(truth.categories), dtype=np.int32))


@dataclass(frozen=True, slots=True)
class IdReading:
    """What a number stands for: with the offset added, it is an id, or a position from 0."""

    offset: int = 0
    position: bool = False

    def index(self, numbers: Longs, listing: Listing) -> tuple[Ints, bool]:
        """The index in `Listing.id` of each number, int32 [N], -1 for one that stands for nothing; and whether all do.

        numbers: int64 [N].
        """
        numbers = numbers + self.offset if self.offset else numbers
        if not self.position:
            return index_of(numbers, listing.id)
        inside = (numbers >= 0) & (numbers < len(listing.order))
        index = np.full(len(numbers), -1, np.int32)
        index[inside] = listing.order[numbers[inside]]
        return index, bool(inside.all())


def as_xywh(boxes: Floats, form: BoxFormat, image_size: Ints | None) -> Floats:
    """The boxes as left, top, width and height in pixels: float64 [N, 4], the same array if they are.

    boxes: float64 [N, 4] in the format `form`. image_size: int32 [N, 2], (height, width) in pixels of the image of each
    box; only needed for relative formats.
    """
    if form == "xywh":
        return boxes
    if form.startswith(RELATIVE):
        assert image_size is not None
        boxes = boxes * image_size[:, [1, 0, 1, 0]]
    first, second = boxes[:, :2], boxes[:, 2:]
    match form.removeprefix(RELATIVE):
        case "xyxy":
            return np.hstack([first, second - first])
        case "cxcywh":
            return np.hstack([first - second / 2, second])
    return boxes


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the numbers of a file are taken for."""

    images: IdReading
    categories: IdReading
    boxes: BoxFormat
    settled: frozenset[Part]
    """Of what the user, or a name or the length of a list in the file, leaves no doubt."""


def meaning_of(convention: Convention, options: ConventionOptions, source: str) -> Meaning:
    """What the numbers of a file mean by its convention, names being ids already, unless the options differ.

    Raises UsageError for options that contradict the convention. source: the file, for messages.
    """
    if options.image_offset is not None and convention.images != "id":
        raise _contradicts("image_offset", options.image_offset, _BY[convention.images], "images", source)
    if convention.categories == "name" and (options.category_offset is not None or options.contiguous):
        name, value = ("contiguous", True) if options.contiguous else ("category_offset", options.category_offset)
        raise _contradicts(name, value, _BY["name"], "classes", source)
    stated = {
        "images": options.image_offset is not None or convention.images != "id",
        "categories": options.category_offset is not None or options.contiguous or convention.categories == "name",
        "boxes": options.box_format is not None,
    }
    by_index = options.contiguous or (convention.categories == "index" and options.category_offset is None)
    return Meaning(
        images=IdReading(options.image_offset or 0, position=convention.images == "position"),
        categories=IdReading(options.category_offset or 0, position=by_index),
        boxes=options.box_format or convention.boxes,
        settled=frozenset(part for part in PARTS if stated[part]),
    )


_BY = {"name": "by name", "position": "by their order"}


def _contradicts(name: str, value: object, how: str, what: str, source: str) -> UsageError:
    problem = Problem(f"`{name}=`", f"none for a file that states its {what} {how}", str(value))
    return UsageError(source, [problem], "leave it out")
