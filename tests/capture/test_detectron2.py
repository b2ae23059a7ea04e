"""detectron2: with the documented signatures, and with the real package if it is installed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from capture.torchvision_operators import greedy_nms

from longtail_cli.capture import capture_fast_rcnn
from longtail_cli.errors import UsageError
from longtail_cli.files.logits.writer import LogitsWriter

IDS = [30, 10, 20]
DIMENSIONS = 5
SIZE, ORIGINAL = (40, 60), (80, 90)  # (height, width): x grows by 1.5, y by 2

Open = Callable[..., LogitsWriter]
Captured = Callable[..., dict[str, torch.Tensor]]
Unchanged = Callable[[torch.nn.Module], AbstractContextManager[None]]


class Proposals:
    """The part of ``Instances`` that a box head reads: proposal boxes [N, 4] in an image of `image_size`."""

    def __init__(self, boxes: torch.Tensor, image_size: tuple[int, int] = SIZE) -> None:
        self.proposal_boxes = SimpleNamespace(tensor=boxes)
        self.image_size = image_size

    def __len__(self) -> int:
        return len(self.proposal_boxes.tensor)


class OutputLayers(torch.nn.Module):
    """The signature of ``FastRCNNOutputLayers``; the deltas move the corners of the proposals."""

    num_classes = len(IDS)

    def __init__(self, use_sigmoid_ce: bool = False) -> None:
        super().__init__()
        self.use_sigmoid_ce = use_sigmoid_ce
        self.cls_score = torch.nn.Linear(DIMENSIONS, len(IDS) + 1)

    def predict_boxes(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Proposals]
    ) -> Sequence[torch.Tensor]:
        deltas = predictions[1]
        boxes = torch.cat([one.proposal_boxes.tensor for one in proposals])
        return (boxes.repeat(1, deltas.shape[1] // 4) + deltas).split([len(one) for one in proposals])

    def inference(
        self, predictions: tuple[torch.Tensor, torch.Tensor], proposals: list[Proposals]
    ) -> tuple[list[str], list[torch.Tensor]]:
        return [f"{len(one)} instances" for one in proposals], []


class RCNN(torch.nn.Module):
    """The signature of ``GeneralizedRCNN``; its inputs contain the predictions, or features to classify."""

    def __init__(self, predictor: torch.nn.Module, classify: bool = False) -> None:
        super().__init__()
        self.classify = classify
        self.roi_heads = torch.nn.Module()
        self.roi_heads.box_predictor = predictor
        self.eval()

    def forward(self, batched_inputs: list[Mapping[str, Any]]) -> list[str]:
        return self.inference(batched_inputs)

    def inference(
        self, batched_inputs: list[Mapping[str, Any]], detected_instances: None = None, do_postprocess: bool = True
    ) -> list[str]:
        inputs = {name: torch.cat([one[name] for one in batched_inputs]) for name in ("logits", "deltas", "features")}
        predictor = self.roi_heads.box_predictor
        logits = predictor.cls_score(inputs["features"]) if self.classify else inputs["logits"]
        proposals = [one["proposals"] for one in batched_inputs]
        instances, _ = predictor.inference((logits, inputs["deltas"]), proposals)
        return instances


def given(image_id: int, rows: int, deltas: int = 4 * len(IDS)) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(image_id)
    corners = torch.rand(rows, 2, 2, generator=generator).sort(dim=1).values * torch.tensor([60.0, 40.0])
    return {
        "image_id": image_id,
        "height": ORIGINAL[0],
        "width": ORIGINAL[1],
        "logits": torch.randn(rows, len(IDS) + 1, generator=generator),
        "deltas": torch.zeros(rows, deltas),
        "features": torch.randn(rows, DIMENSIONS, generator=generator),
        "proposals": Proposals(corners.flatten(1)),
    }


def test_signature_softmax_with_the_background_last(
    open_writer: Open, captured: Captured, unchanged: Unchanged
) -> None:
    model = RCNN(OutputLayers())
    batch = [given(7, 4), given(3, 0), given(5, 2)]
    batch[0]["deltas"][0, 4:8] = torch.tensor([-100.0, -100.0, 100.0, 100.0])  # class 1 of row 0: the whole image
    with unchanged(model), open_writer(IDS, "softmax", "last") as writer, capture_fast_rcnn(model, writer):
        assert model(batch) == ["4 instances", "0 instances", "2 instances"]

    tensors = captured()
    assert tensors["image_id"].tolist() == [7, 7, 7, 7, 5, 5]
    assert torch.equal(tensors["logits"], torch.cat([batch[0]["logits"], batch[2]["logits"]]))
    assert tensors["boxes"][0, 1].tolist() == [0, 0, 90, 80]  # clipped, then resized
    proposals = torch.cat([batch[0]["proposals"].proposal_boxes.tensor, batch[2]["proposals"].proposal_boxes.tensor])
    torch.testing.assert_close(tensors["boxes"][:, 2], proposals * torch.tensor([1.5, 2.0, 1.5, 2.0]))


def test_signature_class_agnostic_boxes(open_writer: Open, captured: Captured) -> None:
    model = RCNN(OutputLayers())
    with open_writer(IDS, "softmax", "last") as writer, capture_fast_rcnn(model, writer):
        model([given(7, 4, deltas=4)])

    assert captured()["boxes"].shape == (4, 4)


def test_signature_sigmoid_has_no_background(open_writer: Open, captured: Captured) -> None:
    model = RCNN(OutputLayers(use_sigmoid_ce=True))
    batch = [given(7, 4)]
    with open_writer(IDS, "sigmoid", "none") as writer, capture_fast_rcnn(model, writer):
        model(batch)

    assert torch.equal(captured()["logits"], batch[0]["logits"][:, :-1])


def test_signature_rows_that_are_not_finite_are_left_out(open_writer: Open, captured: Captured) -> None:
    model = RCNN(OutputLayers())
    batch = [given(7, 4)]
    batch[0]["logits"][1, 0] = torch.nan
    batch[0]["deltas"][2, 5] = torch.inf
    with open_writer(IDS, "softmax", "last") as writer, capture_fast_rcnn(model, writer):
        model(batch)

    assert torch.equal(captured()["logits"], batch[0]["logits"][[0, 3]])


@pytest.mark.parametrize("sigmoid", [False, True])
@torch.no_grad()
def test_signature_features_of_the_rows_that_are_kept(
    sigmoid: bool, open_writer: Open, captured: Captured, unchanged: Unchanged
) -> None:
    model = RCNN(OutputLayers(use_sigmoid_ce=sigmoid), classify=True)
    last = model.roi_heads.box_predictor.cls_score
    columns = len(IDS) if sigmoid else len(IDS) + 1
    batch = [given(7, 4), given(3, 0), given(5, 2)]
    batch[0]["deltas"][2, 5] = torch.inf
    kind = ("sigmoid", "none") if sigmoid else ("softmax", "last")
    with (
        unchanged(model),
        open_writer(IDS, *kind, weight=last.weight[:columns]) as writer,
        capture_fast_rcnn(model, writer, features=True),
    ):
        model(batch)

    tensors = captured()
    assert torch.equal(tensors["features"], torch.cat([batch[0]["features"][[0, 1, 3]], batch[2]["features"]]))
    logits = tensors["features"] @ tensors["weight"].T + last.bias[:columns]
    torch.testing.assert_close(tensors["logits"], logits)


def test_signature_errors(open_writer: Open, unchanged: Unchanged) -> None:
    writer = open_writer(IDS, "softmax", "last")
    other = RCNN(OutputLayers())
    del other.roi_heads.box_predictor.cls_score
    with (
        pytest.raises(UsageError, match="last layer is `cls_score`, found OutputLayers"),
        capture_fast_rcnn(other, writer, features=True),
    ):
        pass
    cascade = RCNN(torch.nn.ModuleList([OutputLayers(), OutputLayers()]))
    with pytest.raises(UsageError, match="one FastRCNNOutputLayers, found RCNN"), capture_fast_rcnn(cascade, writer):
        pass
    sigmoid = RCNN(OutputLayers(use_sigmoid_ce=True))
    with pytest.raises(UsageError, match="head='sigmoid', background='none'"), capture_fast_rcnn(sigmoid, writer):
        pass
    model = RCNN(OutputLayers())
    nameless, rotated = given(7, 2), given(7, 2, deltas=8)
    del nameless["image_id"]
    with unchanged(model), writer, capture_fast_rcnn(model, writer):
        with pytest.raises(UsageError, match="an input: expected image_id"):
            model([nameless])
        with pytest.raises(UsageError, match="expected 4 or 12 numbers per proposal"):
            model([rotated])
        model([given(7, 2)])


@pytest.mark.filterwarnings("ignore:.*torch.jit.script.*:DeprecationWarning")
@torch.no_grad()
def test_real_generalized_rcnn(open_writer: Open, captured: Captured, unchanged: Unchanged) -> None:
    """Captured logits decode to the model's own detections, and follow from the features."""
    pytest.importorskip("detectron2", reason="detectron2 is not installed; it is built from source")
    model = real_model()
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(3, *SIZE, generator=generator) * 255
    batch = [
        {"image_id": one, "height": 80, "width": 90, "image": image, "proposals": real_proposals(one)} for one in (7, 3)
    ]
    own = [one["instances"] for one in model(batch)]
    with (
        unchanged(model),
        open_writer(IDS, "softmax", "last") as writer,
        capture_fast_rcnn(model, writer, features=True),
    ):
        watched = [one["instances"] for one in model(batch)]

    tensors = captured()
    torch.testing.assert_close(model.roi_heads.box_predictor.cls_score(tensors["features"]), tensors["logits"])
    for given_image, before, during in zip(batch, own, watched, strict=True):
        assert torch.equal(before.scores, during.scores)
        assert torch.equal(before.pred_boxes.tensor, during.pred_boxes.tensor)
        rows = tensors["image_id"] == given_image["image_id"]
        scores, boxes = tensors["logits"][rows].softmax(dim=1)[:, :-1], tensors["boxes"][rows]
        found = []
        for label in range(len(IDS)):
            kept = greedy_nms(boxes[:, label], scores[:, label], 0.5)
            found += [(scores[row, label].item(), label, boxes[row, label]) for row in kept if scores[row, label] > 0.2]
        found.sort(key=lambda one: -one[0])
        assert len(found) > 5
        assert [one[1] for one in found] == before.pred_classes.tolist()
        torch.testing.assert_close(torch.tensor([one[0] for one in found]), before.scores)
        torch.testing.assert_close(torch.stack([one[2] for one in found]), before.pred_boxes.tensor)


def real_proposals(seed: int) -> Any:
    from detectron2.structures import Boxes, Instances

    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(20, 2, generator=generator) * torch.tensor([40.0, 20.0])
    proposals = Instances(SIZE)
    proposals.proposal_boxes = Boxes(torch.cat([corner, corner + 20], dim=1))
    proposals.objectness_logits = torch.zeros(20)
    return proposals


def real_model() -> torch.nn.Module:
    from detectron2.layers import ShapeSpec
    from detectron2.modeling import GeneralizedRCNN
    from detectron2.modeling.backbone import Backbone
    from detectron2.modeling.box_regression import Box2BoxTransform
    from detectron2.modeling.poolers import ROIPooler
    from detectron2.modeling.roi_heads import FastRCNNConvFCHead, FastRCNNOutputLayers, StandardROIHeads

    class Stride(Backbone):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Conv2d(3, 8, 4, stride=4)

        def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
            return {"p2": self.layer(images)}

        def output_shape(self) -> dict[str, ShapeSpec]:
            return {"p2": ShapeSpec(channels=8, stride=4)}

    torch.manual_seed(0)
    head = FastRCNNConvFCHead(ShapeSpec(channels=8, height=3, width=3), conv_dims=[], fc_dims=[16])
    transform = Box2BoxTransform((10.0, 10.0, 5.0, 5.0))
    predictor = FastRCNNOutputLayers(
        head.output_shape, box2box_transform=transform, num_classes=len(IDS), test_score_thresh=0.2
    )
    for parameter in predictor.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    heads = StandardROIHeads(
        num_classes=len(IDS), batch_size_per_image=1, positive_fraction=0.5, proposal_matcher=None,
        box_in_features=["p2"], box_pooler=ROIPooler(3, [0.25], 2, "ROIAlignV2"), box_head=head,
        box_predictor=predictor,
    )  # fmt: skip
    model = GeneralizedRCNN(
        backbone=Stride(), proposal_generator=None, roi_heads=heads, pixel_mean=[120.0] * 3, pixel_std=[60.0] * 3
    )
    return model.eval()
