"""Metrics that are taken from the run before equal those of an evaluation from scratch."""

from dataclasses import replace

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

IMAGES, CATEGORIES = 3, 3

where = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1))
box = st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(1, 5)] * 2).map(lambda b: [8.0 * side for side in b])
objects = st.lists(st.tuples(where, box), min_size=1, max_size=8)
found = st.lists(st.tuples(where, st.integers(0, 6), box), max_size=24)
levels = st.lists(st.integers(0, 20), min_size=7, max_size=7).map(sorted)
maps = st.lists(levels, min_size=CATEGORIES, max_size=CATEGORIES)
"""For each category new scores of the seven old ones, ascending, with new ties."""


@pytest.mark.parametrize("mode", ["aligned", "tidecv"])
@pytest.mark.parametrize(("protocol", "cap"), [("lvis", 300), ("lvis", 3), ("coco", 100), ("coco", 2)])
@given(
    known=objects, seen=found, negative=st.lists(where, max_size=4), partial=st.lists(where, max_size=3),
    runs=st.lists(maps, min_size=1, max_size=3), shuffled=st.booleans(),
)  # fmt: skip
@settings(max_examples=25)
def test_shared_metrics_equal_fresh_ones(protocol, cap, mode, known, seen, negative, partial, runs, shuffled):
    truth = ground_truth(
        [(*at, xywh) for at, xywh in known], images=IMAGES, categories=CATEGORIES, negative=negative,
        not_exhaustive=partial,
    )  # fmt: skip
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True, tide=mode)
    groups = {"r": np.array([True, False, False]), "f": np.array([False, True, True])}
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", groups, options, Draws(IMAGES, 3, 0))
    if not shuffled:
        seen = sorted(seen, key=lambda one: one[0][0])
    first = detections([(*at, score / 20, xywh) for at, score, xywh in seen])
    candidates = evaluation.candidates(first)
    ordered = evaluation.evaluate(first, candidates, None).ordered
    for run in runs:
        score = np.array([run[at[1]][score] / 20 for at, score, _ in seen], np.float64)
        other = replace(first, score=score)
        shared = evaluation.evaluate(other, candidates, ordered)
        assert repr(shared.metrics) == repr(evaluation.metrics(other, evaluation.candidates(other)))
        ordered = shared.ordered


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_an_order_that_stays_is_not_worked_out_again(protocol):
    truth = ground_truth([(0, 0, [0, 0, 8, 8]), (0, 1, [0, 0, 8, 8])], categories=2, negative=[])
    seen = detections([(0, 0, 0.9, [0, 0, 8, 8]), (0, 1, 0.8, [0, 0, 8, 8]), (0, 0, 0.7, [0, 0, 8, 8])])
    options = EvaluationOptions(fixed_ap=True)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, 10), "bbox", {}, options)
    candidates = evaluation.candidates(seen)
    ordered = evaluation.evaluate(seen, candidates, None).ordered
    kept = replace(seen, score=np.array([0.5, 0.9, 0.1]))
    assert evaluation.evaluate(kept, candidates, ordered).ordered is ordered
    swapped = replace(seen, score=np.array([0.1, 0.9, 0.5]))
    assert evaluation.evaluate(swapped, candidates, ordered).ordered is not ordered
