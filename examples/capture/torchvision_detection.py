"""Logits of a torchvision detector on the images of a COCO annotation file.

    python torchvision_detection.py IMAGE_FOLDER ANNOTATIONS.json OUT [MODEL]

The labels of torchvision's COCO models are COCO's category ids, so `classes` are the ids themselves. For an R-CNN the
features are saved too, for `ltcal fit`, and the weight of the classifier if its labels are the categories in order of
id (`classes` is None).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from longtail_cli.capture import capture_dense_head, capture_roi_heads
from longtail_cli.files.logits.writer import LogitsWriter


@torch.inference_mode()
def capture(model: Any, images: Path, annotations: Path, classes: Sequence[int] | None, out: Path) -> None:
    data = json.loads(annotations.read_text())
    ids = sorted(category["id"] for category in data["categories"])
    weight = None
    if hasattr(model, "roi_heads"):
        head, background, watch = "softmax", "first", partial(capture_roi_heads, features=True)
        if classes is None:
            weight = model.roi_heads.box_predictor.cls_score.weight
    else:
        head, background, watch = "sigmoid", "none", capture_dense_head
    with (
        LogitsWriter(out, head=head, background=background, category_ids=ids, weight=weight) as writer,
        watch(model, writer, classes) as watching,
    ):
        for image in data["images"]:
            picture = np.asarray(Image.open(images / image["file_name"]).convert("RGB"))
            watching.announce([image["id"]])
            model([torch.tensor(picture).permute(2, 0, 1) / 255])


def main(images: str, annotations: str, out: str, name: str = "fasterrcnn_resnet50_fpn_v2") -> None:
    from torchvision.models import get_model

    model = get_model(name, weights="DEFAULT").eval()
    ids = sorted(category["id"] for category in json.loads(Path(annotations).read_text())["categories"])
    capture(model, Path(images), Path(annotations), ids, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
