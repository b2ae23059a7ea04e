"""Target priors: how the estimated shares are used, and when no estimate is possible."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from frequency_tables import NoData, coefficients, table

from longtail_cli.errors import InputError
from longtail_cli.methods.base import Adjustment, MethodContext
from longtail_cli.methods.registry import parse_method
from longtail_cli.methods.steps import ColumnAffine, Step
from longtail_cli.methods.target import by_confusion, by_maximum_likelihood
from longtail_cli.tables import LogitColumns, Longs, Singles

SURE = np.eye(2, dtype=np.float32)
"""A row that is certainly of class column 0, and one of class column 1."""

LOOKS: Singles = np.array([[2 / 3, 1 / 3], [1 / 33, 32 / 33]], np.float32)
"""A row that looks like column 0, and one like column 1; 8 of 9 rows look like their class, and 2 of 10 are of
column 0."""


class Predictions(NoData):
    """Ten rows, one of column 0, times 9; and the labelled file, 9 rows of each class."""

    def __init__(self) -> None:
        self.after: list[tuple[Step, ...]] = []

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        self.after.append(steps)
        return iter([LOOKS[[0] * 8 + [1] * 1], LOOKS[[0] * 9 + [1] * 72]])

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        self.after.append(steps)
        return iter([(LOOKS[[0] * 8 + [1] * 1], np.zeros(9, np.int64)), (LOOKS[[0] + [1] * 8], np.ones(9, np.int64))])


def adjustment_of(spec: str, data_access: NoData) -> Adjustment:
    """Class 7 is in column 0, class 3 in column 1; the training set has 20 and 80 of them."""
    columns = LogitColumns("softmax", "none", np.array([7, 3]))
    return parse_method(spec).adjustment(MethodContext(columns, table([80, 20], ids=[3, 7]), None, data_access))


@pytest.mark.parametrize("spec", ["target-prior:prior=em", "target-prior:prior=bbse,file=val.npz"])
def test_the_estimated_shares_replace_those_of_training(spec: str) -> None:
    (step,) = adjustment_of(spec, Predictions()).steps
    assert isinstance(step, ColumnAffine)
    assert step.scale.tolist() == [1, 1]
    assert step.shift == pytest.approx(np.log([0.1 / 0.2, 0.9 / 0.8]), rel=1e-5)


@pytest.mark.parametrize("spec", ["target-prior:prior=em", "target-prior:prior=bbse,file=val.npz"])
def test_they_are_estimated_after_the_preceding_methods(spec: str) -> None:
    data_access = Predictions()
    adjustment = adjustment_of(f"temperature:t=2+{spec}", data_access)
    assert len(adjustment.steps) == 1
    for (step,) in data_access.after:
        assert isinstance(step, ColumnAffine)
        assert step.scale.tolist() == [0.5, 0.5]
    assert data_access.after


@pytest.mark.parametrize(("policy", "replacement"), [("max", 10 / 40), ("smooth", 1 / 41)])
def test_the_shares_of_training_sum_to_1_with_zeros_replaced(policy: str, replacement: float) -> None:
    affine = coefficients(parse_method(f"target-prior:zero_count={policy}"), table([0, 30, 10]))
    share = np.array([replacement, 30 / 40, 10 / 40])
    assert affine.shift == pytest.approx(np.log((1 / 3) / (share / share.sum())), rel=1e-14)
    assert [note.rows.tolist() for note in affine.notes] == [[True, False, False]]


def test_a_class_with_estimated_share_0_gets_a_small_share_and_a_note() -> None:
    class OneClass(Predictions):
        def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
            return iter([SURE[[0, 0]]])

    adjustment = adjustment_of("target-prior:prior=em", OneClass())
    (step,) = adjustment.steps
    assert isinstance(step, ColumnAffine)
    assert step.shift == pytest.approx(np.log([1 / 0.2, 1e-8 / 0.8]))
    assert [note.rows.tolist() for note in adjustment.notes] == [[True, False]]  # class 3, which has the lowest id


def test_no_predictions_leave_the_shares_of_training() -> None:
    assert by_maximum_likelihood(lambda: [], np.array([0.2, 0.8])).tolist() == [0.2, 0.8]


def test_negative_shares_become_0() -> None:
    """Half the labelled rows of column 0 are predicted as column 1; no row of the set is."""
    labelled = [(SURE[[0, 1, 1, 1]], np.array([0, 0, 1, 1]))]
    assert by_confusion(labelled, [SURE[[0, 0]]], 2).tolist() == [1.0, 0.0]


def test_bbse_refuses_rows_that_allow_no_estimate() -> None:
    both = [(SURE, np.array([0, 1]))]
    for labelled, predictions, message in (
        ([(SURE, np.array([1, 1]))], [SURE], "labels: expected rows of all 2 classes, found none of class column 0"),
        (both, [], "predictions: expected at least one row, found none"),
        (
            [(SURE[[0, 0]], np.array([0, 1]))],
            [SURE[[1]]],
            "expected classes that are also predicted for labelled rows, found none of these",
        ),
    ):
        with pytest.raises(InputError) as caught:
            by_confusion(labelled, predictions, 2)
        assert message in str(caught.value)
