"""MMDetection 3: the box heads of its two-stage detectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from longtail_cli.capture.columns import choose_columns
from longtail_cli.capture.common import (
    Method,
    check_evaluating,
    mismatch,
    per_class,
    watched,
    watched_features,
    wrong_model,
)
from longtail_cli.files.logits.writer import LogitsWriter

SOURCE = "capture_bbox_head"


@contextmanager
def capture_bbox_head(
    bbox_head: Any, writer: LogitsWriter, classes: Sequence[int] | None = None, features: bool = False
) -> Iterator[None]:
    """Append all proposals of the images that go through a model with `bbox_head` while the context lasts.

    bbox_head: an MMDetection 3 ``BBoxHead`` in eval mode, ``model.roi_head.bbox_head``; for a cascade the last one,
        ``model.roi_head.bbox_head[-1]``, which gets the mean of the logits of all stages. ``Runner.test`` and
        ``inference_detector`` run unchanged. Image ids and scales come from the metadata of the samples.
    writer: opened with ``head="softmax"`` and ``background="last"``.
    classes: the model's labels that are the writer's category ids, in their order; all labels if None.
    features: save the input of the classifier, for `ltcal fit`: of ``bbox_head.fc_cls``, whose weight is the writer's
        `weight` if `classes` is None and the model is no cascade, whose logits are those of several such layers.

    Boxes are decoded and clipped by the head itself, with ``rescale=True``: in pixels of the original image. A batch
    without any proposal does not reach the head and adds no rows.

    Raises `UsageError` for another kind of head (among them those whose loss has its own activation, such as Seesaw
    loss), for one in training mode, for one without ``fc_cls`` if `features` are asked for, for columns that do not fit
    the writer's and, in the call itself, for samples without ``img_id`` or ``scale_factor`` and for flipped images.
    """
    if not hasattr(bbox_head, "predict_by_feat") or not hasattr(bbox_head, "reg_class_agnostic"):
        fix = "pass model.roi_head.bbox_head, or the last of them if the model is a cascade"
        raise wrong_model(SOURCE, "a BBoxHead of MMDetection 3", bbox_head, fix)
    check_evaluating(SOURCE, bbox_head)
    if getattr(bbox_head, "custom_cls_channels", False):
        found = f"{type(bbox_head.loss_cls).__name__}, with an activation of its own"
        raise mismatch(
            SOURCE, "the loss", "one with a plain softmax", found, "a logits file cannot declare such a head"
        )
    choice = choose_columns(SOURCE, writer.columns, ("softmax", "last"), classes)

    def see(predict_by_feat: Method, call: Mapping[str, Any]) -> None:
        metas = call["batch_img_metas"]
        ids = [_image_id(meta) for meta in metas]
        raw = predict_by_feat(**{**call, "rcnn_test_cfg": None, "rescale": True})  # all rows, before any threshold
        scores = call["cls_scores"]
        per_image = zip(ids, scores, raw, split_features([len(logits) for logits in scores]), strict=True)
        for image_id, logits, result, feature in per_image:
            boxes = choice.boxes(_shaped(bbox_head, result.bboxes))
            writer.append(choice.logits(logits), image_id=image_id, boxes=boxes, features=feature)

    with (
        watched_features(SOURCE, bbox_head, "fc_cls", features) as split_features,
        watched(bbox_head, "predict_by_feat", see),
    ):
        yield


def _shaped(bbox_head: Any, boxes: torch.Tensor) -> torch.Tensor:
    if not len(boxes) and bbox_head.with_reg and not bbox_head.reg_class_agnostic:
        return boxes.new_zeros((0, bbox_head.num_classes, 4))  # without rows every head gives [0, 4]
    return per_class(boxes, bbox_head.num_classes)


def _image_id(meta: Mapping[str, Any]) -> int:
    missing = [name for name in ("img_id", "scale_factor") if meta.get(name) is None]
    if missing:
        fix = "add it to meta_keys of PackDetInputs in the test pipeline"
        raise mismatch(SOURCE, "metadata of a sample", missing[0], f"only {', '.join(meta)}", fix)
    if meta.get("flip"):
        raise mismatch(SOURCE, "a sample", "an image that is not flipped", "flip", "run without test-time augmentation")
    return int(meta["img_id"])
