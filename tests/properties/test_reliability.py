"""Invariants of the calibration errors of any detector."""

from itertools import chain

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given
from hypothesis import strategies as st
from reliability_twins import average, counted, errors, split, table_row

from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.matching import match
from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.evaluation.reliability import BINS, are_confidences, reliability
from longtail_cli.evaluation.selection import capped, in_order

CATEGORIES, IMAGES, MAX_DETS = 4, 2, 3
KINDS = ("D-ECE", "LaECE")
GROUPS = {"r": np.array([True, False, False, False]), "f": np.array([False, True, True, True])}

# integer boxes on a small grid and scores on bin edges: equal IoUs, exact thresholds and ties are common
box = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)).map(
    lambda b: [10.0 * b[0], 10.0 * b[1], 12.0 * b[2], 12.0 * b[3]]
)
score = st.one_of(st.floats(0, 1), st.integers(0, BINS).map(lambda k: k / BINS))
image, category = st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1)
seen = st.lists(st.tuples(st.tuples(image, category, score, box), st.booleans()), max_size=12)
known = st.lists(st.tuples(st.tuples(image, category, box), st.booleans()), max_size=8)


def result(seen, known):
    """seen: detections, and whether each is ignored if unmatched. known: objects, and whether each is a crowd."""
    protocol = Protocol("coco", MAX_DETS)
    crowd = np.array([flag for _, flag in known], bool)
    truth = ground_truth([one for one, _ in known], images=IMAGES, categories=CATEGORIES, crowd=crowd)
    found, partial = detections([one for one, _ in seen]), np.array([flag for _, flag in seen], bool)
    objects = objects_of(truth, protocol)
    pairs = overlaps(found, truth, objects, "bbox", np.arange(len(found)))
    selection = capped(in_order(found, None, CATEGORIES), found, protocol.max_dets)
    matches = match(selection, pairs, objects, found.category, found.area, partial, CATEGORIES)
    return reliability(found, pairs, matches, GROUPS, defined=are_confidences(found.score))


def plain(seen, known):
    """The detections that count, for each category with objects that count."""
    columns = [[one for one, _ in seen], [one for one, _ in known], [c for _, c in known], [p for _, p in seen]]
    by_category, present = counted(*columns, MAX_DETS), {one[1] for one, crowd in known if not crowd}
    return [by_category.get(c, []) if c in present else [] for c in range(CATEGORIES)]


def close(value):
    return value if value is None else pytest.approx(value, abs=1e-12)


@given(seen, known)
def test_any_scene_gives_the_metrics_of_the_plain_loops(seen, known):
    found, twin = result(seen, known), plain(seen, known)
    for c, one in enumerate(found.per_category):
        assert one == {kind: close(value) for kind, value in errors(twin[c]).items()}
    for name, member in {"all": np.ones(CATEGORIES, bool), **GROUPS}.items():
        part = [one for one, inside in zip(twin, member, strict=True) if inside]
        for kind in KINDS:
            assert found.metrics.errors[name][kind] == close(average([errors(one)[kind] for one in part]))
        for one, inside in zip(found.metrics.bins[name], split(list(chain(*part))), strict=True):
            expected = table_row(inside)
            assert one.count == expected["count"]
            assert (one.confidence, one.precision, one.iou) == (
                close(expected["confidence"]), close(expected["precision"]), close(expected["iou"])
            )  # fmt: skip


@given(seen, known)
def test_errors_are_fractions_and_every_detection_is_in_one_bin(seen, known):
    found = result(seen, known)
    number = sum(len(one) for one in plain(seen, known))
    assert sum(one.count for one in found.metrics.bins["all"]) == number
    assert sum(one.count for name in GROUPS for one in found.metrics.bins[name]) == number
    for one in [*found.metrics.errors.values(), *found.per_category]:
        assert all(value is None or 0 <= value <= 1 for value in one.values())


@given(seen, known, st.permutations(range(CATEGORIES)))
def test_renaming_categories_renames_their_errors_and_changes_nothing_else(seen, known, new):
    renamed = [((i, new[c], s, b), flag) for (i, c, s, b), flag in seen]
    one, other = result(seen, known), result(renamed, [((i, new[c], b), flag) for (i, c, b), flag in known])
    assert one.per_category == [other.per_category[new[c]] for c in range(CATEGORIES)]
    one, other = one.metrics, other.metrics
    assert [row.count for row in one.bins["all"]] == [row.count for row in other.bins["all"]]
    assert other.errors["all"] == {kind: close(value) for kind, value in one.errors["all"].items()}


@given(st.lists(st.tuples(category, st.integers(0, 2), score), max_size=12))
def test_both_errors_are_equal_if_boxes_fit_exactly(drawn):
    """Detections that copy an object or touch none: every IoU of a true positive is 1."""
    boxes = [[20.0 * x, 0.0, 10.0, 10.0] for x in range(3)]
    known = [((0, c, box), False) for c in range(CATEGORIES) for box in boxes[:2]]
    seen = [((0, c, s, boxes[x]), False) for c, x, s in drawn]
    for one in result(seen, known).per_category:
        assert one["LaECE"] == close(one["D-ECE"])


@given(st.integers(1, 12), st.data())
def test_scores_that_are_the_share_of_true_positives_have_no_error(number, data):
    """`number` detections with one score, one per image; the share given by the score copies the object there."""
    hits = data.draw(st.integers(0, number))
    truth = ground_truth([(i, 0, [0, 0, 10, 10]) for i in range(number)], images=number)
    found = detections([(i, 0, hits / number, [0 if i < hits else 50, 0, 10, 10]) for i in range(number)])
    protocol = Protocol("coco", MAX_DETS)
    objects = objects_of(truth, protocol)
    pairs = overlaps(found, truth, objects, "bbox", np.arange(number))
    selection = capped(in_order(found, None, 1), found, protocol.max_dets)
    matches = match(selection, pairs, objects, found.category, found.area, np.zeros(number, bool), 1)
    assert reliability(found, pairs, matches, {}, defined=True).metrics.errors["all"] == {
        "D-ECE": close(0),
        "LaECE": close(0),
    }
