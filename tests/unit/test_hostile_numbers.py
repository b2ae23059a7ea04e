"""Finite logits that a method takes beyond the range of float32, and parameters beyond that of float64."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from logit_files import save

from longtail_cli.cli import main
from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.logits.reader import Declared, open_logits
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.registry import parse_method
from longtail_cli.methods.steps import ColumnAffine, ScoreFactor, Step
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.rescore_results import rescore_in_memory

LARGEST = float(np.finfo(np.float32).max)
ROWS = np.array(
    [
        [1.0, 2.0, 3.0],
        [-LARGEST, -LARGEST, -LARGEST],
        [LARGEST, LARGEST, -LARGEST],
        [3e38, -3e38, 2.9e38],
        [0.0, 0.0, 0.0],
    ],
    np.float32,
)
DOUBLE = ColumnAffine(np.array([2.0, 3.0, 4.0]), np.array([0.0, 1.0, -1.0]))
CPU = torch.device("cpu")


def scores_of(steps: tuple[Step, ...], head: str) -> torch.Tensor:
    file = open_logits({"logits": ROWS}, Declared(head, "none"))  # type: ignore[arg-type]
    adjuster = Adjuster(steps, file.columns, CPU)
    return torch.cat([found for (found,) in map_batches(file, [(adjuster, lambda s, *_: s.clone())], CPU, no_progress)])


@pytest.mark.parametrize("head", ["softmax", "sigmoid"])
@pytest.mark.parametrize(
    "steps",
    [
        (DOUBLE,),
        (DOUBLE, ColumnAffine(np.full(3, 1e-30), np.zeros(3))),
        (DOUBLE, ScoreFactor(np.array([-1.0, 0.0, -2.0]))),
        (ColumnAffine(np.full(3, 1e200), np.zeros(3)), ColumnAffine(np.full(3, 1e-200), np.zeros(3))),
    ],
    ids=["weights", "weights and a scale", "weights and factors", "constants beyond float32"],
)
def test_rows_that_overflow_are_adjusted_in_float64(steps: tuple[Step, ...], head: str) -> None:
    scores = scores_of(steps, head)
    assert torch.isfinite(scores).all()
    rows = Adjuster(steps, open_logits({"logits": ROWS}, Declared(head, "none")).columns, CPU, torch.float64)  # type: ignore[arg-type]
    exact = rows(torch.from_numpy(ROWS).double())
    exact = torch.softmax(exact, dim=1) if rows.columns.head == "softmax" else torch.sigmoid(exact)
    torch.testing.assert_close(scores, exact.float(), rtol=1e-5, atol=1e-7)


def test_a_row_that_overflows_float64_is_named() -> None:
    with pytest.raises(InputError, match="tensor `logits`, row 1: expected numbers that the method keeps finite"):
        scores_of((ColumnAffine(np.full(3, 1e300), np.zeros(3)),), "softmax")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    tensors = {"logits": torch.from_numpy(ROWS), "labels": torch.tensor([0, 1, 2, 0, 1])}
    save(tmp_path / "logits.pt", tensors, {"head": "softmax", "background": "none"})
    (tmp_path / "freq.csv").write_text(
        "category_id,name,image_count,instance_count,group,image_rate\n"
        "0,a,400,400,many,0.5\n1,b,50,50,medium,0.0625\n2,c,2,2,few,0.0025\n"
    )
    return tmp_path


@pytest.mark.parametrize("method", ["temperature:t=0.5", "iif", "norcal", "iif+temperature:t=0.01"])
def test_no_score_that_is_not_finite_is_written(folder: Path, method: str) -> None:
    arguments = ["rescore", "logits.pt", "--freq", "freq.csv", "--method", method, "-o", "scores.npz"]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    assert np.isfinite(np.load("scores.npz")["scores"]).all()
    arguments = ["report", "logits.pt", "--freq", "freq.csv", "--method", "none", "--method", method]
    assert CliRunner().invoke(main, [*arguments, "--json", "report.json"]).exit_code == 0
    json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)


def test_adjusted_logits_that_overflow_are_not_kept(folder: Path) -> None:
    arguments = ["rescore", "logits.pt", "--method", "temperature:t=0.5", "--keep-logits", "-o", "scores.npz"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "tensor `logits`, row 1: expected numbers that the method keeps finite" in done.output
    assert not (folder / "scores.npz").exists()


def test_parameters_whose_product_overflows() -> None:
    spec = "+".join(["temperature:t=1e-6"] * 60)
    entry = {"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [0, 0, 1, 1]}
    for space in ("prob", "logit"):
        with pytest.raises(UsageError, match="expected a product of their scales within float64"):
            rescore_in_memory([entry], None, parse_method(spec), space)  # type: ignore[arg-type]
