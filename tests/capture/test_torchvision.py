"""torchvision: real detectors with random weights; captured logits decode to the model's own detections."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
import torch
from capture.torchvision_operators import greedy_nms
from click.testing import CliRunner

from longtail_cli.capture import capture_dense_head, capture_roi_heads
from longtail_cli.cli import main
from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.logits.writer import LogitsWriter

detection = pytest.importorskip("torchvision.models.detection", reason="torchvision is not installed")
ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")

IDS = [30, 10, 20, 70]
IMAGES = [7, 3]

Open = Callable[..., LogitsWriter]
Captured = Callable[..., dict[str, torch.Tensor]]
Unchanged = Callable[[torch.nn.Module], AbstractContextManager[None]]
Detections = list[dict[str, torch.Tensor]]


class Backbone(torch.nn.Module):
    """Two levels of features, of 1/8 and 1/16 of the image's size."""

    out_channels = 32

    def __init__(self) -> None:
        super().__init__()
        self.fine = torch.nn.Conv2d(3, 32, 8, stride=8)
        self.coarse = torch.nn.Conv2d(32, 32, 2, stride=2)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        fine = self.fine(images).relu()
        return {"0": fine, "1": self.coarse(fine).relu()}


def anchors(sizes: int = 1) -> torch.nn.Module:
    return detection.anchor_utils.AnchorGenerator(((16, 24, 32)[:sizes], (32, 48, 64)[:sizes]), ((1.0,),) * 2)


def scrambled(model: torch.nn.Module, *layers: str) -> torch.nn.Module:
    """A model whose scores and boxes differ; with the initial weights of `layers` they are nearly equal."""
    for name, parameter in model.named_parameters():
        if any(layer in name for layer in layers):
            torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def faster_rcnn(rpn_score_thresh: float = 0.0) -> torch.nn.Module:
    torch.manual_seed(0)
    parts = detection.faster_rcnn
    model = detection.FasterRCNN(
        Backbone(), min_size=96, max_size=160, rpn_anchor_generator=anchors(), rpn_pre_nms_top_n_test=60,
        rpn_post_nms_top_n_test=40, rpn_score_thresh=rpn_score_thresh, box_detections_per_img=50,
        box_roi_pool=ops.MultiScaleRoIAlign(["0", "1"], 3, 2), box_head=parts.TwoMLPHead(32 * 9, 16),
        box_predictor=parts.FastRCNNPredictor(16, len(IDS) + 1),
    )  # fmt: skip
    return scrambled(model, "box_predictor", "rpn.head")


def retinanet(topk_candidates: int = 1000) -> torch.nn.Module:
    torch.manual_seed(0)
    model = detection.RetinaNet(
        Backbone(), len(IDS), min_size=96, max_size=160, anchor_generator=anchors(3), score_thresh=0.5,
        topk_candidates=topk_candidates, detections_per_img=50,
    )  # fmt: skip
    return scrambled(model, "backbone", "cls_logits", "bbox_reg")


def fcos(topk_candidates: int = 1000) -> torch.nn.Module:
    torch.manual_seed(0)
    model = detection.FCOS(
        Backbone(), len(IDS), min_size=96, max_size=160, anchor_generator=anchors(), score_thresh=0.6,
        topk_candidates=topk_candidates, detections_per_img=50,
    )  # fmt: skip
    return scrambled(model, "cls_logits", "bbox_reg", "bbox_ctrness")


def images() -> list[torch.Tensor]:
    """Two images of different shapes, in patches of 10 x 10 pixels; the model resizes both."""
    generator = torch.Generator().manual_seed(1)
    patches = [torch.rand(3, 6, 9, generator=generator), torch.rand(3, 15, 11, generator=generator)]
    return [patch.repeat_interleave(10, dim=1).repeat_interleave(10, dim=2) for patch in patches]


def decoded(
    scores: torch.Tensor, boxes: torch.Tensor, threshold: float, iou: float, cap: int, smallest: float = -1.0
) -> dict[str, torch.Tensor]:
    """Threshold, greedy suppression in each class, the best `cap`: scores [N, C], boxes [N, C, 4].

    Boxes with a side of at most `smallest` pixels are left out, as in torchvision's RoI heads.
    """
    kept = []
    for label in range(scores.shape[1]):
        sides = boxes[:, label, 2:] - boxes[:, label, :2]
        rows = ((scores[:, label] > threshold) & (sides > smallest).all(dim=1)).nonzero().flatten()
        best = rows[greedy_nms(boxes[rows, label], scores[rows, label], iou)]
        kept += [(scores[row, label], label, boxes[row, label]) for row in best.tolist()]
    kept = sorted(kept, key=lambda one: -one[0])[:cap]
    return {
        "scores": torch.stack([one[0] for one in kept]),
        "labels": torch.tensor([one[1] for one in kept]),
        "boxes": torch.stack([one[2] for one in kept]),
    }


def assert_same(found: dict[str, torch.Tensor], own: dict[str, torch.Tensor]) -> None:
    assert len(own["scores"]) > 5
    torch.testing.assert_close(found["scores"], own["scores"])
    assert found["labels"].tolist() == own["labels"].tolist()
    torch.testing.assert_close(found["boxes"], own["boxes"], rtol=0, atol=1e-4)


@torch.no_grad()
def test_roi_heads(open_writer: Open, captured: Captured, unchanged: Unchanged) -> None:
    model = faster_rcnn()
    own: Detections = model(images())
    with unchanged(model), open_writer(IDS, "softmax", "first") as writer, capture_roi_heads(model, writer) as capture:
        capture.announce(IMAGES)
        watched: Detections = model(images())

    tensors = captured()
    assert tensors["boxes"].shape == (len(tensors["logits"]), len(IDS), 4)
    for image_id, before, during in zip(IMAGES, own, watched, strict=True):
        assert all(torch.equal(before[name], during[name]) for name in before)
        rows = tensors["image_id"] == image_id
        scores = tensors["logits"][rows].softmax(dim=1)[:, 1:]
        heads = model.roi_heads
        limits = (heads.score_thresh, heads.nms_thresh, heads.detections_per_img)
        found = decoded(scores, tensors["boxes"][rows], *limits, smallest=0.01)
        assert_same(found | {"labels": found["labels"] + 1}, before)


@torch.no_grad()
def save_with_features(model: torch.nn.Module, writer: LogitsWriter, classes: list[int] | None = None) -> None:
    with writer, capture_roi_heads(model, writer, classes, features=True) as capture:
        capture.announce(IMAGES)
        model(images())


def test_features_and_weight_reproduce_the_logits(open_writer: Open, captured: Captured, unchanged: Unchanged) -> None:
    model = faster_rcnn()
    last = model.roi_heads.box_predictor.cls_score
    with unchanged(model):
        save_with_features(model, open_writer(IDS, "softmax", "first", weight=last.weight))

    tensors = captured()
    assert tensors["features"].std(dim=0).max() > 0.01
    assert torch.equal(tensors["weight"], last.weight)
    torch.testing.assert_close(tensors["features"] @ tensors["weight"].T + last.bias, tensors["logits"])


def test_the_weight_does_not_belong_to_chosen_classes(open_writer: Open) -> None:
    model = faster_rcnn()
    writer = open_writer([70, 10], "softmax", "first", weight=model.roi_heads.box_predictor.cls_score.weight)
    with pytest.raises(InputError, match=r"expected \[3, 16\], as for logits and features, found \[5, 16\]"):
        save_with_features(model, writer, [4, 2])


def test_a_new_head_is_fitted_and_applied(open_writer: Open, captured: Captured, tmp_path: Path) -> None:
    model = faster_rcnn()
    weight = model.roi_heads.box_predictor.cls_score.weight
    save_with_features(model, open_writer(IDS, "softmax", "first", weight=weight))
    logits, truth, counts, head = (tmp_path / name for name in ("logits", "truth.json", "freq.csv", "head.npz"))
    truth.write_text(json.dumps(objects_by_features(captured())))
    ltcal("compute-freq", truth, "-o", counts)
    fit = "classifier:loss=balanced-softmax"
    ltcal("fit", logits, "--annotations", truth, "--freq", counts, "--method", fit, "-o", head)
    methods = ("--method", "none", "--method", f"@{head}")
    report = json.loads(ltcal("report", logits, "--annotations", truth, "--freq", counts, *methods, "--json", "-"))
    before, after = (run["metrics"]["bbox"]["AP"] for run in report["runs"])
    assert after > 2 * before


def objects_by_features(tensors: dict[str, torch.Tensor]) -> dict[str, object]:
    """Annotations with a box of every third proposal as an object, of a category that depends on its features."""
    likeliest = tensors["logits"][:, 1:].argmax(dim=1)
    boxes = tensors["boxes"][torch.arange(len(likeliest)), likeliest].tolist()
    features = tensors["features"] - tensors["features"].mean(dim=0)
    label = (features @ torch.randn(features.shape[1], len(IDS), generator=torch.Generator().manual_seed(0))).argmax(1)
    annotations = [
        {
            "id": row + 1,
            "image_id": int(tensors["image_id"][row]),
            "category_id": IDS[label[row]],
            "bbox": [x1, y1, x2 - x1, y2 - y1],
            "area": (x2 - x1) * (y2 - y1),
            "iscrowd": 0,
        }
        for row, (x1, y1, x2, y2) in enumerate(boxes)
        if row % 3 == 0
    ]
    sizes = [{"id": image_id, "width": 160, "height": 160} for image_id in IMAGES]
    return {"images": sizes, "categories": [{"id": one, "name": str(one)} for one in IDS], "annotations": annotations}


def ltcal(*arguments: object) -> str:
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("make", [retinanet, fcos])
@torch.no_grad()
def test_dense_heads(
    make: Callable[[], torch.nn.Module], open_writer: Open, captured: Captured, unchanged: Unchanged
) -> None:
    model = make()
    own: Detections = model(images())
    with unchanged(model), open_writer(IDS, "sigmoid", "none") as writer, capture_dense_head(model, writer) as capture:
        capture.announce(IMAGES)
        watched: Detections = model(images())

    tensors = captured()
    assert ("objectness" in tensors) == (make is fcos)
    for image_id, before, during in zip(IMAGES, own, watched, strict=True):
        assert all(torch.equal(before[name], during[name]) for name in before)
        rows = tensors["image_id"] == image_id
        scores = tensors["logits"][rows].sigmoid()
        if make is fcos:
            scores = (scores * tensors["objectness"][rows, None]).sqrt()
        boxes = tensors["boxes"][rows, None].expand(-1, len(IDS), 4)
        assert_same(decoded(scores, boxes, model.score_thresh, model.nms_thresh, model.detections_per_img), before)


@pytest.mark.parametrize("make", [retinanet, fcos])
@torch.no_grad()
def test_dense_heads_keep_all_anchors_that_the_model_can_return(
    make: Callable[..., torch.nn.Module], open_writer: Open, captured: Captured
) -> None:
    model = make(topk_candidates=30)
    with open_writer(IDS, "sigmoid", "none") as writer, capture_dense_head(model, writer) as capture:
        capture.announce([1])
        (own,) = model(images()[:1])

    tensors = captured()
    assert len(tensors["logits"]) == 2 * 30  # two levels
    scores = tensors["logits"].sigmoid()
    if make is fcos:
        scores = (scores * tensors["objectness"][:, None]).sqrt()
    assert len(own["boxes"]) > 5
    for box, label, score in zip(own["boxes"], own["labels"], own["scores"], strict=True):
        rows = (tensors["boxes"] - box).abs().amax(dim=1) < 1e-4
        assert (scores[rows, label] - score).abs().min() < 1e-6


@torch.no_grad()
def test_labels_that_are_not_categories_count_as_background(open_writer: Open, captured: Captured) -> None:
    model = faster_rcnn()
    for name, ids, classes in (("all", IDS, None), ("some", [70, 10], [4, 2])):
        with (
            open_writer(ids, "softmax", "first", name) as writer,
            capture_roi_heads(model, writer, classes, features=True) as capture,
        ):
            capture.announce(IMAGES)
            model(images())

    everything, some = captured("all"), captured("some")
    scores, all_scores = some["logits"].softmax(dim=1), everything["logits"].softmax(dim=1)
    torch.testing.assert_close(scores[:, 1:], all_scores[:, [4, 2]])
    torch.testing.assert_close(scores[:, 0], all_scores[:, [0, 1, 3]].sum(dim=1))
    assert torch.equal(some["boxes"], everything["boxes"][:, [3, 1]])  # boxes have no background
    assert torch.equal(some["features"], everything["features"])


@torch.no_grad()
def test_no_proposals(open_writer: Open, captured: Captured) -> None:
    model = faster_rcnn(rpn_score_thresh=2.0)  # no proposal scores more than 1
    with open_writer(IDS, "softmax", "first") as writer, capture_roi_heads(model, writer) as capture:
        capture.announce(IMAGES)
        model(images())

    assert captured()["boxes"].shape == (0, len(IDS), 4)


@torch.no_grad()
def test_images_that_were_not_announced(open_writer: Open, unchanged: Unchanged) -> None:
    model = faster_rcnn()
    with (
        unchanged(model),
        open_writer(IDS, "softmax", "first") as writer,
        capture_roi_heads(model, writer) as capture,
    ):
        capture.announce(IMAGES)
        model(images())
        with pytest.raises(UsageError, match=r"announced images: expected 2 ids.*found 0"):
            model(images())


@torch.no_grad()
def test_columns_that_do_not_fit(open_writer: Open) -> None:
    model = faster_rcnn()
    for ids, classes, found in (([1, 2], None, "found 5 columns"), ([1, 2], [4, 5], "of the model's 5, found 5")):
        writer = open_writer(ids, "softmax", "first")
        with capture_roi_heads(model, writer, classes) as capture:
            capture.announce(IMAGES)
            with pytest.raises(UsageError, match=found):
                model(images())


def test_another_kind_of_model(open_writer: Open) -> None:
    softmax, sigmoid = open_writer(IDS, "softmax", "first"), open_writer(IDS, "sigmoid", "none")
    with (
        pytest.raises(UsageError, match=r"torchvision R-CNN, found RetinaNet"),
        capture_roi_heads(retinanet(), softmax),
    ):
        pass
    with (
        pytest.raises(UsageError, match="RetinaNet or FCOS, found FasterRCNN"),
        capture_dense_head(faster_rcnn(), sigmoid),
    ):
        pass
    with pytest.raises(UsageError, match="expected eval mode"), capture_roi_heads(faster_rcnn().train(), softmax):
        pass
    with pytest.raises(UsageError, match="background='first'"), capture_roi_heads(faster_rcnn(), sigmoid):
        pass
