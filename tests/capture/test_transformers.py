"""Hugging Face transformers: real models with random weights, compared with their own post-processing."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
from transformers_models import LABELS, SIGMOID, Make, deformable_detr, detr, rt_detr, scrambled, transformers

from longtail_cli.capture import append_object_detections
from longtail_cli.errors import UsageError
from longtail_cli.files.logits.writer import LogitsWriter

IDS = [30, 10, 20, 70, 40]
IMAGES = [7, 3]
SIZES = [(120, 200), (90, 60)]

Open = Callable[..., LogitsWriter]
Captured = Callable[[], dict[str, torch.Tensor]]


@torch.no_grad()
def outputs_of(make: Make) -> object:
    model = scrambled(make)
    return model(pixel_values=torch.rand(len(IMAGES), 3, 96, 96))


def test_detr_is_softmax_with_the_background_last(open_writer: Open, captured: Captured) -> None:
    outputs = outputs_of(detr)
    with open_writer(IDS, "softmax", "last") as writer:
        append_object_detections(outputs, writer, IMAGES, SIZES)

    tensors = captured()
    scores, labels = tensors["logits"].softmax(dim=1)[:, :-1].max(dim=1)
    own = transformers.DetrImageProcessor().post_process_object_detection(outputs, 0.0, SIZES)
    assert tensors["image_id"].tolist() == [7] * 12 + [3] * 12
    torch.testing.assert_close(scores, torch.cat([one["scores"] for one in own]))
    assert labels.tolist() == torch.cat([one["labels"] for one in own]).tolist()
    torch.testing.assert_close(tensors["boxes"], torch.cat([one["boxes"] for one in own]))


@pytest.mark.parametrize("name", SIGMOID)
def test_deformable_and_rt_detr_are_sigmoid_without_background(
    name: str, open_writer: Open, captured: Captured
) -> None:
    make, processor = SIGMOID[name]
    outputs = outputs_of(make)
    with open_writer(IDS, "sigmoid", "none") as writer:
        append_object_detections(outputs, writer, IMAGES, torch.tensor(SIZES))

    tensors = captured()
    own = getattr(transformers, processor)().post_process_object_detection(outputs, 0.0, torch.tensor(SIZES))
    for image_id, one in zip(IMAGES, own, strict=True):
        rows = tensors["image_id"] == image_id
        scores, boxes = tensors["logits"][rows].sigmoid(), tensors["boxes"][rows]
        best, flat_index = scores.flatten().topk(len(one["scores"]))
        torch.testing.assert_close(best, one["scores"])
        assert (flat_index % LABELS).tolist() == one["labels"].tolist()
        torch.testing.assert_close(boxes[flat_index // LABELS], one["boxes"])


@pytest.mark.parametrize(
    ("make", "head", "background", "layer"),
    [
        (detr, "softmax", "last", "class_labels_classifier"),
        (deformable_detr, "sigmoid", "none", "class_embed.1"),
        (lambda: rt_detr(""), "sigmoid", "none", "model.decoder.class_embed.1"),
        (lambda: rt_detr("V2"), "sigmoid", "none", "model.decoder.class_embed.1"),
    ],
    ids=["detr", *SIGMOID],
)
@torch.no_grad()
def test_features_and_weight_reproduce_the_logits(
    make: Make, head: str, background: str, layer: str, open_writer: Open, captured: Captured
) -> None:
    model = scrambled(make)
    last = model.get_submodule(layer)
    with open_writer(IDS, head, background, weight=last.weight) as writer:
        outputs = model(pixel_values=torch.rand(len(IMAGES), 3, 96, 96))
        append_object_detections(outputs, writer, IMAGES, SIZES, features=True)

    tensors = captured()
    assert tensors["features"].std(dim=0).max() > 0.01
    torch.testing.assert_close(tensors["features"] @ tensors["weight"].T + last.bias, tensors["logits"])


def test_labels_that_are_not_categories_count_as_background(open_writer: Open, captured: Captured) -> None:
    outputs = outputs_of(detr)
    with open_writer([50, 60], "softmax", "last") as writer:
        append_object_detections(outputs, writer, IMAGES, SIZES, classes=[4, 1])

    all_scores = outputs.logits.flatten(0, 1).softmax(dim=1)
    scores = captured()["logits"].softmax(dim=1)
    torch.testing.assert_close(scores[:, :2], all_scores[:, [4, 1]])
    torch.testing.assert_close(scores[:, 2], all_scores[:, [0, 2, 3, 5]].sum(dim=1))


@pytest.mark.parametrize(
    ("make", "head", "background"), [(detr, "sigmoid", "none"), (deformable_detr, "softmax", "last")]
)
def test_the_head_of_another_model_has_another_number_of_columns(
    make: Make, head: str, background: str, open_writer: Open
) -> None:
    writer = open_writer(IDS, head, background)
    with pytest.raises(UsageError, match=r"logits: expected [56] columns.*found [56] columns"):
        append_object_detections(outputs_of(make), writer, IMAGES, SIZES)


def test_errors(open_writer: Open) -> None:
    outputs = outputs_of(detr)
    writer = open_writer(IDS, "softmax", "last")
    with pytest.raises(UsageError, match="image_ids: expected 2, one per image, found 1"):
        append_object_detections(outputs, writer, [1], SIZES)
    with pytest.raises(UsageError, match="target_sizes: expected 2, one per image, found 3"):
        append_object_detections(outputs, writer, IMAGES, [*SIZES, (1, 1)])
    with pytest.raises(UsageError, match=r"found SimpleNamespace with logits \[2, 5\] and pred_boxes missing"):
        append_object_detections(SimpleNamespace(logits=torch.zeros(2, 5)), writer, IMAGES, SIZES)
    outputs.last_hidden_state = torch.zeros(2, 30, 32)  # as of YOLOS, with the patches of the image
    with pytest.raises(UsageError, match=r"state \[2, 12, D\].*found .* with last_hidden_state \[2, 30, 32\]"):
        append_object_detections(outputs, writer, IMAGES, SIZES, features=True)
    first = open_writer(IDS, "softmax", "first")
    with pytest.raises(UsageError, match="expected head='softmax', background='last'"):
        append_object_detections(outputs, first, IMAGES, SIZES)
