"""Logits files that cannot be used: the errors say what was expected, what was found and where."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logit_files import (
    CLASSIFICATION_METADATA,
    DETECTION_METADATA,
    Tensors,
    classification,
    detection,
    save,
)

from longtail_cli.errors import InputError
from longtail_cli.files.logits.reader import open_logits

NAN, INF = float("nan"), float("inf")


def message_of(path: Path, read: bool = False) -> str:
    """The error of opening `path`, or (`read`) of reading it."""

    def read_all() -> None:
        for _ in open_logits(path).batches(2):
            pass

    if read:
        open_logits(path)
    with pytest.raises(InputError) as error:
        read_all() if read else open_logits(path)
    assert "Fix: " in str(error.value)
    return str(error.value)


def with_value(name: str, index: Any, value: float) -> Callable[[Tensors], None]:
    def change(tensors: Tensors) -> None:
        tensors[name][index] = value

    return change


def without(name: str) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__delitem__(name)


def replaced(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, change(tensors[name]))


def added(name: str, tensor: torch.Tensor) -> Callable[[Tensors], None]:
    return lambda tensors: tensors.__setitem__(name, tensor)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without("logits"), "tensors: expected `logits`, found"),
        (without("boxes"), "tensors: expected `boxes`, found"),
        (without("image_id"), "tensors: expected `image_id`, found"),
        (replaced("logits", torch.Tensor.long), "`logits`: expected float16 or bfloat16 or float32, found int64"),
        (replaced("logits", torch.Tensor.flatten), "`logits`: expected shape [N, K], K at least 1, found [40]"),
        (replaced("image_id", torch.Tensor.float), "tensor `image_id`: expected int64 or int32"),
        (replaced("image_id", lambda ids: ids[:9]), "tensor `image_id`: expected shape [10], found [9]"),
        (replaced("boxes", lambda boxes: boxes[:, :3]), "tensor `boxes`: expected shape [10, 4], found [10, 3]"),
        (replaced("boxes", lambda boxes: boxes[:, None]), "expected shape [N, 3, 4], a box for each class and none"),
        (replaced("logits", lambda z: z[:, :3]), "expected K = 4 columns: 3 classes (category ids) and a background"),
        (with_value("boxes", (6, 2), NAN), "`boxes`, row 6: expected finite x1 <= x2, y1 <= y2, found [6.0, 6.0, nan"),
        (with_value("boxes", (6, 2), INF), "`boxes`, row 6: expected finite"),
        (with_value("boxes", (6, 2), 5), "`boxes`, row 6: expected finite x1 <= x2, y1 <= y2, found [6.0, 6.0, 5.0"),
        (
            added("objectness", torch.full((10,), 1.5)),
            "10 problems\n  tensor `objectness`, row 0: expected a number from",
        ),
        (added("objectness", torch.full((10,), NAN)), "row 0: expected a number from 0 to 1, found nan"),
        (
            with_value("image_id", 9, 1),
            "row 9: expected all rows of an image together in one shard, found image 1 again, which",
        ),
        (added("weight", torch.zeros(3, 2)), "tensor `weight`: expected shape [4, D], found [3, 2]"),
        (
            added("weight", torch.full((4, 2), NAN)),
            "tensor `weight`, row 0, column 0: expected a finite number, found nan",
        ),
    ],
)
def test_tensors_that_do_not_fit(tmp_path: Path, suffix: str, change: Callable[[Tensors], None], message: str) -> None:
    tensors = detection([2, 3, 1, 4])
    change(tensors)
    path = save(tmp_path / f"logits{suffix}", tensors, DETECTION_METADATA)
    found = message_of(path)
    assert found.startswith(f"{path}: ")
    assert message in found


@pytest.mark.parametrize("value", [-2, 3])
def test_labels_out_of_range(tmp_path: Path, value: int) -> None:
    tensors = classification(5)
    tensors["labels"][4] = value
    path = save(tmp_path / "logits.npz", tensors, CLASSIFICATION_METADATA)
    assert f"row 4: expected a class index from 0 to 2, in column order, found {value}" in message_of(path)


def test_weights_that_do_not_fit_the_features(tmp_path: Path) -> None:
    tensors = {**classification(5), "features": torch.zeros(5, 2), "weight": torch.zeros(3, 4)}
    path = save(tmp_path / "logits.npz", tensors, CLASSIFICATION_METADATA)
    assert "`weight`: expected shape [3, 2], as `features` are, found [3, 4]" in message_of(path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_logits_that_are_not_finite_are_found_when_they_are_read(
    tmp_path: Path, dtype: torch.dtype, value: float
) -> None:
    """The row counts from the start of the shard."""
    save(tmp_path / "a.safetensors", replaced_logits(detection([2, 3]), dtype), DETECTION_METADATA)
    bad = replaced_logits(detection([2, 3, 1], first_id=10), dtype)
    bad["logits"][4, 1] = value
    bad["logits"][3, 0] = -value if value == INF else 0  # sums do not cancel
    save(tmp_path / "b.safetensors", bad, DETECTION_METADATA)
    message = message_of(tmp_path, read=True)
    assert message.startswith(str(tmp_path / "b.safetensors"))
    where = "row 3, column 0 (category 3)" if value == INF else "row 4, column 1 (category 1)"
    assert f"tensor `logits`, {where}: expected a finite number" in message


def replaced_logits(tensors: Tensors, dtype: torch.dtype) -> Tensors:
    return {**tensors, "logits": tensors["logits"].to(dtype)}


def test_the_background_column_is_named(tmp_path: Path) -> None:
    tensors = detection([2])
    tensors["logits"][1, 3] = NAN
    path = save(tmp_path / "logits.npz", tensors, DETECTION_METADATA)
    assert "row 1, column 3 (background): expected a finite number, found nan" in message_of(path, read=True)


def test_features_that_are_not_finite(tmp_path: Path) -> None:
    tensors = {**classification(5), "features": torch.zeros(5, 2)}
    tensors["features"][4, 1] = INF
    path = save(tmp_path / "logits.npz", tensors, CLASSIFICATION_METADATA)
    assert "tensor `features`, row 4, column 1: expected a finite number, found inf" in message_of(path, read=True)


def test_per_class_boxes_are_checked_when_they_are_read(tmp_path: Path) -> None:
    tensors = {**detection([2, 3]), "boxes": torch.zeros(5, 3, 4)}
    tensors["boxes"][4, 1, 0] = 8
    path = save(tmp_path / "logits.npz", tensors, DETECTION_METADATA)
    message = message_of(path, read=True)
    assert "`boxes`, row 4, class 1: expected finite x1 <= x2, y1 <= y2, found [8.0, 0.0, 0.0, 0.0]" in message


def shards(folder: Path, second: Tensors, metadata: dict[str, Any] | None = None, name: str = "b.safetensors") -> str:
    save(folder / "a.safetensors", detection([2, 3]), DETECTION_METADATA)
    save(folder / name, second, metadata)
    return message_of(folder)


def test_an_image_in_two_shards(tmp_path: Path) -> None:
    message = shards(tmp_path, detection([1, 2], first_id=2))
    assert "`image_id`, b.safetensors, row 0: expected all rows of an image together in one shard" in message
    assert "found image 2 again, which has rows from a.safetensors, row 2 on" in message


def test_a_shard_without_a_tensor(tmp_path: Path) -> None:
    tensors = detection([1], first_id=9)
    del tensors["boxes"]
    message = shards(tmp_path, tensors)
    assert (
        f"{tmp_path / 'b.safetensors'}: tensor `boxes`: expected float32 [N, 4], as in a.safetensors, found" in message
    )


def test_a_shard_with_an_additional_tensor(tmp_path: Path) -> None:
    tensors = {**detection([1], first_id=9), "objectness": torch.zeros(1)}
    assert "`objectness`: expected none, as in a.safetensors, found float32 [N]" in shards(tmp_path, tensors)


def test_a_shard_of_another_width(tmp_path: Path) -> None:
    tensors = {**detection([1], first_id=9), "logits": torch.zeros(1, 5).half()}
    assert "`logits`: expected float16 [N, 4], as in a.safetensors, found float16 [N, 5]" in shards(tmp_path, tensors)


def test_a_shard_of_another_type(tmp_path: Path) -> None:
    tensors = {**detection([1], first_id=9), "logits": torch.zeros(1, 4)}
    assert "`logits`: expected float16 [N, 4], as in a.safetensors, found float32 [N, 4]" in shards(tmp_path, tensors)


def test_a_shard_with_other_metadata(tmp_path: Path) -> None:
    message = shards(tmp_path, detection([1], first_id=9), {**DETECTION_METADATA, "head": "sigmoid"})
    assert (
        "metadata of b.safetensors, `head`: expected the value in metadata of a.safetensors (softmax), found" in message
    )


def test_a_shard_of_another_kind(tmp_path: Path) -> None:
    message = shards(tmp_path, detection([1], first_id=9), name="b.npz")
    assert "folder: expected shards of one kind, or text files of detections, found .npz and .safetensors" in message


def test_an_empty_folder(tmp_path: Path) -> None:
    assert "folder: expected shards of one kind, or text files of detections, found none" in message_of(tmp_path)


def test_a_path_to_nothing(tmp_path: Path) -> None:
    assert "file: expected a file that can be read, found No such file" in message_of(tmp_path / "logits")


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt", ".pth"])
@pytest.mark.parametrize("content", [b"", b"PK", b"not a file of this kind" * 100])
def test_files_of_other_kinds(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"logits{suffix}"
    path.write_bytes(content)
    assert "content" in message_of(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_files_that_were_cut_short(tmp_path: Path, suffix: str, share: float) -> None:
    path = save(tmp_path / f"logits{suffix}", detection([100]), DETECTION_METADATA)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert "content: expected a complete" in message_of(path)


def test_an_archive_with_damaged_content(tmp_path: Path) -> None:
    path = save(tmp_path / "logits.npz", {"logits": torch.arange(3000.0).reshape(1000, 3)}, CLASSIFICATION_METADATA)
    content = bytearray(path.read_bytes())
    content[6000] ^= 1
    path.write_bytes(content)
    assert "content: expected a complete .npz file, found Bad CRC-32" in message_of(path)


def test_arrays_of_objects(tmp_path: Path) -> None:
    path = tmp_path / "logits.npz"
    np.savez(path, logits=np.full((3, 4), None))
    assert "`logits`: expected float16 or bfloat16 or float32, found object" in message_of(path)


class Surprise:
    """Would write a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_a_pickle_never_runs(tmp_path: Path) -> None:
    made = tmp_path / "made"
    path = tmp_path / "logits.pt"
    torch.save({"logits": torch.zeros(2, 3), "metadata": Surprise(made)}, path)
    assert "expected arrays, tensors, and plain containers, found the object" in message_of(path)
    assert not made.exists()


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({0: torch.zeros(2, 3)}, "found 0: Tensor"),
        ({"logits": torch.zeros(2, 3), "metadata": "softmax"}, "with metadata str"),
        ({"logits": torch.zeros(2, 3).to_sparse()}, "found 'logits': a tensor without dense content"),
        ({"logits": torch.zeros(2, 3, device="meta")}, "found 'logits': a tensor without dense content"),
    ],
)
def test_pt_files_with_other_content(tmp_path: Path, content: Any, found: str) -> None:
    path = tmp_path / "logits.pt"
    torch.save(content, path)
    message = message_of(path)
    assert "content: expected a dict of tensors, and plain values as metadata" in message
    assert found in message
