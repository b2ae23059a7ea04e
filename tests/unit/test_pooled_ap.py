"""Fixed AP and pooled AP on cases small enough to work out by hand."""

import numpy as np
import pytest
from builders import detections, ground_truth

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

A, B, FAR = [0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 10.0, 10.0], [80.0, 80.0, 10.0, 10.0]


def metrics(truth, found, protocol, groups=None):
    wanted = EvaluationOptions(fixed_ap=True, pooled_ap=True, per_category=False, tide="off")
    evaluation = Evaluation.prepare(truth, protocol, "bbox", groups or {}, wanted)
    return evaluation.metrics(found, evaluation.candidates(found))


def test_pooled_ap_needs_scores_that_compare_across_categories():
    truth = ground_truth([(0, 0, A), (0, 1, B)], categories=2)
    # each category is ranked well (AP 1), but the false positive of 0 comes before the hit of 1
    found = detections([(0, 0, 0.9, A), (0, 0, 0.8, FAR), (0, 1, 0.1, B)])
    result = metrics(truth, found, Protocol("coco", 100))
    assert result.headline["AP"] == pytest.approx(1.0)
    assert result.pooled["AP"] == pytest.approx((51 * 1.0 + 50 * 2 / 3) / 101)


def test_pools_of_groups_hold_the_false_positives_of_categories_without_objects():
    truth = ground_truth([(0, 0, A)], categories=3)
    found = detections([(0, 0, 0.5, A), (0, 1, 0.9, FAR), (0, 2, 0.9, FAR)])
    groups = {"r": np.array([True, True, False]), "c": np.array([False, False, True])}
    pooled = metrics(truth, found, Protocol("coco", 100), groups).pooled
    assert pooled == {"AP": pytest.approx(1 / 3), "APr": pytest.approx(1 / 2), "APc": None}


def test_fixed_ap_has_no_cap_per_image():
    truth = ground_truth([(0, 0, A), (0, 1, B)], categories=2, negative=[])
    found = detections([(0, 0, 0.9, A), (0, 1, 0.1, B)])
    result = metrics(truth, found, Protocol("lvis", 1))
    assert result.headline["AP"] == pytest.approx(0.5)
    assert result.fixed["AP"] == pytest.approx(1.0)
