"""Selection and order of the detections that are evaluated."""

from dataclasses import replace

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from longtail_cli.errors import UsageError
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol, judgements, objects_of
from longtail_cli.evaluation.selection import (
    best_per_category,
    best_per_image,
    by_category,
    capped,
    descending,
    image_order,
    in_order,
    judged_rows,
    per_image,
    within_limits,
)

BOX = [0.0, 0.0, 10.0, 10.0]
LVIS, COCO = Protocol("lvis", 2), Protocol("coco", 2)


def selected(found, protocol, truth, categories):
    if not protocol.federated:
        return capped(in_order(found, None, categories), found, protocol.max_dets)
    within = best_per_image(found, protocol.max_dets)
    judged = np.zeros(len(found), bool)
    judged[judged_rows(found, found.area, judgements(truth, objects_of(truth, protocol)))] = True
    return in_order(found, judged if within is None else judged & within, categories)


def test_lvis_caps_the_image_over_all_categories():
    truth = ground_truth([(0, 0, BOX), (0, 1, BOX)], categories=2, negative=[])
    found = detections([(0, 0, 0.9, BOX), (0, 0, 0.8, BOX), (0, 1, 0.7, BOX)])
    assert selected(found, LVIS, truth, 2).row.tolist() == [0, 1]


def test_coco_caps_each_category_of_the_image():
    truth = ground_truth([(0, 0, BOX), (0, 1, BOX)], categories=2)
    found = detections([(0, 0, 0.9, BOX), (0, 0, 0.7, BOX), (0, 0, 0.8, BOX), (0, 1, 0.1, BOX)])
    selection = selected(found, COCO, truth, 2)
    assert selection.row.tolist() == [0, 2, 3]
    assert selection.start.tolist() == [0, 2, 3]
    assert selection.rank.tolist() == [0, 1, 0]


def test_lvis_applies_the_cap_before_it_drops_categories_that_the_image_does_not_judge():
    truth = ground_truth([(0, 0, BOX)], categories=3, negative=[(0, 1)])
    found = detections([(0, 2, 0.9, BOX), (0, 2, 0.8, BOX), (0, 0, 0.7, BOX)])
    assert selected(found, LVIS, truth, 3).row.tolist() == []


def test_lvis_keeps_positive_and_negative_categories_only():
    truth = ground_truth([(0, 0, BOX)], images=2, categories=3, negative=[(0, 1)])
    found = detections([(0, 0, 0.9, BOX), (0, 1, 0.8, BOX), (1, 0, 0.7, BOX), (1, 2, 0.6, BOX)])
    assert selected(found, LVIS, truth, 3).row.tolist() == [0, 1]


def test_lvis_drops_detections_and_objects_without_area():
    truth = ground_truth([(0, 0, [0, 0, 0, 5]), (0, 1, BOX)], categories=2, negative=[])
    found = detections([(0, 0, 0.9, BOX), (0, 1, 0.8, [0, 0, 0, 5])])
    assert selected(found, LVIS, truth, 2).row.tolist() == []


def test_ties_are_broken_by_image_id_and_then_by_entry():
    found = detections([(1, 0, 0.5, BOX), (0, 0, 0.5, BOX), (0, 0, 0.5, BOX), (1, 0, 0.6, BOX)])
    assert best_per_image(found, 1).tolist() == [False, True, False, True]
    truth = ground_truth([(0, 0, BOX)], images=2)
    assert selected(found, Protocol("coco", 100), truth, 1).row.tolist() == [3, 1, 2, 0]


def test_fixed_ap_has_no_cap_per_image(monkeypatch):
    monkeypatch.setattr("longtail_cli.evaluation.selection.FIXED_AP_PER_CATEGORY", 2)
    found = detections([(0, 0, 0.1, BOX), (0, 0, 0.3, BOX), (1, 0, 0.2, BOX), (0, 1, 0.1, BOX)])
    assert best_per_category(found).tolist() == [False, True, True, True]


def test_detections_of_each_image():
    found = detections([(0, 0, 0.1, BOX)] * 3 + [(2, 0, 0.1, BOX)] * 2 + [(3, 0, 0.1, BOX)])
    assert per_image(found.image, 6).tolist() == [3, 0, 2, 1, 0, 0]


def test_the_limit_of_the_decoder_comes_with_that_of_the_protocol():
    found = detections([(0, 0, 0.9, BOX), (0, 0, 0.8, BOX), (0, 0, 0.7, BOX), (1, 0, 0.1, BOX)])
    assert within_limits(found, None) is None
    assert within_limits(found, 2).tolist() == [True, True, False, True]
    decoded = replace(found, within_limit=np.array([True, False, False, True]))
    assert within_limits(decoded, None).tolist() == within_limits(decoded, 2).tolist() == [True, False, False, True]
    assert within_limits(decoded, 3).tolist() == [True, False, False, True]


def test_no_detections():
    truth = ground_truth([(0, 0, BOX)])
    selection = selected(detections([]), COCO, truth, 1)
    assert (selection.row.tolist(), selection.start.tolist()) == ([], [0, 0])
    assert per_image(detections([]).image, 3).tolist() == [0, 0, 0]
    assert best_per_image(detections([]), 300) is None


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([0.0, -0.0, 0.5, 0.7, -1e300])), max_size=90
    )
)
def test_the_order_is_by_category_score_image_and_entry(rows):
    found = detections([(image, category, score, BOX) for image, category, score in rows])
    selection = selected(found, Protocol("coco", 100), ground_truth([(0, 0, BOX)], images=4), 4)
    expected = np.lexsort((np.arange(len(found)), found.image, -found.score, found.category))
    assert selection.row.tolist() == expected.tolist()
    place = image_order(found, np.arange(len(found)))
    assert np.argsort(place).tolist() == np.argsort(found.image, kind="stable").tolist()


@given(
    arrays(np.float64, st.integers(0, 300), elements=st.integers(0, 40).map(lambda score: score / 8)),
    st.integers(1, 3),
    st.integers(0, 100),
)
def test_the_sort_by_category_is_numpys_stable_sort(score, categories, seed):
    rng = np.random.default_rng(seed)
    category = rng.integers(0, categories, len(score)).astype(np.int32)
    rows = rng.permutation(len(score))
    ordered, start = by_category(category, score, rows, categories)
    assert ordered.tolist() == rows[np.lexsort((-score[rows], category[rows]))].tolist()
    assert start.tolist() == [int((category < c).sum()) for c in range(categories + 1)]


@given(arrays(np.float64, st.integers(0, 50), elements=st.sampled_from([0.0, -0.0, 0.5, 1.0, -3.0, 5e-324, 1e300])))
def test_the_radix_sort_is_numpys_stable_sort_on_few_values(score):
    assert descending(score).tolist() == np.argsort(-score, kind="stable").tolist()


@given(arrays(np.float64, st.integers(0, 50), elements=st.floats(allow_nan=False)))
def test_the_radix_sort_is_numpys_stable_sort(score):
    assert descending(score).tolist() == np.argsort(-score, kind="stable").tolist()


@pytest.mark.parametrize("name", ["auto", "LVIS"])
def test_a_protocol_is_lvis_or_coco(name):
    with pytest.raises(UsageError, match=f"`protocol=`: value: expected one of lvis, coco, found '{name}'"):
        Protocol(name, 300)


@pytest.mark.parametrize("max_dets", [0, -1])
def test_the_cap_is_at_least_1(max_dets):
    with pytest.raises(UsageError, match=f"`max_dets=`: value: expected a whole number from 1, found {max_dets}"):
        Protocol("lvis", max_dets)
    with pytest.raises(UsageError, match=f"`max_dets=`: value: expected a whole number from 1, found {max_dets}"):
        EvaluationOptions(max_dets=max_dets)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"protocol": "voc"}, "`protocol=`: value: expected one of auto, lvis, coco, found 'voc'"),
        ({"iou_types": ("bbox", "masks")}, "`iou_types=`: value: expected one of bbox, segm, found 'masks'"),
        ({"tide": "alinged"}, "(?s)`tide=`.*Fix: did you mean aligned?"),
        ({"score_space": "logits"}, "`score_space=`"),
    ],
)
def test_options_with_unknown_values_are_refused(wrong, message):
    with pytest.raises(UsageError, match=message):
        EvaluationOptions(**wrong)


def test_an_evaluation_is_of_boxes_or_masks():
    with pytest.raises(UsageError, match="`iou_types=`: value: expected one of bbox, segm, found 'keypoints'"):
        Evaluation.prepare(ground_truth([(0, 0, BOX)]), COCO, "keypoints", {}, EvaluationOptions())
