"""torchvision detectors: the Fast, Faster, Mask and Keypoint R-CNN family, RetinaNet and FCOS."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from longtail_cli.capture.columns import ColumnChoice, Kind, choose_columns
from longtail_cli.capture.common import (
    Method,
    Size,
    check_evaluating,
    clipped,
    mismatch,
    resized,
    watched,
    watched_features,
    wrong_model,
)
from longtail_cli.files.logits.writer import LogitsWriter


@dataclass(frozen=True, slots=True)
class _Rows:
    """The proposals of one image."""

    logits: torch.Tensor
    """[N, M]."""
    boxes: torch.Tensor
    """[N, 4] or [N, C, 4], xyxy in the image of `size`."""
    size: Size
    objectness: torch.Tensor | None = None
    """[N]."""
    features: torch.Tensor | None = None
    """[N, D]."""


@dataclass(slots=True)
class AnnouncedImages:
    """Takes the ids of the images that go through a torchvision model, which does not know them itself."""

    _writer: LogitsWriter
    _choice: ColumnChoice
    _ids: list[int] = field(default_factory=list)
    _rows: list[_Rows] = field(default_factory=list)

    def announce(self, image_ids: Iterable[int]) -> None:
        """Set the ids of the images of the next call of the model, in order; needed before each call."""
        self._ids = [int(image_id) for image_id in image_ids]

    def _hold(self, rows: Iterable[_Rows]) -> None:
        self._rows = list(rows)
        if len(self._ids) != len(self._rows):
            raise mismatch(
                self._choice.source,
                "announced images",
                f"{len(self._rows)} ids, one for each image of the call",
                f"{len(self._ids)}",
                "call announce(image_ids) before each call of the model",
            )

    def _append(self, original_sizes: Sequence[Size]) -> None:
        for image_id, rows, original in zip(self._ids, self._rows, original_sizes, strict=True):
            boxes = resized(rows.boxes, rows.size, original)
            logits = self._choice.logits(rows.logits)
            self._writer.append(
                logits, image_id=image_id, boxes=boxes, objectness=rows.objectness, features=rows.features
            )
        self._ids, self._rows = [], []


@contextmanager
def capture_roi_heads(
    model: Any, writer: LogitsWriter, classes: Sequence[int] | None = None, features: bool = False
) -> Iterator[AnnouncedImages]:
    """Append all proposals of the images that go through `model` while the context lasts.

    model: a torchvision R-CNN (``GeneralizedRCNN``) in eval mode: softmax, background first, one box per class.
    writer: opened with ``head="softmax"`` and ``background="first"``.
    classes: the model's labels that are the writer's category ids, in their order, if some of its labels are not
        categories (as in torchvision's COCO models); all labels from 1 on if None.
    features: save the input of the classifier, for `ltcal fit`: of ``model.roi_heads.box_predictor.cls_score``, whose
        weight is the writer's `weight` if `classes` is None.

    Boxes are decoded and clipped as in the model, then scaled to the image that it was given.

    Raises `UsageError` for another kind of model, for one in training mode, for a predictor without ``cls_score`` if
    `features` are asked for, for columns that do not fit the writer's and, in the call itself, for images that were not
    announced.
    """
    source = "capture_roi_heads"
    heads: Any = getattr(model, "roi_heads", None)
    if not (hasattr(heads, "postprocess_detections") and hasattr(heads, "box_coder")):
        raise wrong_model(source, "a torchvision R-CNN", model, "capture_dense_head watches RetinaNet and FCOS")
    images = _announced(source, model, writer, ("softmax", "first"), classes)

    def see(_: Method, call: Mapping[str, Any]) -> None:
        proposals, logits = call["proposals"], call["class_logits"]
        images._choice.check_width(logits.shape[1])
        counts = [len(boxes) for boxes in proposals]
        decoded = heads.box_coder.decode(call["box_regression"], proposals)
        boxes = decoded.reshape(*logits.shape, 4)[:, 1:]  # like the logits, the boxes have the background first
        per_image = zip(
            logits.split(counts), boxes.split(counts), call["image_shapes"], split_features(counts), strict=True
        )
        images._hold(
            _Rows(rows, clipped(images._choice.boxes(box), size), size, features=feature)
            for rows, box, size, feature in per_image
        )

    with (
        watched_features(source, getattr(heads, "box_predictor", None), "cls_score", features) as split_features,
        watched(heads, "postprocess_detections", see),
        _appended(model, images),
    ):
        yield images


@contextmanager
def capture_dense_head(
    model: Any, writer: LogitsWriter, classes: Sequence[int] | None = None
) -> Iterator[AnnouncedImages]:
    """Append the best anchors of the images that go through `model` while the context lasts.

    model: a torchvision ``RetinaNet`` or ``FCOS`` in eval mode: sigmoid, no background.
    writer: opened with ``head="sigmoid"`` and ``background="none"``.
    classes: the model's labels that are the writer's category ids, in their order, if some of its labels are not
        categories (as in torchvision's COCO models); all labels from 0 on if None.

    In each level of the pyramid the ``model.topk_candidates`` anchors with the highest score of any label are kept;
    the model itself cannot return others. Boxes are decoded and clipped as in the model, then scaled to the image that
    it was given. FCOS has objectness = sigmoid(centerness); its score is the square root of class score times
    objectness.

    Raises `UsageError` as `capture_roi_heads` does.
    """
    source = "capture_dense_head"
    if not {"RetinaNet", "FCOS"} & {kind.__name__ for kind in type(model).__mro__}:
        raise wrong_model(source, "a torchvision RetinaNet or FCOS", model, "capture_roi_heads watches R-CNNs")
    images = _announced(source, model, writer, ("sigmoid", "none"), classes)

    def see(_: Method, call: Mapping[str, Any]) -> None:
        images._hold(
            _best_anchors(model, call["head_outputs"], index, anchors, size)
            for index, (anchors, size) in enumerate(zip(call["anchors"], call["image_shapes"], strict=True))
        )

    with watched(model, "postprocess_detections", see), _appended(model, images):
        yield images


def _announced(
    source: str, model: Any, writer: LogitsWriter, kind: Kind, classes: Sequence[int] | None
) -> AnnouncedImages:
    check_evaluating(source, model)
    return AnnouncedImages(writer, choose_columns(source, writer.columns, kind, classes))


@contextmanager
def _appended(model: Any, images: AnnouncedImages) -> Iterator[None]:
    """Append what `images` holds when the model resizes its detections, as it knows the original sizes then."""

    def see(_: Method, call: Mapping[str, Any]) -> None:
        images._append(call["original_image_sizes"])

    with watched(model.transform, "postprocess", see):
        yield


def _best_anchors(
    model: Any, outputs: Mapping[str, Sequence[torch.Tensor]], index: int, anchors: Sequence[torch.Tensor], size: Size
) -> _Rows:
    """The rows of image `index` of a batch; outputs and anchors [A, ...] come level by level."""
    logits, boxes, objectness = [], [], []
    for level, level_anchors in enumerate(anchors):
        level_logits = outputs["cls_logits"][level][index]
        best = level_logits.amax(dim=-1).sigmoid()
        if "bbox_ctrness" in outputs:
            centerness = outputs["bbox_ctrness"][level][index].flatten().sigmoid()
            best = best * centerness
        top = best.topk(min(model.topk_candidates, len(best))).indices.sort().values
        logits.append(level_logits[top])
        boxes.append(_decoded(model.box_coder, outputs["bbox_regression"][level][index][top], level_anchors[top]))
        if "bbox_ctrness" in outputs:
            objectness.append(centerness[top])
    return _Rows(
        torch.cat(logits), clipped(torch.cat(boxes), size), size, torch.cat(objectness) if objectness else None
    )


def _decoded(coder: Any, regression: torch.Tensor, anchors: torch.Tensor) -> torch.Tensor:
    """Boxes [A, 4]; in some versions the linear coder lacks ``decode_single``."""
    decode = getattr(coder, "decode_single", coder.decode)
    boxes: torch.Tensor = decode(regression, anchors)
    return boxes
