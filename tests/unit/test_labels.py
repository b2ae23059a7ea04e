"""Class labels from image lists, CSV files and arrays."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError
from longtail_cli.files.labels import LARGEST_LABEL, labels_from_array, read_labels


def message_of(path: Path, column: str | None = None) -> str:
    with pytest.raises(InputError) as error:
        read_labels(path, column)
    return str(error.value)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write_to(name: str, text: str | bytes) -> Path:
        path = tmp_path / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write_to


def test_an_image_list(write: Any) -> None:
    path = write("train.txt", "train/n01/a.JPEG 2\ntrain/my image.png 0\r\n\n\x85latin\xe9.jpg\t2\n".encode("latin-1"))
    labels = read_labels(path)
    assert labels.category.tolist() == [2, 0, 2]
    assert labels.image.tolist() == [0, 1, 2]
    assert labels.num_images == 3
    assert labels.categories.id.tolist() == [0, 1, 2]  # 1 is a class, though it never occurs
    assert labels.categories.name == ("", "", "")


def test_a_csv_file(write: Any) -> None:
    path = write("train.csv", '\ufeffimage,label,target\n"a, b.jpg",3,0\n\nc.jpg, 1,5\n')
    assert read_labels(path).category.tolist() == [3, 1]
    assert read_labels(path, "target").category.tolist() == [0, 5]


def test_compressed_lists(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "train.txt.gz"
    path.write_bytes(gzip.compress(b"a.jpg 4\n"))
    assert read_labels(path).category.tolist() == [4]


@pytest.mark.parametrize("dtype", ["int64", "uint8", ">i4", "uint64"])
def test_arrays(tmp_path: Path, dtype: str) -> None:
    array = np.array([3, 0, 3, 1], dtype)
    np.save(tmp_path / "y.npy", array)
    np.savez(tmp_path / "only.npz", y=array)
    np.savez_compressed(tmp_path / "labels.npz", labels=array, logits=np.zeros((4, 5)))
    for name in ("y.npy", "only.npz", "labels.npz"):
        assert read_labels(tmp_path / name).category.tolist() == [3, 0, 3, 1]


@pytest.mark.parametrize(
    ("line", "found"),
    [("b.jpg", "none"), ("b.jpg cat", "cat"), ("b.jpg -1", "-1"), ("b.jpg 2.0", "2.0"), ("b 1²", "1\\xb2")],
)
def test_lines_without_a_class_index(write: Any, line: str, found: str) -> None:
    message = message_of(write("train.txt", f"a.jpg 1\n{line}\n"))
    assert f"line 2: expected a class index from 0 to {LARGEST_LABEL}, found {found}\n" in message


def test_many_lines_are_reported_together(write: Any) -> None:
    message = message_of(write("train.txt", "a.jpg x\n" * 12))
    assert "12 problems" in message
    assert "line 10: " in message
    assert "... and 2 more" in message


def test_a_label_that_cannot_be_a_class(write: Any) -> None:
    assert "found 1700000000" in message_of(write("train.txt", "a.jpg 1700000000\n"))


def test_csv_without_the_column(write: Any) -> None:
    message = message_of(write("train.csv", "path,target\na,1\n"))
    assert "header: expected one column `label`, found `path`, `target`" in message
    assert "name the column that holds the class index: `label_column=`" in message


def test_csv_lines_that_are_too_short(write: Any) -> None:
    assert "line 3: expected a class index" in message_of(write("train.csv", "path,label\na,1\nb\n"))


@pytest.mark.parametrize(("name", "text"), [("a.txt", "\n\n"), ("a.csv", "path,label\n")])
def test_no_labels(write: Any, name: str, text: str) -> None:
    assert "expected at least one label, found none" in message_of(write(name, text))


INVALID = pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros(3), "an array of float64 of shape [3]"),
        (np.zeros((3, 2), int), "an array of int64 of shape [3, 2]"),
        (np.array(["a"]), "an array of <U1 of shape [1]"),
        (np.array([True]), "an array of bool of shape [1]"),
    ],
)


@INVALID
def test_invalid_arrays(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / "y.npy", array)
    assert f"expected an array of integers of shape [N], found {found}" in message_of(tmp_path / "y.npy")


def test_rows_of_an_array_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([0, -1, 3, -2]))
    message = message_of(tmp_path / "y.npy")
    assert "row 1: expected a class index" in message
    assert "row 3: expected a class index" in message


def test_several_arrays_none_called_labels(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", a=np.zeros(1), b=np.zeros(1))
    assert "expected one array, or one called `labels`, found `a`, `b`" in message_of(tmp_path / "y.npz")


def test_pickles_are_not_loaded(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([{}], object), allow_pickle=True)
    assert "content: expected a NumPy file, found Object arrays cannot be loaded" in message_of(tmp_path / "y.npy")


def test_a_file_without_an_array(write: Any) -> None:
    assert "content: expected a NumPy file" in message_of(write("y.npy", "1 2 3"))


@pytest.mark.parametrize(
    "array", [[3, 0, 3, 1], (3, 0, 3, 1), np.array([3, 0, 3, 1], np.uint8), torch.tensor([3, 0, 3, 1])]
)
def test_labels_in_memory(array: Any) -> None:
    labels = labels_from_array(array, "train")
    assert (labels.category.tolist(), labels.image.tolist(), labels.source) == ([3, 0, 3, 1], [0, 1, 2, 3], "train")
    assert labels.num_images == 4
    assert labels.categories.id.tolist() == [0, 1, 2, 3]


@INVALID
def test_invalid_arrays_in_memory(array: np.ndarray, found: str) -> None:
    with pytest.raises(InputError) as error:
        labels_from_array(array, "train")
    assert str(error.value).startswith(f"train: content: expected an array of integers of shape [N], found {found}\n")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([0, -1], f"labels: row 1: expected a class index from 0 to {LARGEST_LABEL}, found -1\n"),
        ([[0], [1, 2]], "labels: content: expected an array, found "),
        (np.zeros(0, int), "labels: content: expected at least one label, found none\n"),
    ],
)
def test_rows_in_memory(array: Any, expected: str) -> None:
    with pytest.raises(InputError) as error:
        labels_from_array(array)
    assert str(error.value).startswith(expected)
