"""On how many images a mean over categories rests, and what that does to its interval."""

from dataclasses import replace

import numpy as np
import pytest
from reports import report, run

import longtail_cli as ltcal
from longtail_cli.evaluation.bootstrap.effective import NORMAL, effective_images, widening
from longtail_cli.evaluation.bootstrap.resampling import interval
from longtail_cli.metrics import LEAST_IMAGES
from longtail_cli.reports.model import Bootstrap, GroupSize
from longtail_cli.reports.reliance import effective_images as images_of
from longtail_cli.reports.reliance import is_withheld, withheld_notes

SPREAD = np.linspace(-0.1, 0.1, 1001)


@pytest.mark.parametrize(
    ("images", "effective"),
    [
        ([10], 10),
        ([10, 10, 10], 30),
        ([1, 1, 1], 3),
        ([1, 1000, 1000, 1000], 1.006),  # one category makes nearly all of the variance
        ([0, 0, 5], 5),
        ([0], 0),
        ([], 0),
    ],
)
def test_effective_images(images, effective):
    assert effective_images(np.array(images, np.int64)) == pytest.approx(effective, rel=1e-3)


@pytest.mark.parametrize(("images", "student"), [(3, 4.303), (6, 2.571), (11, 2.228), (31, 2.042), (1001, 1.962)])
def test_intervals_are_as_wide_as_by_students_t(images, student):
    assert widening(images) == pytest.approx(student / NORMAL * np.sqrt(images / (images - 1)), rel=0.01)
    narrow, wide = interval(0.5 + SPREAD, 0.5), interval(0.5 + SPREAD, 0.5, images)
    assert (wide[1] - 0.5) / (narrow[1] - 0.5) == pytest.approx(widening(images))
    assert (wide[0] - 0.5) / (narrow[0] - 0.5) == pytest.approx(widening(images))


def test_an_interval_on_too_few_images_is_withheld():
    assert interval(0.5 + SPREAD, 0.5, LEAST_IMAGES) is not None
    assert interval(0.5 + SPREAD, 0.5, LEAST_IMAGES - 0.01) is None


def based_on(**images):
    one = replace(report(run("a", 0.0)), groups={"all": GroupSize(2, 40, 50), "r": GroupSize(1, 7, 9)})
    return replace(one, bootstrap=Bootstrap(1000, 0, "00ff", images))


def test_metrics_rest_on_the_images_of_their_part_of_the_data():
    found = based_on(all=20.0, r=2.5, s=4.0)
    images = {"bbox/AP": 20.0, "bbox/AR@300": 20.0, "bbox/APfixed/APr": 2.5, "tide/bbox/r/Cls": 2.5, "bbox/APs": 4.0,
              "bbox/ARs@300": 4.0, "bbox/APm": None}  # fmt: skip
    assert {name: images_of(found, name) for name in images} == images
    assert images_of(found, "bbox/APpool/AP") == 40.0  # all detections on one curve, whatever their category
    assert images_of(found, "bbox/APpool/APr") == 7.0


def test_metrics_that_are_not_resampled_rest_on_nothing():
    found = based_on(all=1.0, r=1.0)
    for name in ("categories/7/bbox/AP", "reliability/bbox/r/LaECE", "classification/classwise_ece"):
        assert not is_withheld(found, name)
    assert is_withheld(found, "tide/bbox/Cls")
    assert not is_withheld(replace(found, signature=replace(found.signature, tide="tidecv")), "tide/bbox/Cls")


def test_a_note_says_which_intervals_are_withheld():
    assert withheld_notes(based_on(all=20.0, r=2.5, c=1.0, s=0.0)) == (
        "no intervals for metrics that effectively rest on fewer than 3 images: 2.5 for rare categories, 1.0 for "
        "common categories",
    )
    assert withheld_notes(report(run("a", 0.0))) == ()


def test_one_image_with_many_categories_has_no_intervals():
    """The mean over four categories, each in one image, would rest on four images."""
    boxes = [{"image_id": 1, "category_id": n, "bbox": [10 * n, 10, 9, 9]} for n in range(1, 5)]
    truth = {
        "images": [{"id": 1, "width": 100, "height": 100}],
        "categories": [{"id": n, "name": f"c{n}"} for n in range(1, 5)],
        "annotations": [{**box, "id": n, "area": 81, "iscrowd": 0} for n, box in enumerate(boxes)],
    }
    found = ltcal.evaluate([[{**box, "score": 0.5} for box in boxes]], truth, bootstrap=20)
    assert found.bootstrap.images["all"] == 1.0
    assert found.runs[0].intervals == {}
