"""Results that were read from any format, written as COCO results."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec

from longtail_cli.files.masks import compressed_counts
from longtail_cli.files.output import open_output
from longtail_cli.files.results.writer import compressed, result_format
from longtail_cli.tables import Results

_ROWS_PER_PIECE = 1 << 14

Piece = dict[str, list[Any]]
"""The fields of some consecutive detections, by name; only those that the results have."""


def write_results(results: Results, out: Path, advance: Callable[[int], None] | None = None) -> None:
    """Write results, with ids of the annotations and xywh boxes in pixels, to the new file `out`.

    out: ``.json``, ``.json.gz`` or ``.parquet``. Scores and boxes are written so that they read back as the same
    float64, masks as compressed run lengths. advance: called with the number of detections written since the last call.
    Raises UsageError for another suffix, OutputError if `out` cannot be written to.
    """
    kind = result_format(out)
    with open_output(out) as file:
        if kind == "parquet":
            _write_parquet(_pieces(results, advance), results, file)
        elif kind == "json":
            _write_json(_pieces(results, advance), file)
        else:
            with compressed(file) as packed:
                _write_json(_pieces(results, advance), packed)


def _pieces(results: Results, advance: Callable[[int], None] | None) -> Iterator[Piece]:
    for first in range(0, len(results), _ROWS_PER_PIECE):
        piece = _piece(results, slice(first, first + _ROWS_PER_PIECE))
        yield piece
        if advance is not None:
            advance(len(piece["score"]))


def _piece(results: Results, rows: slice) -> Piece:
    piece: Piece = {"image_id": results.image_id[rows].tolist(), "category_id": results.category_id[rows].tolist()}
    if results.bbox is not None:
        piece["bbox"] = results.bbox[rows].tolist()
    piece["score"] = results.score[rows].tolist()
    masks = results.masks
    if masks is not None:
        begin, end, size = masks.start[:-1][rows].tolist(), masks.start[1:][rows].tolist(), masks.size[rows].tolist()
        piece["segmentation"] = [
            {"size": own_size, "counts": compressed_counts(masks.counts[first:last].tolist())}
            for first, last, own_size in zip(begin, end, size, strict=True)
        ]
    return piece


def _write_json(pieces: Iterator[Piece], file: IO[bytes] | gzip.GzipFile) -> None:
    file.write(b"[")
    separator = b""
    for piece in pieces:
        entries = [dict(zip(piece, values, strict=True)) for values in zip(*piece.values(), strict=True)]
        file.write(separator + msgspec.json.encode(entries)[1:-1])
        separator = b","
    file.write(b"]")


def _write_parquet(pieces: Iterator[Piece], results: Results, file: IO[bytes]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {"image_id": pa.int64(), "category_id": pa.int64()}
    if results.bbox is not None:
        kinds["bbox"] = pa.list_(pa.float64())
    kinds["score"] = pa.float64()
    if results.masks is not None:
        kinds["segmentation"] = pa.struct({"size": pa.list_(pa.int32()), "counts": pa.string()})
    schema = pa.schema(kinds)
    with pq.ParquetWriter(file, schema) as writer:
        for piece in pieces:
            writer.write_table(pa.table(piece, schema))
