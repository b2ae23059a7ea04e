"""The adjuster and tensors: dtypes, no rows, gradients, output buffers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from frequency_tables import NoData, table

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.base import MethodContext
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Floats, LogitColumns

CLASSES, WIDTH = 3, 4
TABLE = replace(table([3, 40, 200], num_images=500), fractal_dimension=np.array([1.0, 1.3, 1.9]))
WEIGHT = np.arange(1, 9, dtype=np.float32).reshape(WIDTH, 2)
FEATURES = torch.tensor([[0.5, -1.0], [2.0, 0.25], [0.0, 1.0]])
LOGITS = torch.tensor([[0.5, -2.0, 3.0, 1.0], [8.0, 0.0, -8.0, 2.0], [-1.0, 1.5, 0.25, 0.0]])

SPECS = [
    "none", "temperature:t=2", "logit-adjust", "iif", "iif+logit-adjust", "fracal", "tau-norm", "tau-norm+iif",
    "norcal:renormalize=no", "iif+norcal:renormalize=no+iif+fracal",
]  # fmt: skip
heads = pytest.mark.parametrize(
    ("head", "background"), [("softmax", "first"), ("softmax", "last"), ("sigmoid", "last")]
)


class Saved(NoData):
    """A file with `alpha`, and with `beta` unless it is called ``alpha``."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        alpha = np.array([0.5, -2.0, 3.0])
        return {"alpha": alpha} if path == "alpha" else {"alpha": alpha, "beta": alpha - 1}


def adjuster(spec: str, head: HeadName, background: BackgroundName, dtype: torch.dtype = torch.float32) -> Adjuster:
    return made(spec, LogitColumns(head, background, TABLE.category_id), dtype)


def made(spec: str, columns: LogitColumns, dtype: torch.dtype) -> Adjuster:
    adjustment = parse_method(spec).adjustment(MethodContext(columns, TABLE, WEIGHT, Saved()))
    return Adjuster(adjustment.steps, columns, torch.device("cpu"), dtype)


@heads
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_logits_are_adjusted_in_float32(
    head: HeadName, background: BackgroundName, spec: str, dtype: torch.dtype
) -> None:
    """As if they had been converted first; the given tensors do not change."""
    work = adjuster(spec, head, background)
    logits, features = LOGITS.to(dtype), FEATURES.to(dtype)
    adjusted = work(logits, features)
    assert adjusted.dtype == torch.float32
    assert torch.equal(adjusted, work(logits.float(), features.float()))
    assert torch.equal(logits, LOGITS.to(dtype))
    assert torch.equal(features, FEATURES.to(dtype))


@heads
@pytest.mark.parametrize("spec", SPECS)
def test_out_changes_no_value(head: HeadName, background: BackgroundName, spec: str) -> None:
    """Neither as separate memory, whatever its content, nor as the logits themselves."""
    work = adjuster(spec, head, background)
    expected = work(LOGITS, FEATURES)
    given = LOGITS.clone()
    assert torch.equal(work(given, FEATURES, torch.full((3, WIDTH), torch.nan)), expected)
    assert torch.equal(given, LOGITS)
    assert torch.equal(work(given, FEATURES, given), expected)


@heads
@pytest.mark.parametrize("spec", SPECS)
def test_no_rows_still_have_columns(head: HeadName, background: BackgroundName, spec: str) -> None:
    work = adjuster(spec, head, background)
    assert work(LOGITS[:0], FEATURES[:0]).shape == (0, work.columns.width)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "spec", ["norcal:renormalize=no", "iif+fracal", "norcal:renormalize=no+iif+temperature:t=0.01"]
)
def test_scores_that_round_to_0_or_1_stay_finite(dtype: torch.dtype, spec: str) -> None:
    """The largest logits of float16, whose sigmoid rounds to 0 or 1."""
    extreme = torch.tensor([[65504.0, -65504.0, 0.0, 65504.0]], dtype=dtype)
    for head in ("softmax", "sigmoid"):
        assert torch.isfinite(adjuster(spec, head, "last", dtype)(extreme)).all()


GRADIENTS = [
    *SPECS, "norcal", "lws:file=alpha", "disalign:file=both", "vector:file=both",
    "target-prior", "balanced-softmax", "ldam:c=-2",
]  # fmt: skip


@heads
@pytest.mark.parametrize("spec", GRADIENTS)
def test_gradients_flow_to_the_input_which_does_not_change(
    head: HeadName, background: BackgroundName, spec: str
) -> None:
    work = adjuster(spec, head, background, torch.float64)
    logits, features = LOGITS.double().requires_grad_(), FEATURES.double().requires_grad_()
    before = logits.detach().clone()
    assert torch.autograd.gradcheck(work, (logits, features))
    assert torch.equal(logits, before)


def test_gradients_flow_through_the_slices_of_bags() -> None:
    work = made("bags+iif", LogitColumns("bags", "none", TABLE.category_id, ((2,), (1, 3))), torch.float64)
    assert torch.autograd.gradcheck(work, torch.randn(4, 7, dtype=torch.float64, requires_grad=True))


@heads
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("spec", ["fracal", "norcal:renormalize=no", "norcal:gamma=0,renormalize=no+iif"])
def test_scores_that_round_to_1_have_finite_gradients(
    head: HeadName, background: BackgroundName, spec: str, dtype: torch.dtype
) -> None:
    logits = torch.tensor(
        [[0.0, 800.0, -800.0, 900.0], [0.0, 17.0, -17.0, 0.0], [88.6, 88.7, 88.8, -88.7]], dtype=dtype
    )
    logits.requires_grad_()
    work = adjuster(spec, head, background)
    work(logits).sum().backward()
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


def test_missing_features_are_refused() -> None:
    with pytest.raises(ValueError, match="this step needs the features"):
        adjuster("tau-norm", "softmax", "last")(LOGITS)
