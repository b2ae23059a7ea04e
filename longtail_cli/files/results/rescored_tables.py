"""Parquet files of detections written with other scores: row group by row group, all else as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.faults import raise_faults
from longtail_cli.files.output import open_output
from longtail_cli.files.results.problems import wrong_count
from longtail_cli.tables import Floats, Longs

if TYPE_CHECKING:
    from longtail_cli.files.results.table_entries import ParquetEntries

_SCORE = "score"
_FIX_COLUMNS = (
    "pass shards with the same columns, or write each to a file of its own: set `memory=`, and name a folder as the "
    "output"
)


def write_rescored(
    shards: Sequence[ParquetEntries],
    scores: Floats,
    out: Path,
    advance: Callable[[int], None] | None = None,
    entry: Longs | None = None,
) -> None:
    """Write the rows of all shards, at least one, to the new file `out` with other scores.

    Scores are written as float64, also if they were float32: rounding could make two of a category equal and change AP.

    scores: float64 [N], of the rows that are written.
    entry: int64 [N], ascending, their numbers among the rows of all shards; None for all rows.
    advance: called with the number of bytes (of the unpacked row groups) that were written since the last call.
    Raises UsageError unless all shards with rows have the same columns, InputError if there are not N rows or a file is
    damaged or changes, OutputError if `out` cannot be written to.
    """
    rows = sum(shard.rows for shard in shards)
    with open_output(out) as file:
        for shard in shards:
            raise_faults(shard.source, shard.schema_faults(frozenset()))
        if entry is None and rows != len(scores):
            raise wrong_count(shards[0].source, len(scores), str(rows))
        held = [shard for shard in shards if shard.rows] or shards[:1]
        schemas = [_rescored(shard.schema) for shard in held]
        check_columns(out, schemas, [shard.source for shard in held])
        with pq.ParquetWriter(file, schemas[0], compression=codec_of(held[0].file)) as writer:
            first = done = 0
            for shard in held:
                for table in _groups(shard, advance):
                    kept = table if entry is None else _taken(table, entry, first)
                    write_group(writer, _with_scores(kept, scores[done : done + len(kept)], schemas[0]))
                    first, done = first + len(table), done + len(kept)


def check_columns(out: Path, schemas: Sequence[pa.Schema], names: Sequence[str]) -> None:
    """Raise UsageError unless the files `names` have the same columns, so that they can be joined to `out`."""
    for schema, name in zip(schemas, names, strict=True):
        if not schema.equals(schemas[0]):
            problem = Problem("columns", f"those of {names[0]} in every part", f"others in {name}")
            raise UsageError(str(out), [problem], _FIX_COLUMNS)


def write_group(writer: pq.ParquetWriter, table: pa.Table) -> None:
    """Write a table as one row group."""
    writer.write_table(table, row_group_size=max(len(table), 1))


def codec_of(file: pq.ParquetFile) -> str:
    """The compression of the first column, as the writer calls it."""
    if not file.metadata.num_row_groups:
        return "SNAPPY"
    codec: str = file.metadata.row_group(0).column(0).compression
    return "NONE" if codec == "UNCOMPRESSED" else codec


def _groups(shard: ParquetEntries, advance: Callable[[int], None] | None) -> Iterator[pa.Table]:
    """The row groups. Raises InputError if the file is damaged or changes."""
    for group in shard.used:
        with shard.checked():
            table = shard.file.read_row_group(group)
        yield table
        if advance is not None:
            advance(shard.file.metadata.row_group(group).total_byte_size)


def _taken(table: pa.Table, entry: Longs, first: int) -> pa.Table:
    """The rows of a table, the first of which has the number `first`, that are in `entry`."""
    begin, end = np.searchsorted(entry, [first, first + len(table)])
    return table if end - begin == len(table) else table.take(pa.array(entry[begin:end] - first))


def _rescored(schema: pa.Schema) -> pa.Schema:
    index = schema.get_field_index(_SCORE)
    return schema.set(index, schema.field(index).with_type(pa.float64()))


def _with_scores(table: pa.Table, scores: Floats, schema: pa.Schema) -> pa.Table:
    index = schema.get_field_index(_SCORE)
    return table.set_column(index, schema.field(index), pa.array(scores, pa.float64()))
