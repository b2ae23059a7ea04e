"""Several processes write to one folder: what they leave, and what a reader makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError, OutputError, UsageError
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.files.logits.writer import LogitsWriter

IDS = [3, 1, 7]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logits"


def logits_of(image: int) -> torch.Tensor:
    """[n, 4], n from 1 to 3; the same for an image in every process."""
    return torch.randn(1 + image % 3, 4, generator=torch.Generator().manual_seed(image))


def opened(folder: Path, rank: int | None = None, world_size: int | None = None, **options: Any) -> LogitsWriter:
    known = {"head": "softmax", "background": "last", "category_ids": IDS, "dtype": "float32"}
    return LogitsWriter(folder, **{**known, **options}, rank=rank, world_size=world_size)


def write(folder: Path, images: Sequence[int], *ranks: int | None, **options: Any) -> None:
    with opened(folder, *ranks, **options) as writer:
        for image in images:
            rows = logits_of(image)
            boxes = np.repeat([[1.0, 2, 3, 4 + image]], len(rows), axis=0)
            writer.append(rows, image_id=image, boxes=boxes)


def by_image(file: LogitsFile) -> dict[int, tuple[Any, ...]]:
    """Logits and boxes of each image."""
    found: dict[int, tuple[Any, ...]] = {}
    for batch in file.batches(1):
        assert batch.image_id is not None
        assert batch.boxes is not None
        found[int(batch.image_id[0])] = (batch.logits.tolist(), batch.boxes.tolist())
    return found


def test_two_processes_write_what_one_writes(folder: Path, tmp_path: Path) -> None:
    """As a DistributedSampler hands out 7 images: in turns, and the first one again, so that both have four."""
    shares = ([0, 2, 4, 6], [1, 3, 5, 0])
    code = (
        "import sys; from pathlib import Path; import torch.distributed as dist\n"
        "sys.path.insert(0, sys.argv[1]); from test_logits_ranks import write\n"
        "dist.init_process_group('gloo', init_method='file://' + sys.argv[2], rank=int(sys.argv[3]), world_size=2)\n"
        "write(Path(sys.argv[4]), eval(sys.argv[5]))\n"
        "dist.barrier(); dist.destroy_process_group()\n"
    )
    arguments = [sys.executable, "-c", code, str(Path(__file__).parent), str(tmp_path / "meeting")]
    running = [
        subprocess.Popen([*arguments, str(rank), str(folder), repr(images)]) for rank, images in enumerate(shares)
    ]
    assert [one.wait(60) for one in running] == [0, 0]
    assert not list(tmp_path.glob(".ltcal-*"))

    write(tmp_path / "alone", range(7))
    merged, alone = open_logits(folder), open_logits(tmp_path / "alone")
    assert by_image(merged) == by_image(alone)
    assert (merged.rows, merged.images) == (alone.rows, alone.images)
    assert merged.notes == ("1 image written by two processes, with the same rows, counted once",)
    assert merged.columns.category_id.tolist() == IDS


def test_the_files_of_the_ranks(folder: Path) -> None:
    write(folder, [4, 5], 1, 2, shard_bytes=1)
    write(folder, [], 0, 2)
    names = sorted(one.name for one in folder.iterdir())
    assert names == [
        "meta.json",
        "rank00000.json",
        "rank00001-00000.safetensors",
        "rank00001-00001.safetensors",
        "rank00001.json",
    ]
    assert json.loads((folder / "meta.json").read_text()) == {
        "format": "ltcal-logits/1",
        "head": "softmax",
        "background": "last",
        "category_ids": IDS,
        "world_size": 2,
        "shards": names[2:4],
    }
    assert open_logits(folder).images == 2


def test_a_process_alone_writes_as_ever(folder: Path) -> None:
    write(folder, [1], 0, 1)
    assert [one.name for one in folder.iterdir()] == ["logits-00000.safetensors"]


def test_ranks_that_did_not_finish_are_named(folder: Path) -> None:
    write(folder, [1], 1, 4)

    def interrupted() -> None:
        with opened(folder, 2, 4) as writer:
            writer.append(logits_of(2), image_id=2, boxes=np.zeros((3, 4)))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(InputError, match="what all 4 ranks wrote, found nothing complete of rank 0, 2, 3"):
        open_logits(folder)
    assert not (folder / "meta.json").exists()


def test_a_rank_that_was_killed_while_its_files_got_their_names(folder: Path) -> None:
    write(folder, [1], 0, 2)
    write(folder, [2], 1, 2)
    (folder / "rank00001.json").unlink()
    with pytest.raises(InputError, match="nothing complete of rank 1"):
        open_logits(folder)


def test_shards_that_got_lost_or_were_added(folder: Path) -> None:
    write(folder, [1, 2], 0, 2, shard_bytes=1)
    write(folder, [5], 1, 2)
    lost = folder / "rank00000-00001.safetensors"
    content = lost.read_bytes()
    lost.unlink()
    with pytest.raises(InputError, match="the shards that its ranks list, found no `rank00000-00001"):
        open_logits(folder)
    lost.write_bytes(content)
    (folder / "extra.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="found also `extra"):
        open_logits(folder)


def test_other_rows_of_an_image_in_another_rank_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(folder, [1, 2], 0, 2)
    monkeypatch.setattr(f"{__name__}.logits_of", lambda image: torch.zeros(1 + image % 3, 4))
    write(folder, [3, 2], 1, 2)
    message = (
        "image 2: expected in rank00001-00000.safetensors the rows that it has in rank00000-00000.safetensors, "
        "found others.*Subset"
    )
    with pytest.raises(InputError, match=f"(?s){message}"):
        open_logits(folder)


def test_an_image_of_three_ranks_counts_once(folder: Path) -> None:
    for rank, images in enumerate([[9, 1], [2, 9, 3, 1], [9]]):
        write(folder, images, rank, 3)
    file = open_logits(folder)
    assert by_image(file) == {image: by_image(file)[image] for image in (9, 1, 2, 3)}
    assert (file.images, file.rows) == (4, 1 + 2 + 3 + 1)
    assert file.notes == ("3 images written by two processes, with the same rows, counted once",)
    path, row = file.location(file.rows - 1)  # image 3, whose rows come after those of image 9
    assert (path.name, row) == ("rank00001-00000.safetensors", 4)


def test_folders_of_other_runs(folder: Path) -> None:
    write(folder, [1], 0, 2)
    with pytest.raises(OutputError, match="other ranks than 0, found `rank00000-00000"):
        write(folder, [2], 0, 2)
    write(folder, [2], 1, 3)
    with pytest.raises(InputError, match="started together, found those of 2 and 3 processes"):
        open_logits(folder)
    write(folder.with_name("alone"), [1])
    with pytest.raises(OutputError, match="found `logits-00000"):
        write(folder.with_name("alone"), [2], 1, 2)


@pytest.mark.parametrize(("rank", "world_size"), [(0, None), (None, 2), (2, 2), (-1, 2), (0, 0), (0, 10**9)])
def test_ranks_that_cannot_be(folder: Path, rank: int | None, world_size: int | None) -> None:
    with pytest.raises(UsageError, match="a rank from 0 to below the world size"):
        write(folder, [1], rank, world_size)


@pytest.mark.parametrize("text", ["", "{}", "[" * 10_000, '{"rank": 0, "world_size": 1e9, "shards": []}'])
def test_damaged_manifests(folder: Path, text: str) -> None:
    write(folder, [1], 0, 2)
    (folder / "rank00001.json").write_text(text)
    with pytest.raises(InputError, match=r"rank00001\.json"):
        open_logits(folder)


def test_ranks_of_a_classifier(folder: Path) -> None:
    for rank in (1, 0):
        with opened(folder, rank, 2, background="none") as writer:
            writer.append(np.full((2, 3), rank, np.float32), labels=np.array([rank, 2]))
    file = open_logits(folder)
    assert file.labels is not None
    assert file.labels.tolist() == [0, 2, 1, 2]
