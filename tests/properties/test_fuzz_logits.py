"""Any logits file is either read unchanged or refused with a reason."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from logit_files import DETECTION_METADATA, detection, save

from longtail_cli.errors import InputError
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.files.logits.writer import LogitsWriter

changes = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 3), st.binary(max_size=3)), min_size=1, max_size=3)
many = settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
image_rows = st.lists(st.integers(0, 5), max_size=8)


def mutated(content: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Overwrite so many bytes at each position (a fraction of the length) with a token."""
    for fraction, dropped, token in changes:
        position = round(fraction * len(content))
        content = content[:position] + token + content[position + dropped :]
    return content


def refusal(path: Path, rows: int) -> str | None:
    """Read everything, batch by batch; the error if the file is refused, otherwise None."""
    seen: set[int] = set()
    try:
        file = open_logits(path)
        for batch in file.batches(rows):
            assert torch.isfinite(batch.logits).all()
            if batch.boxes is None or batch.image_id is None:  # a damaged directory can lose members
                assert file.images is None
                continue
            assert np.isfinite(batch.boxes).all()
            images = set(batch.image_id.tolist())
            assert not images & seen
            seen |= images
    except InputError as error:
        return str(error)
    assert len(seen) == (file.images or 0)
    return None


def check_read_or_refused(path: Path) -> None:
    message = refusal(path, 2)
    assert message is None or (message.startswith(str(path.parent)) and "Fix: " in message)


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pt"])
@many
@given(changes=changes)
def test_damaged_files_are_read_or_refused(
    tmp_path: Path, suffix: str, changes: list[tuple[float, int, bytes]]
) -> None:
    path = save(tmp_path / f"logits{suffix}", detection([2, 0, 3]), DETECTION_METADATA)
    path.write_bytes(mutated(path.read_bytes(), changes))
    check_read_or_refused(path)


@many
@given(changes=changes)
def test_damaged_headers_of_safetensors(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    """The length before the header is corrected, so that the damage reaches its fields."""
    path = save(tmp_path / "logits.safetensors", detection([2, 0, 3]), DETECTION_METADATA)
    content = path.read_bytes()
    end = 8 + int.from_bytes(content[:8], "little")
    header = mutated(content[8:end], changes)
    path.write_bytes(len(header).to_bytes(8, "little") + header + content[end:])
    check_read_or_refused(path)


@pytest.mark.parametrize("suffix", [".npz", ".pt"])
@many
@given(changes=changes, chosen=st.integers(0, 20))
def test_damaged_members_of_archives(
    tmp_path: Path, suffix: str, changes: list[tuple[float, int, bytes]], chosen: int
) -> None:
    """The archive itself is intact, so that the damage reaches array headers and pickles."""
    path = save(tmp_path / f"logits{suffix}", detection([2, 0, 3]), DETECTION_METADATA)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = list(members)[chosen % len(members)]
    # most of a member is content, which may be anything: change its beginning
    members[name] = mutated(members[name][:200], changes) + members[name][200:]
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    path.write_bytes(packed.getvalue())
    check_read_or_refused(path)


@many
@given(changes=changes)
def test_damaged_sidecars(tmp_path: Path, changes: list[tuple[float, int, bytes]]) -> None:
    path = save(tmp_path / "logits.npz", detection([2, 0, 3]))
    path.with_suffix(".meta.json").write_bytes(mutated(json.dumps(DETECTION_METADATA).encode(), changes))
    check_read_or_refused(path)


@many
@given(
    images=image_rows, rows=st.integers(1, 12), shard_bytes=st.integers(1, 400), suffix=st.sampled_from(["npz", "pt"])
)
def test_rows_are_the_same_however_they_are_cut(
    tmp_path_factory: pytest.TempPathFactory, images: list[int], rows: int, shard_bytes: int, suffix: str
) -> None:
    """One file or many shards, large batches or small ones."""
    folder = tmp_path_factory.mktemp("cut")
    tensors = detection(images)
    whole = save(folder / f"logits.{suffix}", tensors, DETECTION_METADATA)
    with LogitsWriter(
        folder / "shards", head="softmax", background="last", category_ids=[3, 1, 7], shard_bytes=shard_bytes
    ) as out:
        for image in range(1, len(images) + 2):  # the last one has no rows
            own = tensors["image_id"] == image
            out.append(tensors["logits"][own], image_id=image, boxes=tensors["boxes"][own])
    for path in (whole, folder / "shards"):
        file = open_logits(path)
        batches = list(file.batches(rows))
        assert [row for batch in batches for row in batch.logits.tolist()] == tensors["logits"].tolist()
        assert all(len(batch) <= max(rows, *images) for batch in batches)
        assert refusal(path, rows) is None
