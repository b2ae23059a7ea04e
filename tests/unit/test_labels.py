"""Class labels from image lists, CSV files, arrays, and other containers."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from longtail_cli.errors import InputError
from longtail_cli.files.label_arrays import IGNORED, LARGEST_LABEL
from longtail_cli.files.labels import class_labels_of, labels_from_array, read_class_labels, read_labels


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
    [("b.jpg", "none"), ("b.jpg cat", "cat"), ("b.jpg -2", "-2"), ("b.jpg 2.5", "2.5"), ("b 1²", "1\\xb2")],
)
def test_lines_without_a_class_index(write: Any, line: str, found: str) -> None:
    message = message_of(write("train.txt", f"a.jpg 1\n{line}\n"))
    assert f"line 2: expected a class index from 0 to {LARGEST_LABEL}, found {found}\n" in message


def test_many_lines_are_reported_together(write: Any) -> None:
    message = message_of(write("train.txt", "a.jpg x\n" * 12))
    assert "12 problems" in message
    assert f"label 3: expected a class index from 0 to {LARGEST_LABEL}, found x\n" in message
    assert "... and 9 more" in message


def test_a_label_that_cannot_be_a_class(write: Any) -> None:
    assert "found 1700000000" in message_of(write("train.txt", "a.jpg 1700000000\n"))


def test_csv_without_the_column(write: Any) -> None:
    message = message_of(write("train.csv", "path,truth\na,1\n"))
    assert "header: expected one column `label`, found `path`, `truth`" in message
    assert "name the column of the labels: `label_column=`" in message


def test_csv_lines_that_are_too_short(write: Any) -> None:
    assert "line 3: expected a class index" in message_of(write("train.csv", "path,label\na,1\nb\n"))


@pytest.mark.parametrize(("name", "text"), [("a.txt", "\n\n"), ("a.csv", "path,label\n")])
def test_no_labels(write: Any, name: str, text: str) -> None:
    assert "expected at least one label, found none" in message_of(write(name, text))


INVALID = pytest.mark.parametrize(
    ("array", "found"),
    [
        (np.zeros((3, 2, 2), int), "an array of int64 of shape [3, 2, 2]"),
        (np.zeros(3, complex), "an array of complex128 of shape [3]"),
        (np.array([True]), "an array of bool of shape [1]"),
    ],
)


@INVALID
def test_invalid_arrays(tmp_path: Path, array: np.ndarray, found: str) -> None:
    np.save(tmp_path / "y.npy", array)
    expected = "expected an array of integers of shape [N] or [N, 1], or one-hot rows [N, C], found"
    assert f"{expected} {found}" in message_of(tmp_path / "y.npy")


def test_rows_of_an_array_are_named(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([0, -5, 3, -2]))
    message = message_of(tmp_path / "y.npy")
    assert "row 1: expected a class index" in message
    assert "row 3: expected a class index" in message


@pytest.mark.parametrize("ignored", [-1, -100])
def test_labels_to_count_are_classes(tmp_path: Path, ignored: int) -> None:
    np.save(tmp_path / "y.npy", np.array([0, ignored]))
    assert read_class_labels(tmp_path / "y.npy").index.tolist() == [0, IGNORED]
    assert f"label 2: expected a class index from 0 to {LARGEST_LABEL}, found -1" in message_of(tmp_path / "y.npy")


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
    expected = "an array of integers of shape [N] or [N, 1], or one-hot rows [N, C]"
    assert str(error.value).startswith(f"train: content: expected {expected}, found {found}\n")


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        ([0, -2], f"labels: row 1: expected a class index from 0 to {LARGEST_LABEL}, or -1, found -2\n"),
        ([[0], [1, 2]], "labels: content: expected an array, found "),
        (np.zeros(0, int), "labels: content: expected at least one label, found none\n"),
    ],
)
def test_rows_in_memory(array: Any, expected: str) -> None:
    with pytest.raises(InputError) as error:
        labels_from_array(array)
    assert str(error.value).startswith(expected)


INDEX = [2, 0, IGNORED, 1]
FORMS = {
    "int.npy": np.array(INDEX),
    "column.npy": np.array(INDEX)[:, None],
    "float.npy": np.array(INDEX, np.float16),
    "torch.npy": np.array([2, 0, -100, 1], np.int8),
    "y_true.npz": np.array(INDEX),
}
NAMED = ["emu", "cow", "emu"]


@pytest.mark.parametrize("name", FORMS)
def test_forms_of_arrays(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    np.save(path, FORMS[name]) if path.suffix == ".npy" else np.savez(path, **{path.stem: FORMS[name], "z": np.eye(4)})
    assert read_class_labels(path).index.tolist() == INDEX


def test_one_hot_rows(tmp_path: Path) -> None:
    for number, dtype in enumerate((bool, np.float64, np.uint8)):
        np.save(tmp_path / f"{number}.npy", np.eye(3, dtype=dtype)[[2, 0, 1]])
        assert read_class_labels(tmp_path / f"{number}.npy").index.tolist() == [2, 0, 1]
    np.save(tmp_path / "two.npy", np.array([[0, 1, 0], [1, 1, 0]]))
    assert "row 1: expected one-hot: a single 1, and 0 elsewhere, found [1, 1, 0]" in message_of(tmp_path / "two.npy")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labels.pt", torch.tensor(INDEX)),
        ("labels.pth", [torch.tensor(INDEX[:2]), torch.tensor(INDEX[2:])]),
        ("labels.pt", {"targets": torch.tensor(INDEX)[:, None].float(), "epoch": 3}),
        ("labels.pt", INDEX),
    ],
)
def test_files_of_torch(tmp_path: Path, name: str, value: Any) -> None:
    torch.save(value, tmp_path / name)
    assert read_class_labels(tmp_path / name).index.tolist() == INDEX


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("index.txt", "2\n0\n-1\n1\n"),
        ("index.csv", "2\n0\n-100\n1\n"),
        ("labels.csv", "filename,y\na,2\nb,0.0\nc,-1\nd,1\n"),
        ("labels.json", "[2, 0, -1, 1]"),
        ("labels.json", '{"y_true": [2, 0, -1, 1]}'),
    ],
)
def test_texts(write: Any, name: str, text: str) -> None:
    assert read_class_labels(write(name, text)).index.tolist() == INDEX


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.txt", "a.jpg emu\nb.jpg cow\nc.jpg emu\n"),
        ("labels.csv", "image,label\na.jpg,emu\nb.jpg,cow\nc.jpg,emu\n"),
        ("labels.json", '{"a.jpg": "emu", "b.jpg": "cow", "c.jpg": "emu"}'),
    ],
)
def test_names_of_classes_and_images(write: Any, name: str, text: str) -> None:
    found = read_class_labels(write(name, text))
    assert [found.class_names[index] for index in found.index] == ["emu", "cow", "emu"]
    assert found.row_names == ("a.jpg", "b.jpg", "c.jpg")
    with pytest.raises(InputError, match="3 problems"):
        read_labels(tmp := write(name, text))
    assert tmp.exists()


def test_a_parquet_table(tmp_path: Path) -> None:
    pq.write_table(pa.table({"filename": ["a", "b"], "label": [1, 0], "fold": [0, 0]}), tmp_path / "y.parquet")
    found = read_class_labels(tmp_path / "y.parquet")
    assert (found.index.tolist(), found.row_names) == ([1, 0], ("a", "b"))
    assert read_class_labels(tmp_path / "y.parquet", "fold").index.tolist() == [0, 0]
    pq.write_table(pa.table({"y": [1], "target": [0]}), tmp_path / "two.parquet")
    with pytest.raises(InputError, match="expected one column of labels, such as `label`, found `target`, `y`"):
        read_class_labels(tmp_path / "two.parquet")


@pytest.mark.parametrize("value", [{"a": [1]}, {}, [[1], [1, 2]], {"labels": {"a": [2]}}, None, "cat"])
def test_json_without_labels(write: Any, value: Any) -> None:
    with pytest.raises(InputError, match=r"labels\.json: "):
        read_class_labels(write("labels.json", json.dumps(value)))


@pytest.mark.parametrize("values", [np.array(NAMED), np.array(NAMED, object), pd.Series(NAMED), pd.Categorical(NAMED)])
def test_arrays_of_names(tmp_path: Path, values: Any) -> None:
    found = class_labels_of(values)
    assert (found.class_names, found.index.tolist()) == (("cow", "emu"), [1, 0, 1])
    np.save(tmp_path / "y.npy", np.array(NAMED))
    assert read_class_labels(tmp_path / "y.npy").class_names == ("cow", "emu")


def test_an_array_that_is_no_text(tmp_path: Path) -> None:
    np.save(tmp_path / "y.npy", np.array([0x110000], np.int32).view("<U1"))
    assert "content: expected labels, found text that is not Unicode" in message_of(tmp_path / "y.npy")


def test_labels_of_a_name_that_the_file_lacks(tmp_path: Path, write: Any) -> None:
    np.savez(tmp_path / "y.npz", targets=[0, 1])
    assert "arrays: expected one called `fine`, found `targets`" in message_of(tmp_path / "y.npz", "fine")
    path = write("y.json", '{"targets": [0, 1]}')
    assert "columns: expected one column `fine`, found `targets`" in message_of(path, "fine")


def test_names_in_memory() -> None:
    assert class_labels_of({"a.jpg": 1.0, "b.jpg": 0}).index.tolist() == [1, 0]
    found = class_labels_of({"a.jpg": "emu", "b.jpg": "cow"})
    assert (found.class_names, found.row_names) == (("cow", "emu"), ("a.jpg", "b.jpg"))
