"""Every kind of file that ltcal reads, recognised by its content."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import Literal

from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import Outline
from longtail_cli.files.recognise import kind_of_outline
from longtail_cli.files.source import open_file

ContentKind = Literal[
    "results", "logits", "annotations", "frequencies", "labels", "counts", "metadata", "report", "tuning", "fit"
]

_HEAD_BYTES = 4096
_FORMAT = re.compile(rb'"format"\s*:\s*"ltcal-(\w+)/\d+"')
_DOCUMENTS: dict[str, ContentKind] = {
    "report": "report", "tuned": "tuning", "frequency": "frequencies", "logits": "metadata",
}  # fmt: skip
_DETECTIONS = {"image_id", "category_id", "score"}
_COUNTS = {"category_id", "image_count"}
_ANNOTATIONS = {"images", "annotations", "categories", "info"}
_TENSORS = {"logits", "scores"}
_OF_CLASSES = re.compile(r"(?:(?:logit|output|score|prob|pred|pred_score)s?|predictions|probabilities)(?:_?\d+)?|\d+")
"""A column of logits or scores in a table: of one class, by its number, or of all."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a file seems to be."""

    kinds: tuple[ContentKind, ...]
    """What it may be, the likeliest first; empty if nothing that is read looks like it."""
    certain: bool = True
    """Whether it is surely meant to be the first; False if only its container is that of such files."""


_PREDICTED = "transformers.trainer_utils.PredictionOutput"
"""What `Trainer.predict` of Hugging Face transformers returns."""


def recognised(outline: Outline) -> Recognised:
    """What the file seems to be. Raises InputError if it cannot be read."""
    names = set(outline.names)
    if detection_format(outline) is not None:
        return Recognised(("results",))
    if outline.container in ("json list", "json lines", "json object"):
        return _of_json(outline, names)
    if outline.container in ("parquet", "csv") and names >= _COUNTS:
        return Recognised(("frequencies",))
    if outline.container == "npz" and "document" in names:
        return Recognised(("fit",))
    if outline.container in ("csv", "parquet") and "label" in names and not names & _DETECTIONS:
        of_classes = any(_OF_CLASSES.fullmatch(name) for name in names)
        return Recognised(("logits", "labels") if of_classes else ("labels", "logits"))
    if outline.container in ("npz", "safetensors") and names & _TENSORS:
        return Recognised(("logits",))
    if outline.container in ("torch", "pickle") and (_PREDICTED in outline.globals or "pred_boxes" in names):
        return Recognised(("logits",))
    if outline.container == "parquet" and names & _DETECTIONS:
        return Recognised(("results",))
    return Recognised(_of_container(outline), certain=False)


def _of_json(outline: Outline, names: set[str]) -> Recognised:
    """Detections, a document of ltcal, annotations, labels, or counts per class."""
    with closing(open_file(outline.path)) as content, content.stream() as stream:
        stated = _FORMAT.search(stream.read(_HEAD_BYTES))
    if names & _DETECTIONS:
        return Recognised(("results",))
    if outline.container == "json list":
        return Recognised(("labels", "counts") if not names else ("results",), certain=False)
    if stated is not None:
        kind = _DOCUMENTS.get(stated[1].decode())
        return Recognised(() if kind is None else (kind,))
    if names & _ANNOTATIONS:
        return Recognised(("annotations",))
    return Recognised(("counts", "labels"), certain=False)


def _of_container(outline: Outline) -> tuple[ContentKind, ...]:
    """What is kept in files like this one."""
    if outline.container == "text":
        return ("labels", "counts")
    if outline.container == "npy" and len(outline.first[""]) == 1:
        return ("labels", "counts", "logits")
    if outline.container in ("npy", "npz", "torch", "pickle", "folder"):
        return ("logits", "labels", "counts")
    if outline.container == "csv":
        return ("logits", "labels", "counts")
    return (kind_of_outline(outline),)
