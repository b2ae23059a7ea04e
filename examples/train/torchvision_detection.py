"""Fine-tune a torchvision R-CNN with a long-tail loss on the images of a COCO annotation file.

    python torchvision_detection.py IMAGE_FOLDER ANNOTATIONS.json OUT.pth [EPOCHS]

torchvision's background is the first column. The losses whose scores are a softmax fit its post-processing; the sigmoid
losses and BAGS need another one, as in `detectron2_lvis.py` and `mmdet_loss.py`.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.models.detection.roi_heads import RoIHeads

import longtail_cli as ltcal
from longtail_cli.losses import BalancedSoftmaxLoss, LongTailLoss

Target = dict[str, torch.Tensor]
Rows = Iterable[tuple[torch.Tensor, Target]]


class LongTailRoIHeads(RoIHeads):
    """torchvision's RoI heads with another loss of the classes; `set_classification_loss` makes them."""

    classification_loss: LongTailLoss

    def forward(self, *args: Any, **kwargs: Any) -> tuple[list[Target], dict[str, torch.Tensor]]:
        logits: list[torch.Tensor] = []
        hook = self.box_predictor.register_forward_hook(lambda module, features, output: logits.append(output[0]))
        try:
            detections, losses = super().forward(*args, **kwargs)
        finally:
            hook.remove()
        if self.training:
            losses["loss_classifier"] = self.classification_loss(logits[0], self._labels)
            del self._labels
        return detections, losses

    def select_training_samples(self, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        selected: tuple[Any, ...] = super().select_training_samples(*args, **kwargs)
        self._labels = torch.cat(selected[2])
        return selected

    def postprocess_detections(self, class_logits: torch.Tensor, *args: Any) -> Any:
        return super().postprocess_detections(self.classification_loss.score_logits(class_logits), *args)


def set_classification_loss(model: Any, loss: LongTailLoss) -> None:
    """Train and use the R-CNN `model` with `loss`, which has background=first."""
    model.roi_heads.__class__ = LongTailRoIHeads  # of this one object; its layers and settings stay
    model.roi_heads.classification_loss = loss


def annotated(images: Path, annotations: Path) -> Iterator[tuple[torch.Tensor, Target]]:
    """Each image, float32 [3, H, W] in [0, 1], with its boxes, xyxy, and labels, 1 for the category of lowest id."""
    data = json.loads(annotations.read_text())
    ids = sorted(category["id"] for category in data["categories"])
    objects = defaultdict(list)
    for one in data["annotations"]:
        objects[one["image_id"]].append(one)
    for image in data["images"]:
        picture = np.asarray(Image.open(images / image["file_name"]).convert("RGB"))
        own = objects[image["id"]]
        boxes = torch.tensor([one["bbox"] for one in own], dtype=torch.float32).reshape(-1, 4)
        boxes[:, 2:] += boxes[:, :2]
        labels = torch.tensor([1 + ids.index(one["category_id"]) for one in own], dtype=torch.int64)
        yield torch.tensor(picture).permute(2, 0, 1) / 255, {"boxes": boxes, "labels": labels}


def train(model: Any, rows: Rows, lr: float = 0.005) -> list[float]:
    """One pass over the images; the loss of the classes in each step."""
    optimiser = torch.optim.SGD([one for one in model.parameters() if one.requires_grad], lr=lr, momentum=0.9)
    model.train()
    values = []
    for image, target in rows:
        losses = model([image], [target])
        optimiser.zero_grad()
        sum(losses.values()).backward()
        optimiser.step()
        values.append(losses["loss_classifier"].item())
    return values


def main(images: str, annotations: str, out: str, epochs: str = "1") -> None:
    from torchvision.models import get_model

    frequencies = ltcal.count(annotations)
    model = get_model("fasterrcnn_resnet50_fpn_v2", weights="DEFAULT")
    width = model.roi_heads.box_predictor.cls_score.in_features
    model.roi_heads.box_predictor = FastRCNNPredictor(width, len(frequencies) + 1)
    set_classification_loss(model, BalancedSoftmaxLoss(frequencies, background="first"))
    for _ in range(int(epochs)):
        train(model, annotated(Path(images), Path(annotations)))
    torch.save(model.state_dict(), out)


if __name__ == "__main__":
    main(*sys.argv[1:])
