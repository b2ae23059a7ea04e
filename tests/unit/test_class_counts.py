"""Counts per class from files and from memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.classes.count_files import read_counts
from longtail_cli.files.classes.counts import ClassCounts, counts_of


def shown(counts: ClassCounts) -> tuple[str, list[int], tuple[str, ...], list[int]]:
    return counts.keys, counts.category_id.tolist(), counts.name, counts.images.tolist()


LISTED = ("order", [0, 1, 2], ("", "", ""), [500, 20, 3])
BY_ID = ("id", [3, 7], ("", ""), [20, 500])
NAMED = ("name", [0, 1], ("cat", "sea lion"), [20, 500])


@pytest.mark.parametrize(
    "counts",
    [
        [500, 20, 3],
        (500.0, 20.0, 3.0),
        np.array([500, 20, 3], np.uint16),
        np.array([[500], [20], [3]]),
        torch.tensor([500, 20, 3]),
        torch.tensor([500.0, 20.0, 3.0]),
    ],
)
def test_a_list(counts: Any) -> None:
    assert shown(counts_of(counts)) == LISTED


@pytest.mark.parametrize("counts", [{7: 500, 3: 20}, {"7": 500, "3": 20.0}, {np.int64(7): np.int64(500), 3: 20}])
def test_counts_by_category_id(counts: Any) -> None:
    assert shown(counts_of(counts)) == BY_ID


def test_counts_by_name() -> None:
    assert shown(counts_of({"sea lion": 500, "cat": 20})) == NAMED
    assert shown(counts_of({"b": 1, "1": 2})) == ("name", [0, 1], ("1", "b"), [2, 1])  # one name is not a number


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("c.json", "[500, 20, 3]", LISTED),
        ("c.json", '{"7": 500, "3": 20}', BY_ID),
        ("c.json", '{"sea lion": 500, "cat": 20}', NAMED),
        ("c.txt", "500\n20\n3\n", LISTED),
        ("c.txt", "500 20 3", LISTED),
        ("c.txt", "500, 20, 3\n", LISTED),
        ("c.txt", "[500, 20,\n 3]", LISTED),
        ("c.txt", "7 500\n3 20\n", BY_ID),
        ("c.txt", "sea lion: 500\ncat: 20\n", NAMED),
        ("c.txt", '"sea lion"\t500\n"cat"\t20\n', NAMED),
        ("c.csv", "count\n500\n20\n3\n", LISTED),
        ("c.csv", "500\n20\n3\n", LISTED),
        ("c.csv", "7,500\n3,20\n", BY_ID),
        ("c.csv", "class_id,count\n7,500\n3,20\n", BY_ID),
        ("c.csv", "Name,Count\nsea lion,500\ncat,20\n", NAMED),
        ("c.csv", "id,name,image_count\n7,dog,500\n3,cat,20\n", ("id", [3, 7], ("cat", "dog"), [20, 500])),
    ],
)
def test_text_files(tmp_path: Path, name: str, text: str, expected: Any) -> None:
    (tmp_path / name).write_text(text)
    assert shown(read_counts(tmp_path / name)) == expected


def test_saved_arrays(tmp_path: Path) -> None:
    counts = np.array([500, 20, 3])
    np.save(tmp_path / "a.npy", counts)
    np.savez(tmp_path / "b.npz", x=counts)
    np.savez(tmp_path / "c.npz", cls_num_list=counts, other=np.zeros(5))
    torch.save(torch.from_numpy(counts), tmp_path / "d.pt")
    torch.save(counts.tolist(), tmp_path / "e.pth")
    for name in ("a.npy", "b.npz", "c.npz", "d.pt", "e.pth"):
        assert shown(read_counts(tmp_path / name)) == LISTED
    torch.save({7: 500, 3: 20}, tmp_path / "f.pt")
    assert shown(read_counts(tmp_path / "f.pt")) == BY_ID


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ([], "expected the counts of 1 to 10,000,000 classes, found 0"),
        ({}, "expected the counts of 1 to 10,000,000 classes, found 0"),
        ([5, -1], "class 1: expected a whole number of images from 0 to 9007199254740992, found -1"),
        ([5.0, 0.5], "class 1: expected a whole number of images from 0 to 9007199254740992, found 0.5"),
        ([5.0, float("nan")], "class 1: expected a whole number of images from 0 to 9007199254740992, found nan"),
        ([float("inf")], "found inf"),
        ([2**53 + 1], "found 9007199254740993"),
        ({"a": True}, "class a: expected a whole number of images from 0 to 9007199254740992, found True"),
        ({"a": [1, 2]}, "class a: expected a whole number of images"),
        ({"a": None}, "found None"),
        ({"1": 5, "01": 6}, "class 1: expected one count, found 2"),
        ([[1, 2], [3, 4]], "one number for each class, of shape [C], found an array of int64 of shape [2, 2]"),
        ([[1], [2, 3]], "content: expected counts per class"),
        ("many", "one number for each class"),
        (np.full(2000, 2**53), "expected fewer than 2^63 images in all"),
    ],
)
def test_what_are_no_counts(counts: Any, message: str) -> None:
    with pytest.raises(InputError) as error:
        counts_of(counts)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("c.json", "{", "content: expected JSON"),
        ("c.json", '{"cat": 1, "dog": 3, "cat": 2}', "found class cat more than once"),
        ("c.json", "3", "of shape [C]"),
        ("c.json", '{"a": {"b": 1}}', "class a: expected a whole number of images"),
        ("c.txt", "3\n-1\n2\n", "class 1: expected a whole number of images from 0 to 9007199254740992, found -1"),
        ("c.txt", "cat many\n", "class cat: expected a whole number of images from 0 to 9007199254740992, found many"),
        ("c.csv", "a,b,c\n1,2,3\n", "columns: expected a column `count`, found `a`, `b`, `c`"),
        ("c.csv", "name,count\ncat\n", "row 2: expected 2 cells, as in the first, found 1"),
        ("c.csv", "name,count\ncat,1\ncat,2\n", "class cat: expected one count, found 2"),
        ("c.csv", "category_id,image_count,instance_count\n1,2,3\n", "pass it as `frequencies=`"),
        ("c.npy", "no array", "content: expected a NumPy file"),
        ("c.pt", "no tensor", "content: expected a"),
    ],
)
def test_files_without_counts(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError) as error:
        read_counts(tmp_path / name)
    assert message in str(error.value)


def test_several_arrays_none_of_them_called_counts(tmp_path: Path) -> None:
    np.savez(tmp_path / "c.npz", a=np.ones(2), b=np.ones(2))
    with pytest.raises(InputError, match="expected one array, or one called `counts`, found `a`, `b`"):
        read_counts(tmp_path / "c.npz")


def test_other_suffixes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"a file that ends in \.npy, \.npz, \.json, \.txt, \.csv, \.pt, \.pth"):
        read_counts(tmp_path / "c.xlsx")
