"""Detections beyond the limit of the decoder count for Fixed AP and pooled AP, and change no other metric."""

from dataclasses import replace

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation.bootstrap.permutation import Swaps, p_values
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.selection import best_per_image

IMAGES, CATEGORIES = 3, 3
GROUPS = {"r": np.array([True, False, False]), "f": np.array([False, True, True])}
WIDE = ("bbox/APfixed/", "bbox/APpool/")

where = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1))
box = st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(1, 5)] * 2).map(lambda b: [8.0 * side for side in b])
objects = st.lists(st.tuples(where, box), min_size=1, max_size=8)
found = st.lists(st.tuples(where, st.integers(0, 6), box), max_size=24)


def kept(every, rows):
    columns = ("image", "category", "score", "bbox", "area")
    return replace(every, within_limit=None, **{name: getattr(every, name)[rows] for name in columns})


def split(values):
    """The metrics of resamples or p-values: those of Fixed AP and pooled AP, and the others."""
    return ({name: one for name, one in values.items() if name.startswith(WIDE) is wide} for wide in (True, False))


@pytest.mark.parametrize(
    ("protocol", "cap", "mode"),
    [("lvis", 300, "aligned"), ("lvis", 3, "aligned"), ("lvis", 3, "tidecv"), ("coco", 2, "aligned")],
)
@given(
    known=objects, runs=st.tuples(found, found), negative=st.lists(where, max_size=4),
    partial=st.lists(where, max_size=3), limit=st.integers(1, 5),
)  # fmt: skip
@settings(max_examples=6)
def test_only_fixed_and_pooled_ap_see_them(protocol, cap, mode, known, runs, negative, partial, limit):
    truth = ground_truth(
        [(*at, xywh) for at, xywh in known], images=IMAGES, categories=CATEGORIES, negative=negative,
        not_exhaustive=partial,
    )  # fmt: skip
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True, tide=mode)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", GROUPS, options, Draws(IMAGES, 3, 0))
    all_runs = []
    for run in runs:
        every = detections([(*at, score / 10, xywh) for at, score, xywh in run])
        within = best_per_image(every, limit)
        within = np.ones(len(every), bool) if within is None else within
        three = (replace(every, within_limit=within), kept(every, within), every)
        all_runs.append([(one, evaluation.candidates(one)) for one in three])
    of_runs = [[(*one, evaluation.evaluate(*one, None)) for one in of_run] for of_run in all_runs]
    for both, limited, unlimited in of_runs:
        metrics, narrow, wide = (one[2].metrics for one in (both, limited, unlimited))
        assert repr(replace(metrics, fixed=None, pooled=None, resampled=None)) == repr(
            replace(narrow, fixed=None, pooled=None, resampled=None)
        )
        assert (metrics.fixed, metrics.pooled) == (wide.fixed, wide.pooled)
        of_both, others_of_both = split(metrics.resampled)
        np.testing.assert_equal(of_both, next(split(wide.resampled)))
        np.testing.assert_equal(others_of_both, list(split(narrow.resampled))[1])
    swaps = Swaps(IMAGES, 3, 0)
    tested = [
        p_values(evaluation.swapped(*(evaluation.comparable(*run) for run in pair), swaps))
        for pair in zip(*of_runs, strict=True)
    ]
    (wide_p, narrow_p), limited_p, unlimited_p = split(tested[0]), tested[1], tested[2]
    assert wide_p == next(split(unlimited_p))
    assert narrow_p == list(split(limited_p))[1]
