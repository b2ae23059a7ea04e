"""Small detectors of Hugging Face transformers with random weights; none is downloaded."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from capture import torchvision_operators  # noqa: F401  (before transformers imports torchvision)

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

LABELS = 5
Make = Callable[[], torch.nn.Module]


def backbone(cls: str = "ResNetConfig", **more: object) -> object:
    return getattr(transformers, cls)(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"], **more,
    )  # fmt: skip


SMALL = {
    "d_model": 32, "encoder_layers": 1, "decoder_layers": 2, "encoder_attention_heads": 2,
    "decoder_attention_heads": 2, "encoder_ffn_dim": 16, "decoder_ffn_dim": 16, "num_labels": LABELS,
}  # fmt: skip


def detr() -> torch.nn.Module:
    config = transformers.DetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone(),
        num_queries=12, **SMALL,
    )  # fmt: skip
    return transformers.DetrForObjectDetection(config)


def deformable_detr() -> torch.nn.Module:
    config = transformers.DeformableDetrConfig(
        use_timm_backbone=False, use_pretrained_backbone=False, backbone=None, backbone_config=backbone(),
        num_queries=12, num_feature_levels=3, encoder_n_points=2, decoder_n_points=2, **SMALL,
    )  # fmt: skip
    return transformers.DeformableDetrForObjectDetection(config)


def rt_detr(version: str) -> torch.nn.Module:
    config = getattr(transformers, f"RTDetr{version}Config")(
        backbone_config=backbone("RTDetrResNetConfig"), encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16],
        encoder_layers=1, encoder_ffn_dim=16, encoder_attention_heads=2, d_model=16, num_queries=12,
        decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2, decoder_attention_heads=2,
        num_denoising=0, num_labels=LABELS, anchor_image_size=None,
    )  # fmt: skip
    return getattr(transformers, f"RTDetr{version}ForObjectDetection")(config)


SIGMOID = {
    "deformable_detr": (deformable_detr, "DeformableDetrImageProcessor"),
    "rt_detr": (lambda: rt_detr(""), "RTDetrImageProcessor"),
    "rt_detr_v2": (lambda: rt_detr("V2"), "RTDetrImageProcessor"),
}


def scrambled(make: Make) -> torch.nn.Module:
    torch.manual_seed(0)
    model = make().eval()
    for name, parameter in model.named_parameters():
        if "class" in name:
            torch.nn.init.normal_(parameter, std=1.0)  # the initial weights give all queries nearly one score
    return model
