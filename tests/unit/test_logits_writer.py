"""The writer that a test loop calls once per image: `open_logits` reads what was written."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError, LtcalError, OutputError
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.files.logits.writer import LogitsWriter

BOX = np.array([[1.0, 2, 3, 4]], np.float32)
ROW = np.array([[0.5, -1, 2, 0]], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "logits"


def writer(folder: Path, **options: Any) -> LogitsWriter:
    return LogitsWriter(folder, **{"head": "softmax", "background": "last", "category_ids": [3, 1, 7], **options})


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_what_is_written_is_read(folder: Path, dtype: Any) -> None:
    logits = {4: np.random.default_rng(0).normal(size=(3, 4)), 2: torch.ones(2, 4, requires_grad=True)}
    with writer(folder, dtype=dtype) as out:
        for image, rows in logits.items():
            boxes = np.repeat(BOX, len(rows), axis=0)
            out.append(rows, image_id=image, boxes=boxes, objectness=np.full(len(rows), 0.25), features=rows[:, :2])
    file = open_logits(folder)
    (batch,) = file.batches(100)
    expected = torch.cat([torch.as_tensor(rows).detach() for rows in logits.values()]).to(getattr(torch, dtype))
    assert torch.equal(batch.logits, expected)
    assert batch.image_id is not None
    assert batch.image_id.tolist() == [4, 4, 4, 2, 2]
    assert batch.boxes is not None
    assert batch.boxes.tolist() == BOX.tolist() * 5
    assert batch.objectness is not None
    assert batch.objectness.tolist() == [0.25] * 5
    assert batch.features is not None
    assert torch.equal(batch.features, expected[:, :2])
    assert file.columns.category_id.tolist() == out.columns.category_id.tolist() == [3, 1, 7]


def test_shards_of_a_given_size_hold_whole_images(folder: Path) -> None:
    with writer(folder, dtype="float32", shard_bytes=100) as out:
        for image in range(5):
            out.append(np.repeat(ROW, 2, axis=0), image_id=image, boxes=np.repeat(BOX, 2, axis=0))  # 80 bytes
    assert sorted(path.name for path in folder.iterdir()) == [f"logits-0000{i}.safetensors" for i in range(5)]
    assert open_logits(folder).images == 5


def test_images_without_proposals_have_no_rows(folder: Path) -> None:
    with writer(folder) as out:
        out.append(np.zeros((0, 4), np.float32), image_id=1, boxes=np.zeros((0, 4)))
        out.append(ROW, image_id=2, boxes=BOX)
        out.append(torch.zeros(0, 4), image_id=3, boxes=torch.zeros(0, 4))
    file = open_logits(folder)
    assert (file.rows, file.images) == (1, 1)


def test_no_proposals_at_all(folder: Path) -> None:
    with writer(folder) as out:
        out.append(np.zeros((0, 4), np.float32), image_id=1, boxes=np.zeros((0, 3, 4)))
    file = open_logits(folder)
    assert (file.rows, file.images, file.per_class_boxes) == (0, 0, True)


def test_a_classifier_in_batches(folder: Path) -> None:
    weight = np.arange(6.0).reshape(3, 2)
    with writer(folder, background="none", weight=weight) as out:
        out.append(np.zeros((4, 3)), labels=np.array([0, 2, 1, 0]), features=np.zeros((4, 2)))
        out.append(np.ones((1, 3)), labels=torch.tensor([2]), features=np.ones((1, 2)))
    file = open_logits(folder)
    assert file.labels is not None
    assert file.labels.tolist() == [0, 2, 1, 0, 2]
    assert file.classifier is not None
    assert file.classifier.tolist() == weight.tolist()


def test_slices_of_a_bags_head(folder: Path) -> None:
    with writer(folder, head="bags", background="none", category_ids=[1, 3, 7], slices=[[3], [1, 7]]) as out:
        out.append(np.zeros((1, 7)), image_id=1, boxes=BOX)
    columns = open_logits(folder).columns
    assert columns.bags == ((3,), (1, 7))
    assert columns.width == 7


def test_buffers_may_be_reused(folder: Path) -> None:
    rows = torch.ones(1, 4, dtype=torch.float16)
    boxes = BOX.copy()
    boxes.flags.writeable = False
    with writer(folder) as out:
        out.append(rows, image_id=1, boxes=boxes)
        rows += 1
        out.append(rows, image_id=2, boxes=boxes)
    (batch,) = open_logits(folder).batches(10)
    assert batch.logits[:, 0].tolist() == [1, 2]


def test_anyone_may_read_the_shards(folder: Path) -> None:
    with writer(folder) as out:
        out.append(ROW, image_id=1, boxes=BOX)
    plain = folder / "plain"
    plain.touch()
    assert next(folder.glob("*.safetensors")).stat().st_mode == plain.stat().st_mode


def test_an_exception_leaves_nothing(folder: Path) -> None:
    def interrupted() -> None:
        with writer(folder, shard_bytes=1) as out:
            out.append(ROW, image_id=1, boxes=BOX)
            out.append(ROW, image_id=2, boxes=BOX)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(folder.parent.iterdir()) == []


def test_a_folder_with_files_is_refused(folder: Path) -> None:
    folder.mkdir()
    with writer(folder) as out:  # an empty one is fine
        out.append(ROW, image_id=1, boxes=BOX)
    with pytest.raises(OutputError, match="a new or empty folder"):
        writer(folder)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="No such file or directory"), writer(tmp_path / "none" / "logits"):
        pass


def test_append_needs_the_context(folder: Path) -> None:
    with pytest.raises(ValueError, match="with LogitsWriter"):
        writer(folder).append(ROW, image_id=1, boxes=BOX)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"head": "argmax"}, "`head`: expected softmax, sigmoid or bags, found argmax"),
        ({"background": "middle"}, "`background`: expected none, first or last, found middle"),
        ({"category_ids": [3, 1, 3]}, "position 2: expected each id once, found 3, as at position 0"),
        ({"category_ids": []}, "category ids: expected at least one, found none"),
        ({"dtype": "float64"}, "dtype: expected float16 or bfloat16 or float32, found float64"),
        ({"slices": [[3, 1, 7]]}, "`slices`: expected none, unless the head is bags"),
        ({"head": "bags", "background": "none"}, "expected ascending order for a bags head"),
    ],
)
def test_heads_that_do_not_fit(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        writer(folder, **options)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            {"logits": ROW * 1e5},
            "row 0, column 1: expected a number within 65504 of 0, the range of float16, found -100000",
        ),
        ({"logits": ROW * np.nan}, "image 2: `logits`, row 0, column 0: expected a finite number, found nan"),
        ({"logits": ROW[0]}, "`logits`: expected 2 dimensions, found [4]"),
        ({"logits": ROW[:, :3]}, "`logits`: expected [1, 4], found [1, 3]"),
        ({"logits": ROW.astype(np.int64)}, "`logits`: expected floating-point numbers, found int64"),
        ({"boxes": None}, "expected `image_id` and `boxes` together, or neither, found only `image_id`"),
        ({"image_id": None}, "expected `image_id` and `boxes` together, or neither, found only `boxes`"),
        ({"boxes": np.repeat(BOX, 2, axis=0)}, "`boxes`: expected [1, 4] or [1, 3, 4], found [2, 4]"),
        ({"boxes": BOX[:, ::-1]}, "row 0: expected finite x1 <= x2, y1 <= y2, found [4.0, 3.0, 2.0, 1.0]"),
        ({"objectness": [1.5]}, "`objectness`, row 0: expected a number from 0 to 1, found 1.5"),
        ({"labels": [0]}, "expected `labels` for a classifier only"),
        ({"image_id": 1}, "image_id: expected each image once, found 1 again"),
        ({"features": np.ones((1, 2))}, "expected boxes [n, 4], image_id [n], logits [n, 4], as in the first call"),
    ],
)
def test_calls_that_do_not_fit(folder: Path, call: dict[str, Any], message: str) -> None:
    with writer(folder) as out:
        out.append(ROW, image_id=1, boxes=BOX)
        with pytest.raises(LtcalError) as error:
            out.append(**{"logits": ROW, "image_id": 2, "boxes": BOX, **call})
        out.append(ROW, image_id=3, boxes=BOX)
    assert message in str(error.value)
    assert open_logits(folder).rows == 2  # refused calls write nothing


def test_labels_are_indices(folder: Path) -> None:
    with writer(folder, background="none") as out:
        with pytest.raises(InputError, match="row 1: expected a class index from 0 to 2, in column order, found 7"):
            out.append(np.zeros((2, 3)), labels=[1, 7])
        out.append(np.zeros((2, 3)), labels=[1, 2])


def test_weights_that_do_not_fit_the_logits(folder: Path) -> None:
    with writer(folder, background="none", weight=np.ones((3, 5))) as out:
        with pytest.raises(
            InputError, match=r"`weight`: expected \[3, 2\], as for logits and features, found \[3, 5\]"
        ):
            out.append(np.zeros((1, 3)), features=np.zeros((1, 2)))
        out.append(np.zeros((1, 3)), features=np.zeros((1, 5)))


def test_nothing_appended(folder: Path) -> None:
    with pytest.raises(InputError, match="calls of append: expected at least one"), writer(folder):
        pass
    assert not folder.exists()
