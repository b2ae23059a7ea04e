"""Parts run one after another, their rows kept in a temporary file."""

from __future__ import annotations

import errno
import os
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from longtail_cli.errors import OutputError
from longtail_cli.execution import bucket_file, pieces, spilled
from longtail_cli.execution.base import BUCKET, NamedPart, Order, Produced
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


@dataclass(frozen=True)
class Reduce:
    """A `Reduction` by functions of a bucket and its rows, and of a bucket and its pieces."""

    whole: Callable[[int, pa.Table], Any]
    pieces: Callable[[int, Iterable[pa.Table]], Any] = lambda bucket, _: pytest.fail(f"bucket {bucket} is too large")
    most_rows: int = 1000
    order: Order = field(default_factory=lambda: Order(("kind", "score", "tie"), (False, True, False)))

    def __call__(self, bucket: int, rows: pa.Table) -> Any:
        return self.whole(bucket, rows)

    def in_pieces(self, bucket: int, rows: Iterable[pa.Table]) -> Any:
        return self.pieces(bucket, rows)


def quiet(task: str, share: float | None) -> None:
    pass


@contextmanager
def mapped(parts: list[NamedPart[str]], folder: Path) -> Iterator[SpilledRows[str]]:
    with Spilled(folder=folder).mapped(produced, parts, "matching", quiet) as rows:
        yield rows


def test_each_bucket_is_reduced_once_with_the_rows_of_all_parts_in_their_order(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        assert rows.found == tuple(ROWS)
        got = list(rows.reduced(Reduce(lambda bucket, table: (bucket, table.to_pydict())), quiet))
    assert got == [
        (0, {"score": [0.2, 0.6, 0.7], "kind": [2, 6, 7]}),
        (2, {"score": [0.1, 0.3, 0.5], "kind": [1, 3, 5]}),
        (5, {"score": [0.4], "kind": [4]}),
    ]


def test_types_are_kept_and_every_column_is_one_array(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        table = next(rows.reduced(Reduce(lambda _, table: table), quiet))
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
        assert list(rows.reduced(Reduce(lambda bucket, table: bucket), quiet)) == []
        assert list(rows.each(lambda table: table, ["kind"], quiet)) == []


def test_progress_names_the_part_and_counts_sizes() -> None:
    told: list[tuple[str, float | None]] = []
    with Spilled().mapped(produced, PARTS, "matching", lambda task, share: told.append((task, share))) as rows:
        list(rows.reduced(Reduce(lambda bucket, table: None), lambda task, share: told.append((task, share))))
    assert told[:4] == [(f"matching {done} of 4 parts", done / 4) for done in range(4)]
    assert told[4:] == [("reducing", 0.0), ("reducing", 3 / 7), ("reducing", 6 / 7)]


def test_nothing_is_left_in_the_folder(tmp_path: Path) -> None:
    with mapped(PARTS, tmp_path) as rows:
        assert list(tmp_path.iterdir()) == []  # the file has no name even now
    assert rows.rows.file.closed


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
    monkeypatch.setattr(bucket_file, "temporary_file", lambda folder: Path("/dev/full").open("w+b", 0))  # noqa: SIM115
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


def test_tables_for_each_are_small_whatever_the_buckets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spilled, "ROWS_AT_ONCE", 2)
    with mapped(PARTS, tmp_path) as rows:
        got = [table.to_pydict()["kind"] for table in rows.each(lambda table: table, ["kind"], quiet)]
    assert got == [[2], [6, 7], [1, 3], [5], [4]]  # a batch of a part is not divided


MOST = 200


def random_rows(sizes: dict[int, int], seed: int = 0) -> pa.Table:
    """Rows of buckets of these sizes, with many that are equal in `kind` and `score`."""
    rng = np.random.default_rng(seed)
    bucket = rng.permuted(np.repeat(np.array(list(sizes), np.int32), list(sizes.values())))
    number = len(bucket)
    return pa.table(
        {
            BUCKET: bucket,
            "tie": rng.permutation(number) - number // 2,
            "score": rng.integers(-5, 6, number) / 4 * rng.choice([1.0, -1.0], number),  # 0.0 and -0.0 are equal
            "kind": rng.choice(np.array([0, 1, 7], np.uint8), number, p=[0.1, 0.8, 0.1]),
        }
    )


def in_order(rows: pa.Table) -> list[tuple[Any, ...]]:
    """The rows as tuples, by `kind`, by `score` descending, and by `tie`."""
    columns = rows["kind"].to_pylist(), (-rows["score"].to_numpy()).tolist(), rows["tie"].to_pylist()
    return sorted(zip(*columns, strict=True))


@contextmanager
def in_parts(table: pa.Table, folder: Path) -> Iterator[SpilledRows[None]]:
    """The rows of three parts, of about equal size."""
    parts = [NamedPart(str(low), 1, Produced(None, table[low::3])) for low in range(3)]
    with Spilled(folder=folder).mapped(lambda part: part, parts, "matching", quiet) as rows:
        yield rows


@pytest.mark.parametrize("at_once", [1, 500, 1 << 18])
def test_a_bucket_with_too_many_rows_comes_in_order_in_pieces(
    at_once: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", at_once)
    table = random_rows({0: MOST, 3: MOST + 1, 4: 10, 9: 5000})
    with in_parts(table, tmp_path) as rows:
        work = Reduce(lambda bucket, own: (bucket, own), lambda bucket, own: (bucket, list(own)), most_rows=MOST)
        found = dict(rows.reduced(work, quiet))
    assert list(found) == [0, 3, 4, 9]
    assert [len(found[bucket]) for bucket in (0, 4)] == [MOST, 10]  # whole
    for bucket in (3, 9):
        own = found[bucket]
        assert [row for piece in own for row in in_order(piece)] == in_order(
            table.filter(np.equal(table[BUCKET], bucket))
        )
        assert max(map(len, own)) <= MOST
        assert len({piece.schema for piece in own}) == 1
    assert own[0].schema == pa.schema({"tie": pa.int64(), "score": pa.float64(), "kind": pa.uint8()})


@pytest.mark.parametrize("columns", [("score",), ("kind", "score")])
def test_rows_that_are_equal_in_order_are_in_one_piece(columns: tuple[str, ...], tmp_path: Path) -> None:
    order = Order(columns, tuple(name == "score" for name in columns))
    with in_parts(random_rows({0: 5000}), tmp_path) as rows:
        work = Reduce(lambda *_: None, lambda _, own: list(own), MOST, order)
        (found,) = rows.reduced(work, quiet)
    values = [{tuple(row.values()) for row in piece.select(columns).to_pylist()} for piece in found]
    assert len(values) > 2
    assert sum(map(len, values)) == len(set.union(*values))


def test_pieces_from_a_sample_have_about_the_rows_that_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SAMPLED", 2000)
    with in_parts(random_rows({0: 50_000}), tmp_path) as rows:
        (found,) = rows.reduced(Reduce(lambda *_: None, lambda _, own: [len(one) for one in own], 10_000), quiet)
    assert sum(found) == 50_000
    assert len(found) == 6
    assert max(found) < 11_000


@pytest.mark.parametrize("seed", range(5))
def test_the_piece_of_a_row_is_the_number_of_cuts_before_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    keys, cuts = ([rng.integers(0, 4, number) for _ in range(3)] for number in (300, 20))
    cuts = list(np.unique(np.stack(cuts), axis=1))
    tuples = list(zip(*(values.tolist() for values in cuts), strict=True))
    expected = [bisect_right(tuples, row) for row in zip(*(values.tolist() for values in keys), strict=True)]
    assert pieces._piece_of(keys, cuts).tolist() == expected


@pytest.mark.parametrize("values", [np.array([0, 1, 255], np.uint8), np.array([-(2**63), 0, 2**63 - 1])])
def test_integers_descend_without_overflow(values: np.ndarray) -> None:
    assert (np.diff(pieces._descending(values).astype(float)) < 0).all()


def test_progress_of_a_large_bucket_goes_on(tmp_path: Path) -> None:
    told: list[tuple[str, float | None]] = []
    with in_parts(random_rows({0: 100, 1: 300}), tmp_path) as rows:
        work = Reduce(lambda *_: None, lambda _, own: list(own), MOST)
        list(rows.reduced(work, lambda task, share: told.append((task, share))))
    assert told[:3] == [("reducing", 0.0), ("reducing", 0.25), ("ordering", 0.25)]
    assert told[3:] == [("reducing", 0.625), ("reducing", 0.8125)]


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt])
def test_pieces_are_gone_when_a_bucket_is_done_or_fails(
    error: type[BaseException] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, make = [], bucket_file.temporary_file

    def recorded(folder: Path) -> Any:
        files.append(make(folder))
        return files[-1]

    def fail(bucket: int, own: Iterable[pa.Table]) -> None:
        next(iter(own))
        assert not files[-1].closed
        if error:
            raise error

    monkeypatch.setattr(bucket_file, "temporary_file", recorded)
    with in_parts(random_rows({0: 300, 1: 300}), tmp_path) as rows:
        reduced = rows.reduced(Reduce(lambda *_: None, fail, MOST), quiet)
        if error:
            with pytest.raises(error):
                next(reduced)
            assert [file.closed for file in files] == [False, True]
        else:
            assert list(reduced) == [None, None]
            assert [file.closed for file in files] == [False, True, True]


def test_a_disk_without_room_for_the_pieces_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "ROWS_AT_ONCE", 100)
    with in_parts(random_rows({0: 300}), tmp_path) as rows:
        monkeypatch.setattr(bucket_file.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
        with pytest.raises(OutputError, match=r"temporary file: expected 0\.0 GB of free disk space, found 0\.0 GB"):
            list(rows.reduced(Reduce(lambda *_: None, lambda *_: None, MOST), quiet))
