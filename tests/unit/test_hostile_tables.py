"""Tables, reports and configurations: odd columns, numbers of any length, broken text."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from opened import read_results, write_rescored

from longtail_cli.errors import InputError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.gate_config import find_gate_config
from longtail_cli.files.report_files import read_resamples
from longtail_cli.files.results.file import open_results

RESULTS: dict[str, Any] = {"image_id": [1], "category_id": [1], "score": [0.5], "bbox": [[0.0, 0.0, 1.0, 1.0]]}
FREQUENCIES: dict[str, Any] = {"category_id": [1], "image_count": [1], "instance_count": [1]}
ODD_MASKS = {
    "polygons": [[[1.0, 2.0, 3.0]]],
    "NaN": [float("nan")],
    "booleans": [True],
    "bytes": [b"52203"],
    "half a struct": [{"size": [4, 5]}],
    "a dictionary": pa.array(["{}"]).dictionary_encode(),
}


def message_of(read: Any, *arguments: Any) -> str:
    with pytest.raises(InputError) as error:
        read(*arguments)
    return str(error.value)


def with_broken_text(path: Path, columns: dict[str, Any]) -> Path:
    """A Parquet file in which the text ``QQQQ`` is not UTF-8."""
    pq.write_table(pa.table(columns), path, compression="NONE", use_dictionary=False)
    path.write_bytes(path.read_bytes().replace(b"QQQQ", b"\xff\xff\xff\xff"))
    return path


@pytest.mark.parametrize("codec", ["NONE", "SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4"])
def test_rescored_tables_keep_their_compression(tmp_path: Path, codec: str) -> None:
    pq.write_table(pa.table(RESULTS), tmp_path / "in.parquet", compression=codec)
    write_rescored(tmp_path / "in.parquet", np.array([0.25]), tmp_path / "out.parquet")
    before, after = (pq.ParquetFile(tmp_path / name).metadata for name in ("in.parquet", "out.parquet"))
    assert after.row_group(0).column(0).compression == before.row_group(0).column(0).compression
    assert pq.read_table(tmp_path / "out.parquet")["score"].to_pylist() == [0.25]


@pytest.mark.parametrize("masks", ODD_MASKS.values(), ids=ODD_MASKS)
def test_a_column_of_masks_matters_only_if_masks_are_read(tmp_path: Path, masks: Any) -> None:
    path = tmp_path / "in.parquet"
    pq.write_table(pa.table({**RESULTS, "segmentation": masks}), path)
    assert read_results(path, fields=frozenset({"bbox"})).bbox is not None
    assert len(read_results(path, fields=frozenset()).score) == 1
    write_rescored(path, np.array([0.25]), tmp_path / "out.parquet")
    kept = pq.read_table(tmp_path / "out.parquet")["segmentation"]
    assert kept.type == pq.read_table(path)["segmentation"].type
    with open_results(path) as file:
        assert "column `segmentation`: expected structs" in message_of(file.read, frozenset({"masks"}))


def test_boxes_from_masks_that_cannot_be_read(tmp_path: Path) -> None:
    columns = {name: column for name, column in RESULTS.items() if name != "bbox"}
    pq.write_table(pa.table({**columns, "segmentation": [True]}), tmp_path / "in.parquet")
    with open_results(tmp_path / "in.parquet") as file:
        assert "column `segmentation`: expected structs" in message_of(file.read, frozenset({"bbox"}))


def test_broken_text_in_parquet(tmp_path: Path) -> None:
    path = with_broken_text(tmp_path / "results.parquet", {**RESULTS, "segmentation": ["QQQQ"]})
    assert len(read_results(path, fields=frozenset({"bbox"})).score) == 1
    with open_results(path) as file:
        assert "expected a whole Parquet file" in message_of(file.read, frozenset({"masks"}))
    path = with_broken_text(tmp_path / "freq.parquet", {**FREQUENCIES, "name": ["QQQQ"]})
    assert "expected a Parquet file" in message_of(read_frequencies, path)
    path = with_broken_text(tmp_path / "resamples.parquet", {"run": ["QQQQ"], "resample": [0]})
    assert "expected resampled metrics" in message_of(read_resamples, path)


def test_a_table_of_far_more_rows_than_bytes(tmp_path: Path, monkeypatch: Any) -> None:
    """Equal values take next to nothing. Here beyond 1 MiB."""
    monkeypatch.setattr("longtail_cli.files.reading.UNPACKED_BYTES", 1 << 20)
    path, rows = tmp_path / "table.parquet", 1 << 20
    pq.write_table(pa.table({name: pa.repeat(column[0], rows) for name, column in FREQUENCIES.items()}), path)
    for read in (read_frequencies, read_resamples, lambda path: read_results(path, fields=frozenset())):
        assert "table: expected content that unpacks to at most 100 times" in message_of(read, path)


@pytest.mark.parametrize("number", ["9" * 400, "9" * 5000, "1e400", str(2**63)])
def test_a_number_of_images_of_any_length(tmp_path: Path, number: str) -> None:
    classes = [{"category_id": 1, "image_count": 1, "instance_count": 1, "image_rate": 0.5}]
    path = tmp_path / "freq.json"
    path.write_text(f'{{"format": "ltcal-frequency/1", "num_images": {number}, "classes": {json.dumps(classes)}}}')
    message = message_of(read_frequencies, path)
    assert "expected a whole number from 1 to" in message or "expected JSON, found Exceeds the limit" in message


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 50_000, '"\\ud800"', "1" + "_1" * 4400])
def test_gates_of_any_length_or_depth(tmp_path: Path, value: str) -> None:
    (tmp_path / "ltcal.toml").write_text(f"x = {value}\n")
    assert "ltcal.toml: content: expected TOML in UTF-8, found " in message_of(find_gate_config, tmp_path)
