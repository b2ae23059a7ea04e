"""COCO results whose images are named: ``predictions.json`` of Ultralytics, and lists like it.

Source: ultralytics/ultralytics, ultralytics/models/yolo/detect/val.py, ``DetectionValidator.pred_to_json`` (8.4). The
`image_id` is the stem of the file name, as an integer if it is one, so that a list may hold both; newer versions add
`file_name`, which is read instead. Boxes are xywh in pixels. The category ids are 0 to C - 1 in older versions, 1 to C
in newer ones, and those of the annotations for COCO. Where all images are integers, the list is that of COCO.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from longtail_cli.files.outline import Outline

if TYPE_CHECKING:
    from longtail_cli.files.results.json_entries import JsonEntries
    from longtail_cli.files.source import FileContent

_KEYS = frozenset({"category_id", "score"})


def matches(outline: Outline) -> bool:
    """Whether it is a JSON list of detections, of which the first names its image.

    Where only a later one does, `JsonEntries` notices it.
    """
    if outline.container != "json list" or not set(outline.names) >= _KEYS:
        return False
    image = outline.first.get("image_id")
    return isinstance(image, str) or (image is None and isinstance(outline.first.get("file_name"), str))


def open_entries(outline: Outline, content: FileContent) -> JsonEntries:
    """See `DetectionFormat.module`."""
    from longtail_cli.files.results.json_entries import JsonEntries

    return JsonEntries(content, "file_name" if "file_name" in outline.names else "image_id")
