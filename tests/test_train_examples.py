"""The training examples: a loop, torchvision with random weights, detectron2 and MMDetection with stubs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from capture import torchvision_operators  # noqa: F401  (before anything imports torchvision)
from frequency_tables import table

from longtail_cli.losses import (
    BalancedSoftmaxLoss,
    EqualizationLoss,
    GroupSoftmaxLoss,
    IIFCrossEntropy,
    LDAMLoss,
    LogitAdjustedLoss,
)

EXAMPLES = Path(__file__).parents[1] / "examples" / "train"
TABLE = table([40, 9, 2], [1200, 50, 4], num_images=100)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_loop() -> None:
    """On the long-tailed digits, balanced softmax recognises more of the rare ones than cross entropy."""
    loop = example("loop")
    rows, test_rows = loop.digits()
    recall = {}
    for loss in (LogitAdjustedLoss(loop.TRAIN_COUNTS, tau=0.0), BalancedSoftmaxLoss(loop.TRAIN_COUNTS)):
        torch.manual_seed(0)
        model = torch.nn.Linear(64, 10)
        values = list(loop.train(model, loss, rows, epochs=20))
        assert values[-1] < 0.2 * values[0]
        recall[type(loss)] = loop.mean_recall(model, loss, test_rows)
    assert recall[BalancedSoftmaxLoss] > recall[LogitAdjustedLoss] + 0.05


def test_the_loop_announces_epochs() -> None:
    loop = example("loop")
    rows, test_rows = loop.digits()
    loss = LDAMLoss(loop.TRAIN_COUNTS, reweight_from=2)
    torch.manual_seed(0)
    model = loop.CosineClassifier(64, 10)
    reweights = [loss.reweights for _ in loop.train(model, loss, rows, epochs=4)]
    assert reweights == [False, False, True, True]
    assert loop.mean_recall(model, loss, test_rows) > 0.3


def rcnn() -> Any:
    """A small R-CNN whose heads learn; its backbone is fixed, as the replaced operators have no gradient."""
    detection = pytest.importorskip("torchvision.models.detection", reason="torchvision is not installed")
    ops = pytest.importorskip("torchvision.ops", reason="torchvision is not installed")
    torch.manual_seed(0)
    backbone = torch.nn.Conv2d(3, 16, 8, stride=8).requires_grad_(False)
    backbone.out_channels = 16
    return detection.FasterRCNN(
        backbone, min_size=64, max_size=64, rpn_pre_nms_top_n_train=20, rpn_pre_nms_top_n_test=20,
        rpn_anchor_generator=detection.anchor_utils.AnchorGenerator(((16, 32),), ((1.0,),)),
        box_roi_pool=ops.MultiScaleRoIAlign(["0"], 3, 2), box_head=detection.faster_rcnn.TwoMLPHead(16 * 9, 32),
        box_predictor=detection.faster_rcnn.FastRCNNPredictor(32, 4), box_batch_size_per_image=16, box_score_thresh=0.0,
    )  # fmt: skip


@pytest.fixture
def annotated(tmp_path: Path) -> tuple[Path, Path]:
    """Two random images with three objects of the categories 2, 5 and 9."""
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.png"):
        image.fromarray(rng.integers(0, 256, (64, 64, 3), np.uint8)).save(tmp_path / name)
    objects = [(1, 9, [4, 4, 30, 30]), (1, 2, [30, 30, 30, 30]), (2, 5, [10, 20, 40, 30])]
    document = {
        "images": [{"id": 1, "file_name": "a.png"}, {"id": 2, "file_name": "b.png"}],
        "categories": [{"id": 5}, {"id": 2}, {"id": 9}],
        "annotations": [{"image_id": i, "category_id": c, "bbox": box} for i, c, box in objects],
    }
    (tmp_path / "train.json").write_text(json.dumps(document))
    return tmp_path, tmp_path / "train.json"


def test_torchvision(annotated: tuple[Path, Path]) -> None:
    model = rcnn()
    module = example("torchvision_detection")
    loss = BalancedSoftmaxLoss(TABLE, background="first")
    module.set_classification_loss(model, loss)
    rows = list(module.annotated(*annotated))
    assert [target["labels"].tolist() for _, target in rows] == [[3, 1], [2]]
    values = [value for _ in range(30) for value in module.train(model, rows, lr=0.02)]
    assert np.mean(values[-4:]) < 0.5 * np.mean(values[:4])
    assert len(model.roi_heads.box_predictor._forward_hooks) == 0


def test_torchvision_trains_with_the_loss_that_was_set(annotated: tuple[Path, Path]) -> None:
    """With strength 0, exactly as torchvision does; with weights it is another loss, and the scores follow."""
    module = example("torchvision_detection")
    ((image, target), *_) = module.annotated(*annotated)

    def losses(model: Any) -> dict[str, torch.Tensor]:
        torch.manual_seed(1)  # of the proposals that are drawn
        found: dict[str, torch.Tensor] = model.train()([image], [target])
        return found

    plain, same, weighted = rcnn(), rcnn(), rcnn()
    module.set_classification_loss(same, IIFCrossEntropy(TABLE, strength=0.0, background="first"))
    module.set_classification_loss(weighted, IIFCrossEntropy(TABLE, variant="smooth", background="first"))
    torch.testing.assert_close(losses(same), losses(plain))
    assert losses(weighted)["loss_box_reg"] == losses(plain)["loss_box_reg"]
    assert losses(weighted)["loss_classifier"] != losses(plain)["loss_classifier"]

    scores = [model.eval()([image])[0]["scores"] for model in (plain, same, weighted)]
    assert torch.equal(scores[0], scores[1])
    assert not torch.equal(scores[0], scores[2])


class Layers(torch.nn.Module):
    """The documented signature of detectron2's ``FastRCNNOutputLayers``."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes, self.loss_weight = num_classes, {"loss_cls": 2.0}
        self.cls_score = torch.nn.Linear(features, num_classes + 1)
        self.bbox_pred = torch.nn.Linear(features, 4 * num_classes)

    def losses(self, predictions: Any, proposals: Any) -> dict[str, torch.Tensor]:
        logits, deltas = predictions
        assert logits.shape[1] == self.num_classes + 1
        return {"loss_cls": logits.sum(), "loss_box_reg": deltas.square().mean()}


class Proposals:
    """The part of detectron2's ``Instances`` that a loss reads."""

    def __init__(self, gt_classes: list[int]) -> None:
        self.gt_classes = torch.tensor(gt_classes)

    def __len__(self) -> int:
        return len(self.gt_classes)


@pytest.mark.parametrize("kind", [IIFCrossEntropy, EqualizationLoss, GroupSoftmaxLoss])
def test_detectron2(kind: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stub = ModuleType("fast_rcnn")
    stub.FastRCNNOutputLayers = Layers  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "detectron2.modeling.roi_heads.fast_rcnn", stub)
    for parent in ("detectron2", "detectron2.modeling", "detectron2.modeling.roi_heads"):
        monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
    loss = kind(TABLE, background="last")
    torch.manual_seed(0)
    layers, features = Layers(8, 3), torch.randn(12, 8)
    example("detectron2_lvis").set_classification_loss(layers, loss)
    logits = layers.cls_score(features)
    assert logits.shape == (12, loss.width)

    proposals = [Proposals([0, 1, 2, 3] * 2), Proposals([3] * 4)]
    found = layers.losses((logits, layers.bbox_pred(features)), proposals)
    target = torch.cat([one.gt_classes for one in proposals])
    torch.testing.assert_close(found["loss_cls"], 2 * kind(TABLE, background="last")(logits, target))
    sum(found.values()).backward()
    assert all(one.grad is not None for one in layers.parameters())

    scores = layers.predict_probs((logits, None), proposals)
    assert [one.shape for one in scores] == [(8, 4), (4, 4)]
    torch.testing.assert_close(torch.cat(scores)[:, :3], loss.decode(logits))


@pytest.mark.parametrize("name", ["IIFCrossEntropy", "EqualizationLoss", "GroupSoftmaxLoss"])
def test_mmdetection(name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    registered = {}
    registry = ModuleType("registry")
    registry.MODELS = SimpleNamespace(  # type: ignore[attr-defined]
        register_module=lambda: lambda kind: registered.setdefault(kind.__name__, kind)
    )
    monkeypatch.setitem(sys.modules, "mmdet", ModuleType("mmdet"))
    monkeypatch.setitem(sys.modules, "mmdet.registry", registry)
    example("mmdet_loss")
    frequencies = tmp_path / "frequencies.csv"
    rows = zip(TABLE.category_id, TABLE.image_count, TABLE.instance_count, strict=True)
    lines = [f"{one},x,{images},{instances},f,{images / 100}" for one, images, instances in rows]
    header = "category_id,name,image_count,instance_count,group,image_rate"
    frequencies.write_text("\n".join([header, *lines, ""]))

    head = registered["LongTailLoss"](name, str(frequencies), loss_weight=0.5)
    torch.manual_seed(0)
    logits, labels = torch.randn(12, head.get_cls_channels(3)), torch.tensor([0, 1, 2, 3] * 3)
    value = head(logits, labels, torch.ones(12), avg_factor=12, reduction_override=None)
    again = registered["LongTailLoss"](name, str(frequencies)).loss
    torch.testing.assert_close(value, 0.5 * again(logits, labels))
    scores = head.get_activation(logits)
    assert scores.shape == (12, 4)
    assert (scores[:, 3] == 0).all()
    right = scores[labels < 3, :3].argmax(dim=1) == labels[labels < 3]
    assert head.get_accuracy(logits, labels)["acc_classes"] == right.float().mean()
    with pytest.raises(NotImplementedError):
        head(logits, labels, reduction_override="none")
