"""The metrics of images on small scenes."""

import math

import numpy as np
import pytest
from builders import detections, ground_truth

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol

HERE, THERE, FAR = [0.0, 0.0, 10.0, 10.0], [30.0, 0.0, 10.0, 10.0], [80.0, 80.0, 10.0, 10.0]
NEAR = [5.0, 0.0, 10.0, 10.0]  # IoU 1/3 with HERE


def images_of(truth, found, protocol="coco", max_dets=100, tide="aligned"):
    options = EvaluationOptions(per_image=True, tide=tide)
    evaluation = Evaluation.prepare(truth, Protocol(protocol, max_dets), "bbox", {}, options)
    table = detections(found)
    return evaluation.metrics(table, evaluation.candidates(table)).images


def test_the_counts_of_each_image():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE), (1, 0, HERE), (2, 0, HERE)], images=4)
    found = [(0, 0, 0.9, HERE), (0, 0, 0.8, FAR), (1, 0, 0.7, HERE), (0, 0, 0.6, THERE), (1, 0, 0.1, FAR)]
    images = images_of(truth, found)
    assert images.threshold == 0.6
    assert images.image_id.tolist() == [0, 1, 2, 3]
    assert images.ground_truths.tolist() == [2, 1, 1, 0]
    assert images.true_positives.tolist() == [2, 1, 0, 0]
    assert images.false_positives.tolist() == [1, 0, 0, 0]
    assert images.missed.tolist() == [0, 0, 1, 0]
    assert images.main_error == ("Bkg", None, "Miss", None)
    assert images.f1[:3].tolist() == [4 / 5, 1.0, 0.0]
    assert math.isnan(images.f1[3])
    assert images.file_name is None


@pytest.mark.parametrize(
    ("error", "objects", "wrong"),
    [
        ("Cls", [(0, 1, HERE)], [(0, 0, 0.9, HERE)]),
        ("Loc", [(0, 0, HERE)], [(0, 0, 0.9, NEAR)]),
        ("Both", [], [(0, 0, 0.9, [25.0, 0.0, 10.0, 10.0])]),
        ("Dupe", [], [(0, 0, 0.95, THERE)]),
        ("Bkg", [], [(0, 0, 0.9, FAR)]),
        ("Miss", [(0, 0, FAR)], []),
    ],
)
def test_each_error(error, objects, wrong):
    category = 1 if error == "Both" else 0  # near an object of another category
    truth = ground_truth([(0, category, THERE), (1, 0, HERE), *objects], images=2, categories=2)
    images = images_of(truth, [*wrong, (0, category, 0.9, THERE), (1, 0, 0.9, HERE)])
    assert images.main_error == (error, None)
    assert images.true_positives.tolist() == [1, 1]
    assert images.false_positives.tolist() == [len(wrong), 0]


def test_a_tie_goes_to_the_first_error_in_the_order_of_tide():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
    images = images_of(truth, [(0, 0, 0.9, THERE), (0, 0, 0.9, FAR), (0, 0, 0.9, NEAR)])
    assert images.main_error == ("Loc",)


def test_an_object_that_only_a_dropped_detection_finds_is_missed():
    """At its threshold two false positives are kept too."""
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
    images = images_of(truth, [(0, 0, 0.9, HERE), *[(0, 0, 0.5, FAR)] * 2, (0, 0, 0.1, THERE)])
    assert images.threshold == 0.9
    assert images.missed.tolist() == [1]
    assert images.main_error == ("Miss",)


def test_an_error_below_the_threshold_explains_no_missed_object():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
    assert images_of(truth, [(0, 0, 0.9, THERE), (0, 0, 0.1, NEAR)]).main_error == ("Miss",)
    assert images_of(truth, [(0, 0, 0.9, THERE), (0, 0, 0.9, NEAR)]).main_error == ("Loc",)


def test_detections_that_ap_ignores_count_nowhere_but_explain_missed_objects():
    """Category 0 is not annotated exhaustively; category 2 is not judged in the image."""
    truth = ground_truth([(0, 0, HERE), (0, 1, THERE), (0, 1, FAR)], categories=3, negative=[], not_exhaustive=[(0, 0)])
    images = images_of(truth, [(0, 0, 0.9, HERE), (0, 0, 0.9, THERE), (0, 2, 0.9, FAR)], "lvis")
    assert images.false_positives.tolist() == [0]
    assert images.missed.tolist() == [2]
    assert images.main_error == (None,)
    assert images.f1.tolist() == [0.5]


def test_crowd_regions_and_what_they_absorb_count_nowhere():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)], crowd=[False, True])
    images = images_of(truth, [(0, 0, 0.9, HERE), (0, 0, 0.9, THERE), (0, 0, 0.8, THERE)])
    assert images.ground_truths.tolist() == [1]
    assert images.f1.tolist() == [1.0]


def test_detections_beyond_the_cap_are_left_out():
    truth = ground_truth([(0, 0, HERE), (0, 0, THERE)])
    found = [(0, 0, 0.9, HERE), (0, 0, 0.8, THERE)]
    assert images_of(truth, found, max_dets=1).missed.tolist() == [1]


@pytest.mark.parametrize("found", [[], [(0, 0, 0.9, FAR), (1, 0, 0.1, FAR)]])
def test_where_nothing_is_found_there_is_no_threshold_and_every_detection_is_kept(found):
    images = images_of(ground_truth([(0, 0, HERE)], images=2), found)
    assert images.threshold is None
    assert images.false_positives.sum() == len(found)
    assert images.missed.tolist() == [1, 0]


def test_without_objects_f1_is_undefined_or_zero():
    images = images_of(ground_truth([], images=2), [(1, 0, 0.9, FAR)])
    assert images.threshold is None
    assert np.array_equal(images.f1, [np.nan, 0.0], equal_nan=True)


@pytest.mark.parametrize("tide", ["tidecv", "off"])
def test_the_main_error_needs_aligned_tide(tide):
    truth = ground_truth([(0, 0, HERE)])
    found = [(0, 0, 0.9, HERE), (0, 0, 0.9, FAR)]
    images = images_of(truth, found, tide=tide)
    assert images.main_error is None
    assert images.f1.tolist() == images_of(truth, found).f1.tolist()


def test_columns_are_of_one_length():
    images = images_of(ground_truth([(0, 0, HERE)], images=2), [(0, 0, 0.9, HERE)], tide="off")
    assert {name: len(values) for name, values in images.columns.items()} == dict.fromkeys(images.columns, 2)
    assert images.columns["main_error"] == images.columns["file_name"] == (None, None)
    assert images.columns["threshold"].tolist() == [0.9, 0.9]
