"""Writes the logits of a running model, without a fork.

Each function passes what a model computes just before its activation to a `longtail_cli.LogitsWriter`, and does not
change the model's own results. No framework is imported: the user already runs one.

`append_object_detections` (transformers) and `append_classification` (timm) take the outputs of one batch.
`capture_roi_heads` and `capture_dense_head` (torchvision), `capture_fast_rcnn` (detectron2) and `capture_bbox_head`
(MMDetection) are context managers that watch a model until they end. All but `capture_dense_head` can save the input of
the classifier too, from which `ltcal fit` learns a new one.
"""

from longtail_cli.capture.detectron2 import capture_fast_rcnn
from longtail_cli.capture.mmdet import capture_bbox_head
from longtail_cli.capture.timm import append_classification
from longtail_cli.capture.torchvision import AnnouncedImages, capture_dense_head, capture_roi_heads
from longtail_cli.capture.transformers import append_object_detections

__all__ = [
    "AnnouncedImages",
    "append_classification",
    "append_object_detections",
    "capture_bbox_head",
    "capture_dense_head",
    "capture_fast_rcnn",
    "capture_roi_heads",
]
