"""A reader returns a table or raises InputError for any damaged file."""

import dataclasses
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opened import read_annotations, read_occurrences

from longtail_cli.errors import InputError
from longtail_cli.files.annotations.columns import ImageEntry
from longtail_cli.files.annotations.lists import read_lists
from longtail_cli.files.frequencies import frequencies_csv, read_frequencies, write_frequencies
from longtail_cli.files.labels import read_labels
from longtail_cli.tables import FrequencyTable

IMAGES = [
    {"id": i, "width": 8, "height": 6, "neg_category_ids": [2], "not_exhaustive_category_ids": []} for i in (3, 0)
]
CATEGORIES = [{"id": c, "name": f"c{c}", "frequency": "r", "image_count": 1, "instance_count": 2} for c in (2, 1)]
OBJECT = {"image_id": 3, "category_id": 1, "bbox": [1, 1, 3.5, 2], "area": 6.5, "iscrowd": 0}
MASKS = [
    [[1, 1, 5, 1, 5, 5], [0, 0, 3, 0, 0, 3.5]],
    {"size": [6, 8], "counts": [7, 4, 37]},
    {"size": [6, 8], "counts": "74U1"},
]
ANNOTATIONS = [{"id": number, **OBJECT, "segmentation": mask} for number, mask in enumerate(MASKS)]
LVIS = json.dumps({"images": IMAGES, "categories": CATEGORIES, "annotations": ANNOTATIONS}).encode()

PIECES = [
    *(b"%c" % byte for byte in b'0123456789-+.eE"\\{}[],: \n\0\xff'),
    *(b"NaN", b"-Infinity", b"1e999", b"null", b"true", b"[[[[", b'"id"', b'"\\ud800"', b"9" * 25, b"\xef\xbb\xbf"),
]


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """`content` with some pieces inserted, overwritten or cut out, and perhaps the end missing."""
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(content)))
        piece = draw(st.sampled_from(PIECES))
        kept = at + draw(st.sampled_from([0, 0, 1, len(piece), 7]))
        content = content[:at] + draw(st.sampled_from([piece, piece, b""])) + content[kept:]
    return content[: draw(st.integers(0, len(content)))] if draw(st.integers(0, 9)) == 0 else content


def try_to_read(read: Callable[[Path], object], path: Path, content: bytes) -> None:
    path.write_bytes(content)
    message = f"{path}\nFix: "
    try:
        read(path)
    except InputError as error:
        message = str(error)
    assert str(path) in message
    assert "Fix: " in message


def read_with_masks(path: Path) -> object:
    return read_annotations(path, masks=True)


many = settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
some = settings(many, max_examples=150)


def test_the_undamaged_file_is_valid(tmp_path: Path) -> None:
    (tmp_path / "val.json").write_bytes(LVIS)
    masks = read_annotations(tmp_path / "val.json", masks=True).masks
    assert masks is not None
    assert len(masks) == 3


def bits(table: Any) -> Any:
    """A table with bytes in place of arrays, or a tuple of such."""
    if dataclasses.is_dataclass(table):
        return [bits(getattr(table, field.name)) for field in dataclasses.fields(table)]
    if isinstance(table, tuple):
        return list(map(bits, table))
    return (str(table.dtype), table.shape, table.tobytes()) if isinstance(table, np.ndarray) else table


def outcome(read: Callable[[Path], object], path: Path) -> Any:
    try:
        return bits(read(path))
    except InputError as error:
        return str(error)


@many
@given(content=damaged(LVIS), read=st.sampled_from([read_annotations, read_with_masks, read_occurrences]))
def test_the_engine_reads_what_msgspec_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, read: Callable[[Path], object]
) -> None:
    path = tmp_path / "val.json"
    path.write_bytes(content)
    found = outcome(read, path)
    with monkeypatch.context() as patch:
        patch.setattr("longtail_cli.files.annotations.reader.read_lists", lambda *_, **__: None)
        assert found == outcome(read, path)


def test_the_engine_reads_files_as_they_are() -> None:
    for kinds in ({}, {"masks": True}, {"counting": True}):
        assert read_lists(bytearray(LVIS), ImageEntry, **kinds) is not None


@many
@given(content=damaged(LVIS), read=st.sampled_from([read_annotations, read_with_masks, read_occurrences]))
def test_annotations(tmp_path: Path, content: bytes, read: Callable[[Path], object]) -> None:
    try_to_read(read, tmp_path / "val.json", content)


@pytest.mark.parametrize("read", [read_annotations, read_with_masks, read_occurrences])
def test_every_truncation_of_annotations(tmp_path: Path, read: Callable[[Path], object]) -> None:
    for end in range(1, len(LVIS)):
        (tmp_path / "val.json").write_bytes(LVIS[:end])
        with pytest.raises(InputError):
            read(tmp_path / "val.json")


@pytest.mark.parametrize("value", [None, True, -1, 2**64, 1.5, "x", [], [[]], {}, {"size": []}])
def test_every_value_replaced(tmp_path: Path, value: object) -> None:
    for kind, entry in (("images", IMAGES[0]), ("categories", CATEGORIES[0]), ("annotations", ANNOTATIONS[0])):
        for field in entry:
            document = json.loads(LVIS)
            document[kind][0][field] = value
            try_to_read(read_with_masks, tmp_path / "val.json", json.dumps(document).encode())


TABLE = FrequencyTable(np.array([1, 5]), ("a, b", "c"), np.array([3, 9]), np.array([4, 9]), ("r", "r"), num_images=12)


@some
@given(content=damaged(frequencies_csv(TABLE, {}).encode()))
def test_frequencies_as_csv(tmp_path: Path, content: bytes) -> None:
    try_to_read(read_frequencies, tmp_path / "freq.csv", content)


@pytest.mark.parametrize("suffix", [".json", ".parquet"])
@some
@given(data=st.data())
def test_frequencies_in_other_formats(tmp_path: Path, suffix: str, data: st.DataObject) -> None:
    sound = tmp_path / f"sound{suffix}"
    sound.unlink(missing_ok=True)
    write_frequencies(TABLE, sound, {})
    content = data.draw(damaged(sound.read_bytes()))
    try_to_read(read_frequencies, tmp_path / f"freq{suffix}", content)


@some
@given(content=damaged(b"a.jpg 1\nb c.jpg 0\n"), suffix=st.sampled_from([".txt", ".csv", ".npy"]))
def test_label_lists(tmp_path: Path, content: bytes, suffix: str) -> None:
    try_to_read(read_labels, tmp_path / f"train{suffix}", content)


def saved(save: Callable[..., None], **arrays: np.ndarray) -> bytes:
    file = io.BytesIO()
    save(file, **arrays)
    return file.getvalue()


@pytest.mark.filterwarnings("ignore:Reading .* required additional header parsing:UserWarning")  # NumPy's warning
@some
@given(data=st.data())
def test_label_arrays(tmp_path: Path, data: st.DataObject) -> None:
    labels = np.arange(5)
    sound = [saved(np.save, arr=labels), saved(np.savez, labels=labels), saved(np.savez_compressed, labels=labels)]
    try_to_read(read_labels, tmp_path / "train.npy", data.draw(damaged(data.draw(st.sampled_from(sound)))))
