"""Digests of the rows of logits."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from logit_files import CLASSIFICATION_METADATA, classification, save

from longtail_cli.files.logits import digests
from longtail_cli.files.logits.digests import row_digests, rows_in
from longtail_cli.files.logits.reader import Declared, LogitsFile, open_logits


def opened(logits: torch.Tensor) -> LogitsFile:
    return open_logits({"logits": logits}, Declared("softmax", "none", None))


def digests_of(logits: torch.Tensor) -> list[int]:
    return row_digests(opened(logits)).tolist()


def plain(row: bytes) -> int:
    """The definition, word by word."""
    words = [int.from_bytes(row[at : at + 2], "little") for at in range(0, len(row), 2)]
    first, *factors = digests._factors(len(words)).tolist()
    return (first + sum(factor * word for factor, word in zip(factors, words, strict=True))) % 2**64


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_the_digest_is_that_of_the_bytes(dtype):
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0)).to(dtype)
    rows = logits.view(torch.uint8).numpy()
    assert digests_of(logits) == [plain(row.tobytes()) for row in rows]


def test_the_digests_never_change():
    assert digests_of(torch.tensor([[0.0, 0.0], [1.0, -1.0]])) == [9359622704514045107, 16642390646843760051]


def test_files_batches_and_memory_agree(tmp_path, monkeypatch):
    tensors = classification(20)
    expected = digests_of(tensors["logits"])
    monkeypatch.setattr(digests, "_BATCH", 7)
    for suffix in (".npz", ".safetensors", ".pt"):
        path = save(tmp_path / f"logits{suffix}", tensors, CLASSIFICATION_METADATA)
        assert row_digests(open_logits(path)).tolist() == expected


@given(st.lists(st.lists(st.sampled_from([0.0, -0.0, 0.5, 1.0, -1.0]), min_size=4, max_size=4), min_size=1))
def test_equal_rows_and_only_they_have_equal_digests(rows):
    logits = torch.tensor(rows)
    raw = [row.tobytes() for row in logits.numpy()]
    assert len(set(digests_of(logits))) == len(set(raw))


def test_every_row_that_is_known_counts():
    found = row_digests(opened(torch.tensor([[1.0, 2.0], [3.0, 4.0], [1.0, 2.0]])))
    assert rows_in(found, (int(found[0]),)) == 2
    assert rows_in(found, ()) == 0
    assert rows_in(np.zeros(0, np.uint64), (2**64 - 1,)) == 0
