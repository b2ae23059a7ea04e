"""Real COCO and LVIS files: the same counts, lists and masks as from json and pycocotools.

`LTCAL_REAL_DATA` is the folder of the files.
"""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened import read_annotations, read_occurrences
from pycocotools import mask as coco_mask

from longtail_cli.evaluation.geometry import mask_areas
from longtail_cli.files.masks import mask_boxes
from longtail_cli.frequency import count, detection_groups, embedded_counts_differ, tail_ratio

FOLDER = os.environ.get("LTCAL_REAL_DATA")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="LTCAL_REAL_DATA is not set")
COCO, LVIS = "instances_val2014_100.json", "lvis_val_100.json"


def path_of(name: str) -> Path:
    return Path(FOLDER or "") / name


@pytest.mark.parametrize("name", [COCO, LVIS])
def test_counts_are_those_of_a_plain_loop(name: str) -> None:
    data = json.loads(path_of(name).read_bytes())
    occurrences, left_out = read_occurrences(path_of(name))
    table = count(occurrences, detection_groups())
    counted = [a for a in data["annotations"] if not a.get("iscrowd") and not a.get("ignore")]
    assert left_out == len(data["annotations"]) - len(counted)
    assert table.category_id.tolist() == sorted(category["id"] for category in data["categories"])
    for row, category in enumerate(table.category_id.tolist()):
        images = [a["image_id"] for a in counted if a["category_id"] == category]
        assert table.image_count[row] == len(set(images))
        assert table.instance_count[row] == len(images)
    assert table.num_images == len(data["images"]) == 100


def test_known_counts() -> None:
    coco, lvis = (count(read_occurrences(path_of(name))[0], detection_groups()) for name in (COCO, LVIS))
    assert (len(coco), len(lvis)) == (80, 1230)
    assert (int(coco.image_count.sum()), int(lvis.image_count.sum())) == (310, 299)  # as pandas' nunique counts
    assert tail_ratio(lvis, 0.02) == 126 / 299  # classes of one image in 100
    assert tail_ratio(coco, 0.02) == 11 / 310


def test_this_lvis_subset_states_its_own_counts() -> None:
    truth = read_annotations(path_of(LVIS))
    table = count(read_occurrences(path_of(LVIS))[0], detection_groups())
    assert not embedded_counts_differ(truth.categories, table).any()


def test_lists_of_negative_and_not_exhaustive_categories() -> None:
    data = json.loads(path_of(LVIS).read_bytes())
    truth = read_annotations(path_of(LVIS))
    for field, pairs in (("neg_category_ids", truth.negative), ("not_exhaustive_category_ids", truth.not_exhaustive)):
        assert pairs is not None
        found = {(int(truth.image_id[i]), int(truth.categories.id[c])) for i, c in pairs}
        assert found == {(image["id"], category) for image in data["images"] for category in image[field]}


def official_rle(annotation: dict[str, Any], height: int, width: int) -> Any:
    """As pycocotools' and lvis' annToRLE do."""
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, height, width))
    return coco_mask.frPyObjects(segmentation, height, width)


@pytest.mark.parametrize("name", [COCO, LVIS])
def test_masks_are_the_official_ones(name: str) -> None:
    data = json.loads(path_of(name).read_bytes())
    size = {image["id"]: (image["height"], image["width"]) for image in data["images"]}
    official = [official_rle(a, *size[a["image_id"]]) for a in data["annotations"]]
    masks = read_annotations(path_of(name), masks=True).masks
    assert masks is not None
    np.testing.assert_array_equal(mask_areas(masks), [coco_mask.area(rle) for rle in official])
    np.testing.assert_array_equal(mask_boxes(masks), [coco_mask.toBbox(rle) for rle in official])
    for row, rle in enumerate(official[:300]):
        runs = masks.counts[masks.start[row] : masks.start[row + 1]]
        again = coco_mask.frPyObjects({"size": rle["size"], "counts": runs.tolist()}, *rle["size"])
        assert again["counts"] == rle["counts"]
