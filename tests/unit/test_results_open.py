"""A result file is opened once: what is read, digested and rewritten is the file that was opened."""

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longtail_cli.errors import InputError, OutputError, UsageError
from longtail_cli.files import source as sources
from longtail_cli.files.output import outputs_of
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.tables import Results

BOXES = frozenset({"bbox"})
BOTH = frozenset({"bbox", "masks"})
ENTRIES = [
    {"image_id": 12, "category_id": 7, "score": 0.25, "bbox": [1, 2.5, 3, 4]},
    {"image_id": 0, "category_id": 1, "score": 0.75, "bbox": [0, 0, 1, 0]},
]
OTHER = [{"image_id": 3, "category_id": 3, "score": 0.5, "bbox": [0, 0, 2, 2]}]
MASKS = [{"size": [2, 2], "counts": "04"}, {"size": [2, 3], "counts": "222"}]
SUFFIXES = ["json", "json.gz", "parquet"]


def content_of(entries: list[dict[str, Any]], suffix: str) -> bytes:
    if suffix == "parquet":
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(entries), sink)
        return bytes(sink.getvalue().to_pybytes())
    text = json.dumps(entries).encode()
    return gzip.compress(text) if suffix == "json.gz" else text


def write(folder: Path, entries: list[dict[str, Any]], suffix: str) -> Path:
    path = folder / f"predictions.{suffix}"
    path.write_bytes(content_of(entries, suffix))
    return path


def rows(results: Results) -> list[Any]:
    assert results.bbox is not None
    return [column.tolist() for column in (results.image_id, results.category_id, results.score, results.bbox)]


EXPECTED = [[12, 0], [7, 1], [0.25, 0.75], [[1, 2.5, 3, 4], [0, 0, 1, 0]]]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_a_file_is(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, ENTRIES, suffix)
    with open_results(path) as file:
        assert file.source == str(path)
        assert file.size == path.stat().st_size
        assert file.fields == BOXES
        assert file.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()
        assert rows(file.read(BOXES)) == EXPECTED


def test_a_path_may_be_text(tmp_path: Path) -> None:
    with open_results(str(write(tmp_path, ENTRIES, "json"))) as file:
        assert rows(file.read(BOXES)) == EXPECTED


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_that_is_replaced_stays_the_one_that_was_opened(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, ENTRIES, suffix)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with open_results(path) as file:
        new = path.with_name("new")
        new.write_bytes(content_of(OTHER, suffix))
        new.replace(path)
        assert file.fields == BOXES
        assert rows(file.read(BOXES)) == EXPECTED
        assert file.sha256() == digest
        out = path.with_name(f"out.{suffix}")
        file.write_rescored(np.array([0.5, 0.5]), out)
    with open_results(out) as file:
        assert file.read(BOXES).image_id.tolist() == EXPECTED[0]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_rescoring_never_writes_over_a_file(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path, ENTRIES, suffix)
    with open_results(path) as file:
        with pytest.raises(OutputError, match="File exists"):
            file.write_rescored(np.array([0.5, 0.125]), path)
        assert file.read(BOXES).score.tolist() == [0.25, 0.75]


def modify(path: Path, content: bytes) -> None:
    """Write to the file itself, at least a clock tick after it was written."""
    before = path.stat().st_mtime_ns
    with path.open("r+b") as file:
        file.write(content)
        file.truncate()
    os.utime(path, ns=(before + 1_000_000, before + 1_000_000))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("entries", [OTHER, list(reversed(ENTRIES)), []])
def test_a_file_that_is_modified_in_place_is_refused(tmp_path: Path, suffix: str, entries: list[Any]) -> None:
    path = write(tmp_path, ENTRIES, suffix)
    out = path.with_name(f"out.{suffix}")
    with open_results(path) as file:
        modify(path, content_of(entries, suffix) if entries else b"")
        changed = "expected no change while it is read, found a change"
        for use in (
            lambda: file.read(BOXES),
            file.sha256,
            lambda: rescore(file, out),
        ):
            with pytest.raises(InputError, match=changed) as error:
                use()
            assert str(error.value).startswith(f"{path}: file: expected")
            assert str(error.value).endswith("Fix: run again when nothing writes to the file")
    assert list(tmp_path.iterdir()) == [path]


def rescore(file: ResultFile, out: Path) -> None:
    with outputs_of([out], inputs=[Path(file.source)]) as staged:
        file.write_rescored(np.array([0.5, 0.5]), staged[out])


def test_without_reads_at_a_position(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sources.os, "preadv")
    for suffix in SUFFIXES:
        path = write(tmp_path, ENTRIES, suffix)
        with open_results(path) as file:
            assert rows(file.read(BOXES)) == EXPECTED
            assert file.sha256() == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_compressed_file_is_unpacked_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack = sources._unpack
    calls: list[str] = []
    monkeypatch.setattr(sources, "_unpack", lambda *args: [calls.append(args[-1]), unpack(*args)])
    path = write(tmp_path, ENTRIES, "json.gz")
    with open_results(path) as file:
        assert file.fields == BOXES
        assert calls == []
        file.read(BOXES)
        file.read(frozenset())
        file.write_rescored(np.array([0.5, 0.5]), path.with_name("out.json.gz"))
    assert calls == [str(path)]


def test_a_pipe_and_a_folder_of_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a regular file, found a pipe or a device"):
        open_results("/dev/zero")
    with pytest.raises(InputError, match=r"expected text files of detections, .* found an empty folder"):
        open_results(tmp_path)
    (tmp_path / "notes.md").touch()
    with pytest.raises(InputError, match=r"one per image \(YOLO\) or per class \(Pascal VOC\), found notes.md"):
        open_results(tmp_path)


# In memory


class Tensor:
    """Something like a tensor of another library."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return self.values

    def __len__(self) -> int:
        return len(self.values)

    def tolist(self) -> Any:
        return self.values.tolist()


COLUMNS = {name: [entry[name] for entry in ENTRIES] for name in ENTRIES[0]}
NUMPY = {name: np.array(values) for name, values in COLUMNS.items()}
IN_MEMORY = {
    "entries": ENTRIES,
    "tuple": tuple(ENTRIES),
    "numpy entries": [{name: np.array(value)[()] for name, value in entry.items()} for entry in ENTRIES],
    "more fields": [{**entry, "note": object(), 3: 4, (1,): 2} for entry in ENTRIES],
    "lists": COLUMNS,
    "tuples": {name: tuple(values) for name, values in COLUMNS.items()},
    "arrays": NUMPY,
    "tensors": {name: Tensor(values) for name, values in COLUMNS.items()},
    "boxes of arrays": {**NUMPY, "bbox": list(NUMPY["bbox"])},
    "more columns": {**NUMPY, "note": [object(), 1], "other": 3},
    "frame": pd.DataFrame(ENTRIES),
    "frame of other rows": pd.DataFrame(ENTRIES, index=[7, 3]),
    "series": {name: pd.Series(values) for name, values in COLUMNS.items()},
    "nullable": pd.DataFrame(ENTRIES).astype({"image_id": "Int64", "score": "Float64"}),
}


@pytest.mark.parametrize("kind", list(IN_MEMORY))
def test_results_in_memory(kind: str) -> None:
    with open_results(IN_MEMORY[kind]) as file:
        assert (file.source, file.size, file.sha256(), file.fields) == ("predictions", 0, None, BOXES)
        results = file.read(BOXES)
    assert rows(results) == EXPECTED
    assert results.masks is None
    assert results.source == "predictions"


@pytest.mark.parametrize("encode", [str, str.encode])
def test_masks_in_memory(encode: Any) -> None:
    masks = [{**mask, "counts": encode(mask["counts"])} for mask in MASKS]
    entries = [{**entry, "segmentation": mask} for entry, mask in zip(ENTRIES, masks, strict=True)]
    for source in (entries, {**NUMPY, "segmentation": masks}, pd.DataFrame(entries)):
        file = open_results(source)
        assert file.fields == BOTH
        results = file.read(BOTH)
        assert rows(results) == EXPECTED
        assert results.masks is not None
        assert results.masks.counts.tolist() == [0, 4, 2, 2, 2]


@pytest.mark.parametrize("source", [[], {name: [] for name in COLUMNS}, pd.DataFrame(columns=list(COLUMNS))])
def test_nothing_in_memory(source: Any) -> None:
    assert len(open_results(source).read(BOXES)) == 0


def complaint(source: Any, name: str = "model A") -> str:
    with pytest.raises(InputError) as error:
        open_results(source, name).read(BOXES)
    message = str(error.value)
    assert message.startswith(f"{name}: ")
    return message


def of_all(change: dict[str, Any]) -> list[Any]:
    entries = [ENTRIES[0], {**ENTRIES[1], **change}]
    return [entries, {name: [entry[name] for entry in entries] for name in entries[0]}, pd.DataFrame(entries)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"score": np.nan}, "`score`: expected a finite number, found "),
        ({"image_id": 1.5}, "`image_id`: expected an integer id, found 1.5"),
        ({"bbox": [1, 2, 3]}, "`bbox`: expected four numbers"),
        ({"bbox": [1, 2, -3, 4]}, "`bbox`: expected "),
    ],
)
def test_faults_in_memory_name_the_entry(change: dict[str, Any], expected: str) -> None:
    for source in of_all(change):
        message = complaint(source)
        assert "entry 1" in message
        assert expected in message


def test_messages_about_entries_are_those_of_files(tmp_path: Path) -> None:
    entries = [ENTRIES[0], {**ENTRIES[1], "image_id": "a", "score": float("nan")}, {}, 7]
    path = tmp_path / "predictions.json"
    path.write_text(json.dumps(entries))
    with pytest.raises(InputError) as error, open_results(path) as file:
        file.read(BOXES)
    assert complaint(entries, str(path)) == str(error.value)


def test_columns_that_cannot_be_read() -> None:
    assert "column `image_id`: expected integers, found string" in complaint({**COLUMNS, "image_id": ["a", "b"]})
    assert "column `score`: expected values of one type" in complaint({**COLUMNS, "score": [0.5, "high"]})
    assert "column `score`: expected values of one type" in complaint({**COLUMNS, "score": 0.5})
    lengths = "columns: expected the same number of values in each, found 2 of `image_id`, 2 of `category_id`, 1 of"
    assert lengths in complaint({**COLUMNS, "score": [0.5]})
    missing = complaint({"image_id": [1], "scores": [0.5]})
    assert "columns: expected one column `category_id`, found image_id, scores" in missing
    assert "columns: expected one column `score`, found image_id, scores" in missing
    assert "entry 0, `bbox`: expected four numbers, found 3" in complaint({**NUMPY, "bbox": np.zeros((2, 3))})
    assert "columns: expected one column `image_id`" in complaint({"images": [], "annotations": []})


def test_large_ids_in_memory() -> None:
    source = {**NUMPY, "image_id": np.array([2**63, 1], np.uint64)}
    assert "columns: expected values of one type" in complaint(source)


@pytest.mark.parametrize("source", [3, None, iter(ENTRIES)])
def test_what_is_not_results(source: Any) -> None:
    with pytest.raises(UsageError, match="predictions: results: expected a path, a list of detections, columns or a"):
        open_results(source)


@pytest.mark.parametrize("source", [ENTRIES, NUMPY])
def test_only_files_are_rescored(tmp_path: Path, source: Any) -> None:
    file: ResultFile = open_results(source)
    with pytest.raises(UsageError, match="predictions: input: expected a result file, found detections in memory"):
        file.write_rescored(np.array([0.5, 0.5]), tmp_path / "out.json")
