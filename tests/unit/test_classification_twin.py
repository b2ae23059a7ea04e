"""The fast figures against plain loops, on sizes that reach every path of the kernels."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import pytest
from classification_twins import classification

from longtail_cli.evaluate.classification.metrics import GROUPS, ClassificationMetrics, Tally


def drawn(rows, classes, head, spread, seed=0):
    """Scores float32, labels that often stand first, and groups of which some classes have none."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (rows, classes))
    labels = rng.integers(0, max(classes - 1, 1), rows)  # the last class never occurs
    logits[np.arange(rows), labels] += spread
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores = power / power.sum(axis=1, keepdims=True) if head == "softmax" else 1 / (1 + np.exp(-logits))
    return scores.astype(np.float32), labels, rng.integers(-1, len(GROUPS), classes).astype(np.int8)


def flat(figures, name=""):
    """Nested figures as one mapping of numbers, NaN where undefined."""
    if isinstance(figures, dict):
        return {key: value for one, inner in figures.items() for key, value in flat(inner, f"{name} {one}").items()}
    if isinstance(figures, list | tuple | np.ndarray):
        return flat(dict(enumerate(figures)), name)
    return {name: np.nan if figures is None else figures}


def assert_same(found: ClassificationMetrics, expected: dict) -> None:
    assert flat(dataclasses.asdict(found)) == pytest.approx(flat(expected), rel=1e-12, abs=1e-14, nan_ok=True)


@pytest.mark.parametrize(("rows", "classes"), [(40, 1), (60, 3), (50, 64), (50, 65), (30, 200)])
@pytest.mark.parametrize(("head", "spread"), [("softmax", 0.1), ("softmax", 4.0), ("sigmoid", 3.0)])
def test_figures_equal_those_of_plain_loops(rows, classes, head, spread):
    scores, labels, group = drawn(rows, classes, head, spread)
    tally = Tally(classes, group)
    tally.add(scores, labels)
    assert_same(tally.figures(), classification(scores.tolist(), labels.tolist(), classes, group.tolist()))


def test_equal_scores_stand_in_the_order_of_their_classes():
    """Scores on a grid of 8 steps: nearly every rank is decided among equals."""
    scores, labels, group = drawn(80, 150, "sigmoid", 2.0)
    scores = np.round(scores * 8).astype(np.float32) / 8
    tally = Tally(150, group)
    tally.add(scores, labels)
    assert_same(tally.figures(), classification(scores.tolist(), labels.tolist(), 150, group.tolist()))


def test_threads_count_at_once_each_in_a_tally_of_its_own():
    scores, labels, group = drawn(3000, 300, "softmax", 4.0)
    parts = [Tally(300, group) for _ in range(3)]
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(Tally.add, parts, np.split(scores, 3), np.split(labels, 3)))
    whole = Tally(300, group)
    whole.add(scores, labels)
    assert_same(reduce(Tally.plus, parts).figures(), dataclasses.asdict(whole.figures()))


@pytest.mark.parametrize("layout", [np.asfortranarray, lambda a: np.repeat(a, 2, axis=0)[::2]])
def test_the_layout_in_memory_does_not_matter(layout):
    scores, labels, _ = drawn(20, 70, "softmax", 3.0)
    plain, laid_out = Tally(70), Tally(70)
    plain.add(scores, labels)
    laid_out.add(layout(scores), layout(labels))
    assert plain.figures().nll == laid_out.figures().nll
    assert plain.figures().recall == laid_out.figures().recall
