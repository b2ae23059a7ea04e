"""Invariants of the metrics of images for any detections."""

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.thresholds import best_f1

IMAGES, CATEGORIES = 4, 3

box = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 6)] * 2).map(lambda b: [8.0 * side for side in b])
where = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1))
objects = st.lists(st.tuples(where, box).map(lambda o: (*o[0], o[1])), max_size=8)
found = st.lists(st.tuples(where, st.integers(0, 20), box).map(lambda d: (*d[0], d[1] / 20, d[2])), max_size=20)
pairs = st.lists(where, max_size=4)
protocols = st.sampled_from([Protocol("lvis", 300), Protocol("lvis", 3), Protocol("coco", 100), Protocol("coco", 1)])


def evaluated(known, seen, negative, partial, protocol):
    truth = ground_truth(known, images=IMAGES, categories=CATEGORIES, negative=negative, not_exhaustive=partial)
    options = EvaluationOptions(per_image=True)
    evaluation = Evaluation.prepare(truth, protocol, "bbox", {}, options)
    table = detections(seen)
    return evaluation.evaluate(table, evaluation.candidates(table), None)


@settings(max_examples=30)
@given(objects, found, pairs, pairs, protocols)
def test_sums_over_images_are_those_of_the_operating_point(known, seen, negative, partial, protocol):
    result = evaluated(known, seen, negative, partial, protocol)
    images, matches = result.metrics.images, result.matched.capped
    score = result.matched.scored.score[matches.selection.row]
    true = matches.true_positive[:, 0] & 1 == 1
    false = ~true & (matches.ignored[:, 0] & 1 == 0)
    point = best_f1(score, true, false, int(matches.counts[:, 0].sum()))
    kept = score >= (-np.inf if point.threshold is None else point.threshold)
    assert images.threshold == point.threshold
    assert images.ground_truths.sum() == matches.counts[:, 0].sum()
    assert images.true_positives.sum() == (true & kept).sum()
    assert images.false_positives.sum() == (false & kept).sum()
    total = 2 * images.true_positives.sum() + images.false_positives.sum() + images.missed.sum()
    if images.ground_truths.any():
        assert 2 * images.true_positives.sum() / total == point.value


@settings(max_examples=30)
@given(objects, found, pairs, pairs, protocols)
def test_each_image_adds_up(known, seen, negative, partial, protocol):
    images = evaluated(known, seen, negative, partial, protocol).metrics.images
    assert (images.true_positives + images.missed == images.ground_truths).all()
    empty = (images.ground_truths == 0) & (images.false_positives == 0)
    assert np.array_equal(np.isnan(images.f1), empty)
    perfect = (images.missed == 0) & (images.false_positives == 0) & ~empty
    assert np.array_equal(images.f1 == 1, perfect)
    for index, error in enumerate(images.main_error):
        if images.false_positives[index]:
            assert error is not None
        elif images.missed[index] == 0:
            assert error is None
        else:
            assert error in (None, "Miss")  # None if the error of an ignored detection explains what is missed


@settings(max_examples=30)
@given(objects, found, pairs, pairs, protocols, st.permutations(range(IMAGES)))
def test_reordering_images_reorders_their_metrics(known, seen, negative, partial, protocol, new):
    def moved(rows):
        return [(new[row[0]], *row[1:]) for row in rows]

    one = evaluated(known, seen, negative, partial, protocol).metrics.images
    other = evaluated(*map(moved, (known, seen, negative, partial)), protocol).metrics.images
    assert one.threshold == other.threshold
    for name in ("ground_truths", "true_positives", "false_positives", "missed", "f1"):
        assert getattr(one, name).tolist() == pytest.approx(getattr(other, name)[list(new)].tolist(), nan_ok=True)
    assert list(one.main_error) == [other.main_error[index] for index in new]
