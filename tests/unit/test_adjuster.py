"""What the adjuster does with tensors as such: any type, no rows, memory to work in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from frequency_tables import NoEvidence, table

from longtail_cli.adjust.apply import Adjuster
from longtail_cli.adjust.base import MethodContext
from longtail_cli.adjust.registry import parse_method
from longtail_cli.tables import BackgroundName, HeadName, LogitColumns

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


def adjuster(spec: str, head: HeadName, background: BackgroundName, dtype: torch.dtype = torch.float32) -> Adjuster:
    columns = LogitColumns(head, background, TABLE.category_id)
    adjustment = parse_method(spec).adjustment(MethodContext(columns, TABLE, WEIGHT, NoEvidence()))
    return Adjuster(adjustment.steps, columns, torch.device("cpu"), dtype)


@heads
@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision_is_only_how_logits_are_kept(
    head: HeadName, background: BackgroundName, spec: str, dtype: torch.dtype
) -> None:
    """Work is done in float32 on the values as they are; the given tensors stay as they were."""
    work = adjuster(spec, head, background)
    logits, features = LOGITS.to(dtype), FEATURES.to(dtype)
    adjusted = work(logits, features)
    assert adjusted.dtype == torch.float32
    assert torch.equal(adjusted, work(logits.float(), features.float()))
    assert torch.equal(logits, LOGITS.to(dtype))
    assert torch.equal(features, FEATURES.to(dtype))


@heads
@pytest.mark.parametrize("spec", SPECS)
def test_memory_to_work_in_changes_no_value(head: HeadName, background: BackgroundName, spec: str) -> None:
    """Neither memory apart, whatever it holds, nor that of the logits themselves."""
    work = adjuster(spec, head, background)
    expected = work(LOGITS, FEATURES)
    given = LOGITS.clone()
    assert torch.equal(work(given, FEATURES, torch.full((3, WIDTH), torch.nan)), expected)
    assert torch.equal(given, LOGITS)
    assert torch.equal(work(given, FEATURES, given), expected)


@heads
@pytest.mark.parametrize("spec", SPECS)
def test_no_rows_have_columns_all_the_same(head: HeadName, background: BackgroundName, spec: str) -> None:
    work = adjuster(spec, head, background)
    assert work(LOGITS[:0], FEATURES[:0]).shape == (0, work.columns.width)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    "spec", ["norcal:renormalize=no", "iif+fracal", "norcal:renormalize=no+iif+temperature:t=0.01"]
)
def test_a_score_of_1_or_0_stays_a_number(dtype: torch.dtype, spec: str) -> None:
    """Logits far beyond what a sigmoid can tell from 0 and 1, as float16 can hold them."""
    extreme = torch.tensor([[65504.0, -65504.0, 0.0, 65504.0]], dtype=dtype)
    for head in ("softmax", "sigmoid"):
        assert torch.isfinite(adjuster(spec, head, "last", dtype)(extreme)).all()


def test_features_are_asked_for() -> None:
    with pytest.raises(ValueError, match="this step needs the features"):
        adjuster("tau-norm", "softmax", "last")(LOGITS)
