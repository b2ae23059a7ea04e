"""timm: a real model with random weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from longtail_cli.capture import append_classification
from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.logits.writer import LogitsWriter

timm = pytest.importorskip("timm", reason="timm is not installed")

IDS = [0, 1, 2, 3, 4]

Open = Callable[..., LogitsWriter]
Captured = Callable[..., dict[str, torch.Tensor]]


def small(num_classes: int = len(IDS)) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model("test_resnet", pretrained=False, num_classes=num_classes).eval()


@torch.no_grad()
def test_logits_and_labels(open_writer: Open, captured: Captured) -> None:
    model, images, labels = small(), torch.rand(6, 3, 64, 64), torch.tensor([0, 4, 1, 1, 2, 3])
    with open_writer(IDS, "softmax", "none") as writer:
        for rows in (slice(0, 4), slice(4, 6)):
            append_classification(model(images[rows]), writer, labels[rows])

    tensors = captured()
    assert torch.equal(tensors["labels"], labels)
    torch.testing.assert_close(tensors["logits"], model(images))


@torch.no_grad()
def test_features_and_weights_reproduce_the_logits(tmp_path: Path, captured: Captured) -> None:
    model, images = small(), torch.rand(2, 3, 64, 64)
    last = model.get_classifier()
    arguments = {"head": "softmax", "background": "none", "category_ids": IDS, "dtype": "float32"}
    with LogitsWriter(tmp_path / "logits", weight=last.weight, **arguments) as writer:
        features = model.forward_head(model.forward_features(images), pre_logits=True)
        append_classification(last(features), writer, features=features)

    tensors = captured()
    torch.testing.assert_close(tensors["logits"], model(images))
    torch.testing.assert_close(tensors["features"] @ tensors["weight"].T + last.bias, model(images))


@torch.no_grad()
def test_errors(open_writer: Open) -> None:
    images, labels = torch.rand(2, 3, 64, 64), torch.tensor([0, 1])
    with open_writer(IDS, "softmax", "none") as writer:
        with pytest.raises(UsageError, match=r"logits: expected 5 columns.*found 7 columns"):
            append_classification(small(7)(images), writer, labels)
        with pytest.raises(UsageError, match=r"expected a tensor \[B, C\], found \[2, 64, 2, 2\]"):
            append_classification(small().forward_features(images)[:, :64], writer, labels)
        with pytest.raises(InputError, match="labels"):
            append_classification(small()(images), writer, labels[:1])
        append_classification(small()(images), writer, labels)
    with pytest.raises(UsageError, match="background='none', which is what this model computes"):
        append_classification(small()(images), open_writer(IDS[:4], "softmax", "first", "other"), labels)
