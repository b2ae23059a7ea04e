"""The fields of COCO and LVIS annotation files that are read, as types for the decoder; all others are skipped.

LVIS (v0.5 and v1) is COCO with lists of judged categories on the images, and letters and counts on the categories.
Ids may be any 64-bit integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any, Generic, Protocol, TypeVar, cast

import msgspec
import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at
from longtail_cli.files.masks import Segmentations
from longtail_cli.tables import Bools, Categories, Floats, Ints, Longs

Id = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Side = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Flag = bool | Annotated[int, msgspec.Meta(ge=0, le=1)]


class CategoryEntry(msgspec.Struct, gc=False):
    """An entry of `categories`; LVIS states the counts of its training set here, in the validation file too."""

    id: Id
    name: str = ""
    frequency: str | None = None
    image_count: Count | None = None
    instance_count: Count | None = None


class ImageKey(msgspec.Struct, gc=False):
    """An entry of `images`, as counting needs it."""

    id: Id


class ImageName(ImageKey, gc=False):
    """An entry of `images`, as finding the same image in another file needs it."""

    file_name: Any = None
    coco_url: Any = None


class SizedImage(ImageName, gc=False):
    """An entry of `images`, as placing boxes that are fractions of the image needs it."""

    height: Side | None = None
    width: Side | None = None


class ImageEntry(SizedImage, gc=False):
    """An entry of `images`."""

    neg_category_ids: list[Id] | None = None
    not_exhaustive_category_ids: list[Id] | None = None


ImageT = TypeVar("ImageT", bound=ImageKey)


class Occurrence(msgspec.Struct, gc=False):
    """An entry of `annotations`, as counting needs it."""

    image_id: Id
    category_id: Id
    iscrowd: Flag = 0
    ignore: Flag = 0


class ObjectEntry(Occurrence, gc=False, kw_only=True):
    """An entry of `annotations`."""

    id: Id
    bbox: tuple[float, float, float, float]
    area: float


class MaskedObjectEntry(ObjectEntry, gc=False, kw_only=True):
    """An entry of `annotations` with its mask, still as text."""

    segmentation: msgspec.Raw


class ImagesFile(msgspec.Struct):
    """An annotation file, of which only the images are read."""

    images: list[ImageName]


class DataSetFile(msgspec.Struct):
    """An annotation file, of which only the images and categories are read."""

    images: list[SizedImage]
    categories: list[CategoryEntry]


class CountingFile(msgspec.Struct):
    """An annotation file, as counting needs it."""

    images: list[ImageKey]
    categories: list[CategoryEntry]
    annotations: list[Occurrence]


class BoxFile(msgspec.Struct):
    """An annotation file without its masks."""

    images: list[ImageEntry]
    categories: list[CategoryEntry]
    annotations: list[ObjectEntry]


class MaskFile(msgspec.Struct):
    """An annotation file with its masks."""

    images: list[ImageEntry]
    categories: list[CategoryEntry]
    annotations: list[MaskedObjectEntry]


@dataclass(frozen=True, slots=True)
class Objects:
    """The entries of `annotations` as G rows, ids not yet looked up."""

    image_id: Longs
    """int64 [G]."""
    category_id: Longs
    """int64 [G]."""
    crowd: Bools
    """bool [G]."""
    ignore: Bools
    """bool [G]."""
    id: Longs
    """int64 [G], empty in a file that is counted, as the next two."""
    bbox: Floats
    """float64 [G, 4], xywh."""
    area: Floats
    """float64 [G]."""
    segmentations: Segmentations | None
    """G of them, or None if they are not read."""

    def __len__(self) -> int:
        return len(self.image_id)

    def name(self, row: int) -> str:
        """What errors call an entry."""
        return f"annotations[{row}] (id {self.id[row]})"


@dataclass(frozen=True, slots=True)
class Lists(Generic[ImageT]):
    """An annotation file."""

    images: list[ImageT]
    categories: list[CategoryEntry]
    objects: Objects


def objects_of(entries: Sequence[Occurrence]) -> Objects:
    """The columns of entries that are all of one type."""
    objects = cast("Sequence[ObjectEntry]", entries if entries and isinstance(entries[0], ObjectEntry) else [])
    boxes = chain.from_iterable(map(attrgetter("bbox"), objects))
    masked = not entries or isinstance(entries[0], MaskedObjectEntry)
    return Objects(
        image_id=column(entries, "image_id", np.int64),
        category_id=column(entries, "category_id", np.int64),
        crowd=column(entries, "iscrowd", np.bool_),
        ignore=column(entries, "ignore", np.bool_),
        id=column(objects, "id", np.int64),
        bbox=np.fromiter(boxes, np.float64, 4 * len(objects)).reshape(-1, 4),
        area=column(objects, "area", np.float64),
        segmentations=[entry.segmentation for entry in entries] if masked else None,  # type: ignore[attr-defined]
    )


_FIX_DUPLICATES = "give each entry its own id, or drop the copies"
_FIX_UNKNOWN = "add the missing entries to `images` or `categories`, or drop what refers to them"
_FIX_LISTS = "give every image both lists (LVIS; they may be empty) or neither (COCO)"
_FIX_CATEGORIES = "give every category the field, or none of them"
_FIX_LETTERS = "write r, c or f, or drop the field from all categories"

_LISTS = ("neg_category_ids", "not_exhaustive_category_ids")


class HasId(Protocol):
    """An entry with an id, distinct in its list."""

    id: int


def column(entries: Sequence[object], field: str, dtype: type[Any]) -> np.ndarray[Any, Any]:
    """One field of N entries, as an array [N]."""
    return np.fromiter(map(attrgetter(field), entries), dtype, len(entries))


def entry_name(key: str, row: int, entries: Sequence[HasId]) -> str:
    """What errors call an entry of the list `key`."""
    return f"{key}[{row}] (id {entries[row].id})"


def sorted_ids(key: str, ids: Longs) -> tuple[Longs, Longs, list[Fault]]:
    """The ids ascending, int64 [N]; the position of each in the file, int64 [N]; and the fault of repeated ids."""
    order = np.argsort(ids, kind="stable")
    ids = ids[order]

    def describe(row: int) -> Problem:
        first, again = order[row], order[row + 1]
        return Problem(f"{key}[{again}]", "a unique id", f"id {ids[row]}, which {key}[{first}] has too")

    return ids, order, faults_at(ids[1:] == ids[:-1], describe, _FIX_DUPLICATES)


def categories_of(entries: Sequence[CategoryEntry]) -> tuple[Categories, list[Fault]]:
    """The classes in order of id. Either all or none of them have the fields of LVIS."""
    ids, order, faults = sorted_ids("categories", column(entries, "id", np.int64))
    frequency, letter_faults = _optional_field(entries, order, "frequency")
    image_count, image_faults = _optional_field(entries, order, "image_count")
    instance_count, instance_faults = _optional_field(entries, order, "instance_count")
    table = Categories(
        id=ids,
        name=tuple(entries[row].name for row in order.tolist()),
        frequency=None if frequency is None else tuple(frequency),
        image_count=None if image_count is None else np.array(image_count, np.int64),
        instance_count=None if instance_count is None else np.array(instance_count, np.int64),
    )
    return table, [*faults, *letter_faults, *image_faults, *instance_faults, *_letter_faults(entries)]


def _optional_field(entries: Sequence[CategoryEntry], order: Longs, field: str) -> tuple[list[Any] | None, list[Fault]]:
    values = [getattr(entry, field) for entry in entries]
    missing = np.array([value is None for value in values])
    if missing.all():
        return None, []

    def describe(row: int) -> Problem:
        return Problem(entry_name("categories", row, entries), f"a field `{field}`, as others have it", "no such field")

    faults = faults_at(missing, describe, _FIX_CATEGORIES)
    return (None if faults else [values[row] for row in order.tolist()]), faults


def _letter_faults(entries: Sequence[CategoryEntry]) -> list[Fault]:
    unknown = np.array([entry.frequency not in ("r", "c", "f", None) for entry in entries])

    def describe(row: int) -> Problem:
        where = f"{entry_name('categories', row, entries)}, `frequency`"
        return Problem(where, "r, c or f", repr(entries[row].frequency))

    return faults_at(unknown, describe, _FIX_LETTERS)


def references(ids: Longs, field: str, known: Longs, key: str) -> tuple[Ints, list[Fault]]:
    """int32 [N], the index in `known` (ascending, not empty) of the `ids` in `field`; and the fault of unknown ids."""
    index, unknown = _look_up(known, ids)

    def describe(row: int) -> Problem:
        return Problem(f"annotations[{row}], `{field}`", f"an id of `{key}`", str(ids[row]))

    return index, faults_at(unknown, describe, _FIX_UNKNOWN)


def judged_categories(
    images: Sequence[ImageEntry], order: Longs, category_id: Longs
) -> tuple[Ints | None, Ints | None, list[Fault]]:
    """The pairs (image, category) of LVIS's negative and not-exhaustive lists, int32 [P, 2] and [Q, 2], distinct.

    None and None if no image has such lists. `order` is that of `sorted_ids` of the images.
    """
    missing = np.column_stack([[ids is None for ids in map(attrgetter(field), images)] for field in _LISTS])
    if missing.all():
        return None, None, []

    def describe(row: int) -> Problem:
        lists = " and ".join(f"`{field}`" for field, lacks in zip(_LISTS, missing[row], strict=True) if lacks)
        return Problem(
            entry_name("images", row, images), f"{lists}, as other images are federated (LVIS)", "no such field"
        )

    faults = faults_at(missing[:, 0] | missing[:, 1], describe, _FIX_LISTS)
    negative, negative_faults = _pairs(images, order, category_id, _LISTS[0])
    not_exhaustive, exhaustive_faults = _pairs(images, order, category_id, _LISTS[1])
    return negative, not_exhaustive, [*faults, *negative_faults, *exhaustive_faults]


def _pairs(images: Sequence[ImageEntry], order: Longs, category_id: Longs, field: str) -> tuple[Ints, list[Fault]]:
    lists: list[list[int]] = [getattr(image, field) or [] for image in images]
    lengths = np.array([len(ids) for ids in lists])
    row_of_pair = np.repeat(np.arange(len(images)), lengths)
    ids = np.fromiter(chain.from_iterable(lists), np.int64, int(lengths.sum()))
    category, unknown = _look_up(category_id, ids)

    def describe(pair: int) -> Problem:
        where = f"{entry_name('images', row_of_pair[pair], images)}, `{field}`"
        return Problem(where, "ids of `categories`", str(ids[pair]))

    index_of_row = np.empty(len(order), np.int32)
    index_of_row[order] = np.arange(len(order), dtype=np.int32)
    pairs = np.sort(index_of_row[row_of_pair].astype(np.int64) * len(category_id) + category)
    pairs = pairs[np.diff(pairs, prepend=-1) > 0]
    distinct = np.column_stack(np.divmod(pairs, len(category_id))).astype(np.int32)
    return distinct, faults_at(unknown, describe, _FIX_UNKNOWN)


def _look_up(known: Longs, wanted: Longs) -> tuple[Ints, Bools]:
    """The index of each wanted id in `known` (ascending, not empty), and whether it is missing."""
    index = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    return index.astype(np.int32), known[index] != wanted
