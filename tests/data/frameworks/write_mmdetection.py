"""Writes the files of MMDetection: mmdetection3* with MMDetection 3.3.0 itself (mmengine 0.10.7, mmcv-lite 2.1.0, torch
2.15.0); mmdetection2* as version 2.28.2 does (bbox2result and encode_mask_results; mmcv.dump, which takes protocol 2).

    PYTHONPATH=tests python tests/data/frameworks/write_mmdetection.py

mmcv-lite has no compiled operators; nothing here calls one.
"""

from __future__ import annotations

import pickle
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from framework_scenes import FILES, Scenes
from pycocotools import mask as mask_utils

SIZE = (120, 160)
LEAST_SCORE = 0.68
"""Fewer detections make smaller files."""


class _NoOperators(ModuleType):
    def __getattr__(self, name: str) -> Any:
        return None


def _by_image(scenes: Scenes) -> list[dict[str, Any]]:
    """The detections of every image, as a model returns them: x1, y1, x2, y2, labels from 0, masks as pixels."""
    found = []
    for image in scenes.annotations["images"]:
        entries = [one for one in scenes.masked() if one["image_id"] == image["id"] and one["score"] > LEAST_SCORE]
        boxes = np.array([one["bbox"] for one in entries], np.float32).reshape(-1, 4) + np.float32(0.1)
        boxes[:, 2:] += boxes[:, :2]
        masks = [mask_utils.decode(one["segmentation"]).astype(bool) for one in entries]
        found.append(
            {
                "img_id": image["id"],
                "bboxes": boxes,
                "scores": np.array([one["score"] for one in entries], np.float32),
                "labels": np.array([scenes.category_ids.index(one["category_id"]) for one in entries], np.int64),
                "masks": np.stack(masks) if masks else np.zeros((0, *SIZE), bool),
            }
        )
    return found


def write_version_3(images: list[dict[str, Any]], categories: list[int]) -> None:
    """What `tools/test.py --out` and `CocoMetric(format_only=True)` write."""
    from mmdet.evaluation.metrics.coco_metric import CocoMetric
    from mmdet.evaluation.metrics.dump_det_results import DumpDetResults
    from mmdet.structures import DetDataSample
    from mmengine.fileio import dump
    from mmengine.structures import InstanceData

    for with_masks, name in ((False, "mmdetection3"), (True, "mmdetection3_masks")):
        samples = []
        for image in images:
            instances = InstanceData()
            for field in ("bboxes", "scores", "labels", *(["masks"] if with_masks else [])):
                instances[field] = torch.from_numpy(image[field])
            about = {"img_id": image["img_id"], "img_path": f"{image['img_id']}.png", "ori_shape": SIZE}
            sample = DetDataSample(metainfo=about)
            sample.pred_instances = instances
            samples.append(sample)
        metric = DumpDetResults(out_file_path=f"{name}.pkl")
        metric.process({}, [sample.to_dict() for sample in samples])
        dump(metric.results, str(FILES / f"{name}.pkl"))
    coco: Any = SimpleNamespace(cat_ids=categories, xyxy2xywh=lambda box: CocoMetric.xyxy2xywh(coco, box))
    results = []
    for one in metric.results:
        arrays = {name: one["pred_instances"][name].numpy() for name in ("bboxes", "scores", "labels")}
        results.append({"img_id": one["img_id"], **arrays, "masks": one["pred_instances"]["masks"]})
    CocoMetric.results2json(coco, results, str(FILES / "mmdetection3"))


def write_version_2(images: list[dict[str, Any]], classes: int) -> None:
    """What `tools/test.py --out` wrote."""
    boxes, masked = [], []
    for image in images:
        rows = [np.flatnonzero(image["labels"] == label) for label in range(classes)]
        whole = np.concatenate([image["bboxes"], image["scores"][:, None]], axis=1)
        by_class = [whole[some] for some in rows]
        runs = [[_encoded(image["masks"][row]) for row in some] for some in rows]
        boxes.append(by_class)
        masked.append((by_class, runs))
    for name, results in (("", boxes), ("_masks", masked)):
        with (FILES / f"mmdetection2{name}.pkl").open("wb") as file:
            pickle.dump(results, file, protocol=2)


def _encoded(pixels: np.ndarray[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = mask_utils.encode(np.asfortranarray(pixels[:, :, None], np.uint8))[0]
    return found


if __name__ == "__main__":
    sys.modules["mmcv._ext"] = _NoOperators("mmcv._ext")
    scenes = Scenes()
    write_version_3(_by_image(scenes), scenes.category_ids)
    write_version_2(_by_image(scenes), len(scenes.category_ids))
