"""Detection results by column: in Parquet, in other tables, or in memory.

The names of the columns are those of COCO results, or what `Roles` say. `bbox` is a list of four numbers,
`segmentation` a struct of `size` and `counts` or the same as JSON text, as pandas writes a list of results. Other
columns are kept when scores are rewritten.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from functools import partial
from itertools import compress
from pathlib import Path
from typing import Any, cast

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_at, raise_faults
from longtail_cli.files.memory import check_lengths
from longtail_cli.files.reading import FIX_COPY, check_parquet, reading
from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import SHORTEST_ENTRY, EntryBlock
from longtail_cli.files.results.keys import NamedKeys, ids_in, is_text
from longtail_cli.files.results.problems import FIX_BOX, FIX_FIELDS, FIX_FINITE, FIX_IDS
from longtail_cli.files.results.rescored_tables import write_rescored
from longtail_cli.files.results.roles import COCO, Roles
from longtail_cli.files.results.table_boxes import boxes_in, numbers
from longtail_cli.files.source import Content, Reader, open_file
from longtail_cli.tables import Bools, Convention, Floats, Longs, Results

BATCH_ROWS = 1 << 18
_BUFFER = 1 << 20
"""Bytes of a column that are read at once: a row group may be far larger than what is to be in memory."""
_EXACT = 2.0**53  # an integer below is no other number's nearest float64
_TYPES = {"bbox": pa.list_(pa.float64()), "segmentation": pa.string()}
"""Of columns without a value; the others are numbers."""

Numbers = Sequence[int] | Longs
"""The numbers of rows in the whole file."""
Batches = Callable[[Sequence[str]], Iterable[tuple[pa.RecordBatch, Numbers]]]
"""Gives batches of the columns that it is called with, and the numbers of their rows."""
Wanted = Callable[[Longs, Sequence[str]], Bools]
"""Which keys of images are wanted: numbers (int64 [N]) as in the file, or indices into names where there are names."""

_ONE_TYPE = "values of one type"
_FIX_NAMES = "write every column once: most readers of Parquet refuse a name that occurs twice"
_FIX_TYPES = "pass columns of one type, such as NumPy arrays"
_FIX_NAMED = "name the image and the category of every detection"


class TableEntries(ABC):
    """Detections as record batches. The methods do what those of `ResultFile` do.

    A subclass provides the batches.
    """

    source: str
    schema: pa.Schema
    rows: int
    roles: Roles = COCO
    format: str = Convention().format
    names_allowed = False
    """Whether images and categories may be names."""

    @abstractmethod
    def batches(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        """All rows, in batches of these columns."""

    @abstractmethod
    def checked(self) -> AbstractContextManager[None]:
        """Raise InputError if reading fails within the block."""

    def fields(self) -> frozenset[str]:
        geometry = {"bbox": self.roles.box, "masks": (self.roles.segmentation,)}
        held = set(self.schema.names)
        return frozenset(field for field, columns in geometry.items() if columns and set(columns) <= held)

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        columns, keys = self._gather(fields, self._whole, self.rows)
        return keys.resolved(columns.results(), self.format)

    def _whole(self, columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, Numbers]]:
        first = 0
        for batch in self.batches(columns):
            yield batch, range(first, first + len(batch))
            first += len(batch)

    def _gather(
        self, fields: frozenset[str], batches: Batches, rows: int, entry: Callable[[int], int] = int
    ) -> tuple[ResultColumns, Keys]:
        """The columns of all batches; with the masks if boxes are to be read and no row has one.

        rows: how many there are at most. entry: the number in the file of a row of the columns.
        """
        columns, keys = self._gather_once(fields, batches, rows, entry)
        if "bbox" in fields and columns.masks_instead:
            return self._gather_once(fields | {"masks"}, batches, rows, entry)
        return columns, keys

    def _gather_once(
        self, fields: frozenset[str], batches: Batches, rows: int, entry: Callable[[int], int]
    ) -> tuple[ResultColumns, Keys]:
        raise_faults(self.source, self.schema_faults(fields))
        names = [name for name in self.roles.columns if self.schema.names.count(name) == 1]
        keys = Keys(self.roles)
        columns = ResultColumns(self.source, rows * SHORTEST_ENTRY, fields, keys.image.names, entry=entry)
        with ThreadPoolExecutor(1) as pool:
            numbered = iter(batches(names))
            following = pool.submit(next, numbered, None)
            while True:
                with self.checked():
                    found = following.result()
                    if found is None:
                        return columns, keys
                    following = pool.submit(next, numbered, None)
                    batch, entries = found
                    block = _block(batch, self.roles, keys, columns.rows, entries, columns.faults, fields)
                columns.add(block)

    def schema_faults(self, fields: frozenset[str]) -> list[Fault]:
        """Columns that are missing, repeated, or of a type that cannot be read."""
        return _schema_faults(self.schema, self.roles, fields, names_allowed=self.names_allowed)


class Keys:
    """The images and categories that were met in a table."""

    def __init__(self, roles: Roles) -> None:
        self._roles = roles
        self.image, self.category = NamedKeys(), NamedKeys()

    def resolved(self, results: Results, title: str) -> Results:
        """The results with ids where names are written as whole numbers, and with the convention of the table."""
        image_id, image_names = self.images(results.image_id)
        category_id, category_names = self.categories(results.category_id)
        convention = self.convention(title, image_names, category_names)
        return replace(results, image_id=image_id, category_id=category_id, convention=convention)

    def images(self, keys: Longs) -> tuple[Longs, tuple[str, ...]]:
        """The keys as ids, and no names; or as indices into the names."""
        return _ids_or_names(keys, self.image, surely=self._roles.named_images)

    def categories(self, keys: Longs) -> tuple[Longs, tuple[str, ...]]:
        """As `images`."""
        return _ids_or_names(keys, self.category, surely=self._roles.named_categories)

    def convention(self, title: str, image_names: tuple[str, ...], category_names: tuple[str, ...]) -> Convention:
        """That of the table. The names: of `images` and `categories`."""
        return Convention(
            format=title,
            images="name" if image_names else "id",
            image_names=image_names,
            categories="name" if category_names else "id",
            category_names=category_names,
            boxes=self._roles.boxes,
            notes=self._roles.notes,
        )


def _ids_or_names(keys: Longs, named: NamedKeys, *, surely: bool) -> tuple[Longs, tuple[str, ...]]:
    """The keys as ids, int64 [N], and no names; or as indices into the names."""
    if not len(keys) or not named.names():
        return keys, ()
    used = np.bincount(keys, minlength=len(named.names())) > 0  # a dictionary may hold more
    names = tuple(compress(named.names(), used))
    ids = None if surely else ids_in(names)
    values = np.arange(len(names)) if ids is None else ids
    value = np.zeros(len(used), np.int64)
    value[used] = values
    return value[keys], names if ids is None else ()


class ArrowReader(Reader):
    def read_buffer(self, size: int) -> memoryview:
        """What Arrow prefers to `read`, which copies."""
        data = np.empty(size, np.uint8).data
        return data[: self.readinto(data)]


class ParquetEntries(TableEntries):
    """The entries of a Parquet file. Raises InputError if it is not one."""

    def __init__(self, content: Content, read_dictionary: Sequence[str] = ()) -> None:
        """read_dictionary: columns whose texts are kept once each."""
        self.source, self._content = content.source, content
        with self.checked():
            self.file = pq.ParquetFile(ArrowReader(content), read_dictionary=list(read_dictionary), buffer_size=_BUFFER)
        check_parquet(self.file.metadata, self.source, content.size)
        self.schema, self.rows = self.file.schema_arrow, self.file.metadata.num_rows
        self.used = range(self.file.num_row_groups)
        """The row groups that are read."""

    @contextmanager
    def checked(self) -> Iterator[None]:
        with self._content.unchanged(), reading(self.source, "a whole Parquet file", FIX_COPY, pa.ArrowException):
            yield

    def batches(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return cast("Iterable[pa.RecordBatch]", self.file.iter_batches(BATCH_ROWS, columns=columns))

    @property
    def groups(self) -> int:
        """How many row groups there are."""
        return int(self.file.num_row_groups)

    def rows_of(self, group: int) -> int:
        """How many rows a row group has."""
        return int(self.file.metadata.row_group(group).num_rows)

    def group_batches(self, groups: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[pa.RecordBatch, range]]:
        """The rows of some row groups, ascending, in batches of these columns, with their numbers in the file."""
        ends = np.cumsum([0, *map(self.rows_of, range(self.groups))]).tolist()
        for group in groups:
            first = ends[group]
            for batch in self.file.iter_batches(BATCH_ROWS, row_groups=[group], columns=columns):
                yield batch, range(first, first + len(batch))
                first += len(batch)

    def read_some(self, fields: frozenset[str], groups: Mapping[int, int], wanted: Wanted) -> Results:
        """The rows of the wanted images in some row groups, read batch by batch; keys are as in the file.

        groups: how many of these rows are in each row group; a group is read until they were met.
        Keys that are texts are indices into `Convention.image_names` and `Convention.category_names`, also if all texts
        are numbers. Raises InputError for what is wrong with these rows, and if there are others.
        """
        entry = np.empty(sum(groups.values()), np.int64)
        batches = partial(self._chosen, groups, wanted, entry)
        columns, keys = self._gather(fields, batches, len(entry), lambda row: int(entry[row]))
        results, images, categories = columns.results(), keys.image.names(), keys.category.names()
        return replace(results, convention=keys.convention(self.format, images, categories), entry=entry)

    def _chosen(
        self, groups: Mapping[int, int], wanted: Wanted, entry: Longs, columns: Sequence[str]
    ) -> Iterator[tuple[pa.RecordBatch, Longs]]:
        """The rows of the wanted images. entry: their numbers in the file are written there."""
        keys, done = NamedKeys(), 0
        for group, rows in groups.items():
            end = done + rows
            for batch, entries in self.group_batches([group], columns):
                keep = wanted(key_column(batch, self.roles.image, keys, entries, []), keys.names())
                numbers = np.flatnonzero(keep) + entries.start
                if done + len(numbers) > end:
                    raise self._changed()
                entry[done : done + len(numbers)] = numbers
                done += len(numbers)
                if len(numbers):
                    yield batch if keep.all() else batch.filter(pa.array(keep)), numbers
                if done == end:
                    break
            if done < end:
                raise self._changed()

    def _changed(self) -> InputError:
        problem = Problem("file", "a file that does not change", "other rows than before")
        return InputError(self.source, [problem], "run again when nothing writes to the file")

    def table(self) -> pa.Table:
        """All columns of all rows."""
        return self.file.read()

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        results = super().read(fields, advance)
        if advance is not None:
            advance(self._content.size)
        return results

    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None) -> None:
        """Row group by row group; all other columns and the rest of the schema stay."""
        write_rescored([self], scores, out, advance)


def _schema_faults(schema: pa.Schema, roles: Roles, fields: frozenset[str], *, names_allowed: bool) -> list[Fault]:
    """Columns that are missing, repeated, or of a type that cannot be read."""
    is_key, keys = (_is_key, "integers or names") if names_allowed else (_is_number, "integers")
    kinds: dict[str, tuple[str, Callable[[Any], bool], str]] = {
        roles.image: (keys, is_key, FIX_IDS),
        roles.category: (keys, is_key, FIX_IDS),
        roles.score: ("numbers", _is_number, FIX_FIELDS),
    }
    if "bbox" in fields and set(roles.box) <= set(schema.names):
        one_column = len(roles.box) == 1
        of_box = ("lists of four numbers", _is_box, FIX_BOX) if one_column else ("numbers", _is_number, FIX_BOX)
        kinds |= dict.fromkeys(roles.box, of_box)
    if "masks" in fields and roles.segmentation is not None and roles.segmentation in schema.names:
        kinds[roles.segmentation] = ("structs of size and counts, or JSON text", _is_segmentation, FIX_FIELDS)
    repeated = {name: number for name, number in Counter(schema.names).items() if number > 1}
    faults = [fault("columns", f"one column `{name}`", str(number), _FIX_NAMES) for name, number in repeated.items()]
    for name, (expected, fits, fix) in kinds.items():
        if name in repeated:
            continue
        if name not in schema.names:
            faults.append(fault("columns", f"one column `{name}`", ", ".join(schema.names), FIX_FIELDS))
        elif not fits(schema.field(name).type):
            faults.append(fault(f"column `{name}`", expected, str(schema.field(name).type), fix))
    return faults


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_key(kind: Any) -> bool:
    return _is_number(kind) or is_text(kind)


def _is_box(kind: Any) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and _is_number(kind.value_type))


def _is_segmentation(kind: Any) -> bool:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or (pa.types.is_struct(kind) and {"size", "counts"} <= {field.name for field in kind}))


def _block(
    batch: pa.RecordBatch,
    roles: Roles,
    keys: Keys,
    first: int,
    entries: Numbers,
    faults: list[Fault],
    fields: frozenset[str],
) -> EntryBlock:
    """The rows of a batch as a block that begins with row `first`; their faults are appended to `faults`.

    entries: the number in the file of each row. Where masks are not read, only whether there is one is told, by a span
    that has no text.
    """
    image = key_column(batch, roles.image, keys.image, entries, faults)
    category = key_column(batch, roles.category, keys.category, entries, faults)
    score = numbers(batch.column(roles.score))
    faults += _faults_at(~np.isfinite(score), roles.score, "a finite number", score, entries, FIX_FINITE)
    bbox = np.full((len(score), 4), np.nan)
    if "bbox" in fields and roles.box and set(roles.box) <= set(batch.schema.names):
        sides = [batch.column(name) for name in roles.box]
        bbox = boxes_in(sides, roles.boxes, ", ".join(roles.box), entries, faults)
    texts: list[bytes] = []
    lengths = np.zeros(len(score), np.int64)
    if roles.segmentation in batch.schema.names and "masks" in fields:
        texts = _texts(batch.column(roles.segmentation))
        lengths = np.array([len(text) for text in texts], np.int64)
    elif roles.segmentation in batch.schema.names:
        lengths = batch.column(roles.segmentation).is_valid().to_numpy(zero_copy_only=False).astype(np.int64)
    end = np.cumsum(lengths)
    span = np.stack([np.append(0, end[:-1]), end], axis=1) if len(score) else np.zeros((0, 2), np.int64)
    content = np.frombuffer(b"".join([*texts, b"\0"]), np.uint8)
    return EntryBlock(first, content, image, category, score, bbox, np.zeros_like(span), span)


def key_column(batch: pa.RecordBatch, name: str, named: NamedKeys, entries: Numbers, faults: list[Fault]) -> Longs:
    """int64 [N]; floats must be whole, and texts become their numbers in `named`."""
    column = batch.column(name)
    if is_text(column.type):
        keys = named.of(column)
        faults += _faults_at(keys < 0, name, "an id or a name", ["none"] * len(keys), entries, _FIX_NAMED)
        return np.maximum(keys, 0)
    if pa.types.is_integer(column.type) and not column.null_count:
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
    values = numbers(column)
    whole = (np.abs(values) < _EXACT) & (np.floor(values) == values)
    faults += _faults_at(~whole, name, "an integer id", values, entries, FIX_IDS)
    return np.where(whole, values, 0).astype(np.int64)


def _texts(column: pa.Array) -> list[bytes]:
    """N segmentations as JSON text, empty for null."""
    return [_text(value) for value in column.to_pylist()]


def _text(value: Any) -> bytes:
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode() or b" "
    counts = value["counts"]
    return msgspec.json.encode(
        {"size": value["size"], "counts": counts.decode("latin-1") if isinstance(counts, bytes) else counts}
    )


def _faults_at(bad: Bools, name: str, expected: str, values: Any, entries: Numbers, fix: str) -> list[Fault]:
    """The fault of the rows for which `bad` is true; row i is entry ``entries[i]`` and has ``values[i]``."""
    return faults_at(bad, lambda row: Problem(f"entry {entries[row]}, `{name}`", expected, str(values[row])), fix)


def parquet_entries(path: Path) -> list[dict[str, Any]]:
    """The rows as entries of a result list, without null fields. Raises InputError if the file is not Parquet."""
    with closing(open_file(path)) as content:
        entries = ParquetEntries(content)
        with entries.checked():
            rows = entries.table().to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


class ColumnEntries(TableEntries):
    """Detections by column. Raises InputError if the columns cannot be read."""

    def __init__(self, columns: Mapping[str, Any], source: str) -> None:
        self.source = source
        arrays = {name: self._array(name, columns[name]) for name in COCO.columns if name in columns}
        check_lengths(arrays, source)
        self._table = pa.table(arrays)
        names = pa.schema([pa.field(str(name), pa.null()) for name in columns if name not in arrays])
        self.schema, self.rows = pa.unify_schemas([self._table.schema, names]), self._table.num_rows

    def batches(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return cast("Iterable[pa.RecordBatch]", self._table.select(columns).to_batches(BATCH_ROWS))

    @contextmanager
    def checked(self) -> Iterator[None]:
        with reading(self.source, _ONE_TYPE, _FIX_TYPES, pa.ArrowException, where="columns"):
            yield

    def _array(self, name: str, values: Any) -> pa.Array:
        with reading(self.source, _ONE_TYPE, _FIX_TYPES, pa.ArrowException, where=f"column `{name}`"):
            array = _array(values)
            return pa.nulls(len(array), _TYPES.get(name, pa.float64())) if pa.types.is_null(array.type) else array


def _array(values: Any) -> pa.Array:
    if hasattr(values, "__array__") and not hasattr(values, "to_numpy"):  # not a Series, which Arrow knows
        values = np.asarray(values)
        if values.ndim == 2 and values.shape[1]:
            return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])
    return pa.array(list(values) if isinstance(values, tuple | range) else values, from_pandas=True)
