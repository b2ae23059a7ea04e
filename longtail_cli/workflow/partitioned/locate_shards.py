"""What the shards of a run hold of the annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal

import numpy as np

from longtail_cli.choices import BoxFormat
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.faults import Fault, raise_faults
from longtail_cli.tables import GroundTruth, Ints, Longs
from longtail_cli.workflow.conventions import PLAIN, check_listed, no_such_ids
from longtail_cli.workflow.locate_detections import unknown_ids
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.partitioned.guard_sample import checked
from longtail_cli.workflow.partitioned.shards import Numbered, Shards, no_results
from longtail_cli.workflow.readings import IdReading, Listing, meaning_of

_FIX_TWICE = (
    "pass the shards of one run, each image in one of them; one process (without `engine=` and `memory=`) drops images "
    "that a sampler repeated"
)

Column = Literal["image_id", "category_id"]


@dataclass(frozen=True, slots=True)
class LocatedShards:
    """What the images and categories of shards are in the annotations."""

    image: tuple[Ints, ...]
    """int32 [n] for each shard, the index of each of `Shards.images`."""
    category_id: tuple[Longs, ...]
    """int64 [c] for each shard, the id of each of `Shards.categories`."""
    boxes: BoxFormat
    """What the numbers of the boxes are."""
    notes: tuple[str, ...]
    """On all of the run."""


def locate_shards(
    shards: Shards, truth: GroundTruth, options: ConventionOptions, fields: frozenset[str]
) -> LocatedShards:
    """What the shards hold of the annotations. fields: the geometry that is evaluated.

    Raises InputError for images and categories that are not in the annotations, or that the file seems to mean
    otherwise (see `offset_guard`), and for an image in two shards; UsageError for options that contradict the files.
    """
    convention = shards.convention
    meaning = meaning_of(convention, options, shards.source)
    check_listed(no_results(shards.source, convention), truth)
    numbered = Numbered.of(shards, truth)
    warnings = checked(numbered, truth, meaning, fields)
    images, categories = Listing.of_images(truth), Listing.of_categories(truth)
    image = [meaning.images.index(one, images)[0] for one in numbered.image]
    category = [meaning.categories.index(one, categories)[0] for one in numbered.category]
    of_images = _check_known(numbered, "image_id", meaning.images, images, image, truth.source)
    of_categories = _check_known(numbered, "category_id", meaning.categories, categories, category, truth.source)
    raise_faults(shards.source, [*of_images, *of_categories])
    _check_apart(shards, image, truth)
    ids = tuple(categories.id[one] for one in category)
    return LocatedShards(tuple(image), ids, meaning.boxes, (*convention.notes, *warnings))


def _check_known(
    numbered: Numbered, column: Column, reading: IdReading, listing: Listing, index: Sequence[Ints], source: str
) -> list[Fault]:
    """The fault of ids that are not in the annotations `source`; empty if there are none.

    index: for each shard, -1 for a number that stands for nothing there. Raises InputError for positions, and for ids
    with an offset, that are not in the annotations.
    """
    unknown = [own < 0 for own in index]
    if not any(own.any() for own in unknown):
        return []
    shards = numbered.shards
    tallies, numbers = (
        (shards.images, numbered.image) if column == "image_id" else (shards.categories, numbered.category)
    )
    total = sum(int(one.rows[own].sum()) for one, own in zip(tallies, unknown, strict=True))
    wanted = np.unique(np.concatenate([one[own] for one, own in zip(numbers, unknown, strict=True)]))
    found = islice(_entries_with(numbered, column, wanted), MAX_PROBLEMS)
    if reading != PLAIN:
        raise no_such_ids(f"{column} of entry", found, total, reading, listing, shards.source)
    where = f"{total} of {sum(one.rows for one in shards.each)} entries, first in entry {next(found)[0]}"
    return [unknown_ids(column, np.unique(np.concatenate(numbers)), listing.id, where, source)]


def _entries_with(numbered: Numbered, column: Column, wanted: Longs) -> Iterator[tuple[int, int]]:
    """The detections of these images or categories, in order: their number among all, and that of what they are of.

    The shards are read again, block by block.
    """
    shards = numbered.shards
    for shard, (each, first) in enumerate(zip(shards.each, shards.first_row, strict=True)):
        for number, block in enumerate(each.blocks):
            rows = numbered.read(shard, number, np.sort(block.image.key), frozenset())
            values = getattr(rows, column)
            for row in np.flatnonzero(np.isin(values, wanted)).tolist():
                yield first + rows.entry_of(row), int(values[row])


def _check_apart(shards: Shards, index: Sequence[Ints], truth: GroundTruth) -> None:
    """Raise InputError if an image is in two shards."""
    owner = np.full(len(truth.image_id), -1, np.int32)
    for number, (shard, own) in enumerate(zip(shards.each, index, strict=True)):
        again = own[owner[own] >= 0]
        if len(again):
            problems = [
                Problem(
                    f"image {_name(truth, image)}",
                    "in one shard",
                    f"in {shards.each[owner[image]].name} and in {shard.name}",
                )
                for image in again[:MAX_PROBLEMS].tolist()
            ]
            raise InputError(shard.name, problems, _FIX_TWICE, total=len(again))
        owner[own] = number


def _name(truth: GroundTruth, image: int) -> str:
    name = truth.image_name[image] if truth.image_name else ""
    return f"{truth.image_id[image]}" + (f" ({name})" if name else "")
