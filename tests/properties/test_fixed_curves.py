"""TIDE's curves computed in one pass equal those of their definition, sorted anew after each fix."""

import numpy as np
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation import tide
from longtail_cli.evaluation.average_precision import single_curve
from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.matching import match
from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.evaluation.selection import capped, in_order

COCO = Protocol("coco", 6)
CATEGORIES = 3

where = st.tuples(st.integers(0, 2), st.integers(0, CATEGORIES - 1))
box = st.tuples(*[st.integers(0, 3)] * 2, *[st.integers(1, 4)] * 2).map(lambda b: [8.0 * side for side in b])


def defined(points: tide.Points, curve: tide.FixedCurve) -> np.ndarray:
    """AP of each category."""
    number = np.bincount(points.object_category[curve.objects], minlength=CATEGORIES)
    row = curve.order[curve.keep[curve.order]]
    row = row[np.argsort(curve.category[row], kind="stable")]
    start = np.searchsorted(curve.category[row], np.arange(CATEGORIES + 1))
    ap = single_curve(start, curve.hit[row], number, tide.ALIGNED.recalls, tide.ALIGNED.epsilon)
    return np.where(number > 0, ap, np.diff(start) == 0)  # without objects perfect, unless a detection is left


@given(
    st.lists(st.tuples(where, box, st.booleans()), min_size=1, max_size=10),
    st.lists(st.tuples(where, st.integers(0, 5), box), max_size=40),
)
@settings(max_examples=150)
def test_each_fix_equals_its_definition(known, seen):
    truth = ground_truth(
        [(*at, xywh) for at, xywh, _ in known], images=3, categories=CATEGORIES, crowd=[crowd for *_, crowd in known]
    )
    found = detections([(*at, score / 5, xywh) for at, score, xywh in seen])
    objects, every = objects_of(truth, COCO), np.arange(len(found))
    pairs = overlaps(found, truth, objects, "bbox", every)
    selection = capped(in_order(found, None, CATEGORIES), found, COCO.max_dets)
    matches = match(selection, pairs, objects, found.category, found.area, np.zeros(len(found), bool), CATEGORIES)
    outcomes = tide.outcomes(pairs, objects, matches)
    points = tide.aligned_points(found, selection.row, selection.start, objects, outcomes, tide.NO_UNJUDGED)
    computed = tide.fixed_ap(points, tide.ALIGNED)
    assert computed.keys() == tide.fixed_curves(points).keys()
    for name, curve in tide.fixed_curves(points).items():
        known_at_all = matches.num_objects[:, 0] > 0
        expected = np.where(known_at_all, defined(points, curve), np.nan)
        np.testing.assert_array_equal(computed[name], expected, err_msg=name)
