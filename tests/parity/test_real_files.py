"""Real files: COCO val2014 and LVIS v0.5 val, 100 images each. Set LTCAL_REAL_DATA to their folder to run these."""

import json

import numpy as np
import pytest
from cases import write_case
from pycocotools import mask as coco_mask
from side_by_side import TIDE_TOLERANCE, assert_same_metrics, our_tide, ours

from longtail_cli.verify.official import compare, official_coco, official_lvis, official_tide

# pycocotools 2.0.11 on these files
COCO_AP = {"bbox": 0.5045807, "segm": 0.3195453}


@pytest.fixture
def coco_files(real_data):
    annotations = real_data / "instances_val2014_100.json"
    return {
        iou_type: (annotations, real_data / f"instances_val2014_fake{iou_type}100_results.json")
        for iou_type in ("bbox", "segm")
    }


@pytest.fixture(scope="module")
def lvis_files(real_data, tmp_path_factory):
    """The annotations, and detections made from them: there are no result files for LVIS."""
    annotations = json.loads((real_data / "lvis_val_100.json").read_text())
    return write_case(tmp_path_factory.mktemp("lvis"), annotations, imperfect_detections(annotations))


def imperfect_detections(annotations):
    """Each object up to three times, shifted, sometimes with another category, with a box and a mask."""
    rng = np.random.default_rng(0)
    sizes = {image["id"]: (image["height"], image["width"]) for image in annotations["images"]}
    categories = np.unique([entry["category_id"] for entry in annotations["annotations"]])
    found = []
    for entry in annotations["annotations"]:
        x, y, width, height = entry["bbox"]
        for _ in range(rng.integers(1, 4)):
            dx, dy = rng.normal(0, 0.1, 2) * (width, height)
            box = [max(x + dx, 0.0), max(y + dy, 0.0), width, height]
            rle = coco_mask.frPyObjects(np.array([box]), *sizes[entry["image_id"]])[0]
            found.append({
                "image_id": entry["image_id"],
                "category_id": int(rng.choice(categories)) if rng.random() < 0.2 else entry["category_id"],
                "bbox": box,
                "segmentation": {"size": rle["size"], "counts": rle["counts"].decode()},
                "score": round(float(rng.random()), 2),
            })  # fmt: skip
    return found


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_coco(coco_files, iou_type):
    mine = ours(*coco_files[iou_type], "coco", iou_type)
    assert mine.metrics["AP"] == pytest.approx(COCO_AP[iou_type], abs=5e-8)
    assert_same_metrics(mine, official_coco(*coco_files[iou_type], iou_type, 100))


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_coco_tide(coco_files, iou_type):
    mine = our_tide(*coco_files[iou_type], "coco", iou_type, mode="tidecv")
    assert compare(mine, official_tide(*coco_files[iou_type], iou_type, "coco"), TIDE_TOLERANCE) == ()


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_lvis(lvis_files, iou_type):
    assert_same_metrics(ours(*lvis_files, "lvis", iou_type), official_lvis(*lvis_files, iou_type, 300))


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_lvis_tide(lvis_files, iou_type):
    mine = our_tide(*lvis_files, "lvis", iou_type, mode="tidecv")
    assert compare(mine, official_tide(*lvis_files, iou_type, "lvis"), TIDE_TOLERANCE) == ()
