"""Box arithmetic and the recording of calls, shared by all frameworks."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from longtail_cli.capture.columns import choose_columns
from longtail_cli.capture.common import clipped, cxcywh_to_xyxy, resized, watched, watched_features
from longtail_cli.errors import UsageError
from longtail_cli.tables import LogitColumns


def columns(background: str = "last", head: str = "softmax") -> LogitColumns:
    return LogitColumns(head=head, background=background, category_id=np.array([30, 10]))


def test_boxes_from_centre_and_size() -> None:
    assert cxcywh_to_xyxy(torch.tensor([[5.0, 7.0, 4.0, 2.0]])).tolist() == [[3, 6, 7, 8]]


def test_clipping_keeps_the_part_inside_the_image() -> None:
    boxes = torch.tensor([[-5.0, -6.0, 50.0, 60.0], [1.0, 2.0, 3.0, 4.0], [40.0, 1.0, 50.0, 2.0]])
    assert clipped(boxes, (20, 30)).tolist() == [[0, 0, 30, 20], [1, 2, 3, 4], [30, 1, 30, 2]]


@pytest.mark.parametrize("shape", [(4,), (1, 4), (2, 3, 4)])
def test_resizing_scales_x_by_the_width_and_y_by_the_height(shape: tuple[int, ...]) -> None:
    boxes = torch.tensor([1.0, 2.0, 3.0, 4.0]).expand(shape)
    expected = torch.tensor([3.0, 4.0, 9.0, 8.0]).expand(shape)
    assert torch.equal(resized(boxes, (10, 10), (20, 30)), expected)


def test_classes_are_columns_of_the_model_in_the_order_of_the_category_ids() -> None:
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
    none = choose_columns("capture", columns("none", "sigmoid"), ("sigmoid", "none"), [3, 1])
    assert none.logits(logits).tolist() == [[3, 1]]
    last = choose_columns("capture", columns("last"), ("softmax", "last"), [2, 0])
    torch.testing.assert_close(last.logits(logits), torch.tensor([[2.0, 0.0, math.log(math.exp(1) + math.exp(3))]]))
    first = choose_columns("capture", columns("first"), ("softmax", "first"), [2, 3])
    torch.testing.assert_close(first.logits(logits), torch.tensor([[math.log(1 + math.exp(1)), 2.0, 3.0]]))
    boxes = torch.arange(12.0).reshape(1, 3, 4)  # of the model's three classes, without background
    assert torch.equal(first.boxes(boxes), boxes[:, [1, 2]])
    assert torch.equal(last.boxes(boxes), boxes[:, [2, 0]])


@pytest.mark.parametrize(
    ("classes", "found"),
    [([0], "1, 1 of them different"), ([1, 1], "2, 1 of them different"), ([0, 1, 2], "3, 3 of them different")],
)
def test_one_column_for_each_category_id(classes: list[int], found: str) -> None:
    with pytest.raises(UsageError, match=found):
        choose_columns("capture", columns(), ("softmax", "last"), classes)


@pytest.mark.parametrize(("background", "classes"), [("last", [0, 3]), ("first", [0, 1]), ("last", [-1, 0])])
def test_the_background_is_not_a_class(background: str, classes: list[int]) -> None:
    choice = choose_columns("capture", columns(background), ("softmax", background), classes)
    with pytest.raises(UsageError, match=r"expected columns [01]\.\.[23] of the model's 4"):
        choice.logits(torch.zeros(1, 4))


class Adder:
    def add(self, a: int, b: int = 10) -> int:
        return a + b


def test_watching_sees_the_arguments_by_name_and_changes_nothing() -> None:
    adder, seen = Adder(), []
    with watched(adder, "add", lambda add, call: seen.append((dict(call), add(0, 0)))):
        assert adder.add(1) == 11
        assert adder.add(1, b=2) == 3
    assert seen == [({"a": 1, "b": 10}, 0), ({"a": 1, "b": 2}, 0)]
    assert vars(adder) == {}


def test_the_object_is_restored_after_two_watchers_and_an_error() -> None:
    adder, seen = Adder(), []

    def replaced(a: int) -> int:
        return -a

    def fail() -> None:
        with (
            watched(adder, "add", lambda _, call: seen.append("first")),
            watched(adder, "add", lambda _, call: seen.append("second")),
        ):
            assert adder.add(1) == -1
            raise ZeroDivisionError

    adder.add = replaced  # an attribute of the object itself, as another tool may have set it
    with pytest.raises(ZeroDivisionError):
        fail()
    assert seen == ["second", "first"]
    assert adder.add is replaced


class Head(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.last = torch.nn.Linear(2, 3)


def test_features_are_the_input_of_the_last_layer_split_by_image() -> None:
    head, rows = Head(), torch.arange(10.0).reshape(5, 2)
    with watched_features("capture", head, "last", True) as split:
        head.last(-rows)
        head.last(rows)
        assert [one.tolist() for one in split([2, 0, 3])] == [rows[:2].tolist(), [], rows[2:].tolist()]
    assert "forward" not in vars(head.last)


def test_no_features_unless_they_are_asked_for() -> None:
    with watched_features("capture", None, "last", False) as split:
        assert split([2, 0, 3]) == [None, None, None]


def test_features_of_another_number_of_rows_than_there_are_logits() -> None:
    head = Head()
    with watched_features("capture", head, "last", True) as split:
        with pytest.raises(UsageError, match=r"the input of `last`: expected 5 rows in one call.*found 0"):
            split([2, 3])
        head.last(torch.zeros(4, 2))
        with pytest.raises(UsageError, match=r"expected 5 rows in one call.*found 4"):
            split([2, 3])


def test_features_need_the_last_layer() -> None:
    with (
        pytest.raises(UsageError, match="a classifier whose last layer is `fc_cls`, found Head"),
        watched_features("capture", Head(), "fc_cls", True),
    ):
        pass
