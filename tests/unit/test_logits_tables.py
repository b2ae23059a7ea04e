"""Class scores in CSV and Parquet."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from longtail_cli.errors import LtcalError
from longtail_cli.files.logits.reader import LogitsFile, open_logits

LOGITS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
LABELS = np.arange(12) % 3
NAMES = ("cow", "emu", "gnu")
FILES = tuple(f"{row}.jpg" for row in range(12))


def rows_of(file: LogitsFile) -> np.ndarray:
    return np.concatenate([batch.logits.numpy() for batch in file.batches(5)])


def table(columns: dict[str, Any], logits: np.ndarray = LOGITS, prefix: str = "logit_") -> dict[str, Any]:
    return columns | {f"{prefix}{column}": logits[:, column].tolist() for column in range(logits.shape[1])}


def written(path: Path, columns: dict[str, Any]) -> Path:
    if path.suffix == ".parquet":
        pq.write_table(
            pa.table({name: np.float32(one) if isinstance(one[0], float) else one for name, one in columns.items()}),
            path,
        )
    else:
        rows = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
        text = "\n".join(rows).encode() + b"\n"
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def message_of(path: Path, **keys: str) -> str:
    with pytest.raises(LtcalError) as error:
        open_logits(path, keys=keys)
    return str(error.value)


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "a.parquet"])
def test_numbered_columns(tmp_path: Path, name: str) -> None:
    """In the order of their numbers, with the names of the images and labels beside them."""
    columns = table({"filename": FILES, "label": LABELS.tolist()})
    shuffled = dict(sorted(columns.items(), key=lambda item: item[0][::-1], reverse=True))
    file = open_logits(written(tmp_path / name, shuffled))
    assert np.array_equal(rows_of(file), LOGITS)
    assert file.row_names == FILES
    assert file.labels is not None
    assert file.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("prefix", ["", "class_", "c"])
def test_columns_of_another_name(tmp_path: Path, prefix: str) -> None:
    file = open_logits(written(tmp_path / "a.csv", table({"id": list(range(12))}, prefix=prefix)))
    assert np.array_equal(rows_of(file), LOGITS)


def test_more_than_nine_classes(tmp_path: Path) -> None:
    """The columns are ordered by number: logit_2 before logit_10."""
    logits = np.random.default_rng(1).normal(size=(4, 12)).astype(np.float32)
    columns = table({}, logits)
    file = open_logits(written(tmp_path / "a.csv", dict(sorted(columns.items()))))
    assert np.array_equal(rows_of(file), logits)


def test_names_and_ids_of_classes(tmp_path: Path) -> None:
    columns = {name: LOGITS[:, column].tolist() for column, name in enumerate(NAMES)}
    labels = [NAMES[label] for label in LABELS]
    file = open_logits(written(tmp_path / "a.csv", {"image": FILES, **columns, "target": labels}))
    assert np.array_equal(rows_of(file), LOGITS)
    assert file.class_names == NAMES
    assert file.labels is not None
    assert file.labels.tolist() == LABELS.tolist()
    ids = {str(name): LOGITS[:, column].tolist() for column, name in enumerate((7, 3, 12))}
    assert open_logits(written(tmp_path / "b.csv", ids)).columns.category_id.tolist() == [7, 3, 12]


def test_lists_of_scores(tmp_path: Path) -> None:
    pq.write_table(pa.table({"filename": FILES, "logit": list(LOGITS)}), tmp_path / "a.parquet")
    assert np.array_equal(rows_of(open_logits(tmp_path / "a.parquet")), LOGITS)
    pq.write_table(pa.table({"prob": [[0.5, 0.5], [1.0, 0.0]]}), tmp_path / "b.parquet")
    assert open_logits(tmp_path / "b.parquet").content == "scores"
    quoted = [f'"[{" ".join(map(str, row.tolist()))}]"' for row in LOGITS]
    assert np.array_equal(rows_of(open_logits(written(tmp_path / "c.csv", {"logit": quoted}))), LOGITS)


def test_keys_name_columns(tmp_path: Path) -> None:
    columns = table({"truth": LABELS.tolist()}) | table({}, -LOGITS, prefix="aux_")
    path = written(tmp_path / "a.csv", columns)
    file = open_logits(path, keys={"logits": "aux", "labels": "truth"})
    assert np.array_equal(rows_of(file), -LOGITS)
    assert file.labels is not None
    assert "`truthful`, of labels, found" in message_of(path, labels="truthful")
    assert "expected `other_0`, ... or lists in `other`" in message_of(path, logits="other")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (table(table({}), prefix="prob_"), "columns: expected logits or scores, found logit and prob"),
        ({"filename": FILES, "score": [0.5] * 12}, "expected lists of a score for each class in `score`, found none"),
        (table({"y": [0] * 12, "target": [0] * 12}), "expected one of labels, found `target`, `y`"),
        (table({"label": ["cat"] * 12}), "12 problems\n  column `label`, row 0: expected a class index, found cat"),
        (table({}) | {"logit_1": ["x"] * 12}, "content: expected a CSV file, found"),
        ({"logit_0": [0.5] * 12, "logit_2": [0.1] * 12}, "expected columns numbered from 0 on, without gaps, found"),
        ({"logit_1": [0.5] * 12, "logit_2": [0.1] * 12}, "expected columns numbered from 0 on, without gaps, found"),
        (table({"index_0": [1] * 12, "index_1": [0] * 12}), "expected a score for each class, found the best classes"),
        (table({}, -np.sort(-LOGITS)), "expected scores in class order, found scores that fall from left to right"),
    ],
)
def test_columns_that_are_no_classes(tmp_path: Path, columns: dict[str, Any], message: str) -> None:
    assert message in message_of(written(tmp_path / "a.csv", columns))


def test_tables_that_are_damaged(tmp_path: Path) -> None:
    path = written(tmp_path / "a.parquet", table({}))
    path.write_bytes(path.read_bytes()[:-9])
    assert "a.parquet: " in message_of(path)
    pq.write_table(pa.table({"logit": [[0.5, 1.0], [0.5]]}), tmp_path / "b.parquet")
    assert "column `logit`, row 1: expected 2 scores, as in row 0, found 1" in message_of(tmp_path / "b.parquet")
    pq.write_table(pa.table({"logit": [["a", "b"]]}), tmp_path / "c.parquet")
    assert "lists of numbers in `logit`" in message_of(tmp_path / "c.parquet")
    (tmp_path / "d.csv").write_text("logit_0,logit_1\n1,2\n3\n")
    assert "Expected 2 columns, got 1" in message_of(tmp_path / "d.csv")
    (tmp_path / "e.csv").write_text("logit_0,logit_0\n1,2\n")
    assert "expected columns of different names, found `logit_0` twice" in message_of(tmp_path / "e.csv")
    file = open_logits(written(tmp_path / "f.csv", table({}) | {"logit_1": [*LOGITS[:11, 1].tolist(), ""]}))
    with pytest.raises(LtcalError, match=r"row 11, column 1 \(category 1\): expected a finite number, found nan"):
        list(file.batches(100))
