"""Which detections are right, against the official matching as a plain loop over images, categories and detections."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
from cases import HEIGHT, WIDTH, Entry, make_case
from frequency_tables import table
from pycocotools import mask as coco_mask

from longtail_cli.choices import IouType
from longtail_cli.errors import InputError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import open_results
from longtail_cli.fitting.score_maps import ScoredRows
from longtail_cli.methods.scores import sigmoid
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.matched_detections import fields_of, matched_detections

Protocol = Literal["lvis", "coco"]


def counts_of(annotations: Entry) -> FrequencyTable:
    """Two classes more than in the annotations, one on either side."""
    ids = sorted(one["id"] for one in annotations["categories"])
    return table([1] * (len(ids) + 2), ids=[ids[0] - 1, *ids, ids[-1] + 1])


def found_in(
    annotations: Entry, predictions: list[Entry], protocol: Protocol, iou_type: IouType, iou: float
) -> ScoredRows:
    with open_annotations(annotations) as truth_file, open_results(predictions) as file:
        truth, results = truth_file.read(masks=iou_type == "segm"), file.read(fields_of(iou_type))
        return matched_detections(
            results, truth, counts_of(annotations), iou=iou, iou_type=iou_type, protocol=protocol, score_space="logit"
        )


def plain(
    annotations: Entry, predictions: list[Entry], protocol: Protocol, iou_type: IouType, iou: float
) -> dict[int, bool]:
    """Whether each detection is right, by its number in the file, without those that are ignored."""
    right = {}
    for image in annotations["images"]:
        for category in annotations["categories"]:
            here = {"image_id": image["id"], "category_id": category["id"]}
            own = [n for n, one in enumerate(predictions) if here.items() <= one.items()]
            objects = [one for one in annotations["annotations"] if here.items() <= one.items()]
            if protocol == "lvis":
                own = [n for n in own if area(predictions[n], iou_type) > 0]
                objects = [one for one in objects if one["area"] > 0]
                if not objects and category["id"] not in image["neg_category_ids"]:
                    continue
            partial = protocol == "lvis" and category["id"] in image["not_exhaustive_category_ids"]
            ignored = "ignore" if protocol == "lvis" else "iscrowd"
            objects.sort(key=lambda one: one.get(ignored, 0))
            taken: set[int] = set()
            for n in sorted(own, key=lambda n: -predictions[n]["score"]):
                best, needed = None, min(iou, 1 - 1e-10)
                for g, one in enumerate(objects):
                    crowd = protocol == "coco" and one.get("iscrowd", 0)
                    if g in taken and not crowd:
                        continue
                    if best is not None and not objects[best].get(ignored, 0) and one.get(ignored, 0):
                        break
                    value = overlap(predictions[n], one, iou_type, crowd)
                    if value >= needed:
                        best, needed = g, value
                if best is None:
                    if not partial:
                        right[n] = False
                    continue
                taken.add(best)
                if not objects[best].get(ignored, 0):
                    right[n] = True
    return right


def area(found: Entry, iou_type: IouType) -> float:
    """The area that decides whether LVIS evaluates a detection."""
    if iou_type == "segm":
        return float(coco_mask.area(run_lengths(found["segmentation"])))
    return float(found["bbox"][2] * found["bbox"][3])


def overlap(found: Entry, one: Entry, iou_type: IouType, crowd: bool) -> float:
    if iou_type == "bbox":
        return float(coco_mask.iou([found["bbox"]], [one["bbox"]], [int(crowd)])[0, 0])
    masks = run_lengths(found["segmentation"]), run_lengths(one["segmentation"])
    return float(coco_mask.iou([masks[0]], [masks[1]], [int(crowd)])[0, 0])


def run_lengths(segmentation: Any) -> Entry:
    """Compressed run lengths of polygons or of other run lengths."""
    if isinstance(segmentation, dict) and isinstance(segmentation["counts"], str):
        return segmentation
    found = coco_mask.frPyObjects(segmentation, HEIGHT, WIDTH)
    return found if isinstance(found, dict) else coco_mask.merge(found)


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
@pytest.mark.parametrize("seed", range(12))
def test_a_plain_loop(protocol: Protocol, iou_type: IouType, seed: int) -> None:
    annotations, predictions = make_case(seed, protocol=protocol, masks=iou_type == "segm", crowded_image=seed == 0)
    for iou in (0.5, 0.75, 0.95):
        expected = plain(annotations, predictions, protocol, iou_type, iou)
        rows = found_in(annotations, predictions, protocol, iou_type, iou)
        numbers, counts = sorted(expected), counts_of(annotations)
        entries = [predictions[n] for n in numbers]
        assert rows.right.tolist() == [expected[n] for n in numbers]
        assert counts.category_id[rows.category].tolist() == [one["category_id"] for one in entries]
        assert rows.score.tobytes() == sigmoid(np.array([one["score"] for one in entries])).tobytes()
        assert rows.area.tolist() == [area(one, "bbox" if "bbox" in one else "segm") for one in entries]


def test_scores_outside_0_and_1_are_refused() -> None:
    annotations, predictions = make_case(0, protocol="coco")
    predictions = [{**one, "score": 2.0} for one in predictions]
    with open_annotations(annotations) as truth_file, open_results(predictions) as file, pytest.raises(InputError):
        matched_detections(file.read(fields_of("bbox")), truth_file.read(masks=False), counts_of(annotations), iou=0.5)
