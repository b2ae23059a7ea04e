"""What the networks are trained with, and training those that are not in the cache."""

from __future__ import annotations

import hashlib
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from data import CLASSES, Images, long_tailed_rows, read_images
from torch import nn
from train import RATE, Loss, save_outputs, trained, with_linear_layer

import longtail_cli as ltcal
from longtail_cli import losses
from longtail_cli.tables import LogitColumns

HERE = Path(__file__).parent
CATEGORY_ID = np.arange(CLASSES)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A loss of `longtail_cli.losses` with its parameters, built from the train counts; or plain cross entropy.

    rate: the learning rate at the start.
    """

    loss: str = "CrossEntropyLoss"
    parameters: Mapping[str, float | str] = field(default_factory=dict)
    rate: float = RATE

    def __str__(self) -> str:
        """The name of its folder in the cache."""
        settings = {**self.parameters, **({} if self.rate == RATE else {"rate": self.rate})}
        return "-".join([self.loss, *(f"{name.strip('_')}={value}" for name, value in settings.items())])

    def criterion(self, images: Images) -> Loss:
        if self == CROSS_ENTROPY:
            return nn.CrossEntropyLoss()
        counts = np.bincount(images.label, minlength=CLASSES)
        return getattr(losses, self.loss)(ltcal.count(counts=counts), **self.parameters)


CROSS_ENTROPY = Recipe()


@dataclass(frozen=True, slots=True)
class Network:
    """recipe: what it is trained with. imbalance: of the train set. seed: of the train set and the training."""

    recipe: Recipe
    imbalance: int
    seed: int

    def folder(self, cache: Path) -> Path:
        """Where its outputs are kept: folders of logits named train, held-out and test."""
        return cache / program() / str(self.recipe) / f"imbalance-{self.imbalance}-seed-{self.seed}"


def program() -> str:
    """A name for the files that train a network, so that outputs of an older version are not taken for the newer's."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("data.py", "train.py"))).hexdigest()[:12]


def train_missing(networks: Iterable[Network], cache: Path, data: Path) -> None:
    """Train the networks whose outputs are not in the cache, one after the other."""
    folders = {network.folder(cache): network for network in networks}  # once, whatever number of rows it is for
    missing = {folder: network for folder, network in folders.items() if not folder.exists()}
    if not missing:
        return
    images, test = read_images(data, "train"), read_images(data, "test")
    for folder, network in missing.items():
        begin = time.perf_counter()
        rows, held_out_rows = long_tailed_rows(images.label, network.imbalance, network.seed)
        splits = {"train": images.take(rows), "held-out": images.take(held_out_rows), "test": test}
        train_and_save(network, splits, folder)
        print(f"{folder.relative_to(cache)}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)


def train_and_save(network: Network, splits: Mapping[str, Images], folder: Path) -> None:
    """The folder is complete or not there."""
    loss = network.recipe.criterion(splits["train"])
    width = getattr(loss, "width", CLASSES)
    model = trained(splits["train"], network.seed, loss, width, network.recipe.rate)
    columns = (
        LogitColumns("softmax", "none", CATEGORY_ID)
        if isinstance(loss, nn.CrossEntropyLoss)
        else loss.columns(CATEGORY_ID)
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        outputs = Path(scratch, "outputs")
        outputs.mkdir()
        save_outputs(with_linear_layer(model, loss), columns, splits, outputs)
        outputs.rename(folder)
