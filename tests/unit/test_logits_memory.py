"""Logits in memory: the same checks and the same rows as from a file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from logit_files import classification, detection

from longtail_cli.errors import InputError
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.methods.steps import ColumnAffine
from longtail_cli.workflow import logit_batches
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.progress import no_progress

SOFTMAX = Declared("softmax")
DETECTION = Declared("softmax", "last", np.array([3, 1, 7]))


def logits_of(file: LogitsFile, rows: int = 2) -> torch.Tensor:
    return torch.cat([batch.logits for batch in file.batches(rows)])


def message_of(arrays: dict[str, Any], declared: Declared = SOFTMAX, name: str = "logits") -> str:
    with pytest.raises(InputError) as error:
        list(open_logits(arrays, declared, name).batches(2))
    return str(error.value)


@pytest.mark.parametrize("convert", [lambda tensor: tensor, torch.Tensor.numpy], ids=["torch", "numpy"])
def test_detection(convert: Any) -> None:
    tensors = detection([2, 3, 1])
    tensors["objectness"] = torch.linspace(0, 1, 6)
    tensors["features"] = torch.arange(12.0).reshape(6, 2)
    arrays = {name: convert(tensor) for name, tensor in tensors.items()}
    file = open_logits({**arrays, "weight": np.zeros((4, 2)), "names": np.array(["a", "b"])}, DETECTION, "model")
    assert (file.source, file.rows, file.images, file.content) == ("model", 6, 3, "logits")
    assert (file.columns.head, file.columns.background) == ("softmax", "last")
    assert file.classifier is not None
    batches = list(file.batches(2))
    assert [len(batch) for batch in batches] == [2, 3, 1]
    for name, whole in tensors.items():
        assert [row for batch in batches for row in getattr(batch, name).tolist()] == whole.tolist(), name
    assert all(batch.logits.dtype == torch.float16 for batch in batches)


def test_classification_without_metadata_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file with the name of the arrays is ignored."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "logits.meta.json").write_text('{"head": "sigmoid"}')
    tensors = classification(5)
    file = open_logits({"logits": tensors["logits"].tolist(), "labels": tensors["labels"].tolist()}, SOFTMAX)
    assert (file.columns.head, file.columns.category_id.tolist(), file.images) == ("softmax", [0, 1, 2], None)
    assert file.labels is not None
    assert file.labels.tolist() == tensors["labels"].tolist()
    assert torch.equal(logits_of(file), tensors["logits"])


def test_rows_are_views_of_the_arrays() -> None:
    array, tensor = np.zeros((3, 2), np.float32), torch.zeros(3, 2, requires_grad=True)
    for held in (array, tensor):
        (batch,) = open_logits({"logits": held}, SOFTMAX).batches(3)
        pointer = held.ctypes.data if isinstance(held, np.ndarray) else held.data_ptr()
        assert batch.logits.data_ptr() == pointer
        assert not batch.logits.requires_grad


@pytest.mark.parametrize(
    "change",
    [
        lambda whole: whole.astype(np.float64),
        lambda whole: torch.tensor(whole, dtype=torch.float64),
        lambda whole: whole.astype(">f4"),
        lambda whole: whole[::-1].copy()[::-1],
        np.asfortranarray,
        lambda whole: np.frombuffer(whole.tobytes(), np.float32).reshape(whole.shape),  # read-only
    ],
    ids=["float64", "torch float64", "big-endian", "reversed", "Fortran order", "read-only"],
)
def test_any_type_and_memory_order(change: Any) -> None:
    whole = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    file = open_logits({"logits": change(whole)}, SOFTMAX)
    assert logits_of(file).dtype == torch.float32
    assert logits_of(file, 3).tolist() == whole.tolist()


def test_float64_is_rounded_to_float32() -> None:
    whole = np.random.default_rng(0).normal(size=(7, 3))
    assert logits_of(open_logits({"logits": whole}, SOFTMAX)).tolist() == whole.astype(np.float32).tolist()


def test_scores_pass_the_activation_unchanged() -> None:
    scores = torch.rand(5, 3, generator=torch.Generator().manual_seed(0))
    file = open_logits({"scores": scores, "category_id": [9, 4, 6], "labels": [0, 1, 2, 0, 1]})
    assert (file.content, file.columns.head, file.columns.background) == ("scores", "none", "none")
    assert file.columns.category_id.tolist() == [9, 4, 6]
    (batch,) = file.batches(5)
    assert activated(batch.logits, file.columns) is batch.logits
    out = torch.empty_like(scores)
    assert activated(batch.logits, file.columns, out=out) is out
    assert torch.equal(out, scores)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "logits: tensors: expected `logits`, found none"),
        ({"logits": [0.5]}, "logits: tensor `logits`: expected shape [N, K], K at least 1, found [1]"),
        ({"logits": [[1, 2]]}, "tensor `logits`: expected float16 or bfloat16 or float32, found int64"),
        ({"logits": [["a"]]}, "tensor `logits`: expected float16 or bfloat16 or float32, found NumPy's str"),
        ({"logits": [[1.0], [1.0, 2.0]]}, "logits: `logits`: expected an array, found rows of different lengths"),
        (
            {"logits": torch.zeros(2, 2).to_sparse()},
            "`logits`: expected an array, found a tensor without dense content",
        ),
        ({"logits": torch.zeros(2, 2, device="meta")}, "expected an array, found a tensor without dense content"),
        (
            {"logits": [[0.5, 1.5]], "labels": [2]},
            "row 0: expected a class index from 0 to 1, in column order, found 2",
        ),
        ({"logits": [[0.5, np.nan]]}, "tensor `logits`, row 0, column 1 (category 1): expected a finite number, found"),
        ({"logits": [[0.5, 1e300]]}, "row 0, column 1: expected a number within 3.4e+38 of 0, found 1e+300"),
        ({"logits": [[0.5]], "image_id": [0.5], "boxes": [[0.0] * 4]}, "`image_id`: expected int64 or int32"),
    ],
)
def test_arrays_that_do_not_fit(arrays: dict[str, Any], message: str) -> None:
    found = message_of(arrays)
    assert found.startswith("logits: ")
    assert message in found


def test_missing_metadata_are_parameters() -> None:
    boxes = {"logits": np.zeros((2, 3)), "image_id": np.zeros(2, int), "boxes": np.zeros((2, 4))}
    message = message_of(boxes, Declared(background="none", category_id=np.arange(3)), "val")
    assert message == (
        "val: metadata, `head`: expected softmax, sigmoid or bags, found none\n"
        "Fix: pass `head=` (softmax, sigmoid or bags)"
    )


def test_the_head_none_is_for_scores_only() -> None:
    message = message_of({"logits": np.zeros((2, 3))}, Declared("none"))
    assert "`head`: expected softmax, sigmoid or bags, found none" in message
    assert open_logits({"scores": np.zeros((2, 3))}, Declared("none")).columns.head == "none"


@pytest.mark.parametrize(("content", "head"), [("logits", "softmax"), ("logits", "sigmoid"), ("scores", "none")])
def test_arrays_stay_as_they_are(content: str, head: Any) -> None:
    """Batches are views, and adjusting them uses other memory."""
    held = torch.rand(7, 3, generator=torch.Generator().manual_seed(0))
    before = held.clone()
    file = open_logits({content: held}, Declared(head))
    columns, device = file.columns, torch.device("cpu")
    steps = [()] if head == "none" else [(), (ColumnAffine(np.array([1.0, 2, 3]), np.ones(3)),)]
    tasks = [(Adjuster(step, columns, device), lambda scores, *_: scores.add_(1).clone()) for step in steps]
    plain = torch.cat([found[0] for found in map_batches(file, tasks, device, no_progress)])
    assert torch.equal(held, before)
    assert torch.equal(plain, activated(held, columns) + 1)


def test_results_and_errors_come_in_file_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever thread finds an error first, the first in the file is raised, after the results before it."""
    monkeypatch.setitem(logit_batches.LOGITS_PER_BATCH, "cpu", 6)
    logits = np.zeros((600, 3))
    logits[200:, 1] = np.nan
    file, device = open_logits({"logits": logits}, SOFTMAX), torch.device("cpu")
    for _ in range(20):
        found = []
        tasks = [(Adjuster((), file.columns, device), lambda scores, columns, batch: batch.first)]
        with pytest.raises(InputError, match="row 200, column 1"):
            found.extend(first for (first,) in map_batches(file, tasks, device, no_progress))
        assert found == list(range(0, 200, 2))
