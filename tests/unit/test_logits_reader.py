"""Logits files read batch by batch: the same rows from every kind of file."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from logit_files import CLASSIFICATION_METADATA, DETECTION_METADATA, classification, detection, save

from longtail_cli.errors import InputError
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.files.paths import LOGIT_SUFFIXES

EXAMPLE = Path(__file__).parents[2] / "examples" / "digit_scenes" / "logits.npz"


def logits_of(file: LogitsFile, rows: int) -> torch.Tensor:
    return torch.cat([batch.logits for batch in file.batches(rows)])


@pytest.mark.parametrize("suffix", LOGIT_SUFFIXES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
@pytest.mark.parametrize("rows", [1, 4, 100])
def test_every_kind_of_file_gives_the_same_rows(tmp_path: Path, suffix: str, dtype: torch.dtype, rows: int) -> None:
    tensors = detection([2, 3, 1, 4])
    tensors["logits"] = tensors["logits"].to(dtype)
    tensors["objectness"] = torch.linspace(0, 1, 10)
    tensors["features"] = torch.arange(20.0).reshape(10, 2)
    file = open_logits(save(tmp_path / f"logits{suffix}", tensors, DETECTION_METADATA))
    assert (file.rows, file.images, file.content) == (10, 4, "logits")
    assert (file.columns.head, file.columns.background) == ("softmax", "last")
    assert file.columns.category_id.tolist() == [3, 1, 7]
    assert file.labels is None
    assert file.classifier is None
    batches = list(file.batches(rows))
    for name, whole in tensors.items():
        assert [row for batch in batches for row in getattr(batch, name).tolist()] == whole.tolist(), name
    assert all(batch.logits.dtype == dtype for batch in batches)
    assert [batch.first for batch in batches] == np.cumsum([0, *map(len, batches)])[:-1].tolist()


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_bfloat16(tmp_path: Path, suffix: str) -> None:
    tensors = {name: one.bfloat16() if one.is_floating_point() else one for name, one in detection([2, 1]).items()}
    file = open_logits(save(tmp_path / f"logits{suffix}", tensors, DETECTION_METADATA))
    (batch,) = file.batches(10)
    assert torch.equal(batch.logits, tensors["logits"])
    assert batch.boxes is not None
    assert batch.boxes.dtype == np.float32


@pytest.mark.parametrize(
    ("rows", "sizes"), [(1, [2, 3, 1, 4]), (3, [2, 3, 1, 4]), (5, [5, 5]), (6, [6, 4]), (9, [6, 4]), (10, [10])]
)
def test_batches_hold_whole_images(tmp_path: Path, rows: int, sizes: list[int]) -> None:
    """At most the given number of rows, except that an image with more is one batch."""
    file = open_logits(save(tmp_path / "logits.safetensors", detection([2, 3, 1, 4]), DETECTION_METADATA))
    assert [len(batch) for batch in file.batches(rows)] == sizes


def test_a_folder_of_shards_is_read_in_name_order(tmp_path: Path) -> None:
    save(tmp_path / "b.safetensors", detection([2], first_id=5), DETECTION_METADATA)
    save(tmp_path / "c.safetensors", detection([], first_id=0), DETECTION_METADATA)
    save(tmp_path / "a.safetensors", detection([1, 2], first_id=8))
    (tmp_path / "README.md").write_text("other files are ignored")
    file = open_logits(tmp_path)
    assert [path.name for path in file.shards] == ["a.safetensors", "b.safetensors", "c.safetensors"]
    assert file.image_id is not None
    assert file.image_id.tolist() == [8, 9, 9, 5, 5]
    batches = list(file.batches(100))
    assert [len(batch) for batch in batches] == [3, 2]  # a batch does not go beyond its shard
    assert [batch.first for batch in batches] == [0, 3]


@pytest.mark.parametrize("suffix", LOGIT_SUFFIXES)
def test_a_file_without_rows(tmp_path: Path, suffix: str) -> None:
    file = open_logits(save(tmp_path / f"logits{suffix}", detection([]), DETECTION_METADATA))
    assert (file.rows, file.images) == (0, 0)
    assert list(file.batches(100)) == []


def test_classification_with_labels_and_default_category_ids(tmp_path: Path) -> None:
    file = open_logits(save(tmp_path / "logits.npz", classification(7), CLASSIFICATION_METADATA))
    assert (file.rows, file.images, file.image_id) == (7, None, None)
    assert file.columns.category_id.tolist() == [0, 1, 2]
    assert file.labels is not None
    assert file.labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    batches = list(file.batches(3))
    assert [len(batch) for batch in batches] == [3, 3, 1]
    assert batches[1].labels is not None
    assert batches[1].labels.tolist() == [0, 1, 2]


def test_a_background_column_is_no_class(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", {"logits": torch.zeros(2, 4)}, {"head": "softmax", "background": "first"})
    file = open_logits(path)
    assert file.columns.category_id.tolist() == [0, 1, 2]
    assert file.labels is None


def test_boxes_for_each_class(tmp_path: Path) -> None:
    tensors = detection([2, 1])
    tensors["boxes"] = torch.arange(36.0).reshape(3, 3, 4)
    file = open_logits(save(tmp_path / "logits.safetensors", tensors, DETECTION_METADATA))
    assert file.per_class_boxes
    (batch,) = file.batches(10)
    assert batch.boxes is not None
    assert batch.boxes.shape == (3, 3, 4)


def test_the_weights_of_the_classifier(tmp_path: Path) -> None:
    tensors = {**classification(4), "features": torch.ones(4, 5), "weight": torch.arange(15.0).reshape(3, 5).half()}
    file = open_logits(save(tmp_path / "logits.pt", tensors, CLASSIFICATION_METADATA))
    assert file.has_features
    assert file.classifier is not None
    assert file.classifier.dtype == np.float32
    assert file.classifier.tolist() == tensors["weight"].tolist()


def test_compressed_and_big_endian_archives(tmp_path: Path) -> None:
    tensors = classification(1000)
    path = tmp_path / "logits.npz"
    np.savez_compressed(path, logits=tensors["logits"].numpy().astype(">f4"), labels=tensors["labels"].numpy())
    file = open_logits(path, Declared("softmax", "none"))
    assert torch.equal(logits_of(file, 300), tensors["logits"])


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("rows", [1, 3, 100])
def test_arrays_in_fortran_order(tmp_path: Path, write: Callable[..., None], rows: int) -> None:
    """As `numpy.asfortranarray` makes them, or a transpose that is saved; boxes for each class have three axes."""
    tensors = {name: tensor.numpy() for name, tensor in detection([2, 3]).items()}
    tensors["boxes"] = np.sort(np.arange(5 * 3 * 4.0).reshape(5, 3, 4).astype(np.float32))
    plain = save(
        tmp_path / "plain.npz", {name: torch.from_numpy(one) for name, one in tensors.items()}, DETECTION_METADATA
    )
    fortran = save(tmp_path / "fortran.npz", {}, DETECTION_METADATA)
    write(fortran, **{name: np.asfortranarray(one) for name, one in tensors.items()})
    for one, other in zip(open_logits(fortran).batches(rows), open_logits(plain).batches(rows), strict=True):
        assert torch.equal(one.logits, other.logits)
        assert one.boxes is not None
        assert one.boxes.tolist() == other.boxes.tolist()


def test_transposed_tensors_in_a_pt_file(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    file = open_logits(save(tmp_path / "logits.pt", {"logits": whole.T}, CLASSIFICATION_METADATA))
    assert torch.equal(logits_of(file, 3), whole.T)


@pytest.mark.parametrize("suffix", LOGIT_SUFFIXES)
def test_a_batch_outlives_its_file(tmp_path: Path, suffix: str) -> None:
    tensors = detection([2, 3])
    path = save(tmp_path / f"logits{suffix}", tensors, DETECTION_METADATA)
    batches = list(open_logits(path).batches(2))
    path.unlink()
    assert torch.equal(torch.cat([batch.logits for batch in batches]), tensors["logits"])
    assert np.concatenate([batch.boxes for batch in batches]).tolist() == tensors["boxes"].tolist()


def test_batches_are_the_same_a_second_time(tmp_path: Path) -> None:
    file = open_logits(save(tmp_path / "logits.npz", classification(5), CLASSIFICATION_METADATA))
    assert torch.equal(logits_of(file, 2), logits_of(file, 5))


def test_a_large_file_is_reopened_while_it_is_read(tmp_path: Path) -> None:
    """Every row is still read once, in order."""
    logits = torch.arange(40_000.0)[:, None].expand(-1, 600)
    path = save(tmp_path / "logits.safetensors", {"logits": logits}, CLASSIFICATION_METADATA)
    read = [batch.logits[:, 0].clone() for batch in open_logits(path).batches(7000)]
    assert torch.equal(torch.cat(read), torch.arange(40_000.0))


def test_large_finite_logits_are_not_a_fault(tmp_path: Path) -> None:
    """The quick check of the sum of a row overflows here; the numbers themselves are finite."""
    logits = torch.full((2, 3), 60_000.0).half()
    file = open_logits(save(tmp_path / "logits.safetensors", {"logits": logits}, CLASSIFICATION_METADATA))
    assert torch.equal(logits_of(file, 2), logits)


def test_a_scores_file(tmp_path: Path) -> None:
    tensors = {
        "scores": torch.full((4, 2), 0.5),
        "category_id": torch.tensor([9, 4]),
        "labels": torch.tensor([0, 1, 1, 0]),
    }
    file = open_logits(save(tmp_path / "scores.npz", {**tensors, "logits": torch.zeros(4, 3)}))
    assert (file.content, file.columns.head, file.columns.background) == ("scores", "none", "none")
    assert file.columns.category_id.tolist() == [9, 4]
    assert file.labels is not None
    assert torch.equal(logits_of(file, 3), tensors["scores"])


def test_a_scores_file_without_category_ids_has_0_to_c(tmp_path: Path) -> None:
    file = open_logits(save(tmp_path / "scores.npz", {"scores": torch.zeros(4, 3)}))
    assert file.columns.category_id.tolist() == [0, 1, 2]


def test_the_example() -> None:
    file = open_logits(EXAMPLE)
    assert (file.rows, file.columns.width, file.columns.background) == (13_715, 11, "last")
    assert sum(len(batch) for batch in file.batches(1000)) == file.rows


@pytest.mark.parametrize("name", ["logits.txt", "logits"])
def test_an_unknown_suffix(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("0.5")
    with pytest.raises(InputError, match=r"columns: expected a column for each class, found `0\.5`"):
        open_logits(tmp_path / name)
