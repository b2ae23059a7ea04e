"""MMDetection 3: with the documented signatures, and with the real package if it is installed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from longtail_cli.capture import capture_bbox_head
from longtail_cli.errors import UsageError
from longtail_cli.files.logits.writer import LogitsWriter

IDS = [30, 10, 20]

Open = Callable[..., LogitsWriter]
Captured = Callable[..., dict[str, torch.Tensor]]
Unchanged = Callable[[torch.nn.Module], AbstractContextManager[None]]
Metas = list[dict[str, Any]]


class BBoxHead(torch.nn.Module):
    """The signature of ``BBoxHead``; `bbox_preds` move the corners of the RoIs."""

    custom_cls_channels = False

    def __init__(self, reg_class_agnostic: bool = False) -> None:
        super().__init__()
        self.num_classes = len(IDS)
        self.reg_class_agnostic = reg_class_agnostic
        self.with_reg = True
        self.loss_cls = torch.nn.CrossEntropyLoss()
        self.fc_cls = torch.nn.Linear(5, len(IDS) + 1)
        self.eval()

    def predict_by_feat(
        self,
        rois: tuple[torch.Tensor, ...],
        cls_scores: tuple[torch.Tensor, ...],
        bbox_preds: tuple[torch.Tensor, ...],
        batch_img_metas: Metas,
        rcnn_test_cfg: object = None,
        rescale: bool = False,
    ) -> list[SimpleNamespace]:
        results = []
        for roi, scores, moves, meta in zip(rois, cls_scores, bbox_preds, batch_img_metas, strict=True):
            if not len(roi):
                results.append(SimpleNamespace(bboxes=torch.zeros(0, 4), scores=scores))
                continue
            boxes = roi[:, 1:].repeat(1, moves.shape[1] // 4) + moves
            if rescale:
                x, y = meta["scale_factor"]
                boxes = boxes / torch.tensor([x, y]).repeat(boxes.shape[1] // 2)
            if rcnn_test_cfg is None:
                results.append(SimpleNamespace(bboxes=boxes, scores=scores.softmax(dim=1)))
            else:
                results.append(
                    SimpleNamespace(bboxes=boxes[:1, :4], scores=scores[:1, 0], labels=[0], cfg=rcnn_test_cfg)
                )
        return results


def call(head: Any, rows: tuple[int, ...] = (4, 2), **meta: Any) -> dict[str, Any]:
    """Arguments as ``StandardRoIHead`` passes them: x of the images was scaled by 2, y by 4."""
    generator = torch.Generator().manual_seed(0)
    rois = tuple(torch.rand(n, 2, 2, generator=generator).sort(dim=1).values.flatten(1) * 40 for n in rows)
    width = 4 if head.reg_class_agnostic else 4 * len(IDS)
    return {
        "rois": tuple(torch.cat([torch.full((len(roi), 1), float(i)), roi], dim=1) for i, roi in enumerate(rois)),
        "cls_scores": tuple(torch.randn(n, len(IDS) + 1, generator=generator) for n in rows),
        "bbox_preds": tuple(torch.zeros(n, width) for n in rows),
        "batch_img_metas": [
            {"img_id": 7 - i, "img_shape": (64, 64), "ori_shape": (16, 32), "scale_factor": (2.0, 4.0)} | meta
            for i in range(len(rows))
        ],
    }


@pytest.mark.parametrize("agnostic", [False, True])
def test_signature_softmax_with_the_background_last(
    agnostic: bool, open_writer: Open, captured: Captured, unchanged: Unchanged
) -> None:
    head = BBoxHead(agnostic)
    arguments = call(head)
    own = head.predict_by_feat(**arguments, rcnn_test_cfg="test_cfg", rescale=False)
    with unchanged(head), open_writer(IDS, "softmax", "last") as writer, capture_bbox_head(head, writer):
        watched = head.predict_by_feat(**arguments, rcnn_test_cfg="test_cfg", rescale=False)

    assert [one.cfg for one in watched] == ["test_cfg"] * 2
    assert all(torch.equal(a.bboxes, b.bboxes) for a, b in zip(own, watched, strict=True))
    tensors = captured()
    assert tensors["image_id"].tolist() == [7, 7, 7, 7, 6, 6]
    assert torch.equal(tensors["logits"], torch.cat(arguments["cls_scores"]))
    original = torch.cat(arguments["rois"])[:, 1:] / torch.tensor([2.0, 4.0, 2.0, 4.0])
    if agnostic:
        torch.testing.assert_close(tensors["boxes"], original)
    else:
        torch.testing.assert_close(tensors["boxes"], original[:, None].expand(-1, len(IDS), 4))


@torch.no_grad()
def test_signature_features(open_writer: Open, captured: Captured, unchanged: Unchanged) -> None:
    head, features = BBoxHead(), torch.randn(6, 5, generator=torch.Generator().manual_seed(1))
    with (
        unchanged(head),
        open_writer(IDS, "softmax", "last", weight=head.fc_cls.weight) as writer,
        capture_bbox_head(head, writer, features=True),
    ):
        cls_scores = head.fc_cls(features).split([4, 0, 2])
        head.predict_by_feat(**call(head, (4, 0, 2)) | {"cls_scores": cls_scores})

    tensors = captured()
    assert torch.equal(tensors["features"], features)
    torch.testing.assert_close(tensors["features"] @ tensors["weight"].T + head.fc_cls.bias, tensors["logits"])


def test_signature_an_image_without_proposals(open_writer: Open, captured: Captured) -> None:
    head = BBoxHead()
    with open_writer(IDS, "softmax", "last") as writer, capture_bbox_head(head, writer):
        head.predict_by_feat(**call(head, (2, 0)))

    assert captured()["image_id"].tolist() == [7, 7]


def test_signature_errors(open_writer: Open, unchanged: Unchanged) -> None:
    writer = open_writer(IDS, "softmax", "last")
    heads = torch.nn.ModuleList([BBoxHead(), BBoxHead()])
    with (
        pytest.raises(UsageError, match="the last of them if the model is a cascade"),
        capture_bbox_head(heads, writer),
    ):
        pass
    seesaw = BBoxHead()
    seesaw.custom_cls_channels = True
    with pytest.raises(UsageError, match="with an activation of its own"), capture_bbox_head(seesaw, writer):
        pass
    other = BBoxHead()
    del other.fc_cls
    with (
        pytest.raises(UsageError, match="last layer is `fc_cls`, found BBoxHead"),
        capture_bbox_head(other, writer, features=True),
    ):
        pass
    head = BBoxHead()
    with unchanged(head), writer, capture_bbox_head(head, writer):
        with pytest.raises(UsageError, match="metadata of a sample: expected img_id"):
            head.predict_by_feat(**call(head, img_id=None))
        with pytest.raises(UsageError, match="metadata of a sample: expected scale_factor"):
            head.predict_by_feat(**call(head, scale_factor=None))
        with pytest.raises(UsageError, match="expected an image that is not flipped"):
            head.predict_by_feat(**call(head, flip=True))
        head.predict_by_feat(**call(head))


@torch.no_grad()
def test_real_bbox_head(open_writer: Open, captured: Captured, unchanged: Unchanged) -> None:
    """The same scores and boxes as from the head before suppression, in pixels of the original image; and features."""
    heads = pytest.importorskip(
        "mmdet.models.roi_heads.bbox_heads", reason="MMDetection is not installed; its operators have to be compiled"
    )
    torch.manual_seed(0)
    head = heads.Shared2FCBBoxHead(in_channels=8, fc_out_channels=16, roi_feat_size=3, num_classes=len(IDS)).eval()
    arguments = call(head)
    pooled = torch.randn(6, 8, 3, 3)
    cls_score, bbox_pred = head(pooled)
    arguments["cls_scores"], arguments["bbox_preds"] = cls_score.split([4, 2]), bbox_pred.split([4, 2])
    own = head.predict_by_feat(**arguments, rescale=True)
    with (
        unchanged(head),
        open_writer(IDS, "softmax", "last") as writer,
        capture_bbox_head(head, writer, features=True),
    ):
        head(pooled)
        head.predict_by_feat(**arguments, rescale=False)

    tensors = captured()
    torch.testing.assert_close(head.fc_cls(tensors["features"]), tensors["logits"])
    torch.testing.assert_close(tensors["logits"].softmax(dim=1), torch.cat([one.scores for one in own]))
    torch.testing.assert_close(tensors["boxes"].flatten(1), torch.cat([one.bboxes for one in own]))
