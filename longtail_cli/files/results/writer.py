"""Writing detections as a COCO/LVIS result file, batch after batch."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec
import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.output import open_output
from longtail_cli.tables import Longs, Singles

Write = Callable[[Longs, Longs, Singles, Singles], None]
"""Takes image ids int64 [M], category ids int64 [M], boxes float32 [M, 4] (xywh, pixels) and scores float32 [M]."""

_COMPRESSION = 6  # of gzip, its default
_ROWS_PER_GROUP = 1 << 18


class _Entry(msgspec.Struct):
    image_id: int
    category_id: int
    bbox: list[float]
    score: float


@contextmanager
def detections_writer(out: Path) -> Iterator[Write]:
    """A function that appends detections to the new file `out`, which is complete when the block ends.

    out: ``.json``, ``.json.gz`` or ``.parquet``. Every float32 is written so that it reads back as the same number.
    Raises UsageError for another suffix, OutputError if `out` cannot be written to.
    """
    kind = result_format(out)
    with open_output(out) as file, _BY_KIND[kind](file) as write:
        yield write


def result_format(out: Path) -> str:
    """``json``, ``json.gz`` or ``parquet``. Raises UsageError for any other ending."""
    for kind in ("json", "json.gz", "parquet"):
        if out.name.endswith(f".{kind}"):
            return kind
    problem = Problem("file name", "one that ends in .json, .json.gz or .parquet", out.name)
    raise UsageError(str(out), [problem], "detections are written as a result file: choose one of these endings")


@contextmanager
def _json(file: IO[bytes] | gzip.GzipFile) -> Iterator[Write]:
    separator = b"["
    encode = msgspec.json.Encoder().encode

    def write(image_id: Longs, category_id: Longs, bbox: Singles, score: Singles) -> None:
        nonlocal separator
        columns = (image_id.tolist(), category_id.tolist(), bbox.tolist(), score.tolist())
        entries = encode([_Entry(*entry) for entry in zip(*columns, strict=True)])
        if len(entries) > len("[]"):
            file.write(separator + entries[1:-1])
            separator = b","

    yield write
    file.write(b"[]" if separator == b"[" else b"]")


def compressed(out: IO[bytes]) -> gzip.GzipFile:
    """What is written to it becomes a ``.gz`` in `out`, which is the same for the same content."""
    return gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=out, mtime=0)


@contextmanager
def _packed_json(out: IO[bytes]) -> Iterator[Write]:
    with compressed(out) as packed, _json(packed) as write:
        yield write


@contextmanager
def _parquet(out: IO[bytes]) -> Iterator[Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {"image_id": pa.int64(), "category_id": pa.int64(), "bbox": pa.list_(pa.float32()), "score": pa.float32()}
    waiting: list[pa.RecordBatch] = []
    with pq.ParquetWriter(out, pa.schema(names)) as file:

        def write(image_id: Longs, category_id: Longs, bbox: Singles, score: Singles) -> None:
            ends = np.arange(0, 4 * len(bbox) + 1, 4, dtype=np.int32)
            boxes = pa.ListArray.from_arrays(pa.array(ends), pa.array(bbox.reshape(-1)))
            columns = [pa.array(image_id), pa.array(category_id), boxes, pa.array(score)]
            waiting.append(pa.record_batch(columns, names=list(names)))
            if sum(map(len, waiting)) >= _ROWS_PER_GROUP:
                file.write_table(pa.Table.from_batches(waiting))
                waiting.clear()

        yield write
        if waiting:
            file.write_table(pa.Table.from_batches(waiting))


_BY_KIND = {"json": _json, "json.gz": _packed_json, "parquet": _parquet}
