"""Readings of ids and boxes that fit the annotations far better than what is stated, and those that do not."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from builders import ground_truth
from shifted_files import annotated, detected, shuffled, with_boxes_as, with_categories, with_images

from longtail_cli.choices import BOX_FORMATS, BoxFormat
from longtail_cli.errors import InputError
from longtail_cli.tables import Convention, GroundTruth, Results
from longtail_cli.workflow import offset_guard
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.offset_guard import PER_IMAGE, Reading, distinct, examined, fits_better_by_far, sample_of
from longtail_cli.workflow.options import ConventionOptions

STATED = ConventionOptions()
TRUTH = annotated(0, images=40, categories=6)
RIGHT = detected(TRUTH, 0, right=0.8)


def overlap(one: list[float], other: list[float]) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    shared = max(width, 0) * max(height, 0)
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


def plain_counts(results: Results, truth: GroundTruth, category_offset: int) -> tuple[int, int, int, int]:
    """Boxes in images with objects, those that match an object, those of its class, and images of matched boxes."""
    boxes = matched = agreeing = 0
    images = set()
    for image_id in truth.image_id.tolist():
        rows = [row for row in range(len(results)) if results.image_id[row] == image_id]
        rows = sorted(rows, key=lambda row: -results.score[row])[:PER_IMAGE]
        own = np.flatnonzero(truth.image_id[truth.image] == image_id)
        for row in rows:
            found = [one for one in own if overlap(results.bbox[row].tolist(), truth.bbox[one].tolist()) >= 0.5]
            classes = {truth.categories.id[truth.category[one]] for one in found}
            boxes += len(own) > 0
            matched += len(found) > 0
            agreeing += results.category_id[row] + category_offset in classes
            images |= {image_id} if found else set()
    return boxes, matched, agreeing, len(images)


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_are_those_of_plain_loops(seed: int) -> None:
    truth = annotated(seed, images=6, categories=3)
    results, _ = shuffled(detected(truth, seed, right=0.6, spread=0.15), seed)
    verdict = examined(results, truth, STATED)
    boxes, matched, agreeing, images = plain_counts(results, truth, 0)
    assert (verdict.boxes.stated.agreeing, verdict.boxes.stated.boxes) == (matched, boxes)
    assert (verdict.images.stated.agreeing, verdict.images.stated.boxes) == (matched, boxes)
    stated = verdict.categories.stated
    assert (stated.agreeing, stated.boxes, stated.images) == (agreeing, matched, images)
    for reading in verdict.categories.others:
        for offset in (1, -1):
            if reading.option == f"`category_offset={offset}`":
                assert reading.agreeing == plain_counts(results, truth, offset)[2]


@pytest.mark.parametrize(
    ("wrong", "option"),
    [
        (with_categories(RIGHT, -1), "`category_offset=1`"),
        (with_images(RIGHT, -1), "`image_offset=1`"),
        (with_images(RIGHT, 1), "`image_offset=-1`"),
        *((with_boxes_as(RIGHT, form), f"`box_format='{form}'`") for form in BOX_FORMATS if form != "xywh"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_fits_better_by_far_stops_the_run(wrong: Results, option: str) -> None:
    with pytest.raises(InputError) as raised:
        resolved(wrong, TRUTH)
    assert f"; with {option} " in str(raised.value)
    assert f"pass {option} if the" in str(raised.value)


def test_the_message_has_both_shares_and_both_options() -> None:
    with pytest.raises(InputError) as raised:
        resolved(with_categories(RIGHT, -1), TRUTH)
    verdict = examined(with_categories(RIGHT, -1), TRUTH, STATED).categories
    assert verdict.better is not None
    shares = [round(100 * reading.agreeing / reading.boxes) for reading in (verdict.stated, verdict.better)]
    assert str(raised.value) == (
        "predictions: categories: expected boxes of the class of an object that they overlap in made by the test "
        f"(IoU >= 0.5), found as stated (ids) {shares[0]}% of {verdict.stated.boxes} sampled boxes; "
        f"with `category_offset=1` {shares[1]}%\n"
        "Fix: pass `category_offset=1` if the categories are so, or `category_offset=0` if they are as stated"
    )


@pytest.mark.parametrize(
    ("wrong", "as_stated", "corrected"),
    [
        (with_categories(RIGHT, -1), ConventionOptions(category_offset=0), ConventionOptions(category_offset=1)),
        (with_boxes_as(RIGHT, "xyxy"), ConventionOptions(box_format="xywh"), ConventionOptions(box_format="xyxy")),
    ],
)
def test_the_option_settles_it_in_either_direction(
    wrong: Results, as_stated: ConventionOptions, corrected: ConventionOptions
) -> None:
    kept, changed = resolved(wrong, TRUTH, as_stated), resolved(wrong, TRUTH, corrected)
    assert (kept.category_id == wrong.category_id).all()
    assert (kept.bbox == wrong.bbox).all()
    assert (changed.category_id == RIGHT.category_id).all()
    np.testing.assert_allclose(changed.bbox, RIGHT.bbox, atol=1e-9)


def test_image_ids_that_are_not_all_known_are_refused_with_the_evidence() -> None:
    zero_based = with_images(RIGHT, -1)
    assert zero_based.image_id.min() == 0 < TRUTH.image_id.min()
    with pytest.raises(InputError, match=r"images: expected .*; with `image_offset=1` [4-9]\d%"):
        resolved(zero_based, TRUTH)
    corrected = resolved(zero_based, TRUTH, ConventionOptions(image_offset=1))
    assert (corrected.image_id == RIGHT.image_id).all()


def test_positions_given_as_ids_are_recognised() -> None:
    sparse = replace(TRUTH, image_id=TRUTH.image_id * 7)
    positions = with_images(RIGHT, -1)
    with pytest.raises(InputError, match=r"from 0 7\d%\nFix: replace the positions by the ids of the images"):
        resolved(positions, sparse)


def test_boxes_and_categories_are_both_named() -> None:
    with pytest.raises(InputError, match="2 problems") as raised:
        resolved(with_boxes_as(with_categories(RIGHT, -1), "xyxy"), TRUTH)
    assert "`category_offset=1`" in str(raised.value)
    assert "`box_format='xyxy'`" in str(raised.value)


@pytest.mark.parametrize("form", BOX_FORMATS)
def test_boxes_in_the_stated_format_pass(form: BoxFormat) -> None:
    stated = replace(with_boxes_as(RIGHT, form), convention=Convention(boxes=form))
    np.testing.assert_allclose(resolved(stated, TRUTH).bbox, RIGHT.bbox, atol=1e-9)


def test_contiguous_numbers_and_numbers_from_1_are_recognised() -> None:
    sparse = replace(TRUTH, categories=replace(TRUTH.categories, id=np.array([2, 5, 6, 11, 12, 30, 31])))
    for first, option in ((0, "`contiguous=True`"), (1, "`contiguous=True` and `category_offset=-1`")):
        numbered = with_categories(RIGHT, first)  # the ids of `RIGHT` are the indices, as category 0 is the first
        with pytest.raises(InputError, match=f"with {option} "):
            resolved(numbered, sparse)
        options = ConventionOptions(contiguous=True, category_offset=-first)
        assert (resolved(numbered, sparse, options).category_id == sparse.categories.id[RIGHT.category_id]).all()


def test_numbers_of_which_some_are_ids_are_recognised() -> None:
    """As of COCO classes from 1 to 80, of which the first eleven are the ids."""
    gaps = np.array([0, 1, 3, 4, 5, 6, 7])
    sparse = replace(TRUTH, categories=replace(TRUTH.categories, id=gaps))
    numbered = with_categories(RIGHT, 0)
    verdict = examined(numbered, sparse, STATED).categories
    assert verdict.stated.agreement is not None
    assert verdict.stated.agreement > 0.25
    with pytest.raises(
        InputError, match=r"and categories that the annotations lack; with `contiguous=True` "
    ) as raised:
        resolved(numbered, sparse)
    assert raised.value.fix == "pass `contiguous=True` if the categories are so"


def test_corners_in_the_wrong_order_are_recognised() -> None:
    stated = replace(RIGHT, convention=Convention(boxes="xyxy"))
    with pytest.raises(InputError, match=r"\(xyxy\) boxes of negative size, .*; with `box_format='xywh'` "):
        resolved(stated, TRUTH)


def test_a_file_that_states_indices_but_holds_ids_is_refused() -> None:
    truth = annotated(1, images=40, categories=6, root=False)
    results = detected(truth, 1, right=0.8)
    few = replace(results, category_id=np.minimum(results.category_id, 5), convention=Convention(categories="index"))
    with pytest.raises(InputError, match=r"with `category_offset=0` \d\d%\nFix: .* or `contiguous=True` if they"):
        resolved(few, truth)
    assert (resolved(few, truth, ConventionOptions(category_offset=0)).category_id == few.category_id).all()


def test_one_class_for_all_boxes_stops_only_if_it_has_no_objects() -> None:
    truth = annotated(2, images=60, categories=2)
    results = detected(truth, 2, right=1)
    rare = replace(results, category_id=np.where(results.category_id == 2, 1, 1))
    mostly_two = replace(truth, category=np.where(truth.id % 10 == 0, 1, 2).astype(np.int32))
    assert (resolved(rare, mostly_two).category_id == 1).all()
    only_two = replace(truth, category=np.full(len(truth.id), 2, np.int32))
    with pytest.raises(InputError, match="`category_offset=1`"):
        resolved(rare, only_two)


def test_few_boxes_say_nothing() -> None:
    truth = annotated(3, images=4, categories=3)
    shifted = with_categories(detected(truth, 3, right=1), -1)
    assert (resolved(shifted, truth).category_id == shifted.category_id).all()


@pytest.mark.parametrize(
    ("one", "stated", "far"),
    [
        ((300, 400), (40, 400), True),
        ((300, 400), (80, 400), False),  # less than four times as many
        ((39, 400), (0, 400), False),  # a difference of less than 0.1
        ((41, 400), (0, 400), True),
        ((19, 19), (0, 19), False),  # too few boxes
        ((0, 0), (0, 0), False),
    ],
)
def test_the_rule(one: tuple[int, int], stated: tuple[int, int], far: bool) -> None:
    readings = [Reading("", "", agreeing, boxes, boxes, possible=True) for agreeing, boxes in (one, stated)]
    assert fits_better_by_far(*readings) == far
    assert not fits_better_by_far(replace(readings[0], possible=False), readings[1])


@pytest.mark.parametrize(("agreeing", "far"), [(121, True), (119, False)])
def test_what_is_impossible_as_stated_needs_no_ratio(agreeing: int, far: bool) -> None:
    stated = Reading("", "", 80, 400, 400, possible=False)
    assert fits_better_by_far(replace(stated, agreeing=agreeing, possible=True), stated) == far


@pytest.mark.parametrize("images", [9, 16, 25, 100])
def test_fewer_images_need_a_greater_difference(images: int) -> None:
    boxes = 1000
    stated = Reading("", "", 0, boxes, images, possible=True)
    least = math.ceil(boxes * 2 / math.sqrt(images))
    assert fits_better_by_far(replace(stated, agreeing=least), stated)
    assert not fits_better_by_far(replace(stated, agreeing=least - 1), stated)


def test_agreement_by_chance_does_not_count() -> None:
    stated = Reading("", "", 0, 500, 500, possible=True)
    by_chance = replace(stated, agreeing=400, chance=0.79)
    assert by_chance.kappa == pytest.approx(0.01 / 0.21)
    assert not fits_better_by_far(by_chance, stated)
    assert fits_better_by_far(by_chance, stated, chance_counts=False)
    assert fits_better_by_far(replace(by_chance, chance=0.7), stated)


def test_the_chance_is_the_mean_over_all_pairings() -> None:
    truth = annotated(5, images=20, categories=3)
    results = detected(truth, 5, right=0.5, others=0)
    stated = examined(results, truth, STATED).categories.stated
    sample = sample_of(results)
    matches = []
    for image, category, box in zip(sample.image_id, sample.category_id, sample.bbox.tolist(), strict=True):
        own = [one for one in np.flatnonzero(truth.image + 1 == image) if overlap(box, truth.bbox[one].tolist()) >= 0.5]
        matches.append((category, {truth.categories.id[truth.category[one]] for one in own}))
    matches = [(category, classes) for category, classes in matches if classes]
    agreeing = [category in classes for category, _ in matches for _, classes in matches]
    assert stated.chance == pytest.approx(np.mean(agreeing))


def test_the_sample_holds_the_best_of_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    results, _ = shuffled(RIGHT, 1)
    sample = sample_of(results)
    for image in TRUTH.image_id.tolist():
        best = np.sort(results.score[results.image_id == image])[::-1][:PER_IMAGE]
        assert np.sort(sample.score[sample.image_id == image])[::-1].tolist() == best.tolist()
    monkeypatch.setattr(offset_guard, "IMAGES", 7)
    assert len(np.unique(sample_of(results).image_id)) == 7


def test_no_detections_and_no_objects_are_no_evidence() -> None:
    nothing = Results(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), np.zeros((0, 4)), None, "predictions")
    assert len(resolved(nothing, TRUTH)) == 0
    assert examined(nothing, TRUTH, STATED).categories.stated.agreement is None
    empty = replace(ground_truth([], images=40, categories=7), image_id=TRUTH.image_id)
    assert len(resolved(RIGHT, empty)) == len(RIGHT)


@pytest.mark.parametrize("numbers", [[], [5], [3, 3, -2], [0, 2**62, -(2**62)], [10**7, 0, 10**7]])
def test_the_numbers_that_occur(numbers: list[int]) -> None:
    assert distinct(np.array(numbers, np.int64)).tolist() == sorted(set(numbers))


def test_what_no_reading_fits_is_doubted() -> None:
    """As boxes in the pixels of enlarged images, or categories in another order."""
    assert resolved(RIGHT, TRUTH).convention.notes == ()
    assert RIGHT.bbox is not None
    (of_boxes,) = resolved(replace(RIGHT, bbox=3 * RIGHT.bbox + 7), TRUTH).convention.notes
    assert of_boxes.startswith("warning: only 0% of ")
    assert of_boxes.endswith("and the boxes in pixels of images of that size?")
    known, sure = TRUTH.categories.id, detected(TRUTH, 0, right=1.0)
    reversed_ids = known[::-1][np.searchsorted(known, sure.category_id)]
    (of_categories,) = resolved(replace(sure, category_id=reversed_ids), TRUTH).convention.notes
    assert of_categories.endswith("are these the categories that the model was trained on, in this order?")
