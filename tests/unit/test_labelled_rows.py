"""The rows of a classifier that something is fitted on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.workflow.labelled_rows import held_out_images, held_out_rows, labelled_rows
from longtail_cli.workflow.logit_batches import LOGITS_PER_BATCH
from longtail_cli.workflow.progress import no_progress

SOFTMAX = Declared("softmax", "none")


def test_all_rows_are_kept_in_the_precision_of_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    logits, features = torch.randn(50, 4).half(), torch.randn(50, 3).bfloat16()
    label = np.arange(50) % 4
    monkeypatch.setitem(LOGITS_PER_BATCH, "cpu", 28)  # seven rows
    file = open_logits({"logits": logits, "features": features, "labels": label}, SOFTMAX)
    rows = labelled_rows(file, label, ["logits", "features"], 0, no_progress)
    assert rows.logits is not None
    assert rows.features is not None
    assert torch.equal(rows.logits, logits)
    assert torch.equal(rows.features, features)
    assert rows.target.tolist() == label.tolist()


def test_classes_are_in_order_of_id() -> None:
    file = open_logits(
        {"logits": np.array([[1.0, 2.0, 3.0]], np.float32)}, Declared("softmax", "none", np.array([7, 2, 5]))
    )
    rows = labelled_rows(file, np.array([0]), ["logits"], 0, no_progress)
    assert rows.columns.category_id.tolist() == [2, 5, 7]
    assert rows.logits is not None
    assert rows.logits.tolist() == [[2, 3, 1]]
    assert rows.target.tolist() == [2]


def test_progress_goes_up_to_all_rows() -> None:
    told: list[tuple[str, float | None]] = []
    file = open_logits({"logits": np.zeros((9, 3), np.float32)}, SOFTMAX)
    labelled_rows(file, np.zeros(9, np.int64), ["logits"], 0, lambda task, share: told.append((task, share)))
    assert told[-1] == ("reading", 1.0)


def test_missing_features_are_refused() -> None:
    file = open_logits({"logits": np.zeros((2, 3), np.float32)}, SOFTMAX)
    with pytest.raises(InputError, match="`features`"):
        labelled_rows(file, np.zeros(2, np.int64), ["features"], 0, no_progress)


def test_numbers_that_are_not_finite_are_refused() -> None:
    file = open_logits({"logits": np.array([[0.0, 1.0], [np.nan, 0.0]], np.float32)}, SOFTMAX)
    with pytest.raises(InputError, match="row 1, column 0"):
        labelled_rows(file, np.zeros(2, np.int64), ["logits"], 0, no_progress)


def test_each_class_has_rows_on_both_sides() -> None:
    number = np.array([1, 2, 3, 4, 5, 7, 8, 12, 100])
    label = np.random.default_rng(0).permutation(np.repeat(np.arange(9), number))
    held_out = held_out_rows(label, 0)
    assert np.bincount(label[held_out], minlength=9).tolist() == [0, 1, 1, 1, 1, 1, 2, 2, 20]


def test_the_held_out_rows_depend_on_the_seed_alone() -> None:
    label = np.arange(100) % 3
    assert held_out_rows(label, 1).tolist() == held_out_rows(label, 1).tolist()
    assert held_out_rows(label, 1).tolist() != held_out_rows(label, 2).tolist()


def test_no_rows() -> None:
    assert held_out_rows(np.zeros(0, np.int64), 0).tolist() == []


@pytest.mark.parametrize(("images", "held"), [(0, 0), (1, 0), (2, 1), (4, 1), (5, 1), (10, 2), (103, 21)])
def test_a_fifth_of_the_images_is_held_out(images: int, held: int) -> None:
    assert held_out_images(np.zeros(images, np.int64), 0).sum() == held
