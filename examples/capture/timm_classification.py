"""Logits of a timm classifier on an image list as ImageNet-LT ships it (``path label`` per line).

    python timm_classification.py IMAGE_FOLDER LIST.txt OUT [MODEL]

Features and the weights of the last layer are saved too, for `ltcal fit` and `tau-norm`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
from PIL import Image

from longtail_cli.capture import append_classification
from longtail_cli.files.logits.writer import LogitsWriter


@torch.inference_mode()
def capture(model: Any, transform: Any, images: Path, listing: Path, out: Path, batch: int = 64) -> None:
    rows = [line.rsplit(maxsplit=1) for line in listing.read_text().splitlines()]
    last = model.get_classifier()
    ids = range(model.num_classes)
    with LogitsWriter(out, head="softmax", background="none", category_ids=ids, weight=last.weight) as writer:
        for start in range(0, len(rows), batch):
            chunk = rows[start : start + batch]
            pixels = torch.stack([transform(Image.open(images / path).convert("RGB")) for path, _ in chunk])
            features = model.forward_head(model.forward_features(pixels), pre_logits=True)
            labels = torch.tensor([int(label) for _, label in chunk])
            append_classification(last(features), writer, labels, features)


def main(images: str, listing: str, out: str, name: str = "resnet50") -> None:
    import timm

    model = timm.create_model(name, pretrained=True).eval()
    transform = timm.data.create_transform(**timm.data.resolve_data_config(model=model))
    capture(model, transform, Path(images), Path(listing), Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
