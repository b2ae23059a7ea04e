"""Parts run one after another, their rows kept in a temporary file."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from longtail_cli.errors import OutputError, UsageError
from longtail_cli.execution import spilled
from longtail_cli.execution.base import BUCKET, NamedPart, Produced
from longtail_cli.execution.spilled import Spilled, SpilledRows

ROWS = {
    "a": {BUCKET: [2, 0, 2], "score": [0.1, 0.2, 0.3], "kind": [1, 2, 3]},
    "empty": {BUCKET: [], "score": [], "kind": []},
    "none": None,
    "b": {BUCKET: [5, 2, 0, 0], "score": [0.4, 0.5, 0.6, 0.7], "kind": [4, 5, 6, 7]},
}
PARTS = [NamedPart(name, 10, name) for name in ROWS]


def produced(name: str) -> Produced[str]:
    rows = ROWS[name]
    if rows is None:
        return Produced(name, None)
    bucket, kind = np.array(rows[BUCKET], np.int32), np.array(rows["kind"], np.int8)
    return Produced(name, pa.table({BUCKET: bucket, "score": np.array(rows["score"], float), "kind": kind}))


def quiet(task: str, share: float | None) -> None:
    pass


@contextmanager
def mapped(parts: list[NamedPart[str]], folder: Path) -> Iterator[SpilledRows[str]]:
    with Spilled(folder=folder).mapped(produced, parts, "matching", quiet) as rows:
        yield rows


def test_each_bucket_is_reduced_once_with_the_rows_of_all_parts_in_their_order(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        assert rows.found == tuple(ROWS)
        got = list(rows.reduced(lambda bucket, table: (bucket, table.to_pydict()), quiet))
    assert got == [
        (0, {"score": [0.2, 0.6, 0.7], "kind": [2, 6, 7]}),
        (2, {"score": [0.1, 0.3, 0.5], "kind": [1, 3, 5]}),
        (5, {"score": [0.4], "kind": [4]}),
    ]


def test_types_are_kept_and_every_column_is_one_array(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        table = next(rows.reduced(lambda _, table: table, quiet))
    assert table.schema == pa.schema({"score": pa.float64(), "kind": pa.int8()})
    assert [column.num_chunks for column in table.columns] == [1, 1]


@pytest.mark.parametrize("columns", [["kind"], ["kind", BUCKET], [BUCKET]])
def test_the_columns_asked_for_hold_all_rows(columns: list[str], tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        tables = list(rows.each(lambda table: table, columns, quiet))
    got = pa.concat_tables(tables)
    assert got.column_names == columns
    expected = {BUCKET: [0, 0, 0, 2, 2, 2, 5], "kind": [2, 6, 7, 1, 3, 5, 4]}
    assert got.to_pydict() == {name: expected[name] for name in columns}


@pytest.mark.parametrize("names", [[], ["none"], ["empty"], ["empty", "none"]])
def test_without_rows_there_is_nothing_to_reduce(names: list[str], tmp_path: Path) -> None:
    with mapped([part for part in PARTS if part.name in names], tmp_path) as rows:
        assert sorted(rows.found) == sorted(names)
        assert list(rows.reduced(lambda bucket, table: bucket, quiet)) == []
        assert list(rows.each(lambda table: table, ["kind"], quiet)) == []


def test_progress_names_the_part_and_counts_sizes() -> None:
    told: list[tuple[str, float | None]] = []
    with Spilled().mapped(produced, PARTS, "matching", lambda task, share: told.append((task, share))) as rows:
        list(rows.reduced(lambda bucket, table: None, lambda task, share: told.append((task, share))))
    assert told[:4] == [("matching a", 0.0), ("matching empty", 0.25), ("matching none", 0.5), ("matching b", 0.75)]
    assert told[4:] == [("reducing", 0.0), ("reducing", 3 / 7), ("reducing", 6 / 7)]


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        assert list(tmp_path.iterdir()) == []  # the file has no name even now
    assert rows.file.closed


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_after_an_exception_nothing_is_left_in_the_folder(error: type[BaseException], tmp_path: Path) -> None:
    def work(name: str) -> Produced[str]:
        if name == "b":
            raise error
        return produced(name)

    with pytest.raises(error), Spilled(folder=tmp_path).mapped(work, PARTS, "matching", quiet):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_will_be_too_small_is_refused_after_the_first_part(tmp_path: Path) -> None:
    done: list[str] = []

    def work(name: str) -> Produced[str]:
        done.append(name)
        return produced(name)

    parts = [NamedPart("a", 1, "a"), NamedPart("b", 10**15, "b")]
    with pytest.raises(OutputError) as caught, Spilled(folder=tmp_path).mapped(work, parts, "matching", quiet):
        pass
    assert done == ["a"]
    assert re.match(
        f"{tmp_path}: temporary file: expected [0-9,.]+ GB of free disk space, found [0-9,.]+ GB", str(caught.value)
    )
    assert caught.value.fix == "free some space, or name another folder in the environment variable TMPDIR"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="has no /dev/full")
def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled, "temporary_file", lambda folder: Path("/dev/full").open("w+b", 0))  # noqa: SIM115
    with pytest.raises(OutputError) as caught, mapped(PARTS, tmp_path):
        pass
    expected = f"{tmp_path}: temporary file: expected room for a temporary file, found {os.strerror(errno.ENOSPC)}"
    assert str(caught.value).splitlines()[0] == expected


def test_a_folder_that_is_missing_is_one_clear_error(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="missing: temporary file: expected room"),
        mapped(PARTS, tmp_path / "missing"),
    ):
        pass


def test_a_bucket_that_is_too_large_for_the_memory_is_refused(tmp_path: Path) -> None:
    rows = pa.table({BUCKET: np.zeros(1000, np.int32), "score": np.zeros(1000)})
    parts = [NamedPart("a", 1, Produced(None, rows)), NamedPart("b", 1, Produced(None, rows))]
    with Spilled(memory=64_000, folder=tmp_path).mapped(lambda part: part, parts, "matching", quiet) as mapped_rows:
        assert [len(table) for table in mapped_rows.reduced(lambda _, table: table, quiet)] == [2000]
    with (
        pytest.raises(UsageError) as caught,
        Spilled(memory=63_999, folder=tmp_path).mapped(lambda part: part, parts, "matching", quiet),
    ):
        pass
    assert str(caught.value) == (
        "parts of the images: `memory=`: expected at least 0.0 GB, for 2,000 matches of categories that are "
        "reduced together, found 0.0 GB\nFix: allow more memory"
    )
