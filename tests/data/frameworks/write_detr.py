"""Writes detr.pt: what `post_process_object_detection` of transformers 5 returns for each image, with torch.save.

The logits and boxes are made so that it returns the detections:

    PYTHONPATH=tests/capture python tests/data/frameworks/write_detr.py
"""

from pathlib import Path
from types import SimpleNamespace

import torch
import torchvision_operators  # noqa: F401 before transformers, which imports torchvision
from digit_scenes import CATEGORIES, HEIGHT, IMAGES, WIDTH, of_image
from transformers import DetrImageProcessor

HERE = Path(__file__).parent
NOTHING = len(CATEGORIES)
QUERIES = 64

processor = DetrImageProcessor()


def outputs(image):
    """The logits [1, Q, C + 1] and boxes [1, Q, 4] of a model; queries without an object have the last class."""
    boxes, scores, categories = of_image(image)
    logits = torch.full((1, QUERIES, NOTHING + 1), -30.0)
    logits[0, :, NOTHING] = 0
    for row, (score, category) in enumerate(zip(scores, categories, strict=True)):
        logits[0, row, [CATEGORIES.index(category), NOTHING]] = torch.tensor([score, 1 - score]).log()
    pred_boxes = torch.zeros(1, QUERIES, 4)
    corners = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])
    pred_boxes[0, : len(boxes), :2] = (corners[:, :2] + corners[:, 2:]) / 2
    pred_boxes[0, : len(boxes), 2:] = corners[:, 2:] - corners[:, :2]
    return SimpleNamespace(logits=logits, pred_boxes=pred_boxes)


found = [
    processor.post_process_object_detection(outputs(image), threshold=0.1, target_sizes=[(HEIGHT, WIDTH)])[0]
    for image in IMAGES
]
torch.save([{name: one.clone() for name, one in image.items()} for image in found], HERE / "detr.pt")
