"""Invariants of the protocols for any detections."""

from dataclasses import fields, replace

import numpy as np
import pytest
from builders import detections, ground_truth
from hypothesis import given
from hypothesis import strategies as st

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

IMAGES, CATEGORIES = 3, 3
ALL = EvaluationOptions(fixed_ap=True, pooled_ap=True, per_category=True, tide="aligned")

box = st.tuples(*[st.integers(0, 5)] * 2, *[st.integers(1, 6)] * 2).map(lambda b: [8.0 * side for side in b])
where = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1))
objects = st.lists(st.tuples(where, box).map(lambda o: (*o[0], o[1])), min_size=1, max_size=8)
found = st.lists(st.tuples(where, st.integers(0, 20), box).map(lambda d: (*d[0], d[1] / 20, d[2])), max_size=20)
pairs = st.lists(where, max_size=4)


def truth_of(known, negative, partial):
    return ground_truth(known, images=IMAGES, categories=CATEGORIES, negative=negative, not_exhaustive=partial)


def evaluated(truth, seen, protocol="lvis", cap=300):
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", {}, ALL)
    return evaluation.metrics(seen, evaluation.candidates(seen))


def same(one, other):
    """Equal metrics; sums in another order may differ in the last bit."""
    for name, value in one.items():
        assert other[name] == (value if value is None else pytest.approx(value, abs=1e-12)), name


@given(objects, found, pairs, pairs, st.permutations(range(CATEGORIES)))
def test_renaming_categories_changes_no_metric(known, seen, negative, partial, new):
    one = evaluated(truth_of(known, negative, partial), detections(seen))
    renamed = truth_of(
        [(i, new[c], b) for i, c, b in known],
        [(i, new[c]) for i, c in negative],
        [(i, new[c]) for i, c in partial],
    )
    other = evaluated(renamed, detections([(i, new[c], s, b) for i, c, s, b in seen]))
    same(one.headline, other.headline)
    same(one.fixed, other.fixed)
    for c in range(CATEGORIES):
        same(one.per_category[c], other.per_category[new[c]])


@given(objects, found, pairs, pairs, st.lists(st.floats(0.1, 5), min_size=CATEGORIES, max_size=CATEGORIES))
def test_below_the_cap_only_the_order_within_a_category_matters(known, seen, negative, partial, power):
    """So a class-wise monotone adjustment of a result file cannot change per-category AP."""
    truth = truth_of(known, negative, partial)
    before = evaluated(truth, detections(seen))
    # scores are multiples of 1/20, far enough apart that no power makes two of them equal
    after = evaluated(truth, detections([(i, c, s ** power[c], b) for i, c, s, b in seen]))
    assert before.headline == after.headline
    assert before.fixed == after.fixed
    assert before.per_category == after.per_category


@given(objects, found, pairs, pairs)
def test_categories_that_an_image_does_not_judge_can_only_explain_missed_objects(known, seen, negative, partial):
    truth = truth_of(known, negative, partial)
    judged = {(i, c) for i, c, _ in known} | set(negative)
    kept = [row for row in seen if row[:2] in judged]
    whole, part = (evaluated(truth, detections(rows)) for rows in (seen, kept))
    assert replace(whole, tide=None) == replace(part, tide=None)
    assert unexplained(whole.tide) == unexplained(part.tide)
    if None not in (whole.tide.main["Miss"], part.tide.main["Miss"]):
        assert whole.tide.main["Miss"] <= part.tide.main["Miss"]


def unexplained(tide):
    """The part of a breakdown that does not depend on which detections explain a missed object."""
    return tide.AP50, tide.special, tide.false_positives, {name: tide.main[name] for name in ("Both", "Dupe", "Bkg")}


@given(objects, found, pairs, pairs, st.sampled_from(["lvis", "coco"]), st.integers(1, 4))
def test_aligned_tide_starts_from_the_ap50_of_the_report(known, seen, negative, partial, protocol, cap):
    result = evaluated(truth_of(known, negative, partial), detections(seen), protocol, cap)
    assert result.headline["AP50"] == result.tide.AP50


@given(objects, found, pairs, pairs)
def test_metrics_are_fractions_and_inputs_are_not_changed(known, seen, negative, partial):
    truth, table = truth_of(known, negative, partial), detections(seen)
    kept = [np.array(getattr(t, f.name)) for t in (truth, table) for f in fields(t)
            if isinstance(getattr(t, f.name), np.ndarray)]  # fmt: skip
    result = evaluated(truth, table)
    values = [*result.headline.values(), *result.fixed.values(), *result.pooled.values()]
    assert all(value is None or 0 <= value <= 1 for value in values)
    now = [getattr(t, f.name) for t in (truth, table) for f in fields(t)
           if isinstance(getattr(t, f.name), np.ndarray)]  # fmt: skip
    assert all(np.array_equal(a, b) for a, b in zip(kept, now, strict=True))


@given(objects, found)
def test_a_perfect_detector_has_ap_one(known, seen):
    truth = ground_truth(known, images=IMAGES, categories=CATEGORIES)
    perfect = detections([(i, c, 1.0, b) for i, c, b in known] + [(i, c, s / 2, b) for i, c, s, b in seen])
    result = evaluated(truth, perfect, "coco")
    assert result.headline["AR@300"] == pytest.approx(1.0)
    assert result.headline["AP"] == pytest.approx(1.0)
