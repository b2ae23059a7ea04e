"""A small convolutional network, its training with any loss, and its outputs as logits files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from data import Images
from torch import nn

import longtail_cli as ltcal
from longtail_cli.losses import GroupSoftmaxLoss, LDAMLoss, LongTailLoss
from longtail_cli.tables import LogitColumns

EPOCHS, BATCH = 20, 128
RATE, MOMENTUM, DECAY = 0.05, 0.9, 5e-4
FEATURES = 64
NEVER, ALWAYS = -1000.0, 0.0  # constant logits of a background that never occurs

Loss = nn.CrossEntropyLoss | LongTailLoss


class CosineLayer(nn.Linear):
    """The cosines of the features and the weights of each class."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__(in_features, out_features, bias=False)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(nn.functional.normalize(features), nn.functional.normalize(self.weight))


class Normalise(nn.Module):
    """Features of length 1."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return nn.functional.normalize(features)


def network(layer: Callable[[int, int], nn.Linear], width: int) -> nn.Sequential:
    """28 x 28 pixels in [0, 1] to `width` logits; all but the last layer give the features."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(64 * 3 * 3, FEATURES), nn.ReLU()),
        layer(FEATURES, width),
    ).to(memory_format=torch.channels_last)  # twice as fast on a CPU


def trained(images: Images, seed: int, loss: Loss, width: int, rate: float = RATE) -> nn.Sequential:
    """SGD with momentum and weight decay, the rate falling to 0 along a cosine. Only the loss knows of the long tail.

    width: the number of logits. The result depends on the number of threads too, as sums are rounded in another order.
    """
    torch.manual_seed(seed)
    model = network(CosineLayer if isinstance(loss, LDAMLoss) else nn.Linear, width)
    pixels, label = inputs(images), torch.from_numpy(images.label)
    steps = EPOCHS * -(-len(label) // BATCH)
    optimiser = torch.optim.SGD(model.parameters(), rate, MOMENTUM, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for epoch in range(EPOCHS):
        if isinstance(loss, LDAMLoss):
            loss.set_epoch(epoch)
        for rows in torch.randperm(len(label)).split(BATCH):
            optimiser.zero_grad()
            loss(model(pixels[rows]), label[rows]).backward()
            optimiser.step()
            schedule.step()
    return model


def inputs(images: Images) -> torch.Tensor:
    """Pixels as float32 [N, 1, 28, 28] in [0, 1]."""
    pixels = torch.from_numpy(images.pixels.copy()).float().div_(255)[:, None]
    return pixels.contiguous(memory_format=torch.channels_last)


@torch.inference_mode()
def with_linear_layer(model: nn.Sequential, loss: Loss) -> nn.Sequential:
    """The same network with a linear last layer whose outputs are logits, as logits files hold them.

    For LDAM: features of length 1, and the weights of length `scale`. For BAGS: two columns in front, a background that
    never occurs and a foreground that always does.
    """
    if isinstance(loss, LDAMLoss):
        weight = loss.scale * nn.functional.normalize(model[-1].weight)
        return nn.Sequential(*model[:-1], Normalise(), linear(weight, weight.new_zeros(len(weight))))
    if isinstance(loss, GroupSoftmaxLoss):
        weight = nn.functional.pad(model[-1].weight, (0, 0, 2, 0))
        bias = torch.cat([torch.tensor([NEVER, ALWAYS]), model[-1].bias])
        return nn.Sequential(*model[:-1], linear(weight, bias))
    return model


def linear(weight: torch.Tensor, bias: torch.Tensor) -> nn.Linear:
    """A layer with the given weight [K, D] and bias [K]."""
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight.copy_(weight)
    layer.bias.copy_(bias)
    return layer


@torch.inference_mode()
def save_outputs(model: nn.Sequential, columns: LogitColumns, splits: Mapping[str, Images], folder: Path) -> None:
    """Logits, features, labels and the weight of the last layer, in one folder of logits for each split."""
    body, head = model[:-1], model[-1]
    for name, images in splits.items():
        with ltcal.LogitsWriter(
            folder / name,
            head=columns.head,
            background=columns.background,
            category_ids=columns.category_id.tolist(),
            slices=columns.bags,
            dtype="float32",
            weight=head.weight,
        ) as writer:
            for pixels, label in zip(
                inputs(images).split(1000), torch.from_numpy(images.label).split(1000), strict=True
            ):
                features = body(pixels)
                writer.append(head(features), labels=label, features=features)
