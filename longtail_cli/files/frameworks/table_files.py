"""The readers of tables of detections; see `longtail_cli.files.frameworks.tables`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json

from longtail_cli.files.outline import ARROW, Outline
from longtail_cli.files.reading import FIX_COPY, check_unpacked, reading
from longtail_cli.files.results.roles import Roles
from longtail_cli.files.results.table_entries import BATCH_ROWS, ArrowReader, ParquetEntries, TableEntries
from longtail_cli.files.source import FileContent
from longtail_cli.tables import Results

_BLOCK_BYTES = 1 << 22
_NAMES = pa.dictionary(pa.int32(), pa.string())
_ROW_BYTES = 8
_BRACKETS = "[]() \t"


class NamedParquet(ParquetEntries):
    """Detections in Parquet under other names than those of COCO results."""

    names_allowed = True

    def __init__(self, content: FileContent, roles: Roles, title: str) -> None:
        super().__init__(content, read_dictionary=(roles.image, roles.category))
        self.roles, self.format = roles, title


class LoadedEntries:
    """Detections in a file that is read in one go."""

    def __init__(self, content: FileContent, roles: Roles, title: str, load: Callable[[], pa.Table], fix: str) -> None:
        """load: reads the columns that have a role. fix: how to write a file that it can read."""
        self._content, self._roles, self._title, self._load, self._fix = content, roles, title, load, fix

    def fields(self) -> frozenset[str]:
        held = {"bbox": bool(self._roles.box), "masks": self._roles.segmentation is not None}
        return frozenset(field for field, present in held.items() if present)

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        source = self._content.source
        with self._content.unchanged(), reading(source, self._title, self._fix, pa.ArrowException):
            table = self._load()
        results = _Table(source, table, self._roles, self._title).read(fields, None)
        if advance is not None:
            advance(self._content.size)
        return results


class _Table(TableEntries):
    names_allowed = True

    def __init__(self, source: str, table: pa.Table, roles: Roles, title: str) -> None:
        self.source, self._table, self.roles, self.format = source, table, roles, title
        self.schema, self.rows = table.schema, table.num_rows

    def batches(self, columns: Sequence[str]) -> Iterable[pa.RecordBatch]:
        return cast("Iterable[pa.RecordBatch]", self._table.select(columns).to_batches(BATCH_ROWS))

    @contextmanager
    def checked(self) -> Iterator[None]:
        with reading(self.source, self.format, FIX_COPY, pa.ArrowException):
            yield


def read_csv(content: FileContent, outline: Outline, roles: Roles) -> pa.Table:
    """The columns of a CSV file that have a role; images and categories are texts, for `ids_in` to look at."""
    listed = len(roles.box) == 1
    types = {roles.image: _NAMES, roles.category: _NAMES, roles.score: pa.float64()}
    types |= dict.fromkeys(roles.box, pa.string() if listed else pa.float64())
    types |= {} if roles.segmentation is None else {roles.segmentation: pa.string()}
    table = pyarrow.csv.read_csv(
        ArrowReader(content.unpacked()),
        read_options=pyarrow.csv.ReadOptions(
            column_names=outline.names, skip_rows=1, block_size=_BLOCK_BYTES, use_threads=True
        ),
        parse_options=pyarrow.csv.ParseOptions(delimiter=outline.delimiter),
        convert_options=pyarrow.csv.ConvertOptions(column_types=types, include_columns=list(types)),
    )
    if listed:
        at = table.schema.get_field_index(roles.box[0])
        table = table.set_column(at, roles.box[0], _lists(table.column(at)))
    return table


def _lists(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists of numbers from texts such as ``[1.5, 2, 3, 4]``, as pandas writes lists, tuples and arrays to CSV."""
    inner = pc.replace_substring(pc.utf8_trim(column, _BRACKETS), ",", " ")
    return pc.utf8_split_whitespace(inner).cast(pa.list_(pa.float64()))


def read_lines(content: FileContent, outline: Outline, roles: Roles) -> pa.Table:
    """The keys of a JSON Lines file that have a role, with values of the types that the first line has."""
    types = {
        roles.image: _key_type(outline.first.get(roles.image)),
        roles.category: _key_type(outline.first.get(roles.category)),
        roles.score: pa.float64(),
        **dict.fromkeys(roles.box, pa.list_(pa.float64()) if len(roles.box) == 1 else pa.float64()),
    }
    if roles.segmentation is not None:
        types[roles.segmentation] = _mask_type(outline.first.get(roles.segmentation))
    return pyarrow.json.read_json(
        ArrowReader(content.unpacked()),
        read_options=pyarrow.json.ReadOptions(block_size=_BLOCK_BYTES),
        parse_options=pyarrow.json.ParseOptions(
            explicit_schema=pa.schema(list(types.items())), unexpected_field_behavior="ignore"
        ),
    )


def _key_type(value: object) -> pa.DataType:
    if isinstance(value, str):
        return pa.string()
    return pa.float64() if isinstance(value, float) else pa.int64()


def _mask_type(value: object) -> pa.DataType:
    if isinstance(value, str):
        return pa.string()
    counts = value.get("counts") if isinstance(value, Mapping) else None
    runs = pa.list_(pa.int64()) if isinstance(counts, list) else pa.string()
    return pa.struct({"size": pa.list_(pa.int64()), "counts": runs})


def read_arrow(content: FileContent, outline: Outline, roles: Roles) -> pa.Table:
    """The columns of an Arrow file or stream that have a role. Raises InputError if it unpacks to far too much."""
    included = [outline.names.index(name) for name in roles.columns if name in outline.names]
    options = pyarrow.ipc.IpcReadOptions(included_fields=included)
    schema, batches = _record_batches(ArrowReader(content.unpacked()), options)
    kept, unpacked = [], 0
    for batch in batches:
        unpacked += max(batch.nbytes, batch.num_rows * _ROW_BYTES)
        check_unpacked(content.source, "table", content.size, unpacked)
        batch.validate(full=True)  # a damaged one holds indices and lengths that lead out of its memory
        kept.append(batch)
    return pa.Table.from_batches(kept, schema)


def _record_batches(file: Any, options: Any) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
    streamed = file.read(len(ARROW)) != ARROW
    file.seek(0)
    if streamed:
        stream = pyarrow.ipc.open_stream(file, options=options)
        return stream.schema, iter(stream)
    opened = pyarrow.ipc.open_file(file, options=options)
    return opened.schema, map(opened.get_batch, range(opened.num_record_batches))
