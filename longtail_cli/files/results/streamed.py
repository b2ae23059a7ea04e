"""A list of detections in JSON, of any size, as a Parquet file whose row groups can be read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from longtail_cli.files.results.entries import EntryBlock
from longtail_cli.files.results.json_entries import JsonEntries
from longtail_cli.tables import Longs

GROUP_ROWS = 1 << 18
"""Of a row group, about."""


def write_parquet(entries: JsonEntries, path: Path) -> None:
    """Write the detections to the new file `path`, block by block, as `ParquetEntries` reads them.

    Masks are written as they are, in JSON. Raises InputError as `JsonEntries.blocks`.
    """
    boxes, masks = ("bbox" in entries.fields(), "masks" in entries.fields())
    schema = _schema(boxes=boxes, masks=masks)
    with pq.ParquetWriter(path, schema, use_dictionary=["image_id", "category_id"]) as writer:
        held: list[pa.Table] = []
        for block in entries.blocks():
            held.append(_table(block, schema))
            if sum(len(one) for one in held) >= GROUP_ROWS:
                writer.write_table(pa.concat_tables(held).combine_chunks(), row_group_size=2 * GROUP_ROWS)
                held = []
        if held:
            writer.write_table(pa.concat_tables(held).combine_chunks(), row_group_size=2 * GROUP_ROWS)


def _schema(*, boxes: bool, masks: bool) -> pa.Schema:
    columns = {"image_id": pa.int64(), "category_id": pa.int64(), "score": pa.float64()}
    columns |= {"bbox": pa.list_(pa.float64())} if boxes else {}
    return pa.schema(columns | ({"segmentation": pa.large_string()} if masks else {}))


def _table(block: EntryBlock, schema: pa.Schema) -> pa.Table:
    """A copy of the entries of a block."""
    columns = {
        "image_id": pa.array(block.image_id.copy()),
        "category_id": pa.array(block.category_id.copy()),
        "score": pa.array(block.score.copy()),
    }
    if "bbox" in schema.names:
        columns["bbox"] = _boxes(block)
    if "segmentation" in schema.names:
        columns["segmentation"] = pa.array(list(_texts(block, block.mask_span)), pa.large_string())
    return pa.table(columns, schema)


def _boxes(block: EntryBlock) -> pa.Array:
    """Lists of four numbers, null for an entry without a box."""
    missing = np.isnan(block.bbox[:, 0])
    ends = np.append(0, np.cumsum(np.where(missing, 0, 4))).astype(np.int32)
    values = pa.array(block.bbox[~missing].ravel())
    return pa.ListArray.from_arrays(pa.array(ends), values, mask=pa.array(missing) if missing.any() else None)


def _texts(block: EntryBlock, spans: Longs) -> Iterator[str | None]:
    text = block.content.tobytes()
    for begin, end in spans.tolist():
        yield text[begin:end].decode() if end > begin else None
