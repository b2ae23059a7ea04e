"""IoU of boxes and masks, bit-identical to pycocotools."""

import numpy as np
import pytest
from builders import detections, ground_truth, masks_of, official_rle
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as coco_mask

from longtail_cli.evaluation.geometry import MIN_IOU, mask_areas, overlaps, rows_of
from longtail_cli.evaluation.protocol import Protocol, objects_of

COCO = Protocol("coco", 100)


def dense(found, truth, iou_type="bbox"):
    """The sparse overlaps as a matrix [N, G], zero for pairs that are not kept; columns in file order."""
    objects = objects_of(truth, COCO)
    pairs = overlaps(found, truth, objects, iou_type, np.arange(len(found)))
    matrix = np.zeros((len(found), len(truth.id)))
    for n in range(len(found)):
        for pair in range(pairs.start[n], pairs.start[n + 1]):
            matrix[n, objects.row[pairs.object[pair]]] = pairs.iou[pair]
    return matrix


def official(one, other, crowd):
    """The IoU of pycocotools, set to 0 below the threshold."""
    iou = np.asarray(coco_mask.iou(one, other, crowd)).reshape(len(one), len(other))
    return np.where(iou >= MIN_IOU, iou, 0.0)


def test_detections_can_share_the_overlaps_of_a_box():
    """The overlaps of equal boxes are computed once: methods that keep the same proposals differ in scores."""
    rng = np.random.default_rng(0)
    truth = ground_truth([(0, 0, [*rng.integers(0, 20, 2), 10, 10]) for _ in range(5)])
    boxes = detections([(0, 0, 1.0, [*rng.integers(0, 20, 2), 10, 10]) for _ in range(8)])
    objects = objects_of(truth, COCO)
    pairs = overlaps(boxes, truth, objects, "bbox", np.arange(8))
    row = np.array([3, 3, 0, 7, 5, 3])
    assigned = rows_of(pairs, row)
    for index, box in enumerate(row):
        own, shared = slice(*assigned.start[index : index + 2]), slice(*pairs.start[box : box + 2])
        assert assigned.object[own].tolist() == pairs.object[shared].tolist()
        assert assigned.iou[own].tolist() == pairs.iou[shared].tolist()
    nothing = rows_of(pairs, np.zeros(0, np.int64))
    assert (nothing.start.tolist(), len(nothing.object)) == ([0], 0)


def test_hand_computed():
    # two 10 x 10 boxes shifted by 5: intersection 50, union 150
    truth = ground_truth([(0, 0, [5, 0, 10, 10])])
    assert dense(detections([(0, 0, 1.0, [0, 0, 10, 10])]), truth)[0, 0] == 50 / 150


def test_a_crowd_region_is_measured_against_the_detection():
    truth = ground_truth([(0, 0, [0, 0, 100, 100])], crowd=[True])
    assert dense(detections([(0, 0, 1.0, [90, 0, 20, 10])]), truth)[0, 0] == 100 / 200


def test_objects_of_other_images_do_not_overlap():
    truth = ground_truth([(1, 0, [0, 0, 10, 10]), (0, 0, [0, 0, 10, 10])], images=2)
    assert dense(detections([(0, 0, 1.0, [0, 0, 10, 10])]), truth).tolist() == [[0.0, 1.0]]


def test_boxes_without_area_overlap_nothing():
    truth = ground_truth([(0, 0, [0, 0, 0, 10]), (0, 0, [0, 0, 10, 10])])
    found = detections([(0, 0, 1.0, [0, 0, 0, 10]), (0, 0, 1.0, [2, 2, 0, 0])])
    assert not dense(found, truth).any()


def test_no_detections_and_no_objects():
    assert dense(detections([]), ground_truth([(0, 0, [0, 0, 1, 1])])).shape == (0, 1)
    assert dense(detections([(0, 0, 1.0, [0, 0, 1, 1])]), ground_truth([])).shape == (1, 0)


boxes = st.lists(st.tuples(*[st.floats(0, 40, width=32)] * 4).map(list), min_size=1, max_size=8)


@given(boxes, boxes, st.lists(st.booleans(), min_size=8, max_size=8))
def test_boxes_equal_pycocotools_bit_for_bit(one, other, crowd):
    crowd = crowd[: len(other)]
    truth = ground_truth([(0, 0, box) for box in other], crowd=crowd)
    found = detections([(0, 0, 1.0, box) for box in one])
    expected = official(np.array(one), np.array(other), [int(c) for c in crowd])
    np.testing.assert_array_equal(dense(found, truth), expected)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 6))
def test_masks_equal_pycocotools_bit_for_bit(seed, number, objects):
    rng = np.random.default_rng(seed)
    pictures = [rng.random((7, 9)) < rng.random() for _ in range(number + objects)]
    found, known = pictures[:number], pictures[number:]
    crowd = (rng.random(objects) < 0.3).tolist()
    truth = ground_truth([(0, 0, [0, 0, 9, 7])] * objects, crowd=crowd, masks=masks_of(known))
    seen = detections([(0, 0, 1.0, [0, 0, 9, 7])] * number, masks=masks_of(found))
    expected = official(
        [official_rle(picture) for picture in found], [official_rle(picture) for picture in known], crowd
    )
    np.testing.assert_array_equal(dense(seen, truth, "segm"), expected)


def test_masks_of_another_size_overlap_nothing():
    truth = ground_truth([(0, 0, [0, 0, 4, 4])], masks=masks_of([np.ones((4, 4))]))
    found = detections([(0, 0, 1.0, [0, 0, 4, 4])], masks=masks_of([np.ones((4, 5))]))
    assert not dense(found, truth, "segm").any()


def test_mask_overlaps_need_masks():
    truth = ground_truth([(0, 0, [0, 0, 4, 4])])
    with pytest.raises(ValueError, match="masks on both sides"):
        dense(detections([(0, 0, 1.0, [0, 0, 4, 4])]), truth, "segm")


def test_mask_areas_count_pixels():
    pictures = [np.zeros((3, 3)), np.ones((3, 3)), np.eye(3)]
    area = mask_areas(masks_of(pictures))
    assert (area.dtype, area.tolist()) == (np.float64, [0, 9, 3])
    assert mask_areas(masks_of([])).shape == (0,)


@given(st.integers(0, 10**6), st.integers(1, 6))
def test_mask_areas_equal_pycocotools(seed, number):
    rng = np.random.default_rng(seed)
    pictures = [rng.random((7, 9)) < rng.random() for _ in range(number)]
    expected = coco_mask.area([official_rle(picture) for picture in pictures])
    assert mask_areas(masks_of(pictures)).tolist() == expected.tolist()
