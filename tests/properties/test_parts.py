"""Detections that are matched in parts have the metrics of all together, to the last bit."""

from dataclasses import replace

import numpy as np
import pytest
from builders import detections, ground_truth, masks_of
from hypothesis import given, settings
from hypothesis import strategies as st
from parts_twin import assert_equal, in_parts, thresholds_in_parts

from longtail_cli.evaluation import selection
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts import share
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.selection import best_per_image
from longtail_cli.evaluation.thresholds import thresholds

IMAGES, CATEGORIES, PARTS = 5, 4, 4
GROUPS = {"r": np.array([True, False, False, False]), "f": np.array([False, True, True, False])}

where = st.tuples(st.integers(0, IMAGES - 1), st.integers(0, CATEGORIES - 1))
box = st.tuples(*[st.integers(0, 4)] * 2, *[st.integers(1, 5)] * 2).map(lambda b: [16.0 * side for side in b])
objects = st.lists(st.tuples(where, box, st.booleans(), st.integers(0, 3).map(lambda n: n == 0)), max_size=12)
found = st.lists(st.tuples(where, st.integers(0, 4), box), max_size=40)
"""Few different scores, so many ties."""
pairs = st.lists(where, max_size=8)
parts = st.lists(st.integers(0, PARTS - 1), min_size=IMAGES, max_size=IMAGES)
"""The part of each image; some may have none."""

cases = pytest.mark.parametrize(("protocol", "cap"), [("lvis", 300), ("lvis", 4), ("coco", 100), ("coco", 2)])
scenes = given(
    known=objects, seen=found, negative=pairs, partial=pairs, part=parts, buckets=st.integers(1, CATEGORIES + 1),
    seed=st.integers(0, 9), most_rows=st.none() | st.integers(1, 8), limit=st.integers(1, 6), ascending=st.booleans(),
)  # fmt: skip


def scene(known, seen, negative, partial, protocol, ascending):
    """Annotations and detections; under COCO some objects are crowd regions, under LVIS some are to be ignored."""
    special = np.array([flag for *_, flag in known], bool)
    truth = ground_truth(
        [(*at, xywh) for at, xywh, _, _ in known], images=IMAGES, categories=CATEGORIES, negative=negative,
        not_exhaustive=partial, crowd=special, ignore=special,
        masks=masks_of([picture(xywh, whole) for _, xywh, whole, _ in known]),
    )  # fmt: skip
    ordered = sorted(seen, key=lambda one: one[0][0]) if ascending else seen
    masks = masks_of([picture(xywh, score % 2) for _, score, xywh in ordered])
    return truth, detections([(*at, score / 4, xywh) for at, score, xywh in ordered], masks=masks)


def picture(xywh, whole):
    """The box, or all of it but its last column."""
    x, y, width, height = (int(side) for side in xywh)
    mask = np.zeros((160, 160), bool)
    mask[y : y + height, x : x + width - (not whole)] = True
    return mask


@cases
@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@scenes
@settings(max_examples=5)
def test_all_metrics_equal_those_of_one_process(
    protocol, cap, iou_type, known, seen, negative, partial, part, buckets, seed, most_rows, limit, ascending
):
    truth, seen = scene(known, seen, negative, partial, protocol, ascending)
    seen = replace(seen, within_limit=best_per_image(seen, 3 * limit))
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True)
    draws = Draws(IMAGES, 2 + 32 * (seed % 2), seed)
    evaluation = Evaluation.prepare(
        truth, Protocol(protocol, cap), iou_type, GROUPS, options, draws, resampled_sizes=seed % 3 > 0
    )
    whole = evaluation.metrics(seen, evaluation.candidates(seen))
    assert_equal(in_parts(evaluation, seen, part, PARTS, buckets, seed, most_rows), whole)


@cases
@scenes
@settings(max_examples=6)
def test_the_limit_of_fixed_ap_is_that_of_all_parts(
    protocol, cap, known, seen, negative, partial, part, buckets, seed, most_rows, limit, ascending
):
    truth, seen = scene(known, seen, negative, partial, protocol, ascending)
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", GROUPS, options)
    with pytest.MonkeyPatch.context() as patch:
        for module in (selection, share):
            patch.setattr(module, "FIXED_AP_PER_CATEGORY", limit)
        whole = evaluation.metrics(seen, evaluation.candidates(seen))
        assert_equal(in_parts(evaluation, seen, part, PARTS, buckets, seed, most_rows), whole)


@cases
@scenes
@settings(max_examples=5)
def test_only_what_is_asked_for_is_computed(
    protocol, cap, known, seen, negative, partial, part, buckets, seed, most_rows, limit, ascending
):
    truth, seen = scene(known, seen, negative, partial, protocol, ascending)
    seen = replace(seen, score=seen.score * limit)  # no confidences if the limit is above 1
    options = EvaluationOptions(
        fixed_ap=seed % 2 == 0, pooled_ap=seed % 3 == 0, reliability=True, tide=("aligned", "off")[seed % 2]
    )
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", {}, options)
    whole = evaluation.metrics(seen, evaluation.candidates(seen))
    assert_equal(in_parts(evaluation, seen, part, PARTS, buckets, seed, most_rows), whole)


@cases
@scenes
@settings(max_examples=5)
def test_thresholds_equal_those_of_one_process(
    protocol, cap, known, seen, negative, partial, part, buckets, seed, most_rows, limit, ascending
):
    truth, seen = scene(known, seen, negative, partial, protocol, ascending)
    options = EvaluationOptions(thresholds=True, tide=("aligned", "off")[limit % 2])
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", GROUPS, options)
    candidates = evaluation.candidates(seen)
    whole = evaluation.evaluate(seen, candidates, None).matched
    expected = thresholds(whole.scored, candidates.overlaps, whole.capped, truth.categories, GROUPS)
    assert thresholds_in_parts(evaluation, seen, part, PARTS, buckets, seed, most_rows) == expected


@cases
@pytest.mark.parametrize(("seed", "most_rows"), [(0, None), (1, 25), (2, 40)])
def test_crowded_images(protocol, cap, seed, most_rows):
    """Hundreds of detections that overlap, with many ties, in a file that is not in the order of the images."""
    rng = np.random.default_rng(seed)

    def cells(number):
        return list(
            zip(rng.integers(0, IMAGES, number).tolist(), rng.integers(0, CATEGORIES, number).tolist(), strict=True)
        )

    def boxes(number):
        return (16.0 * np.column_stack([rng.integers(0, 3, (number, 2)), rng.integers(1, 5, (number, 2))])).tolist()

    objects, number = int(rng.integers(20, 60)), int(rng.integers(100, 300))
    known = list(
        zip(cells(objects), boxes(objects), [True] * objects, (rng.random(objects) < 0.2).tolist(), strict=True)
    )
    seen = list(zip(cells(number), rng.integers(0, 5, number).tolist(), boxes(number), strict=True))
    truth, seen = scene(known, seen, cells(6), cells(6), protocol, ascending=seed % 2 == 0)
    seen = replace(seen, within_limit=best_per_image(seen, 30) if seed % 3 else None)
    options = EvaluationOptions(fixed_ap=True, pooled_ap=True, reliability=True, per_category=True, thresholds=True)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, cap), "bbox", GROUPS, options, Draws(IMAGES, 5, seed))
    candidates, part = evaluation.candidates(seen), rng.integers(0, PARTS, IMAGES)
    with pytest.MonkeyPatch.context() as patch:
        for module in (selection, share):
            patch.setattr(module, "FIXED_AP_PER_CATEGORY", 30 * (1 + seed))
        whole = evaluation.evaluate(seen, candidates, None)
        assert_equal(in_parts(evaluation, seen, part, PARTS, 1 + seed % 5, seed, most_rows), whole.metrics)
    matched = whole.matched
    best = thresholds(matched.scored, candidates.overlaps, matched.capped, truth.categories, GROUPS)
    assert thresholds_in_parts(evaluation, seen, part, PARTS, 1 + seed % 5, seed, most_rows) == best
