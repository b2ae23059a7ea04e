"""Detections by image, as torchvision's models return them: dicts of boxes, scores and labels.

Sources: pytorch/vision, torchvision/models/detection/roi_heads.py and retinanet.py (lists of dicts), and
references/detection/engine.py (dicts by image id); Lightning-AI/torchmetrics, src/torchmetrics/detection/mean_ap.py
(``{"preds": [...], "target": [...]}``); huggingface/transformers, ``post_process_object_detection`` of
models/detr/image_processing_detr.py. They are saved with torch.save or pickle, as JSON, or as JSON Lines.

Boxes are two corners in pixels. Labels are the category ids of the annotations, as torchvision's models are trained,
with 0 for the background, which is never predicted. Where a label is 0, or the dicts begin with ``scores`` as in
transformers, they are 0 to C - 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.outline import Outline
from longtail_cli.files.reading import FIX_COPY, reading
from longtail_cli.tables import Results

if TYPE_CHECKING:
    from longtail_cli.files.source import FileContent

FORMAT = "detections by image (torchvision, torchmetrics, transformers)"

_KEYS = frozenset({"boxes", "scores", "labels"})
_BINARY = ("torch", "pickle")
_SPLIT: Mapping[str, Callable[[Any], Any]] = {
    "json list": msgspec.json.Decoder(list[msgspec.Raw]).decode,
    "json object": msgspec.json.Decoder(dict[str, msgspec.Raw]).decode,
    "json lines": msgspec.json.Decoder(msgspec.Raw).decode_lines,
}
"""How a text of each container becomes the texts of its images."""
_FIX = "save a list with a dict of `boxes`, `scores` and `labels` for each image, in the order of the annotations"


def matches(outline: Outline) -> bool:
    """Whether it names boxes, and scores or labels, but no logits; in JSON all three."""
    if outline.container in _SPLIT:
        inner = next(iter(outline.first.values()), None) if outline.container == "json object" else None
        return set(inner if isinstance(inner, Mapping) else outline.names) >= _KEYS
    names = set(outline.names)
    return outline.container in _BINARY and "boxes" in names and len(names & _KEYS) > 1 and "logits" not in names


def open_entries(outline: Outline, content: FileContent) -> ImageDicts:
    """See `DetectionFormat.module`."""
    return ImageDicts(outline, content)


class ImageDicts:
    """The detections of all images; see `Entries`."""

    def __init__(self, outline: Outline, content: FileContent) -> None:
        self._outline, self._content = outline, content

    def fields(self) -> frozenset[str]:
        return frozenset({"bbox", "masks"} if "masks" in self._outline.names else {"bbox"})

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        from longtail_cli.files.frameworks.image_columns import ImageColumns

        columns = ImageColumns(self._content.source, self._content.size, fields)
        text = self._outline.container in _SPLIT
        for image_id, image in self._decoded() if text else self._loaded():
            columns.add(image_id, image)
        if advance is not None:
            advance(self._content.size)
        return columns.results(FORMAT)

    def _loaded(self) -> Iterator[tuple[Any, Any]]:
        from longtail_cli.files.pickles import load_content

        return _images(load_content(self._content), self._content.source)

    def _decoded(self) -> Iterator[tuple[Any, Any]]:
        """As few images as possible are plain objects at a time."""
        source = self._content.source
        with self._content.unchanged(), self._content.unpacked().mapped() as text:
            with reading(source, "JSON", FIX_COPY):
                saved: Any = _SPLIT[self._outline.container](text)
            for image_id, image in _images(saved, source):
                with reading(source, "JSON", FIX_COPY):
                    decoded = msgspec.json.decode(image)
                yield image_id, decoded


def _images(saved: Any, source: str) -> Iterator[tuple[Any, Any]]:
    """The id of each image, None if only its dict may state one, and its dict."""
    if isinstance(saved, Mapping) and "preds" in saved:
        saved = saved["preds"]
    if isinstance(saved, Mapping):
        yield from [(None, saved)] if saved.keys() >= _KEYS else saved.items()
        return
    if not isinstance(saved, Sequence) or isinstance(saved, str | bytes):
        problem = Problem("content", "a list or a dict with a dict for each image", type(saved).__name__)
        raise InputError(source, [problem], _FIX)
    for image in saved:
        batch = isinstance(image, Sequence) and not isinstance(image, str | bytes | msgspec.Raw)
        yield from ((None, one) for one in image) if batch else [(None, image)]
