"""Writes instances_predictions*.pth with torch 2.13.0, as detectron2's COCOEvaluator does: it is not on the package
registry. Source: facebookresearch/detectron2, detectron2/evaluation/coco_evaluation.py.

    PYTHONPATH=tests python tests/data/frameworks/write_detectron2.py
"""

from __future__ import annotations

from typing import Any

import torch
from framework_scenes import FILES, Scenes

LEAST_SCORE = 0.5
"""Of detections with masks: fewer make a smaller file."""


def predictions(scenes: Scenes, detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list of images that the evaluator saves, with categories from 0."""
    index = {one: number for number, one in enumerate(scenes.category_ids)}

    def saved(one: dict[str, Any]) -> dict[str, Any]:
        return {**one, "category_id": index[one["category_id"]], "bbox": [float(side) for side in one["bbox"]]}

    return [
        {"image_id": image["id"], "instances": [saved(one) for one in detections if one["image_id"] == image["id"]]}
        for image in scenes.annotations["images"]
    ]


def few(detections: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The detections of high scores."""
    return [one for one in detections if one["score"] > LEAST_SCORE]


if __name__ == "__main__":
    scenes = Scenes()
    torch.save(predictions(scenes, scenes.detections), FILES / "instances_predictions.pth")
    torch.save(predictions(scenes, few(scenes.masked())), FILES / "instances_predictions_masks.pth")
