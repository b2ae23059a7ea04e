"""A small convolutional network trained with plain cross entropy, and its outputs as logits files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from data import CLASSES, Images
from torch import nn

import longtail_cli as ltcal

EPOCHS, BATCH = 20, 128
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4
FEATURES = 64


def network() -> nn.Sequential:
    """28 x 28 pixels in [0, 1] to logits; all but the last layer give the features."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 3 * 3, FEATURES), nn.ReLU()),
        nn.Linear(FEATURES, CLASSES),
    ).to(memory_format=torch.channels_last)  # twice as fast on a CPU


def trained(images: Images, seed: int) -> nn.Sequential:
    """SGD with momentum and weight decay, the rate falling to 0 along a cosine. Nothing for the long tail."""
    torch.manual_seed(seed)
    model = network()
    pixels, label = inputs(images), torch.from_numpy(images.label)
    steps = EPOCHS * -(-len(label) // BATCH)
    optimiser = torch.optim.SGD(model.parameters(), RATE, MOMENTUM, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(label)).split(BATCH):
            optimiser.zero_grad()
            nn.functional.cross_entropy(model(pixels[rows]), label[rows]).backward()
            optimiser.step()
            schedule.step()
    return model


def inputs(images: Images) -> torch.Tensor:
    """Pixels as float32 [N, 1, 28, 28] in [0, 1]."""
    pixels = torch.from_numpy(images.pixels.copy()).float().div_(255)[:, None]
    return pixels.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def save_outputs(model: nn.Sequential, splits: Mapping[str, Images], folder: Path) -> None:
    """Logits, features, labels and the weight of the last layer, in one folder of logits for each split."""
    body, head = model[:-1], model[-1]
    for name, images in splits.items():
        with ltcal.LogitsWriter(
            folder / name,
            head="softmax",
            background="none",
            category_ids=range(CLASSES),
            dtype="float32",
            weight=head.weight,
        ) as writer:
            for pixels, label in zip(
                inputs(images).split(1000), torch.from_numpy(images.label).split(1000), strict=True
            ):
                features = body(pixels)
                writer.append(head(features), labels=label, features=features)
