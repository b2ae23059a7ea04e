"""The metrics of images against plain loops that match anew at every threshold, and against the official matching.

On generated files; and on real ones, if LTCAL_REAL_DATA is set to their folder.
"""

import json
import math

import lvis
import numpy as np
import pytest
from cases import make_case, write_case
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from twins import per_image

import longtail_cli as ltcal
from longtail_cli.evaluation.protocol import DEFAULT_MAX_DETS
from longtail_cli.verify.packages import numpy_with_float


def assert_same(case, protocol, iou_type="bbox", cap=None):
    annotations, predictions = case
    result = ltcal.evaluate(
        predictions, annotations, protocol=protocol, iou_types=iou_type, max_dets=cap, per_image=True
    )
    (metrics,) = result.images["predictions"].values()
    threshold, rows = per_image(
        annotations, predictions, protocol=protocol, iou_type=iou_type, max_dets=cap or DEFAULT_MAX_DETS[protocol]
    )
    assert metrics.threshold == threshold
    columns = {name: getattr(metrics, name) for name in next(iter(rows.values()))}
    assert sorted(rows) == metrics.image_id.tolist()
    for index, image in enumerate(metrics.image_id.tolist()):
        found = {name: values[index] for name, values in columns.items()}
        found["f1"] = None if math.isnan(found["f1"]) else found["f1"]
        assert found == rows[image], image


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
@pytest.mark.parametrize("seed", range(12))
def test_boxes(protocol, seed):
    """Every third case with a cap of 3."""
    assert_same(make_case(seed, protocol=protocol), protocol, cap=3 if seed % 3 == 0 else None)


@pytest.mark.parametrize("protocol", ["lvis", "coco"])
@pytest.mark.parametrize("seed", range(2))
def test_masks(protocol, seed):
    assert_same(make_case(seed, protocol=protocol, masks=True), protocol, "segm")


def assert_same_as_official(evaluations, metrics):
    """evaluations: (image, matched, ignored, ignored objects) of the detections with at least the threshold."""
    counts = {image: np.zeros(3, int) for image in metrics.image_id.tolist()}
    for image, matched, ignored, objects_ignored in evaluations:
        shown = ~ignored.astype(bool)
        hits, false = (matched > 0) & shown, (matched == 0) & shown
        counts[image] += [(~np.asarray(objects_ignored, bool)).sum(), hits.sum(), false.sum()]
    expected = np.array([counts[image] for image in metrics.image_id.tolist()])
    found = np.column_stack([metrics.ground_truths, metrics.true_positives, metrics.false_positives])
    assert found.tolist() == expected.tolist()


def evaluated(annotations, predictions, protocol, iou_type):
    """Our metrics of images, and the predictions that they keep."""
    report = ltcal.evaluate(predictions, annotations, protocol=protocol, iou_types=iou_type, per_image=True)
    metrics = next(iter(report.images.values()))[iou_type]
    entries = json.loads(predictions.read_bytes())
    return metrics, [entry for entry in entries if entry["score"] >= metrics.threshold]


def assert_same_as_pycocotools(annotations, predictions, iou_type="bbox"):
    metrics, kept = evaluated(annotations, predictions, "coco", iou_type)
    known = COCO(str(annotations))
    for entry in known.anns.values():
        entry.setdefault("iscrowd", 0)
    official = COCOeval(known, known.loadRes(kept), iou_type)
    official.evaluate()
    assert_same_as_official(
        [
            (one["image_id"], one["dtMatches"][0], one["dtIgnore"][0], one["gtIgnore"])
            for one in official.evalImgs
            if one is not None and one["aRng"] == official.params.areaRng[0]
        ],
        metrics,
    )


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_pycocotools(tmp_path, seed):
    assert_same_as_pycocotools(*write_case(tmp_path, *make_case(seed, protocol="coco", sure_hit=True)))


@pytest.mark.parametrize("iou_type", ["bbox", "segm"])
def test_counts_on_real_files_are_those_of_pycocotools(real_data, iou_type):
    annotations = real_data / "instances_val2014_100.json"
    assert_same_as_pycocotools(annotations, real_data / f"instances_val2014_fake{iou_type}100_results.json", iou_type)


@pytest.mark.parametrize("seed", range(6))
def test_counts_are_those_of_lvis(tmp_path, seed):
    truth, found = make_case(seed, protocol="lvis", sure_hit=True)
    for category in truth["categories"]:
        category.setdefault("frequency", "f")  # the package needs one
    annotations, predictions = write_case(tmp_path, truth, found)
    metrics, kept = evaluated(annotations, predictions, "lvis", "bbox")
    predictions.write_text(json.dumps(kept))
    known = lvis.LVIS(str(annotations))
    official = lvis.LVISEval(known, lvis.LVISResults(known, str(predictions)), "bbox")
    with numpy_with_float(lvis.eval):
        official.evaluate()
    assert_same_as_official(
        [
            (one["image_id"], one["dt_matches"][0], one["dt_ignore"][0], one["gt_ignore"])
            for one in official.eval_imgs
            if one is not None and one["area_rng"] == official.params.area_rng[0]
        ],
        metrics,
    )
