"""The fast metrics against plain loops, on sizes that reach every path of the kernels."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import pytest
from classification_twins import classification

from longtail_cli.evaluation.classification.metrics import GROUPS, ClassificationResult, Tally


def drawn(rows, classes, head, spread, seed=0):
    """Scores float32, labels that often have the greatest score, and groups, -1 for some classes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (rows, classes))
    labels = rng.integers(0, max(classes - 1, 1), rows)  # the last class never occurs
    logits[np.arange(rows), labels] += spread
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = power / power.sum(axis=1, keepdims=True) if head == "softmax" else 1 / (1 + np.exp(-logits))
    return scores.astype(np.float32), labels, rng.integers(-1, len(GROUPS), classes).astype(np.int8)


def flat(metrics, name=""):
    """Nested metrics as one mapping of numbers, NaN where undefined."""
    if isinstance(metrics, dict):
        return {key: value for one, inner in metrics.items() for key, value in flat(inner, f"{name} {one}").items()}
    if isinstance(metrics, list | tuple | np.ndarray):
        return flat(dict(enumerate(metrics)), name)
    return {name: np.nan if metrics is None else metrics}


def everything(found: ClassificationResult) -> dict:
    own = {"rows": found.rows, "samples": found.samples, "recall": found.recall}
    return dataclasses.asdict(found.metrics) | own


def assert_same(found: ClassificationResult, expected: dict) -> None:
    assert flat(everything(found)) == pytest.approx(flat(expected), rel=1e-12, abs=1e-14, nan_ok=True)


@pytest.mark.parametrize(("rows", "classes"), [(40, 1), (60, 3), (50, 64), (50, 65), (30, 200)])
@pytest.mark.parametrize(("head", "spread"), [("softmax", 0.1), ("softmax", 4.0), ("sigmoid", 3.0)])
def test_metrics_equal_those_of_plain_loops(rows, classes, head, spread):
    scores, labels, group = drawn(rows, classes, head, spread)
    tally = Tally(classes, group)
    tally.add(scores, labels)
    assert_same(tally.metrics(), classification(scores.tolist(), labels.tolist(), classes, group.tolist()))


def test_equal_scores_are_ranked_in_the_order_of_their_classes():
    """Scores on a grid of 8 steps: nearly every rank is decided by a tie."""
    scores, labels, group = drawn(80, 150, "sigmoid", 2.0)
    scores = np.round(scores * 8).astype(np.float32) / 8
    tally = Tally(150, group)
    tally.add(scores, labels)
    assert_same(tally.metrics(), classification(scores.tolist(), labels.tolist(), 150, group.tolist()))


def test_threads_count_in_parallel_with_one_tally_each():
    scores, labels, group = drawn(3000, 300, "softmax", 4.0)
    parts = [Tally(300, group) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Tally.add, parts, np.split(scores, 3), np.split(labels, 3)))
    whole = Tally(300, group)
    whole.add(scores, labels)
    assert_same(reduce(Tally.plus, parts).metrics(), everything(whole.metrics()))


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_the_layout_in_memory_does_not_matter(layout):
    scores, labels, _ = drawn(20, 70, "softmax", 3.0)
    plain, laid_out = Tally(70), Tally(70)
    plain.add(scores, labels)
    laid_out.add(layout(scores), layout(labels))
    assert plain.metrics().metrics.nll == laid_out.metrics().metrics.nll
    assert plain.metrics().recall == laid_out.metrics().recall
