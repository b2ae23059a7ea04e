"""The fields of COCO and LVIS annotation files that are in use, as types for the decoder; all others are skipped.

LVIS (v0.5 and v1) is COCO with lists of judged categories on the images, and letters and counts on the categories.
Ids are any integers of 64 bits.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

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


class ImageEntry(ImageKey, gc=False):
    """An entry of `images`."""

    height: Side | None = None
    width: Side | None = None
    neg_category_ids: list[Id] | None = None
    not_exhaustive_category_ids: list[Id] | None = None


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
