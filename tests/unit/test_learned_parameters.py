"""Saved parameters of each class: what the two kinds of file may contain, and what is refused."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from longtail_cli.errors import InputError
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.tables import LogitColumns

PLAIN = LogitColumns("sigmoid", "none", np.array([31, 4, 77]))
FIRST = LogitColumns("softmax", "first", np.array([31, 4, 77]))
LAST = LogitColumns("softmax", "last", np.array([31, 4, 77]))


def csv_file(folder: Path, *lines: str) -> Path:
    path = folder / "learned.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def npz_file(folder: Path, **arrays: object) -> Path:
    path = folder / "learned.npz"
    with zipfile.ZipFile(path, "w") as archive:  # as numpy.savez does
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(array))
    return path


def refusal(path: Path, columns: LogitColumns = PLAIN) -> str:
    with pytest.raises(InputError) as caught:
        read_learned(path, columns)
    assert str(caught.value).startswith(str(path))
    return str(caught.value)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int64])
def test_arrays_are_in_column_order(tmp_path: Path, dtype: type) -> None:
    found = read_learned(npz_file(tmp_path, alpha=np.array([1, 2, 3], dtype), beta=np.array([0, -1, 5], dtype)), PLAIN)
    assert {name: values.tolist() for name, values in found.items()} == {"alpha": [1, 2, 3], "beta": [0, -1, 5]}
    assert all(values.dtype == np.float64 for values in found.values())


@pytest.mark.parametrize("alpha", [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0, 4.0]])
def test_arrays_may_hold_the_value_of_the_background(tmp_path: Path, alpha: list[float]) -> None:
    assert read_learned(npz_file(tmp_path, alpha=alpha), LAST)["alpha"].tolist() == alpha


def test_rows_are_sorted_into_column_order(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "category_id,alpha,beta", "4,0.5,1e-3", "77,3,-2", "31,2,0")
    found = read_learned(path, PLAIN)
    assert {name: values.tolist() for name, values in found.items()} == {
        "alpha": [2.0, 0.5, 3.0],
        "beta": [0.0, 1e-3, -2.0],
    }


def test_a_row_may_be_the_background(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "alpha,category_id", "0.5, 4", "", "9,background", "3,77", "2,31")
    assert read_learned(path, FIRST)["alpha"].tolist() == [9.0, 2.0, 0.5, 3.0]
    assert read_learned(path, LAST)["alpha"].tolist() == [2.0, 0.5, 3.0, 9.0]
    assert "category_id background: expected a class of the logits, found none" in refusal(path, PLAIN)


def test_a_byte_order_mark_is_not_part_of_the_header(tmp_path: Path) -> None:
    path = csv_file(tmp_path, "\ufeffcategory_id,alpha", "4,1", "77,2", "31,3")
    assert read_learned(path, PLAIN)["alpha"].tolist() == [3.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["id,alpha", "4,1"], "header: expected `category_id`, `alpha`, found id, alpha"),
        ([""], "header: expected `category_id`, `alpha`, found nothing"),
        (["category_id,beta", "4,1"], "parameters: expected `alpha`, and optionally `beta`, found beta"),
        (["category_id,alpha,alpha", "4,1,2"], "optionally `beta`, found alpha, alpha"),
        (["category_id,alpha,gamma", "4,1,2"], "optionally `beta`, found alpha, gamma"),
        (["category_id,alpha", "4,1", "31,2"], "category_id 77: expected a row, found none"),
        (["category_id,alpha"], "3 problems\n  category_id 31: expected a row, found none"),
        (["category_id,alpha", "4,1", "31,2", "77,3", "4,1"], "category_id 4: expected one row, found 2"),
        (["category_id,alpha", "4,1", "31,2", "77,3", "5,1"], "category_id 5: expected a class of the logits"),
        (["category_id,alpha", "4,1", "31,2", "77,3", "ä,1"], r"category_id \xe4: expected a class of the logits"),
        (["category_id,alpha", "4,1", "31,0,5", "77,3"], "row 2 after the header: expected 2 cells, found 3"),
        (["category_id,alpha", "4,1", "31", "77,3"], "row 2 after the header: expected 2 cells, found 1"),
        (["category_id,alpha", "4,1", "31,", "77,3"], "`alpha`, category_id 31: expected a number, found nothing"),
        (["category_id,alpha", "4,one", "31,1", "77,3"], "`alpha`, category_id 4: expected a number, found one"),
        (["category_id,alpha", "4,1", "31,nan", "77,3"], "`alpha`, index 0: expected a number from -1e+06 to 1e+06, f"),
        (["category_id,alpha", "4,1", "31,1", "77,-inf"], "`alpha`, index 2: expected a number from -1e+06 to 1e+06"),
    ],
)
def test_a_table_with_anything_else_is_refused(tmp_path: Path, lines: list[str], message: str) -> None:
    assert message in refusal(csv_file(tmp_path, *lines))


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"beta": [1, 2, 3]}, "parameters: expected `alpha`, and optionally `beta`, found beta"),
        ({"alpha": [1, 2, 3], "weight": [1]}, "optionally `beta`, found alpha, weight"),
        ({}, "optionally `beta`, found nothing"),
        ({"alpha": [1, 2]}, "`alpha`: expected numbers of shape [3], found int64 [2]"),
        ({"alpha": [[1, 2, 3]]}, "`alpha`: expected numbers of shape [3], found int64 [1, 3]"),
        ({"alpha": ["a", "b", "c"]}, "`alpha`: expected numbers of shape [3], found <U1 [3]"),
        ({"alpha": [True] * 3}, "`alpha`: expected numbers of shape [3], found bool [3]"),
        ({"alpha": [1, 2, 3], "beta": 1.0}, "`beta`: expected numbers of shape [3], found float64 []"),
        ({"alpha": [1, np.nan, 3]}, "`alpha`, index 1: expected a number from -1e+06 to 1e+06, found nan"),
        ({"alpha": [1, 2, 3], "beta": [1, 2, 2e6]}, "`beta`, index 2: expected a number from -1e+06 to 1e+06, found 2"),
        ({"alpha": [None, 1, 2]}, "content: expected an .npz archive of arrays, found Object arrays cannot be loaded"),
    ],
)
def test_an_archive_with_anything_else_is_refused(tmp_path: Path, arrays: dict[str, object], message: str) -> None:
    assert message in refusal(npz_file(tmp_path, **arrays))


def test_both_possible_sizes_are_named(tmp_path: Path) -> None:
    assert "expected numbers of shape [3] or [4], found int64 [5]" in refusal(npz_file(tmp_path, alpha=[1] * 5), FIRST)


def test_other_files_are_refused(tmp_path: Path) -> None:
    assert "expected a file that can be read" in refusal(tmp_path / "none.npz")
    for name, content, message in (
        ("empty.csv", b"", "expected content, found an empty file"),
        ("learned.json", b"{}", "file name: expected one that ends in .npz or .csv, found learned.json"),
        ("text.npz", b"category_id,alpha", "expected an .npz archive of arrays"),
        ("bytes.csv", b"category_id,alpha\n\xff,1\n", "content: expected a CSV file"),
    ):
        (tmp_path / name).write_bytes(content)
        assert message in refusal(tmp_path / name)


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    """Cut short, with a flipped byte, or a single array under the name of an archive."""
    whole = npz_file(tmp_path, alpha=[1.0, 2.0, 3.0]).read_bytes()
    damaged = tmp_path / "damaged.npz"
    damaged.write_bytes(whole[: len(whole) // 2])
    assert "expected an .npz archive of arrays" in refusal(damaged)
    flipped = bytearray(whole)
    flipped[whole.index(b"NUMPY") + 1] ^= 255
    damaged.write_bytes(bytes(flipped))
    assert "expected an .npz archive of arrays" in refusal(damaged)
    np.save(tmp_path / "single.npy", np.ones(3))
    (tmp_path / "single.npy").rename(damaged)
    assert "expected an .npz archive of arrays" in refusal(damaged)
