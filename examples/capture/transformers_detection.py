"""Logits of a Hugging Face detector on the images of a COCO or LVIS annotation file.

    python transformers_detection.py IMAGE_FOLDER ANNOTATIONS.json OUT [MODEL]

The labels of the published COCO models are COCO's category ids, so `classes` are the ids themselves. Features are
saved too, for `ltcal fit`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from longtail_cli.capture import append_object_detections
from longtail_cli.files.logits.writer import LogitsWriter

SOFTMAX = {"detr", "yolos", "table-transformer"}  # the others are sigmoid, without background


@torch.inference_mode()
def capture(model: Any, processor: Any, images: Path, annotations: Path, classes: Sequence[int], out: Path) -> None:
    data = json.loads(annotations.read_text())
    ids = sorted(category["id"] for category in data["categories"])
    head, background = ("softmax", "last") if model.config.model_type in SOFTMAX else ("sigmoid", "none")
    features = model.config.model_type != "yolos"  # its classifier has several layers
    with LogitsWriter(out, head=head, background=background, category_ids=ids) as writer:
        for image in data["images"]:
            picture = Image.open(images / image["file_name"]).convert("RGB")
            outputs = model(**processor(images=picture, return_tensors="pt").to(model.device))
            size = (picture.height, picture.width)
            append_object_detections(outputs, writer, [image["id"]], [size], classes, features)


def main(images: str, annotations: str, out: str, name: str = "facebook/detr-resnet-50") -> None:
    from transformers import AutoImageProcessor, AutoModelForObjectDetection

    model = AutoModelForObjectDetection.from_pretrained(name).eval()
    ids = sorted(category["id"] for category in json.loads(Path(annotations).read_text())["categories"])
    capture(model, AutoImageProcessor.from_pretrained(name), Path(images), Path(annotations), ids, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
