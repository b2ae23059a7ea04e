"""The shards of a run as one, before the annotations are asked what their keys mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from longtail_cli.files.results.manifest import Shard, Tally, selected
from longtail_cli.files.results.merged import common_convention
from longtail_cli.tables import Convention, GroundTruth, Longs, Results
from longtail_cli.workflow.names import categories_named, images_named

Find = Callable[[Sequence[str], Longs, GroundTruth, str], Longs]


@dataclass(frozen=True, slots=True)
class Shards:
    """The shards of a run, and what their keys say before the annotations are asked."""

    source: str
    """What errors about all of them call them."""
    each: tuple[Shard, ...]
    convention: Convention
    """Of all of them."""
    images: tuple[Tally, ...]
    """Of all blocks of each shard, ascending."""
    categories: tuple[Tally, ...]
    """Of each shard, ascending."""

    @classmethod
    def of(cls, shards: Sequence[Shard], source: str) -> Shards:
        """At least one shard. Raises InputError for shards that were written in different ways."""
        convention = shards[0].convention
        if len(shards) > 1:
            convention = common_convention([_first_row(one) for one in shards], source)
        images = tuple(Tally.joined([block.image for block in one.blocks]) for one in shards)
        return cls(source, tuple(shards), convention, images, tuple(one.category for one in shards))

    @property
    def first_row(self) -> tuple[int, ...]:
        """The number of the first detection of each shard among those of all."""
        return tuple(accumulate((one.rows for one in self.each[:-1]), initial=0))


@dataclass(frozen=True, slots=True)
class Numbered:
    """Shards without names: what is named has the ids of the annotations."""

    shards: Shards
    image: tuple[Longs, ...]
    """int64 [n] for each shard, the number of each of `Shards.images`: as in the file, or the id of what it names."""
    category: tuple[Longs, ...]
    """As `image`, of `Shards.categories`."""

    @classmethod
    def of(cls, shards: Shards, truth: GroundTruth) -> Numbered:
        """Raises InputError for names that are unknown or could be those of several images or categories."""
        conventions = [one.convention for one in shards.each]
        image = _numbers(shards.images, [one.image_names for one in conventions], images_named, truth, shards.source)
        names = [one.category_names for one in conventions]
        category = _numbers(shards.categories, names, categories_named, truth, shards.source)
        return cls(shards, tuple(image), tuple(category))

    def images_of(self, shard: int, keys: Longs) -> Longs:
        """The numbers of images of a shard, int64 [N]."""
        return self.image[shard][np.searchsorted(self.shards.images[shard].key, keys)]

    def read(self, shard: int, block: int, image: Longs, fields: frozenset[str]) -> Results:
        """The detections of some images (int64, ascending, keys of the shard) in a block, with numbers."""
        each, tally = self.shards.each[shard], self.shards.each[shard].blocks[block].image
        rows = int(tally.rows[np.isin(tally.key, image)].sum())
        found = selected(each, {block: rows}, image).read(fields)
        category = self.category[shard][np.searchsorted(self.shards.categories[shard].key, found.category_id)]
        return replace(found, image_id=self.images_of(shard, found.image_id), category_id=category)


def _first_row(shard: Shard) -> Results:
    """One detection in the way of the shard, none if it has none."""
    return no_results(shard.name, shard.convention, min(shard.rows, 1), has_boxes=shard.has_boxes)


def no_results(source: str, convention: Convention, rows: int = 0, *, has_boxes: bool = True) -> Results:
    """Results of no content in the way of a convention."""
    ids, score = np.zeros(rows, np.int64), np.zeros(rows)
    return Results(ids, ids, score, np.zeros((rows, 4)) if has_boxes else None, None, source, convention)


def _numbers(
    tallies: Sequence[Tally], names: Sequence[Sequence[str]], find: Find, truth: GroundTruth, source: str
) -> list[Longs]:
    """The keys of each shard as numbers: those of the file, or the ids of the annotations that it names."""
    number: dict[str, int] = {}
    own = [np.array([number.setdefault(name, len(number)) for name in each], np.int64) for each in names]
    if not number:
        return [one.key for one in tallies]
    ids = find(tuple(number), np.arange(len(number)), truth, source)
    return [ids[each[one.key]] for one, each in zip(tallies, own, strict=True)]
