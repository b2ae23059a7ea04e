"""Decoding against its plain-loop twin, including ties."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from decode_twins import decoded as twin
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.decode.decoding import Decoded, _from_pairs, _from_scores, _pairs, decode, joined
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.errors import UsageError
from longtail_cli.methods.apply import activated
from longtail_cli.tables import LogitColumns, Logits


@st.composite
def batches(draw: st.DrawFn) -> tuple[Logits, LogitColumns]:
    """A few images with few different logits and boxes on a coarse grid, for many ties and equal IoUs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    per_image = draw(st.lists(st.integers(1, 12), max_size=4))
    classes, rows = draw(st.integers(1, 5)), sum(per_image)
    head = draw(st.sampled_from(["softmax", "sigmoid"]))
    background = draw(st.sampled_from(["none", "first", "last"])) if head == "softmax" else "none"
    columns = LogitColumns(head, background, rng.permutation(50)[:classes].astype(np.int64))
    logits = rng.integers(-2, 3, (rows, columns.width or 0)) / draw(st.sampled_from([1, 3]))
    corner = rng.integers(0, 4, (rows, classes, 2))
    boxes = np.concatenate([corner, corner + rng.integers(0, 4, (rows, classes, 2))], axis=2).astype(np.float32)
    image_id = np.repeat(rng.permutation(9)[: len(per_image)], per_image).astype(np.int64)
    boxes = boxes if draw(st.booleans()) else boxes[:, 0]
    objectness = rng.integers(0, 5, rows).astype(np.float32) / 4
    batch = Logits(torch.tensor(logits, dtype=torch.float32), 7, None, image_id, boxes, objectness)
    return batch, columns


@st.composite
def all_options(draw: st.DrawFn) -> DecodeOptions:
    return DecodeOptions(
        threshold=draw(st.sampled_from([0.0, 1e-4, 0.25, 1 / 3])),
        nms_iou=draw(st.sampled_from([None, 0.0, 1 / 3, 0.5, 1.0])),
        detections_per_image=draw(st.sampled_from([1, 2, 5, 300])),
        objectness=draw(st.sampled_from(["none", "product", "sqrt"])),
    )


@given(batches(), all_options())
def test_equals_the_twin(case: tuple[Logits, LogitColumns], options: DecodeOptions) -> None:
    batch, columns = case
    scores = activated(batch.logits, columns)
    found = decode(scores, columns, batch, options)
    scores = scores[:, columns.classes]
    if options.objectness != "none":
        scores = scores * torch.from_numpy(batch.objectness.copy())[:, None]
        scores = scores.sqrt() if options.objectness == "sqrt" else scores
    expected = twin(scores.numpy(), batch.boxes, batch.image_id, options)
    assert found.image_id.tolist() == [batch.image_id[pair.row] for pair in expected]
    assert found.category_id.tolist() == [columns.category_id[pair.column] for pair in expected]
    assert found.score.tolist() == [pair.score for pair in expected]
    one_box = batch.boxes.ndim == 2
    boxes = np.array(
        [batch.boxes[pair.row] if one_box else batch.boxes[pair.row, pair.column] for pair in expected]
    ).reshape(-1, 4)
    assert (found.bbox == np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)).all()


@given(batches(), all_options())
def test_pairs_selected_on_a_gpu_give_the_same(case: tuple[Logits, LogitColumns], options: DecodeOptions) -> None:
    """On a GPU torch selects the pairs above the threshold; the rest runs on the CPU and can be tested here."""
    batch, columns = case
    options = replace(options, objectness="none")
    scores = activated(batch.logits, columns)
    of_classes = scores[:, columns.classes]
    by_scan = _from_scores(scores.numpy(), columns, batch, options)
    pairs = _pairs(of_classes, of_classes > options.threshold)
    by_pairs = _from_pairs(*pairs, columns, batch, options, options.detections_per_image)
    assert all((one == other).all() for one, other in zip(by_scan, by_pairs, strict=True))


@given(batches(), all_options(), st.lists(st.sampled_from([0.0, 0.2, 0.5, 1.0]), min_size=5, max_size=5))
def test_detections_beyond_the_limit(
    case: tuple[Logits, LogitColumns], options: DecodeOptions, bars: list[float]
) -> None:
    """Of those that decoding without a limit would give: the ones within it, and above the bar of their class."""
    batch, columns = case
    bar = np.array(bars[: len(columns)], np.float32)
    limited = decode(activated(batch.logits, columns), columns, batch, options)
    both = decode(activated(batch.logits, columns), columns, batch, options, bar)
    every = decode(activated(batch.logits, columns), columns, batch, replace(options, detections_per_image=1000))
    assert limited.within_limit.all()
    assert_equal(both.rows(both.within_limit), limited)
    assert_equal(beyond(both, bar, columns), beyond(every, bar, columns))


def beyond(found: Decoded, bar: Any, columns: LogitColumns) -> Decoded:
    """The detections above the bars, whether they are within the limit or not."""
    column = [columns.category_id.tolist().index(category) for category in found.category_id.tolist()]
    above = found.rows(found.score > bar[column])
    return replace(above, within_limit=np.ones(len(above), bool))


def assert_equal(one: Decoded, other: Decoded) -> None:
    for name in Decoded.__slots__:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0])
@pytest.mark.parametrize("nms_iou", [0.3, None])
def test_many_pairs_above_the_threshold(spread: float, nms_iou: float | None) -> None:
    """More than are examined first: with equal boxes and few classes most are suppressed, and the search continues."""
    rng = np.random.default_rng(1)
    columns = LogitColumns("sigmoid", "none", np.arange(7))
    logits = torch.tensor(rng.normal(0, spread, (4000, 7)), dtype=torch.float32)
    corner = rng.integers(0, 30, (4000, 2))
    boxes = np.concatenate([corner, corner + 9], axis=1).astype(np.float32)
    batch = Logits(logits, 0, None, np.zeros(4000, np.int64), boxes)
    options = DecodeOptions(threshold=1e-4, nms_iou=nms_iou, detections_per_image=300)
    found = decode(activated(logits, columns), columns, batch, options)
    expected = twin(torch.sigmoid(logits).numpy(), boxes, batch.image_id, options)
    assert found.box_index.tolist() == [pair.row for pair in expected]
    assert found.category_id.tolist() == [pair.column for pair in expected]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"threshold": 1.0}, r"`threshold=`: expected a number from 0 to below 1, found 1\.0"),
        ({"nms_iou": 1.5}, r"`nms_iou=`: expected an IoU from 0 to 1, auto, or none, found 1\.5"),
        ({"detections_per_image": 0}, "`detections_per_image=`: expected a whole number from 1, found 0"),
        ({"objectness": "root"}, "`objectness=`: value: expected one of none, product, sqrt, found 'root'"),
    ],
)
def test_options_are_checked_when_they_are_made(values: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        DecodeOptions(**values)


@given(batches(), all_options(), st.integers(0, 4))
def test_images_are_decoded_one_by_one(case: tuple[Logits, LogitColumns], options: DecodeOptions, cut: int) -> None:
    """Splitting a batch between images changes nothing."""
    batch, columns = case
    ids = list(dict.fromkeys(batch.image_id.tolist()))
    parts = [np.isin(batch.image_id, ids[:cut]), np.isin(batch.image_id, ids[cut:])]
    first, second = (
        Logits(
            batch.logits[torch.from_numpy(rows)],
            batch.first + (int(rows.argmax()) if rows.any() else 0),
            None,
            batch.image_id[rows],
            batch.boxes[rows],
            batch.objectness[rows],
        )
        for rows in parts
    )
    whole = decode(activated(batch.logits, columns), columns, batch, options)
    halves = joined(decode(activated(part.logits, columns), columns, part, options) for part in (first, second))
    assert all((getattr(whole, name) == getattr(halves, name)).all() for name in Decoded.__slots__)
