"""Which image is in which shard of a run, and in which row groups of it, without the detections themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, raise_faults
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.files.results.rows import results_at
from longtail_cli.files.results.table_entries import Keys, ParquetEntries, key_column
from longtail_cli.files.stores import StoredFile, staged
from longtail_cli.files.texts import named_as_given
from longtail_cli.tables import Bools, Convention, Ints, Longs, Results

_TABLE = 1 << 22
_SPREAD, _SMALL = 16, 1 << 16
"""Keys are counted in a table if it has at most so many rows for each of them, or so few."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Different keys, and how many rows have each."""

    key: Longs
    """int64 [n]."""
    rows: Ints
    """int32 [n], >= 1."""

    @classmethod
    def of(cls, keys: Longs, rows: Ints | None = None) -> Tally:
        """The keys in ascending order. keys: int64 [N], perhaps repeated. rows: int32 [N], of each; None for 1."""
        least, most = int(keys.min(initial=0)), int(keys.max(initial=0))
        if most - least < _SPREAD * len(keys) + _SMALL:
            total = np.bincount(keys - least, rows)
            key = np.flatnonzero(total)
            return cls(key + least, total[key].astype(np.int32))
        key, inverse = np.unique(keys, return_inverse=True)
        return cls(key, np.bincount(inverse, rows, minlength=len(key)).astype(np.int32))

    @classmethod
    def joined(cls, tallies: Sequence[Tally]) -> Tally:
        """That of all rows of all tallies, in ascending order."""
        return cls.of(*_joined(tallies))


def _starts(keys: Longs) -> Longs:
    """Where each run of equal keys starts, int64."""
    return np.flatnonzero(np.append(True, keys[1:] != keys[:-1])) if len(keys) else np.zeros(0, np.int64)


def _joined(tallies: Sequence[Tally]) -> tuple[Longs, Ints]:
    """All keys and rows, one tally after another."""
    key = np.concatenate([np.zeros(0, np.int64), *(one.key for one in tallies)])
    return key, np.concatenate([np.zeros(0, np.int32), *(one.rows for one in tallies)])


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that are read together: a row group of Parquet, or all of another file."""

    rows: int
    image: Tally
    """See `Shard.convention`. In the order of the rows if they are `together`, else ascending."""
    together: bool
    """Whether the rows of each image follow one another."""

    @classmethod
    def of_rows(cls, images: Longs) -> Block:
        """The block of rows with these images, int64 [N]."""
        start = _starts(images)
        return cls._of_runs(images[start], np.diff(start, append=len(images)).astype(np.int32))

    @classmethod
    def joined(cls, blocks: Sequence[Block]) -> Block:
        """Blocks that follow one another as one."""
        keys, rows = _joined([one.image for one in blocks])
        if all(one.together for one in blocks):
            return cls._of_runs(keys, rows)
        return cls(int(rows.sum()), Tally.of(keys, rows), False)

    @classmethod
    def _of_runs(cls, keys: Longs, rows: Ints) -> Block:
        """The block of runs of rows with the same image; there may be several runs of an image."""
        start = _starts(keys)
        run, length = keys[start], np.add.reduceat(rows, start) if len(start) else rows
        tally = Tally.of(run, length)
        together = len(tally.key) == len(run)
        return cls(int(rows.sum()), Tally(run, length) if together else tally, together)


@dataclass(frozen=True, slots=True)
class Shard:
    """What a result file of a run holds."""

    file: StoredFile
    name: str
    """What the user calls it."""
    divisible: bool
    """Whether its blocks can be read apart."""
    convention: Convention
    """What its images and categories are: numbers, or indices into the names of it."""
    has_boxes: bool
    category: Tally
    blocks: tuple[Block, ...]
    image_texts: Mapping[str, int]
    """The image that each text in the file stands for; empty if it has numbers, or is not divisible."""
    category_texts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Detections."""
        return sum(block.rows for block in self.blocks)


@dataclass(frozen=True, slots=True)
class Selected:
    """The detections of some images of a shard, not yet read."""

    file: StoredFile
    name: str
    """What the user calls it."""
    blocks: Mapping[int, int]
    """How many of the detections are in each block; blocks ascend."""
    image: Longs
    """int64, ascending, the images in the words of `Shard.convention`."""
    image_texts: Mapping[str, int]
    """Those of these images."""
    category_texts: Mapping[str, int]

    @property
    def rows(self) -> int:
        """Detections."""
        return sum(self.blocks.values())

    def read(self, fields: frozenset[str]) -> Results:
        """The detections, with images and categories as in `Shard.convention`, but without names.

        Raises InputError if the file has changed, or as `ResultFile.read` for what is wrong with these rows.
        """
        with opened(self.file, self.name) as file:
            entries = file.entries
            if isinstance(entries, ParquetEntries):
                found = entries.read_some(fields, self.blocks, self._wanted)
                image_id = _values(found.image_id, found.convention.image_names, self.image_texts)
                category_id = _values(found.category_id, found.convention.category_names, self.category_texts)
                return replace(found, image_id=image_id, category_id=category_id)
            results = file.read(fields)
        row = np.flatnonzero(_is_among(results.image_id, self.image))
        if len(row) != self.rows:
            problem = Problem("file", "a file that does not change", "other detections than before")
            raise InputError(self.name, [problem], "run again when nothing writes to the file")
        return results_at(replace(results, entry=np.arange(len(results))), row)

    def _wanted(self, keys: Longs, names: Sequence[str]) -> Bools:
        return _is_among(_values(keys, names, self.image_texts), self.image)


def selected(shard: Shard, blocks: Mapping[int, int], image: Longs) -> Selected:
    """The detections of some images (int64, ascending) of a shard. blocks: see `Selected`."""
    texts = shard.image_texts
    if texts:
        value = np.fromiter(texts.values(), np.int64, len(texts))
        texts = dict(compress(texts.items(), _is_among(value, image).tolist()))
    return Selected(shard.file, shard.name, blocks, image, texts, shard.category_texts)


@contextmanager
def opened(file: StoredFile, name: str | None = None) -> Iterator[ResultFile]:
    """A result file of this machine or of a store. Raises InputError as `open_results`, or if it has changed.

    name: what errors call it, if not by its location.
    """
    names = {} if name in (None, file.location) else {file.location: name}
    with named_as_given(names), staged(file) as path, open_results(path) as results:
        yield results


def survey(file: StoredFile, name: str) -> Shard:
    """What a result file holds. name: what the user calls it.

    Of Parquet only the ids are read, row group by row group; other files are read whole.
    Raises InputError as `ResultFile.read`, for Parquet only for what is wrong with ids.
    """
    with opened(file, name) as held:
        entries = held.entries
        if isinstance(entries, ParquetEntries):
            return _of_parquet(file, name, entries)
        results = held.read(held.fields & {"bbox"})
    return Shard(
        file=file,
        name=name,
        divisible=False,
        convention=results.convention,
        has_boxes=results.bbox is not None and "bbox" in held.fields,
        category=Tally.of(results.category_id),
        blocks=(Block.of_rows(results.image_id),),
        image_texts={},
        category_texts={},
    )


def _of_parquet(file: StoredFile, name: str, entries: ParquetEntries) -> Shard:
    """The shard of a Parquet file, of which two columns are read."""
    roles, faults = entries.roles, list[Fault]()
    raise_faults(entries.source, entries.schema_faults(frozenset()))
    keys, category, blocks = Keys(roles), Tally.joined([]), list[Block]()
    for group in range(entries.groups):
        own = []
        with entries.checked():
            for batch, numbers in entries.group_batches([group], (roles.image, roles.category)):
                own.append(Block.of_rows(key_column(batch, roles.image, keys.image, numbers, faults)))
                of_batch = Tally.of(key_column(batch, roles.category, keys.category, numbers, faults))
                category = Tally.joined([category, of_batch])
        blocks.append(Block.joined(own))
    raise_faults(entries.source, faults)
    every, image, image_names = np.zeros(0, np.int64), np.zeros(0, np.int64), tuple[str, ...]()
    if keys.image.names():
        every = np.unique(np.concatenate([one.image.key for one in blocks]))
        image, image_names = keys.images(every)
        blocks = [_translated(block, every, image) for block in blocks]
    categories, category_names = keys.categories(category.key)
    return Shard(
        file=file,
        name=name,
        divisible=True,
        convention=keys.convention(entries.format, image_names, category_names),
        has_boxes="bbox" in entries.fields(),
        category=Tally.of(categories, category.rows),
        blocks=tuple(blocks),
        image_texts=_texts(keys.image.names(), every, image),
        category_texts=_texts(keys.category.names(), category.key, categories),
    )


def _translated(block: Block, keys: Longs, values: Longs) -> Block:
    """The block with other keys. keys: ascending; values: what each of them becomes, perhaps the same for some."""
    values = values[np.searchsorted(keys, block.image.key)]
    tally = Tally.of(values, block.image.rows)
    if block.together and len(tally.key) == len(values):
        tally = Tally(values, block.image.rows)
    return Block(block.rows, tally, block.together and len(tally.key) == len(values))


def _texts(names: Sequence[str], keys: Longs, values: Longs) -> Mapping[str, int]:
    """The value of each text that occurs; none if there are no texts. keys: indices of those that occur."""
    return {names[key]: value for key, value in zip(keys.tolist(), values.tolist(), strict=True)} if names else {}


def _values(keys: Longs, names: Sequence[str], texts: Mapping[str, int]) -> Longs:
    """What keys as in the file stand for, int64 [N]; -1 for other texts than these."""
    if not names:
        return keys
    return np.array([texts.get(name, -1) for name in names], np.int64)[keys]


def _is_among(values: Longs, ascending: Longs) -> Bools:
    """Whether each value is one of some, bool [N]."""
    if not len(ascending):
        return np.zeros(len(values), bool)
    least, span = int(ascending[0]), int(ascending[-1]) - int(ascending[0]) + 1
    if span > _TABLE:
        nearest = np.minimum(np.searchsorted(ascending, values), len(ascending) - 1)
        return np.asarray(ascending[nearest] == values)
    table = np.zeros(span, bool)
    table[ascending - least] = True
    inside = (values >= least) & (values <= ascending[-1])
    return np.asarray(inside & table[np.where(inside, values, least) - least])
