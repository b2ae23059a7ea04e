"""Writes torchvision.pt, what a Faster R-CNN of torchvision 0.29 returns, as a list of dicts saved with torch.save; and
torchmetrics.pt, the arguments of `MeanAveragePrecision.update` of torchmetrics 1.9 with masks, for some images.

The box head of torchvision decodes logits and proposals that are made so that it returns the detections:

    python tests/data/frameworks/write_torchvision.py
"""

from pathlib import Path

import torch
from digit_scenes import CATEGORIES, HEIGHT, IMAGES, WIDTH, of_image
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.transform import GeneralizedRCNNTransform

HERE = Path(__file__).parent
CLASSES = max(CATEGORIES) + 1  # and 0 for the background

heads = RoIHeads(None, None, None, 0.5, 0.5, 512, 0.25, None, score_thresh=0.1, nms_thresh=1.0, detections_per_img=300)
transform = GeneralizedRCNNTransform(2 * HEIGHT, 2 * WIDTH, [0.0] * 3, [1.0] * 3).eval()


def predicted(image):
    """What the model returns for an image that is resized to twice its size."""
    boxes, scores, categories = of_image(image)
    logits = torch.full((len(boxes), CLASSES), -30.0)
    for row, (score, category) in enumerate(zip(scores, categories, strict=True)):
        logits[row, category], logits[row, 0] = torch.tensor([score, 1 - score]).log()
    proposals = 2 * torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    large = (2 * HEIGHT, 2 * WIDTH)
    found = heads.postprocess_detections(logits, torch.zeros(len(boxes), 4 * CLASSES), [proposals], [large])
    result = dict(zip(("boxes", "scores", "labels"), (one[0] for one in found), strict=True))
    return transform.postprocess([result], [large], [(HEIGHT, WIDTH)])[0]


def with_masks(found):
    """With the rectangles of the boxes as masks, as torchmetrics wants them: bool [n, height, width]."""
    masks = torch.zeros(len(found["boxes"]), HEIGHT, WIDTH, dtype=torch.bool)
    for mask, box in zip(masks, found["boxes"].round().int().tolist(), strict=True):
        mask[max(box[1], 0) : box[3], max(box[0], 0) : box[2]] = True
    return {**found, "masks": masks}


predictions = [predicted(image) for image in IMAGES]
torch.save(predictions, HERE / "torchvision.pt")
few = [with_masks({name: one[:2] for name, one in found.items()}) for found in predictions[:1]]
target = [{"boxes": one["boxes"], "labels": one["labels"], "masks": one["masks"]} for one in few]
MeanAveragePrecision(iou_type=("bbox", "segm")).update(few, target)
torch.save({"preds": few, "target": target}, HERE / "torchmetrics.pt")
