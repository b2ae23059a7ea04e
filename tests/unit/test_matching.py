"""The greedy matching, against a plain loop written from the protocol."""

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.matching import UNMATCHED, match
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, Protocol, objects_of, outside
from longtail_cli.evaluation.selection import capped, in_order

COCO = Protocol("coco", 100)


def matched(found, truth, partial=None):
    """Matches, and the overlaps as a matrix [N, G] in file order of both."""
    objects = objects_of(truth, COCO)
    everything = np.arange(len(found))
    pairs = overlaps(found, truth, objects, "bbox", everything)
    selection = capped(in_order(found, None, len(truth.categories)), found, COCO.max_dets)
    partial = np.zeros(len(found), bool) if partial is None else partial
    matrix = np.zeros((len(found), len(truth.id)))
    for n in range(len(found)):
        for pair in range(pairs.start[n], pairs.start[n + 1]):
            matrix[n, objects.row[pairs.object[pair]]] = pairs.iou[pair]
    return match(selection, pairs, objects, found.category, found.area, partial, len(truth.categories)), matrix, objects


def plain(found, truth, partial, iou, order):
    """One threshold and area range at a time, written from the protocol: (true positive, ignored) [M, 4, 10]."""
    hit = np.zeros((len(order), 4, 10), bool)
    ignored = np.zeros((len(order), 4, 10), bool)
    for a in range(4):
        ignore = truth.crowd | outside(truth.area)[:, a]
        for t, threshold in enumerate(IOU_THRESHOLDS):
            free = np.ones(len(truth.id), bool)
            for m, n in enumerate(order):
                same = (truth.image == found.image[n]) & (truth.category == found.category[n])
                fits = same & (free | truth.crowd) & (iou[n] >= min(threshold, 1 - 1e-10))
                for candidates in (np.flatnonzero(fits & ~ignore), np.flatnonzero(fits & ignore)):
                    if len(candidates):
                        best = candidates[iou[n, candidates] == iou[n, candidates].max()][-1]
                        free[best] = False
                        hit[m, a, t], ignored[m, a, t] = not ignore[best], ignore[best]
                        break
                else:
                    ignored[m, a, t] = outside(found.area)[n, a] or partial[n]
    return hit, ignored


def bits(column):
    return ((column[:, :, None] >> np.arange(10, dtype=np.uint16)) & 1).astype(bool)


# integer boxes on a small grid: equal IoUs, exact thresholds and duplicates are common
box = st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 8), st.integers(0, 8)).map(
    lambda b: [10.0 * b[0], 10.0 * b[1], 12.0 * b[2], 12.0 * b[3]]
)
image_and_category = st.tuples(st.integers(0, 1), st.integers(0, 1))


@given(
    st.lists(st.tuples(image_and_category, box, st.booleans()), min_size=1, max_size=10),
    st.lists(st.tuples(image_and_category, box, st.sampled_from([0.2, 0.5, 0.9]), st.booleans()), max_size=16),
)
@settings(max_examples=100)
def test_equals_the_plain_loop(objects, found):
    truth = ground_truth(
        [(*where, xywh) for where, xywh, _ in objects], images=2, categories=2, crowd=[crowd for *_, crowd in objects]
    )
    seen = detections([(*where, score, xywh) for where, xywh, score, _ in found])
    partial = np.array([flag for *_, flag in found], bool)
    matches, iou, _ = matched(seen, truth, partial)
    hit, ignored = plain(seen, truth, partial, iou, matches.selection.row)
    np.testing.assert_array_equal(bits(matches.true_positive), hit)
    np.testing.assert_array_equal(bits(matches.ignored), ignored)


def test_the_higher_score_chooses_first():
    truth = ground_truth([(0, 0, [0, 0, 10, 10])])
    matches, *_ = matched(detections([(0, 0, 0.3, [0, 0, 10, 10]), (0, 0, 0.9, [0, 0, 10, 8])]), truth)
    assert matches.selection.row.tolist() == [1, 0]
    assert (matches.true_positive[:, 0] & 1).tolist() == [1, 0]
    # the first box has IoU 0.8; at higher thresholds the object is free for the second
    assert matches.true_positive[0, 0] == 0b1111111
    assert matches.true_positive[1, 0] == 0b1110000000


def test_the_last_object_is_taken_in_a_tie():
    truth = ground_truth([(0, 0, [0, 0, 10, 10]), (0, 0, [0, 0, 10, 10])])
    matches, _, objects = matched(detections([(0, 0, 0.9, [0, 0, 10, 10])]), truth)
    assert objects.row[matches.taken].tolist() == [1]


def test_a_crowd_region_takes_any_number_of_detections_that_match_nothing_else():
    truth = ground_truth([(0, 0, [0, 0, 50, 50]), (0, 0, [0, 0, 10, 10])], crowd=[True, False])
    same = (0, 0, 0.9, [0.0, 0.0, 10.0, 10.0])
    matches, *_ = matched(detections([same, same, same]), truth)
    assert (matches.true_positive[:, 0] & 1).tolist() == [1, 0, 0]
    assert (matches.ignored[:, 0] & 1).tolist() == [0, 1, 1]
    assert matches.num_objects[0, 0] == 1


def test_unmatched_and_not_exhaustive_is_ignored():
    truth = ground_truth([(0, 0, [0, 0, 10, 10])])
    matches, *_ = matched(detections([(0, 0, 0.9, [50, 50, 10, 10])]), truth, np.array([True]))
    assert matches.ignored[0].tolist() == [1023] * 4
    assert matches.taken.tolist() == [UNMATCHED]


@pytest.mark.parametrize(("side", "ranges"), [(32, "all s m"), (96, "all m l"), (31, "all s")])
def test_area_ranges_include_both_ends(side, ranges):
    truth = ground_truth([(0, 0, [0, 0, side, side])])
    matches, *_ = matched(detections([]), truth)
    names = ("all", "s", "m", "l")
    assert matches.num_objects[0].tolist() == [int(name in ranges.split()) for name in names]
