"""Writes transformers_predict.pkl: what `Trainer.predict` returns for a detector, pickled.

Written with transformers 5.23.0 and torch 2.15.0. The Trainer, its collation of batches, the outputs
(`RTDetrObjectDetectionOutput`) and the labels (of `RTDetrImageProcessor`) are those of transformers, with
``eval_do_concat_batches=False`` as in examples/pytorch/object-detection/run_object_detection.py. The model has learned
nothing: it returns the detections of `Scenes`, one query each, so that the file has meaningful metrics.

    PYTHONPATH=tests:. python tests/data/frameworks/write_transformers_detector.py
"""

from __future__ import annotations

import pickle
import tempfile
from typing import Any

import numpy as np
import torch
from framework_scenes import FILES, Scenes
from transformers import RTDetrImageProcessor, Trainer, TrainingArguments
from transformers.models.rt_detr.modeling_rt_detr import RTDetrObjectDetectionOutput

QUERIES = 15
SIDE = 32


class Replay(torch.nn.Module):
    """A detector with a sigmoid head, whose queries are the best detections of each image."""

    def __init__(self, scenes: Scenes) -> None:
        super().__init__()
        self.register_buffer("unused", torch.zeros(1))
        self.queries = {one["id"]: _queries(scenes, one) for one in scenes.annotations["images"]}

    def forward(self, pixel_values: torch.Tensor, labels: list[Any]) -> RTDetrObjectDetectionOutput:
        found = [self.queries[int(one["image_id"])] for one in labels]
        return RTDetrObjectDetectionOutput(
            loss=torch.zeros(()),
            loss_dict={"loss_vfl": torch.zeros(())},
            logits=torch.stack([logits for logits, _ in found]),
            pred_boxes=torch.stack([boxes for _, boxes in found]),
        )


def _queries(scenes: Scenes, image: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits [Q, C] and boxes [Q, 4], cxcywh as fractions of the image."""
    own = [one for one in scenes.detections if one["image_id"] == image["id"]]
    best = sorted(own, key=lambda one: -one["score"])[:QUERIES]
    logits = torch.full((QUERIES, len(scenes.category_ids)), -9.0)
    boxes = torch.tensor([0.5, 0.5, 0.1, 0.1]).repeat(QUERIES, 1)
    for query, one in enumerate(best):
        x, y, width, height = one["bbox"]
        logits[query, scenes.category_ids.index(one["category_id"])] = torch.logit(torch.tensor(one["score"]))
        size = torch.tensor([image["width"], image["height"]] * 2)
        boxes[query] = torch.tensor([x + width / 2, y + height / 2, width, height]) / size
    return logits, boxes


def _examples(scenes: Scenes) -> list[dict[str, Any]]:
    """What the dataset gives for each image: pixels and labels, as the image processor makes them."""
    processor = RTDetrImageProcessor(size={"height": SIDE, "width": SIDE})
    examples = []
    for image in scenes.annotations["images"]:
        objects = [one for one in scenes.annotations["annotations"] if one["image_id"] == image["id"]]
        objects = [{**one, "category_id": scenes.category_ids.index(one["category_id"])} for one in objects]
        pixels = np.zeros((image["height"], image["width"], 3), np.uint8)
        target = {"image_id": image["id"], "annotations": objects}
        made = processor(images=[pixels], annotations=[target], return_tensors="pt")
        examples.append({"pixel_values": made["pixel_values"][0], "labels": made["labels"][0]})
    return examples


def _collated(examples: list[dict[str, Any]]) -> dict[str, Any]:
    pixels = torch.stack([one["pixel_values"] for one in examples])
    return {"pixel_values": pixels, "labels": [one["labels"] for one in examples]}


def main() -> None:
    scenes = Scenes()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, per_device_eval_batch_size=8, eval_do_concat_batches=False, remove_unused_columns=False,
            report_to=[], use_cpu=True, disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(Replay(scenes), arguments, data_collator=_collated)
        predicted = trainer.predict(_examples(scenes))
    with (FILES / "transformers_predict.pkl").open("wb") as file:
        pickle.dump(predicted, file)


if __name__ == "__main__":
    main()
