"""Scores files: written block by block, completely or not at all."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtail_cli.errors import OutputError
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.files.logits.scores_writer import ScoresWriter

IDS = np.array([5, 2, 9])
SCORES = np.random.default_rng(0).random((7, 3), np.float32)
LOGITS = np.random.default_rng(1).random((7, 4), np.float32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "scores.npz"


@pytest.mark.parametrize("block", [1, 3, 7])
def test_blocks_become_one_array(path: Path, block: int) -> None:
    labels = np.arange(7) % 3
    with ScoresWriter(path, rows=7, category_id=IDS, labels=labels, logits_width=4) as out:
        for start in range(0, 7, block):
            out.append(SCORES[start : start + block], LOGITS[start : start + block])
    with np.load(path) as archive:
        assert {name: archive[name].tolist() for name in archive} == {
            "category_id": IDS.tolist(),
            "labels": labels.tolist(),
            "scores": SCORES.tolist(),
            "logits": LOGITS.tolist(),
        }
        assert (archive["scores"].dtype, archive["logits"].dtype) == (np.float32, np.float32)
    assert list(path.parent.iterdir()) == [path]


def test_it_opens_as_a_logits_file(path: Path) -> None:
    with ScoresWriter(path, rows=7, category_id=IDS) as out:
        out.append(SCORES)
    file = open_logits(path)
    assert (file.content, file.columns.category_id.tolist(), file.labels) == ("scores", IDS.tolist(), None)
    (batch,) = file.batches(7)
    assert batch.logits.tolist() == SCORES.tolist()


def test_columns_in_any_memory_order(path: Path) -> None:
    with ScoresWriter(path, rows=7, category_id=IDS) as out:
        out.append(np.asfortranarray(SCORES))
    with np.load(path) as archive:
        assert archive["scores"].tolist() == SCORES.tolist()


def test_no_rows(path: Path) -> None:
    with ScoresWriter(path, rows=0, category_id=IDS):
        pass
    assert open_logits(path).rows == 0


@pytest.mark.parametrize(
    ("calls", "width", "message"),
    [
        ([SCORES[:6]], None, "6 rows were written of 7"),
        ([SCORES, SCORES[:1]], None, "do not fit: row 7 of 7"),
        ([SCORES[:, :2]], None, "do not fit"),
        ([SCORES], 4, "pass logits with every block if logits_width is set"),
        ([(SCORES, LOGITS)], None, "pass logits with every block if logits_width is set"),
        ([(SCORES, LOGITS[:, :3])], 4, "do not fit 7 rows of 4"),
    ],
)
def test_rows_other_than_announced_are_refused(path: Path, calls: list[Any], width: int | None, message: str) -> None:
    def write() -> None:
        with ScoresWriter(path, rows=7, category_id=IDS, logits_width=width) as out:
            for call in calls:
                out.append(*(call if isinstance(call, tuple) else (call,)))

    with pytest.raises(ValueError, match=message):
        write()


def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match="No such file or directory"),
        ScoresWriter(tmp_path / "none" / "scores.npz", rows=0, category_id=IDS),
    ):
        pass


def test_append_needs_the_context(path: Path) -> None:
    with pytest.raises(ValueError, match="with ScoresWriter"):
        ScoresWriter(path, rows=7, category_id=IDS).append(SCORES)
