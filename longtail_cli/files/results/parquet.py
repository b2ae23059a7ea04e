"""Detection results as Parquet: a row an entry, with columns image_id, category_id, score, and bbox or segmentation.

`bbox` is a list of four numbers, `segmentation` a struct of `size` and `counts` or the same as JSON text: what pandas
writes of a result list in JSON. Other columns are kept when scores are rewritten.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_at, raise_faults
from longtail_cli.files.output import replacing
from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import SHORTEST_ENTRY, EntryBlock
from longtail_cli.files.results.problems import FIX_BOX, FIX_FIELDS, FIX_FINITE, FIX_IDS
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Bools, Floats, Longs, Results

_BATCH_ROWS = 1 << 18
_LARGEST_EXACT = 2.0**53
_GEOMETRY = {"bbox": "bbox", "masks": "segmentation"}  # the column of each field


def parquet_fields(path: Path) -> frozenset[str]:
    """Which of `bbox` and `masks` the file has columns for. Raises InputError where it is no Parquet file."""
    with closing(_opened(path)) as file:
        names = file.schema_arrow.names
    return frozenset(field for field, column in _GEOMETRY.items() if column in names)


def read_parquet(path: Path, fields: frozenset[str]) -> Results:
    """As `read_results`, of a Parquet file."""
    with closing(_opened(path)) as file, _readable(path):
        raise_faults(str(path), _schema_faults(file.schema_arrow, fields))
        columns = _gather(file, str(path), fields)
        if "bbox" in fields and columns.masks_instead:
            columns = _gather(file, str(path), fields | {"masks"})
    return columns.results()


def write_parquet(source: Path, scores: Floats, out: Path, advance: Callable[[int], None] | None) -> None:
    """`source` with other scores, row group by row group; all other columns and the rest of the schema stay.

    Scores are written as float64, whatever they were: rounded to less, two of a category could become equal, and AP
    would change. Raises as `write_rescored` does.
    """
    with closing(_opened(source)) as file, replacing(out) as temporary:
        raise_faults(str(source), _schema_faults(file.schema_arrow, frozenset()))
        check_count(source, file.metadata.num_rows, len(scores))
        place = file.schema_arrow.get_field_index("score")
        field = file.schema_arrow.field(place).with_type(pa.float64())
        done = 0
        with pq.ParquetWriter(temporary, file.schema_arrow.set(place, field), compression=_codec(file)) as writer:
            for group in range(file.num_row_groups):
                with _readable(source):
                    table = file.read_row_group(group)
                column = pa.array(scores[done : done + len(table)], pa.float64())
                writer.write_table(table.set_column(place, field, column), row_group_size=max(len(table), 1))
                done += len(table)
                if advance is not None:
                    advance(file.metadata.row_group(group).total_byte_size)


def check_count(source: Path, entries: int, scores: int) -> None:
    """Raise InputError unless there is a score for every entry."""
    if entries != scores:
        problem = Problem("entries", f"{scores}, as there are scores", str(entries))
        raise InputError(str(source), [problem], "rescore the file as it is; it seems to have changed meanwhile")


def _opened(path: Path) -> pq.ParquetFile:
    check_readable(path)
    with _readable(path):
        return pq.ParquetFile(path)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise InputError where the block meets something in `path` that is no Parquet."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        problem = Problem("content", "a whole Parquet file", str(error).splitlines()[0])
        raise InputError(str(path), [problem], "write or copy the file again") from error


def _codec(file: pq.ParquetFile) -> str:
    groups = file.metadata.num_row_groups
    return file.metadata.row_group(0).column(0).compression if groups else "SNAPPY"


def _schema_faults(schema: pa.Schema, fields: frozenset[str]) -> list[Fault]:
    """Columns that are missing or of a type that cannot be read."""
    kinds: dict[str, tuple[str, Callable[[Any], bool], str]] = {
        "image_id": ("integers", _is_number, FIX_IDS),
        "category_id": ("integers", _is_number, FIX_IDS),
        "score": ("numbers", _is_number, FIX_FIELDS),
        "bbox": ("lists of four numbers", _is_box, FIX_BOX),
        "segmentation": ("structs of size and counts, or JSON text", _is_segmentation, FIX_FIELDS),
    }
    unwanted = [column for field, column in _GEOMETRY.items() if field not in fields or column not in schema.names]
    faults = []
    for name, (expected, fits, fix) in kinds.items():
        if name in unwanted:
            continue
        if schema.names.count(name) != 1:
            faults.append(fault("columns", f"one column `{name}`", ", ".join(schema.names), FIX_FIELDS))
        elif not fits(schema.field(name).type):
            faults.append(fault(f"column `{name}`", expected, str(schema.field(name).type), fix))
    return faults


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_box(kind: Any) -> bool:
    lists = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    return bool(lists and _is_number(kind.value_type))


def _is_segmentation(kind: Any) -> bool:
    text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
    return bool(text or (pa.types.is_struct(kind) and {"size", "counts"} <= {field.name for field in kind}))


def _gather(file: pq.ParquetFile, source: str, fields: frozenset[str]) -> ResultColumns:
    columns = ResultColumns(source, file.metadata.num_rows * SHORTEST_ENTRY, fields)
    names = ["image_id", "category_id", "score", *_GEOMETRY.values()]
    present = [name for name in names if name in file.schema_arrow.names]
    for batch in file.iter_batches(_BATCH_ROWS, columns=present):
        columns.add(_block(batch, columns.rows, columns.faults, "bbox" in fields))
    return columns


def _block(batch: pa.RecordBatch, first: int, faults: list[Fault], boxes: bool) -> EntryBlock:
    """The rows of a batch as a block; what is wrong with them goes to `faults`."""
    ids = [_ids(batch, name, first, faults) for name in ("image_id", "category_id")]
    score = _numbers(batch.column("score"))
    faults += _faults_at(~np.isfinite(score), "score", "a finite number", score, first, FIX_FINITE)
    bbox = np.full((len(score), 4), np.nan)
    if boxes and "bbox" in batch.schema.names:
        bbox = _boxes(batch.column("bbox"), first, faults)
    texts = _texts(batch.column("segmentation")) if "segmentation" in batch.schema.names else [b""] * len(score)
    end = np.cumsum([len(text) for text in texts], dtype=np.int64)
    span = np.stack([np.append(0, end[:-1]), end], axis=1) if len(score) else np.zeros((0, 2), np.int64)
    content = np.frombuffer(b"".join(texts), np.uint8)
    return EntryBlock(first, content, ids[0], ids[1], score, bbox, np.zeros_like(span), span)


def _ids(batch: pa.RecordBatch, name: str, first: int, faults: list[Fault]) -> Longs:
    """int64 [N]; floats must be whole."""
    column = batch.column(name)
    if pa.types.is_integer(column.type) and not column.null_count:
        return np.asarray(column.cast(pa.int64()).to_numpy(zero_copy_only=False))
    values = _numbers(column)
    whole = (np.abs(values) <= _LARGEST_EXACT) & (np.floor(values) == values)
    faults += _faults_at(~whole, name, "an integer id", values, first, FIX_IDS)
    return np.where(whole, values, 0).astype(np.int64)


def _boxes(column: pa.Array, first: int, faults: list[Fault]) -> Floats:
    """float64 [N, 4], NaN where there is none, zeros where it cannot be read."""
    bbox = np.zeros((len(column), 4))
    lengths = pc.fill_null(pc.list_value_length(column), 4).to_numpy(zero_copy_only=False)
    faults += _faults_at(lengths != 4, "bbox", "four numbers", lengths, first, FIX_BOX)
    there = column.is_valid().to_numpy(zero_copy_only=False)
    bbox[~there] = np.nan
    rows = np.flatnonzero((lengths == 4) & there)
    boxes = _numbers(pc.list_flatten(column.take(pa.array(rows)))).reshape(-1, 4)
    unfit = np.asarray((~np.isfinite(boxes) | (boxes < [-np.inf, -np.inf, 0, 0])).any(axis=1))
    expected = "four finite numbers with a width and height of 0 or more"
    bbox[rows] = np.where(unfit[:, None], 0.0, boxes)
    told = dict(zip(rows[unfit].tolist(), boxes[unfit].tolist(), strict=True))
    bad = np.zeros(len(column), np.bool_)
    bad[rows[unfit]] = True
    faults += _faults_at(bad, "bbox", expected, told, first, FIX_BOX)
    return bbox


def _numbers(column: pa.Array) -> Floats:
    """float64 [N], NaN for null."""
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


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


def _faults_at(bad: Bools, name: str, expected: str, values: Any, first: int, fix: str) -> list[Fault]:
    """The fault of the rows where `bad` holds; row i has ``values[i]``."""
    return faults_at(bad, lambda row: Problem(f"entry {first + row}, `{name}`", expected, str(values[row])), fix)
