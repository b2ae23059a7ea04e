"""Invariants of the best score thresholds of any detector."""

from itertools import chain

import numpy as np
import pytest
from builders import ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st
from reliability_twins import counted
from thresholds_scenes import result, tried

CATEGORIES, IMAGES, MAX_DETS = 3, 2, 4
TOLERANCE = 1e-12

# integer boxes on a small grid and scores on a few levels: equal IoUs, exact thresholds and ties are common
box = st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4)).map(
    lambda b: [10.0 * b[0], 10.0 * b[1], 12.0 * b[2], 12.0 * b[3]]
)
score = st.one_of(st.floats(-1, 2), st.integers(0, 4).map(lambda k: k / 4))
image, category = st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1)
seen = st.lists(st.tuples(st.tuples(image, category, score, box), st.booleans()), max_size=12)
known = st.lists(st.tuples(st.tuples(image, category, box), st.booleans()), max_size=8)


def found_of(seen, known):
    """seen: detections, and whether each is ignored if unmatched. known: objects, and whether each is a crowd."""
    crowd = np.array([flag for _, flag in known], bool)
    truth = ground_truth([one for one, _ in known], images=IMAGES, categories=CATEGORIES, crowd=crowd)
    return result([one for one, _ in seen], truth, partial=[flag for _, flag in seen], max_dets=MAX_DETS)


def plain(seen, known):
    """The detections that count and the number of ground truths of each category."""
    columns = [[one for one, _ in seen], [one for one, _ in known], [c for _, c in known], [p for _, p in seen]]
    by_category = counted(*columns, MAX_DETS)
    objects = [sum(one[1] == c and not crowd for one, crowd in known) for c in range(CATEGORIES)]
    return [by_category.get(c, []) for c in range(CATEGORIES)], objects


def check(f1, lrp, found, objects):
    """The points against those of every threshold that can be tried."""
    if not objects or not any(one.hit for one in found):
        assert f1.threshold is None is lrp.threshold
        assert f1.reason is not None
        assert (f1.value, lrp.value) == ((0.0, 1.0) if objects else (None, None))
        return
    every = tried(found, objects)
    best = max(every, key=lambda one: one.f1)  # the first, so the highest of equal ones
    assert (f1.threshold, f1.precision, f1.recall, f1.value) == (*best[:3], best.f1)
    assert lrp.value == pytest.approx(min(one.lrp for one in every), abs=TOLERANCE)
    chosen = next(one for one in every if one.threshold == lrp.threshold)
    assert lrp.value == pytest.approx(chosen.lrp, abs=TOLERANCE)
    assert (lrp.precision, lrp.recall) == (chosen.precision, chosen.recall)
    hits = [one for one in found if one.hit and one.score >= lrp.threshold]
    assert lrp.localisation == pytest.approx(sum(1 - one.iou for one in hits) / len(hits), abs=TOLERANCE)


@settings(max_examples=50)
@given(seen, known)
def test_no_other_threshold_is_better(seen, known):
    found, (twin, objects) = found_of(seen, known), plain(seen, known)
    for row, own, number in zip(found.categories, twin, objects, strict=True):
        assert (row.ground_truths, row.detections) == (number, len(own))
        check(row.f1, row.lrp, own, number)
    check(found.f1, found.lrp, list(chain(*twin)), sum(objects))


@settings(max_examples=40)
@given(seen, known, st.permutations(range(CATEGORIES)))
def test_renaming_categories_renames_their_thresholds_and_changes_nothing_else(seen, known, new):
    renamed = [((i, new[c], s, b), flag) for (i, c, s, b), flag in seen]
    one, other = found_of(seen, known), found_of(renamed, [((i, new[c], b), flag) for (i, c, b), flag in known])
    for c, row in enumerate(one.categories):
        assert (row.f1, row.lrp) == (other.categories[new[c]].f1, other.categories[new[c]].lrp)
    assert one.f1 == other.f1
    for mine, its in ((one.lrp, other.lrp), (one.mean_f1, other.mean_f1), (one.mean_lrp, other.mean_lrp)):
        assert mine.value == (None if its.value is None else pytest.approx(its.value, abs=TOLERANCE))


@settings(max_examples=40)
@given(seen, known, st.sampled_from(["f1", "lrp"]))
def test_detections_below_a_threshold_can_be_dropped(seen, known, metric):
    """What is left, evaluated again, has the precision and recall that were promised, and the same threshold."""
    found = found_of(seen, known)
    for c, row in enumerate(found.categories):
        point = getattr(row, metric)
        if point.threshold is not None:
            kept = [one for one in seen if one[0][1] != c or one[0][2] >= point.threshold]
            again = found_of(kept, known).categories[c]
            assert getattr(again, metric) == point
            true = np.rint(point.recall * row.ground_truths)
            assert true / again.detections == point.precision
    point = getattr(found, metric)
    if point.threshold is not None:
        again = found_of([one for one in seen if one[0][2] >= point.threshold], known)
        assert getattr(again, metric) == point
        assert point.precision * sum(row.detections for row in again.categories) == pytest.approx(
            point.recall * sum(row.ground_truths for row in again.categories)
        )
