"""Outputs of query models as rows: which columns are which, and blocks that do not end with an image."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from longtail_cli.errors import InputError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.logits.metadata import Declared, Metadata
from longtail_cli.files.logits.queries import query_rows
from longtail_cli.files.logits.query_batches import query_arrays
from longtail_cli.files.logits.query_columns import QueryColumns, columns_of_categories
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.files.logits.shards import MemoryShard, Shard
from longtail_cli.tables import DataSet

IMAGES, QUERIES = 5, 4


def data_set(ids: list[int]) -> DataSet:
    images = np.arange(IMAGES) * 3 + 1
    return DataSet(images, np.full((IMAGES, 2), 10, np.int32), np.array(ids, np.int64), "val.json")


def meaning(width: int, ids: list[int], stated: Metadata | None = None, last_wins: bool = True) -> QueryColumns:
    return columns_of_categories(width, stated or Metadata(), data_set(ids), "queries", lambda: last_wins)


@pytest.mark.parametrize(
    ("width", "ids", "words"),
    [
        (4, [2, 5, 9], "a softmax with the background last, 3 classes in order of the category ids"),
        (3, [2, 5, 9], "a sigmoid without background, 3 classes in order of the category ids"),
        (11, [2, 5, 9], "a softmax with the background last, 3 classes numbered by category id"),
        (10, [2, 5, 9], "a sigmoid without background, 3 classes numbered by category id"),
        (3, [0, 1, 2], "a sigmoid without background, 3 classes in order of the category ids"),
        (3, [-4, 1, 2], "a sigmoid without background, 3 classes in order of the category ids"),
    ],
)
def test_the_number_of_columns_tells_the_head(width: int, ids: list[int], words: str) -> None:
    assert meaning(width, ids).words == words


def test_a_background_is_the_largest_of_most_queries() -> None:
    """With ids from 1, one column more than categories may be column 0 of a sigmoid that is numbered by id."""
    assert meaning(4, [1, 2, 3], last_wins=True).head == "softmax"
    found = meaning(4, [1, 2, 3], last_wins=False)
    assert (found.head, found.classes) == ("sigmoid", (1, 2, 3))
    assert meaning(4, [1, 2, 3], Metadata(head="softmax"), last_wins=False).classes is None


@pytest.mark.parametrize(
    ("width", "stated", "classes"),
    [
        (20, Metadata(head="sigmoid"), (2, 5, 9)),
        (4, Metadata(head="softmax", background="first"), None),
        (11, Metadata(background="first"), (3, 6, 10)),
    ],
)
def test_what_is_stated_decides(width: int, stated: Metadata, classes: tuple[int, ...] | None) -> None:
    found = meaning(width, [2, 5, 9], stated)
    assert found.classes == classes
    assert stated.head in (None, found.head)
    assert stated.background in (None, found.background)


@pytest.mark.parametrize(
    ("width", "ids", "stated"),
    [(20, [2, 5, 9], None), (9, [-1, 8], None), (20, [2, 5, 9], Metadata(head="softmax", background="none"))],
)
def test_columns_that_fit_nothing(width: int, ids: list[int], stated: Metadata | None) -> None:
    with pytest.raises(InputError, match=f"expected {len(ids) + 1} or {len(ids)} columns.*found {width} columns"):
        meaning(width, ids, stated)


def arrays(**more: Any) -> dict[str, Any]:
    random = np.random.default_rng(0)
    logits = random.normal(size=(IMAGES, QUERIES, 4)).astype(np.float32)
    return {"logits": logits, "pred_boxes": random.random((IMAGES, QUERIES, 4), np.float32), **more}


def rows_of(shard: Shard) -> Shard:
    (found,) = query_rows([shard], Metadata(), lambda: data_set([2, 5, 9]), {}, "queries").shards
    return found


@pytest.mark.parametrize("ends", [[20], [1, 20], [3, 4, 5, 11, 20], [*range(1, 21)]])
def test_blocks_may_cut_images(ends: list[int]) -> None:
    shard, names = rows_of(MemoryShard.open(arrays(), "queries")), ["logits", "image_id", "boxes"]
    (whole,) = shard.blocks(names, [20])
    sizes = [end - begin for begin, end in pairwise([0, *ends])]
    parts = list(shard.blocks(names, sizes))
    assert [len(part["boxes"]) for part in parts] == sizes
    for name in names:
        assert torch.equal(torch.cat([part[name] for part in parts]), whole[name])
    assert whole["image_id"].tolist() == [id_ for id_ in (1, 4, 7, 10, 13) for _ in range(QUERIES)]


def test_memory_that_is_used_again_for_each_block() -> None:
    shard = rows_of(MemoryShard.open(arrays(), "queries"))
    (whole,) = shard.blocks(["logits"], [20])
    memory = torch.empty(1000)
    blocks = shard.blocks(["logits"], [7, 6, 7], lambda shape, _: memory[: int(np.prod(shape))].view(shape))
    assert torch.equal(torch.cat([block["logits"].clone() for block in blocks]), whole["logits"])


def test_float64_becomes_float32_and_half_stays() -> None:
    def dtype(kind: str) -> torch.dtype:
        (batch,) = open_logits(
            arrays(logits=arrays()["logits"].astype(kind)), data_set=lambda: data_set([2, 5, 9])
        ).batches(99)
        return batch.logits.dtype

    assert (dtype("f8"), dtype("f4"), dtype("f2")) == (torch.float32, torch.float32, torch.float16)


def test_no_images() -> None:
    sizes = {"image_id": np.zeros(0, np.int64), "orig_size": np.zeros((0, 2), np.int64)}
    empty = {name: one[:0] for name, one in arrays().items()} | sizes
    file = open_logits(empty, Declared(category_id=np.array([2, 5, 9])))
    assert (file.rows, file.images, file.columns.head, list(file.batches(1))) == (0, 0, "softmax", [])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"logits": np.zeros((IMAGES, 0, 4), np.float32), "pred_boxes": np.zeros((IMAGES, 0, 4), np.float32)},
            "one query",
        ),
        ({"logits": np.zeros((IMAGES, QUERIES, 4), np.int64)}, "tensor `logits`: expected .*float32.*found int64"),
        ({"image_id": np.zeros(IMAGES)}, "tensor `image_id`: expected int64.*found float64"),
        ({"image_id": np.zeros((IMAGES, 2), np.int64)}, r"shape \[5\] or \[5, 1\], found \[5, 2\]"),
        ({"orig_size": np.full((IMAGES, 2), np.inf)}, r"height and a width above 0, found \[inf, inf\]"),
        ({"pred_boxes": np.full((IMAGES, QUERIES, 4), np.nan, np.float32)}, "image 0, query 0: expected centre, width"),
        ({"pred_boxes": np.full((IMAGES, QUERIES, 4), -0.1, np.float32)}, "image 0, query 0: expected centre, width"),
        ({"pred_boxes": np.full((IMAGES, QUERIES, 4), 2.5, np.float32)}, "image 0, query 0: expected centre, width"),
    ],
)
def test_arrays_that_cannot_be(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        open_logits(arrays(**changes), data_set=lambda: data_set([2, 5, 9]))


@pytest.mark.parametrize(
    "content",
    [
        [],
        (),
        {},
        None,
        [[]],
        [{}],
        {"logits": []},
        [np.zeros((2, 3))],
        {"logits": np.zeros((2, 3)), "labels": np.zeros(2)},
        (np.zeros((2, 3)), np.zeros(2), {"test_loss": 0.1}),
        [(np.zeros((2, 3, 4)), np.zeros((2, 4, 4)))],
    ],
)
def test_other_content_is_left_to_others(content: object) -> None:
    assert query_arrays(content, "file") is None


def test_what_annotations_list() -> None:
    """In file order, unlike the images of a `GroundTruth`."""
    images = [{"id": 9, "height": 3, "width": 4}, {"id": 2}]
    with open_annotations({"images": images, "categories": [{"id": 7}, {"id": 5}], "annotations": []}) as file:
        listed, read = file.data_set(), DataSet.of(file.read())
    for one in (listed, read):
        assert one.image_id.tolist() == [9, 2]
        assert one.image_size.tolist() == [[3, 4], [0, 0]]
        assert one.category_id.tolist() == [5, 7]


@pytest.mark.parametrize("section", ["images", "categories"])
def test_annotations_that_list_nothing_or_something_twice(section: str) -> None:
    document: dict[str, Any] = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    for entries, message in (([], "at least one entry"), ([{"id": 1}, {"id": 1}], "a unique id")):
        with open_annotations({**document, section: entries}) as file, pytest.raises(InputError, match=message):
            file.data_set()
