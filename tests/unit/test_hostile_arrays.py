"""Arrays and tensors: damaged, odd, or much larger than the file that holds them."""

from __future__ import annotations

import gzip
import io
import tracemalloc
import zipfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from logit_files import CLASSIFICATION_METADATA, classification, save
from opened import held_fields, read_results

from longtail_cli.errors import InputError
from longtail_cli.files import source
from longtail_cli.files.labels import labels_from_array, read_labels
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.files.logits.reader import Declared, open_logits
from longtail_cli.tables import LogitColumns

MIB = 1 << 20


def npy(array: npt.NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def header(shape: tuple[int, ...], dtype: str) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": shape})
    return content.getvalue()


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return path


def zeros(path: Path, name: str, shape: tuple[int, ...], dtype: str) -> Path:
    """An archive of an array of zeros, compressed about a thousandfold."""
    left = int(np.prod(shape)) * np.dtype(dtype).itemsize
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        file.open(f"{name}.npy", "w", force_zip64=True) as member,
    ):
        member.write(header(shape, dtype))
        while left:
            left -= member.write(bytes(min(MIB, left)))
    return path


def message_of(read: Any, *arguments: Any) -> str:
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as error:
            read(*arguments)
        assert tracemalloc.get_traced_memory()[1] < 64 * MIB
    finally:
        tracemalloc.stop()
    return str(error.value)


def read_all(path: Path) -> list[torch.Tensor]:
    return [batch.logits for batch in open_logits(path).batches(2)]


def read_parameters(path: Path) -> None:
    read_learned(path, LogitColumns("softmax", "none", np.arange(3)))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "a tensor without dense content"),
        (lambda: torch.ones(2, 3).to_sparse(), "a tensor without dense content"),
        (lambda: torch.ones(2, 3, device="meta"), "a tensor without dense content"),
        (lambda: torch.ones(1, 1).expand(10**9, 3), "an expanded tensor"),
        (lambda: torch.complex(torch.ones(2, 3), torch.ones(2, 3)).conj(), "complex64"),
    ],
    ids=["nested", "sparse", "meta", "expanded", "conjugate"],
)
@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_tensors_that_are_no_logits(tmp_path: Path, make: Any, found: str) -> None:
    torch.save({"logits": make(), "metadata": CLASSIFICATION_METADATA}, tmp_path / "logits.pt")
    assert found in message_of(read_all, tmp_path / "logits.pt")


@pytest.mark.parametrize(
    "tensor", [torch._neg_view(torch.ones(2, 3)), torch.complex(torch.ones(2, 3), torch.ones(2, 3)).conj().imag]
)
def test_tensors_marked_as_negative_are_read_as_such(tmp_path: Path, tensor: torch.Tensor) -> None:
    torch.save({"logits": tensor, "metadata": CLASSIFICATION_METADATA}, tmp_path / "logits.pt")
    in_memory = open_logits({"logits": tensor}, Declared("softmax", "none"))
    for file in (open_logits(tmp_path / "logits.pt"), in_memory):
        (batch,) = file.batches(2)
        assert not batch.logits.is_neg()
        assert batch.logits.numpy().tolist() == [[-1.0] * 3] * 2


@pytest.mark.parametrize("cut", [b"\x8a\x10", b"G", b"M\xff", b"\x88\x00J"])
def test_a_damaged_pickle(tmp_path: Path, cut: bytes) -> None:
    whole = save(tmp_path / "whole.pt", classification(2), CLASSIFICATION_METADATA)
    for at in range(0, 60, 3):
        with zipfile.ZipFile(whole) as file:
            members = {name: file.read(name) for name in file.namelist()}
        (pickle,) = (name for name in members if name.endswith("data.pkl"))
        members[pickle] = members[pickle][:at] + cut
        message_of(read_all, archive(tmp_path / "logits.pt", members, zipfile.ZIP_STORED))


@pytest.mark.parametrize("compression", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("read", [read_all, read_labels, read_parameters])
def test_damaged_members(tmp_path: Path, read: Any, compression: int) -> None:
    array = npy(np.random.default_rng(0).random((50, 3), np.float32))
    path = archive(tmp_path / "arrays.npz", {"logits.npy": array}, compression)
    content = bytearray(path.read_bytes())
    content[60:120] = bytes(byte ^ 0x55 for byte in content[60:120])
    path.write_bytes(content)
    message_of(read, path)


@pytest.mark.parametrize("member", ["labels", "labels.npy"])
def test_members_that_are_no_arrays(tmp_path: Path, member: str) -> None:
    message_of(read_labels, archive(tmp_path / "labels.npz", {member: b"abc"}))
    message_of(read_parameters, archive(tmp_path / "learned.npz", {"alpha": b"abc", member: b"abc"}))


def test_more_columns_than_any_model_has(tmp_path: Path) -> None:
    """The header tells; with one row in a batch the columns alone would fill the memory."""
    path = zeros(tmp_path / "logits.npz", "logits", (1, 2_000_000), "<f4")
    assert "tensor `logits`: expected at most 1,000,000 columns" in message_of(read_all, path)
    tensors = {"logits": torch.zeros(1, 3), "features": torch.zeros(1, 2_000_000)}
    path = save(tmp_path / "features.pt", tensors, CLASSIFICATION_METADATA)
    assert "tensor `features`: expected at most 1,000,000 columns" in message_of(read_all, path)


@pytest.mark.parametrize("read", [read_labels, read_all, read_parameters])
def test_an_archive_that_unpacks_to_far_more(tmp_path: Path, monkeypatch: Any, read: Any) -> None:
    """Here beyond 16 MiB."""
    monkeypatch.setattr("longtail_cli.files.reading.UNPACKED_BYTES", 16 * MIB)
    path = zeros(tmp_path / "labels.npz", "labels", (4_000_000,), "<i8")
    message = message_of(read, path)
    assert "array `labels`: expected content that unpacks to at most 100 times its packed size" in message


def test_an_array_that_is_shorter_than_its_header_says(tmp_path: Path) -> None:
    (tmp_path / "labels.npy").write_bytes(header((10**12,), "<i8"))
    assert "has 0 bytes, but its header says shape [1000000000000]" in message_of(read_labels, tmp_path / "labels.npy")


@pytest.mark.parametrize("read", [lambda path: read_results(path, fields=frozenset()), read_labels])
def test_a_gzip_stream_that_unpacks_to_far_more(tmp_path: Path, monkeypatch: Any, read: Any) -> None:
    """Here beyond 16 MiB; what was unpacked until then is on disk, not in memory."""
    monkeypatch.setattr("longtail_cli.files.reading.UNPACKED_BYTES", 16 * MIB)
    path = tmp_path / "labels.txt.gz"
    path.write_bytes(gzip.compress(b"[" + bytes(b" " * 32 * MIB), 1))
    assert "unpacks to at most 100 times its packed size" in message_of(read, path)


def test_no_room_for_what_is_unpacked(tmp_path: Path, monkeypatch: Any) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(source.shutil, "disk_usage", lambda folder: usage(0, 0, 1000))
    path = tmp_path / "results.json.gz"
    path.write_bytes(gzip.compress(b"[]"))
    message = message_of(lambda: read_results(path, fields=frozenset()))
    assert "No space left on device" in message
    assert "set TMPDIR to a folder with more room" in message
    assert held_fields(path) == frozenset()


def test_one_large_label(tmp_path: Path) -> None:
    """There are as many classes as the largest label plus one."""
    (tmp_path / "labels.txt").write_text("a.jpg 0\nb.jpg 9999999\n")
    message = message_of(read_labels, tmp_path / "labels.txt")
    assert "label 2: expected at most 100,000 classes, or as many as there are labels (2)" in message
    assert "found 9999999, so 10,000,000 classes" in message


def test_as_many_classes_as_labels() -> None:
    assert len(labels_from_array([99_999]).categories.id) == 100_000
    assert len(labels_from_array(np.arange(100_001)).categories.id) == 100_001
    with pytest.raises(InputError, match="label 1: expected at most 100,000 classes"):
        labels_from_array([100_000])
