"""The examples, with random instead of downloaded weights."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors import safe_open

EXAMPLES = Path(__file__).parents[2] / "examples" / "capture"
NOT_HERE = "{} is not installed"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def data(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of two images, and annotations with the categories 1 and 3."""
    image = pytest.importorskip("PIL.Image", reason=NOT_HERE.format("Pillow"))
    for name, size in (("a.png", (64, 48)), ("b.png", (40, 64))):
        image.new("RGB", size, "teal").save(tmp_path / name)
    images = [{"id": 5, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}]
    annotations = tmp_path / "val.json"
    annotations.write_text(json.dumps({"images": images, "categories": [{"id": 3}, {"id": 1}]}))
    return tmp_path, annotations


def read(folder: Path) -> tuple[dict[str, str], dict[str, torch.Tensor]]:
    with safe_open(folder / "logits-00000.safetensors", "pt") as shard:
        return shard.metadata(), {name: shard.get_tensor(name) for name in shard.keys()}  # noqa: SIM118  (not a mapping)


def test_transformers(data: tuple[Path, Path], tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers", reason=NOT_HERE.format("transformers"))
    small = transformers.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8], depths=[1, 1], layer_type="basic", out_features=["stage2"]
    )
    config = transformers.DetrConfig(
        backbone_config=small, use_timm_backbone=False, backbone=None, d_model=16, num_queries=6, num_labels=4,
        encoder_layers=1, decoder_layers=1, encoder_ffn_dim=16, decoder_ffn_dim=16, encoder_attention_heads=2,
        decoder_attention_heads=2,
    )  # fmt: skip
    model = transformers.DetrForObjectDetection(config).eval()
    processor = transformers.DetrImageProcessor(size={"shortest_edge": 32, "longest_edge": 64})
    example("transformers_detection").capture(model, processor, *data, [1, 3], tmp_path / "out")

    metadata, tensors = read(tmp_path / "out")
    assert (metadata["head"], metadata["background"], metadata["category_ids"]) == ("softmax", "last", "[1, 3]")
    assert tensors["image_id"].tolist() == [5] * 6 + [2] * 6
    assert tensors["logits"].shape == (12, 3)
    assert tensors["features"].shape == (12, 16)


@pytest.mark.parametrize(
    ("name", "head"), [("fasterrcnn_mobilenet_v3_large_320_fpn", "softmax"), ("fcos_resnet50_fpn", "sigmoid")]
)
def test_torchvision(name: str, head: str, data: tuple[Path, Path], tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models", reason=NOT_HERE.format("torchvision"))
    model = models.get_model(name, weights=None, weights_backbone=None, num_classes=4, min_size=64, max_size=64).eval()
    limit(model)
    example("torchvision_detection").capture(model, *data, [1, 3], tmp_path / "out")

    metadata, tensors = read(tmp_path / "out")
    assert (metadata["head"], metadata["category_ids"]) == (head, "[1, 3]")
    assert set(tensors["image_id"].tolist()) == {5, 2}
    assert tensors["boxes"].max() <= 64
    assert ("features" in tensors) == (head == "softmax")
    assert "weight" not in tensors


def test_torchvision_with_all_labels(data: tuple[Path, Path], tmp_path: Path) -> None:
    models = pytest.importorskip("torchvision.models", reason=NOT_HERE.format("torchvision"))
    name, none = "fasterrcnn_mobilenet_v3_large_320_fpn", {"weights": None, "weights_backbone": None}
    model = models.get_model(name, **none, num_classes=3, min_size=64, max_size=64).eval()
    limit(model)
    example("torchvision_detection").capture(model, *data, None, tmp_path / "out")

    _, tensors = read(tmp_path / "out")
    last = model.roi_heads.box_predictor.cls_score
    logits = tensors["features"].float() @ tensors["weight"].T + last.bias
    torch.testing.assert_close(tensors["logits"].float(), logits, rtol=0, atol=1e-2)  # both are float16 in the file


def limit(model: Any) -> None:
    """Few proposals and no detections: the replacements of compiled operators are slow."""
    if hasattr(model, "rpn"):
        model.rpn._pre_nms_top_n = dict.fromkeys(("training", "testing"), 10)
        model.rpn.score_thresh = 0.0
        model.roi_heads.score_thresh = 2.0
    else:
        model.score_thresh = 2.0


def test_timm(data: tuple[Path, Path], tmp_path: Path) -> None:
    timm = pytest.importorskip("timm", reason=NOT_HERE.format("timm"))
    listing = tmp_path / "val.txt"
    listing.write_text("a.png 1\nb.png 0\n")
    model = timm.create_model("test_resnet", num_classes=2).eval()
    transform: Callable[..., torch.Tensor] = timm.data.create_transform(input_size=(3, 64, 64))
    example("timm_classification").capture(model, transform, tmp_path, listing, tmp_path / "out", batch=1)

    _, tensors = read(tmp_path / "out")
    assert tensors["labels"].tolist() == [1, 0]
    logits = tensors["features"].float() @ tensors["weight"].T + model.get_classifier().bias
    torch.testing.assert_close(tensors["logits"].float(), logits, rtol=0, atol=1e-2)  # both are float16 in the file
