"""What a file is, told by its first bytes and not by its name."""

from __future__ import annotations

import gzip
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import save_file

from longtail_cli.errors import InputError
from longtail_cli.files.outline import HEAD_BYTES, Container, outline_of

ENTRY = {"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}
LINES = json.dumps(ENTRY) + "\n" + json.dumps(ENTRY)


def _bytes(content: bytes | str) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content.encode() if isinstance(content, str) else content)


def _saved(save: Callable[..., None], *arrays: Any, **named: Any) -> bytes:
    file = io.BytesIO()
    save(file, *arrays, **named)
    return file.getvalue()


FILES: dict[str, tuple[Callable[[Path], object], Container, tuple[str, ...]]] = {
    "detections": (_bytes(json.dumps([ENTRY] * 2)), "json list", tuple(ENTRY)),
    "no detections": (_bytes("[]"), "json list", ()),
    "a byte order mark": (_bytes(b"\xef\xbb\xbf" + json.dumps([ENTRY]).encode()), "json list", tuple(ENTRY)),
    "lines": (_bytes(LINES), "json lines", tuple(ENTRY)),
    "one line": (_bytes(json.dumps(ENTRY) + "\n"), "json lines", tuple(ENTRY)),
    "annotations": (_bytes('{"images": [], "categories": []}'), "json object", ("images", "categories")),
    "a csv": (_bytes("image_id,score\n1,0.5\n"), "csv", ("image_id", "score")),
    "one column": (_bytes("label\n3\n"), "csv", ("label",)),
    "an image list": (_bytes("train/a.jpg 3\ntrain/b.jpg 4\n"), "text", ("train/a.jpg", "3")),
    "an array": (_bytes(_saved(np.save, np.zeros((3, 2)))), "npy", ("",)),
    "arrays": (_bytes(_saved(np.savez, a=np.zeros(2), b=np.ones(1))), "npz", ("a", "b")),
    "tensors": (lambda path: save_file({"a": torch.zeros(2)}, path), "safetensors", ("a",)),
    "a table": (lambda path: pq.write_table(pa.table({"a": [1], "b": ["x"]}), path), "parquet", ("a", "b")),
    "a tensor": (lambda path: torch.save({"logits": torch.zeros(2)}, path), "torch", ("logits",)),
    "a pickle": (lambda path: path.write_bytes(pickle.dumps([{"feats": 1}])), "pickle", ("feats",)),
}


@pytest.mark.parametrize("kind", FILES)
def test_the_content_tells_the_container(tmp_path: Path, kind: str) -> None:
    write, container, names = FILES[kind]
    path = tmp_path / "saved.bin"
    write(path)
    outline = outline_of(path)
    assert outline.container == container
    assert outline.names[: len(names)] == names


def test_a_compressed_file_is_looked_into(tmp_path: Path) -> None:
    path = tmp_path / "saved.json.gz"
    path.write_bytes(gzip.compress(json.dumps([ENTRY]).encode()))
    assert outline_of(path).first == ENTRY


def test_an_entry_longer_than_what_is_looked_at_shows_its_keys(tmp_path: Path) -> None:
    path = tmp_path / "saved.json"
    path.write_text(json.dumps([{"image_id": 1, "counts": "x" * HEAD_BYTES}]))
    assert outline_of(path).names == ("image_id", "counts")


def test_shapes_types_and_cells_are_told(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", logits=np.zeros((3, 2)))
    pq.write_table(pa.table({"a": [1], "b": ["x"]}), tmp_path / "b")
    (tmp_path / "c").write_text("image_id,score\n1,0.5\n")
    assert outline_of(tmp_path / "a.npz").first == {"logits": (3, 2)}
    assert outline_of(tmp_path / "b").first == {"a": "int64", "b": "string"}
    assert outline_of(tmp_path / "c").first == {"image_id": "1", "score": "0.5"}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_taken_apart_and_not_loaded(tmp_path: Path, protocol: int) -> None:
    path = tmp_path / "saved.pkl"
    path.write_bytes(pickle.dumps([{"boxes": np.zeros(2), "run": print}], protocol))
    outline = outline_of(path)
    assert outline.nesting == ("list", "dict")
    assert {"boxes", "run"} <= set(outline.names)
    assert any(name.endswith("print") for name in outline.globals)


def test_a_file_from_before_the_zip_archives_of_torch_is_taken_apart_too(tmp_path: Path) -> None:
    path = tmp_path / "saved.pth"
    torch.save([{"boxes": torch.zeros(2)}], path, _use_new_zipfile_serialization=False)
    outline = outline_of(path)
    assert (outline.container, outline.nesting) == ("pickle", ("list", "dict"))
    assert "boxes" in outline.names


def test_a_folder_shows_its_files(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("1")
    (tmp_path / "a.txt").write_text("1")
    assert outline_of(tmp_path).names == ("a.txt", "b.txt")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04cut", b"PAR1cut", b"\x93NUMPY\x01\x00"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "saved"
    path.write_bytes(content)
    with pytest.raises(InputError):
        outline_of(path)


@pytest.mark.parametrize("head", [b"\x80\x04", b"\xff" * 16 + b"{", (2**62).to_bytes(8, "little") + b"{", b"[[[", b"{"])
def test_any_other_bytes_have_some_outline(tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "saved"
    path.write_bytes(head)
    assert outline_of(path).first == {}
