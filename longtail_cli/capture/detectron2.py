"""detectron2: the box head of its R-CNNs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from longtail_cli.capture.columns import Kind, choose_columns
from longtail_cli.capture.common import (
    Method,
    Size,
    check_evaluating,
    clipped,
    mismatch,
    per_class,
    resized,
    watched,
    watched_features,
    wrong_model,
)
from longtail_cli.files.logits.writer import LogitsWriter

SOURCE = "capture_fast_rcnn"


@contextmanager
def capture_fast_rcnn(
    model: Any, writer: LogitsWriter, classes: Sequence[int] | None = None, features: bool = False
) -> Iterator[None]:
    """Append all proposals of the images that go through `model` while the context lasts.

    model: a detectron2 ``GeneralizedRCNN`` in eval mode with one ``FastRCNNOutputLayers`` as
        ``roi_heads.box_predictor``. Its inputs hold ``image_id``, and ``height`` and ``width`` of the original image,
        as detectron2's data loaders make them, so ``inference_on_dataset`` runs unchanged.
    writer: opened with ``head="softmax"`` and ``background="last"``; for a model with ``use_sigmoid_ce`` with
        ``head="sigmoid"`` and ``background="none"`` (such a model computes a last column too, and never uses it).
    classes: the model's labels that are the writer's category ids, in their order; all labels if None.
    features: save the input of the classifier, for `ltcal fit`: of ``model.roi_heads.box_predictor.cls_score``, whose
        weight (with ``use_sigmoid_ce`` without its last row) is the writer's `weight` if `classes` is None.

    Boxes are decoded and clipped as in the model, then scaled to the original image. Rows that are not finite are
    left out, as in the model.

    Raises `UsageError` for another kind of model (among them cascades, which average the scores of several heads), for
    one in training mode, for a predictor without ``cls_score`` if `features` are asked for, for columns that do not fit
    the writer's and, in the call itself, for inputs without ``image_id`` and for rotated boxes.
    """
    predictor: Any = getattr(getattr(model, "roi_heads", None), "box_predictor", None)
    if not (hasattr(predictor, "inference") and hasattr(predictor, "predict_boxes") and hasattr(model, "inference")):
        expected = "a GeneralizedRCNN with one FastRCNNOutputLayers"
        raise wrong_model(SOURCE, expected, model, "pass the whole model; cascades have several logits for each class")
    check_evaluating(SOURCE, model)
    sigmoid = bool(getattr(predictor, "use_sigmoid_ce", False))
    kind: Kind = ("sigmoid", "none") if sigmoid else ("softmax", "last")
    choice = choose_columns(SOURCE, writer.columns, kind, classes)
    inputs: list[Mapping[str, Any]] = []

    def see_inputs(_: Method, call: Mapping[str, Any]) -> None:
        inputs[:] = call["batched_inputs"]

    def see_predictions(_: Method, call: Mapping[str, Any]) -> None:
        predictions, proposals = call["predictions"], call["proposals"]
        logits = predictions[0][:, :-1] if sigmoid else predictions[0]
        counts = [len(one) for one in proposals]
        boxes = predictor.predict_boxes(predictions, proposals)
        per_image = zip(inputs, proposals, logits.split(counts), boxes, split_features(counts), strict=True)
        for one, proposal, z, flat, feature in per_image:
            finite = torch.isfinite(z).all(dim=1) & torch.isfinite(flat).all(dim=1)
            z = choice.logits(z[finite])
            box = choice.boxes(per_class(flat[finite], predictor.num_classes))
            box = resized(clipped(box, proposal.image_size), proposal.image_size, _original(one, proposal.image_size))
            kept = None if feature is None else feature[finite]
            writer.append(z, image_id=_image_id(one), boxes=box, features=kept)

    with (
        watched_features(SOURCE, predictor, "cls_score", features) as split_features,
        watched(model, "inference", see_inputs),
        watched(predictor, "inference", see_predictions),
    ):
        yield


def _original(given: Mapping[str, Any], size: Size) -> Size:
    return int(given.get("height", size[0])), int(given.get("width", size[1]))


def _image_id(given: Mapping[str, Any]) -> int:
    if "image_id" not in given:
        raise mismatch(SOURCE, "an input", "image_id", f"only {', '.join(given)}", "add image_id to the data mapper")
    return int(given["image_id"])
