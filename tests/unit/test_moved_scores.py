"""How far methods move the scores, against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from frequency_tables import table

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.registry import parse_method
from longtail_cli.workflow import moved_scores
from longtail_cli.workflow.moved_scores import RowSample
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import open_with_options, prepare_methods

CPU, COUNTS = torch.device("cpu"), table([100, 10, 1])
LOGITS = torch.from_numpy(np.random.default_rng(0).normal(scale=2, size=(20, 4)).astype(np.float32))


def opened(head: str = "softmax", background: str = "last", logits: torch.Tensor = LOGITS) -> LogitsFile:
    ids = COUNTS.category_id
    return open_with_options({"logits": logits}, InputOptions(head, background, ids))  # type: ignore[arg-type]


def adjuster_of(file: LogitsFile, spec: str):
    return prepare_methods(file, [parse_method(spec)], COUNTS, InputOptions(), CPU)[0].adjuster


def sample_of(file: LogitsFile, rows_at_once: int = 1000) -> RowSample:
    sample = RowSample(file, adjuster_of(file, "none"))
    for batch in file.batches(rows_at_once):
        sample.offer(batch)
    sample.close()
    return sample


def moved(file: LogitsFile, spec: str, rows_at_once: int = 1000) -> float:
    return sample_of(file, rows_at_once).moved(adjuster_of(file, spec))


def softmax(row: np.ndarray) -> np.ndarray:
    power = np.exp(row - row.max())
    return power / power.sum()


def test_the_distance_of_softmax_scores_is_the_total_variation() -> None:
    shift = np.append(-0.5 * np.log([100, 10, 1]), 0.0)  # norcal: the background stays
    rows = LOGITS.numpy().astype(np.float64)
    expected = np.mean([sum(abs(softmax(row + shift) - softmax(row))) / 2 for row in rows])
    assert moved(opened(), "norcal:gamma=0.5") == pytest.approx(expected, rel=1e-5)


def test_the_distance_of_sigmoid_scores_is_the_mean_difference_over_the_classes() -> None:
    logits = LOGITS[:, :3].contiguous()
    rows = logits.numpy().astype(np.float64)
    expected = np.mean([np.mean(abs(1 / (1 + np.exp(-row / 2)) - 1 / (1 + np.exp(-row)))) for row in rows])
    assert moved(opened("sigmoid", "none", logits), "temperature:t=2") == pytest.approx(expected, rel=1e-5)


def test_a_method_that_leaves_the_softmax_is_compared_over_the_classes() -> None:
    rows = LOGITS.numpy().astype(np.float64)
    factor = np.array([100.0, 10.0, 1.0]) ** -0.5
    expected = np.mean([np.mean(abs(softmax(row)[:3] * factor - softmax(row)[:3])) for row in rows])
    assert moved(opened(), "norcal:gamma=0.5,renormalize=no") == pytest.approx(expected, rel=1e-4)


def test_no_adjustment_moves_nothing_and_stronger_ones_move_more() -> None:
    file = opened()
    distances = [moved(file, f"norcal:gamma={gamma}") for gamma in (0, 0.25, 0.5, 1, 2, 100)]
    assert moved(file, "none") == distances[0] == 0.0
    assert distances == sorted(set(distances))
    assert distances[-1] <= 1


@pytest.mark.parametrize("rows_at_once", [1, 3, 7, 20])
def test_batches_do_not_matter_for_a_small_file(rows_at_once: int) -> None:
    spec = "norcal:gamma=0.5"
    assert moved(opened(), spec, rows_at_once) == pytest.approx(moved(opened(), spec), rel=1e-6)


def test_a_large_file_is_sampled_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moved_scores, "SAMPLED_LOGITS", 20)  # 5 of 20 rows
    rows = torch.zeros(20, 4)
    rows[[0, 4, 9, 14, 19]] = torch.tensor([5.0, 0, 0, 0])
    shift = torch.tensor([-0.5 * np.log(100), -0.5 * np.log(10), 0.0, 0.0])
    before, after = torch.tensor([5.0, 0, 0, 0]), torch.tensor([5.0, 0, 0, 0]) + shift
    expected = float((after.softmax(0) - before.softmax(0)).abs().sum()) / 2
    assert moved(opened(logits=rows), "norcal:gamma=0.5") == pytest.approx(expected, rel=1e-5)


def test_rows_are_taken_while_the_file_is_read_for_the_first_time() -> None:
    file = opened()
    sample = sample_of(file)
    before = sample.moved(adjuster_of(file, "norcal:gamma=1"))
    other = opened(logits=LOGITS + torch.arange(4.0))
    for batch in other.batches(7):
        sample.offer(batch)
    sample.close()
    assert sample.moved(adjuster_of(file, "norcal:gamma=1")) == before


def test_a_file_without_rows_moves_nothing() -> None:
    file = opened(logits=LOGITS[:0])
    sample = RowSample(file, adjuster_of(file, "none"))
    sample.close()
    assert sample.moved(adjuster_of(file, "norcal:gamma=1")) == 0.0
