"""Warnings and notes of a report about its inputs: images without detections, shards, and AP that cannot change."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.model import Report
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.report_detection import evaluate

IMAGES = 20
BOX = [10.0, 10.0, 40.0, 40.0]
TABLE = FrequencyTable(np.array([1, 2]), ("a", "b"), np.array([90, 3]), np.array([90, 3]), ("c", "r"), 100)


def truth(*, federated: bool = True, with_objects: int = IMAGES) -> dict[str, Any]:
    """Two categories; an object of category 1 on each of the first `with_objects` images."""
    lists = {"neg_category_ids": [2], "not_exhaustive_category_ids": []} if federated else {}
    size = {"width": 100, "height": 100}
    return {
        "images": [{"id": image, **size, **lists} for image in range(IMAGES)],
        "categories": [{"id": 1, "name": "a", "frequency": "c"}, {"id": 2, "name": "b", "frequency": "r"}],
        "annotations": [
            {"id": image, "image_id": image, "category_id": 1, "bbox": BOX, "area": 1600.0, "iscrowd": 0}
            for image in range(with_objects)
        ],
    }


def found(images: Any = range(IMAGES), each: int = 2, scores: tuple[float, float] = (0.8, 0.6)) -> list[dict[str, Any]]:
    """`each` detections on each image, of both categories in turn, ever lower scores from those given."""
    return [
        {"image_id": image, "category_id": 1 + k % 2, "bbox": BOX, "score": scores[k % 2] / (1 + k + image / 100)}
        for image in images
        for k in range(each)
    ]


def report(*predictions: Any, methods: tuple[str, ...] = (), federated: bool = True, **options: Any) -> Report:
    return evaluate(
        predictions,
        truth(federated=federated),
        frequencies=TABLE,
        methods=[parse_method(spec) for spec in methods],
        names=[] if methods else ["first", "second", "third"][: len(predictions)],
        options=EvaluationOptions(**options),
    )


def test_a_plain_evaluation_has_one_note_on_the_number_of_detections():
    for one in (report(found()), report(found(), max_dets=1), report(found(), federated=False)):
        assert one.warnings == ()
        assert one.notes == ("first: 40 detections on 20 of 20 images, at most 2 in one",)
        assert one.runs[0].notes == ()


KEPT = "the order of the detections within each category is the same, and"
UNMOVED = (
    "{} and iif cannot differ from those of predictions: {} {}. Pooled AP, reliability and errors between classes can "
    "differ; to change AP, adjust full logits"
)


@pytest.mark.parametrize(
    ("federated", "why"),
    [
        (True, "no image has more than the 300 detections that are evaluated"),
        (False, "the limit of 100 detections is one for each category"),
    ],
)
def test_methods_that_keep_the_order_of_a_file_cannot_change_ap(federated, why):
    result = report(found(), methods=("none", "norcal", "iif"), federated=federated, pooled_ap=True)
    assert result.warnings == (UNMOVED.format("AP and AR of norcal:gamma=0.6", KEPT, why),)
    none, *others = [run.metrics["bbox"] for run in result.runs]
    assert all(one[name] == none[name] for one in others for name in none if name != "APpool")


def test_it_is_said_of_a_single_method_too():
    (warning,) = report(found(), methods=("norcal",)).warnings
    assert warning.startswith("AP and AR of norcal:gamma=0.6 cannot differ from those of predictions: ")


def test_methods_that_change_the_order_or_nothing_are_not_named():
    """Of this IIF the weight of category 1, most of all objects, is negative, which reverses its order."""
    (warning,) = report(found(), methods=("none", "iif:variant=relative", "norcal")).warnings
    assert warning.startswith("AP and AR of norcal:gamma=0.6 cannot differ")
    assert report(found(), methods=("none",)).warnings == ()


def test_where_the_limit_per_image_decides_ap_can_change():
    result = report(found(each=6), methods=("none", "norcal"), max_dets=3)
    assert result.warnings == ()
    assert result.notes == (
        "predictions: 120 detections on 20 of 20 images, at most 6 in one",
        "predictions: 20 images have more detections than the 3 that are evaluated. An adjustment that keeps the "
        "order within each category changes per-category AP only by changing which of them are evaluated",
    )


def test_a_second_file_with_other_scores_in_the_same_order_cannot_differ_in_ap():
    rescored = found(scores=(0.8, 0.3))
    result = report(found(), rescored, found())
    (warning,) = result.warnings
    assert warning.startswith(f"AP and AR of second cannot differ from those of first: {KEPT} no image has more")
    other_order = [{**one, "score": 1 - one["score"]} for one in found()]
    assert report(found(), other_order).warnings == ()
    limited = report(found(), rescored, max_dets=1)
    assert limited.warnings == ()
    assert limited.notes[-1].startswith("second: 20 images have more detections than the 1 that are evaluated")


def test_images_without_detections_are_counted():
    half = report(found(range(10)))
    assert half.warnings == (
        "first has detections on 10 of 20 images; 10 of the other 10 hold objects, all of which count as missed",
    )
    assert report(found(range(18))).warnings == ()
    assert report(found(range(17))).warnings != ()
    few_objects = evaluate([found(range(10))], truth(with_objects=12), names=["first"])
    assert few_objects.warnings[0].startswith("first has detections on 10 of 20 images; 2 of the other 10 hold objects")


def test_no_detections_at_all():
    nothing = report([])
    assert nothing.warnings == ("first has no detections; 20 of 20 images hold objects, all of which count as missed",)
    assert nothing.notes[0] == "first: no detections"


def test_inputs_that_share_no_image_may_be_shards():
    result = report(found(range(0, 20, 3)), found(range(1, 20, 3)), found(range(2, 20, 3)))
    assert result.warnings == (
        "first (7 of 20 images), second (7 of 20 images) and third (6 of 20 images) have no image with detections in "
        "common: are these shards of one run? Then pass `merge=True`",
    )
    assert not any("shards" in one for one in report(found(), found(range(10))).warnings)


@pytest.mark.parametrize("options", [{"fixed_ap": True}, {"pooled_ap": True}])
def test_a_file_that_seems_to_be_limited_per_image(options):
    limited = [*found(range(15), each=100), *found(range(15, 20), each=7)]
    (_, note) = report(limited, **options).notes
    assert note == (
        "first: 15 of 20 images have exactly 100 detections and none has more, so the file seems to hold only the best "
        "of each image; Fixed AP and pooled AP lack what was left out"
    )
    assert len(report(limited).notes) == 1
    unlimited = [*found(range(15), each=100), *found(range(15, 20), each=101)]
    few = found(each=99)
    assert len(report(unlimited, **options).notes) == len(report(few, **options).notes) == 1
