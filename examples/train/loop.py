"""A training loop with a long-tail loss: a linear classifier on the long-tailed digits of scikit-learn.

    python loop.py [EPOCHS]

Prints the mean recall of the digits on balanced test images, for cross entropy and for four losses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.nn.functional import normalize
from torch.utils.data import DataLoader, TensorDataset

from longtail_cli.losses import BalancedSoftmaxLoss, IIFCrossEntropy, LDAMLoss, LogitAdjustedLoss, LongTailLoss

TRAIN_COUNTS = (100, 66, 43, 28, 19, 12, 8, 5, 4, 2)  # images of digit 0, 1, ...; the other images are for testing


def digits() -> tuple[TensorDataset, TensorDataset]:
    """Long-tailed training images, and balanced test images: rows of pixels in [0, 1], float32 [N, 64], and digits."""
    pixels, digit = load_digits(return_X_y=True)
    rows = [np.flatnonzero(digit == one) for one in range(10)]
    train = np.concatenate([own[:count] for own, count in zip(rows, TRAIN_COUNTS, strict=True)])
    test = np.concatenate([own[100:170] for own in rows])
    images, target = torch.tensor(pixels / 16, dtype=torch.float32), torch.tensor(digit)
    return TensorDataset(images[train], target[train]), TensorDataset(images[test], target[test])


class CosineClassifier(torch.nn.Linear):
    """The cosine of each row and the weights of each class, as LDAM needs."""

    def forward(self, rows: torch.Tensor) -> torch.Tensor:
        return normalize(rows) @ normalize(self.weight).T


def train(model: torch.nn.Module, loss: LongTailLoss, rows: TensorDataset, epochs: int) -> Iterator[float]:
    """Train `model`; yields the mean loss of each epoch."""
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    batches = DataLoader(rows, batch_size=64, shuffle=True, generator=torch.Generator().manual_seed(0))
    for epoch in range(epochs):
        if isinstance(loss, LDAMLoss):
            loss.set_epoch(epoch)  # its deferred re-weighting starts at an epoch
        values = []
        for images, target in batches:
            value = loss(model(images), target)
            optimiser.zero_grad()
            value.backward()
            optimiser.step()
            values.append(value.item())
        yield float(np.mean(values))


@torch.inference_mode()
def mean_recall(model: torch.nn.Module, loss: LongTailLoss, rows: TensorDataset) -> float:
    """The unweighted mean over the digits of the share that is recognised."""
    images, target = rows.tensors
    right = loss.decode(model(images)).argmax(dim=1) == target
    return float(np.mean([right[target == digit].double().mean() for digit in range(10)]))


def main(epochs: str = "60") -> None:
    train_rows, test_rows = digits()
    losses = {
        "cross entropy": LogitAdjustedLoss(TRAIN_COUNTS, tau=0.0),
        "IIF": IIFCrossEntropy(TRAIN_COUNTS, variant="smooth"),
        "balanced softmax": BalancedSoftmaxLoss(TRAIN_COUNTS),
        "logit adjustment": LogitAdjustedLoss(TRAIN_COUNTS, tau=0.5),
        "LDAM with DRW": LDAMLoss(TRAIN_COUNTS, reweight_from=int(epochs) * 4 // 5),
    }
    for name, loss in losses.items():
        torch.manual_seed(0)
        model = CosineClassifier(64, 10) if isinstance(loss, LDAMLoss) else torch.nn.Linear(64, 10)
        first, *_, last = train(model, loss, train_rows, int(epochs))
        print(f"{name:<17} loss {first:.3f} to {last:.3f}, mean recall {mean_recall(model, loss, test_rows):.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
