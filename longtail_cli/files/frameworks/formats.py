"""The formats of detections that are recognised, in the order in which they are tried."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

from longtail_cli.files.folder import FolderContent
from longtail_cli.files.outline import Outline
from longtail_cli.files.source import FileContent
from longtail_cli.tables import Results


class Entries(Protocol):
    """The detections of one file or folder."""

    def fields(self) -> frozenset[str]:
        """Which of ``bbox`` and ``masks`` the detections have; neither if that cannot be told."""

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        """See `longtail_cli.files.results.file.ResultFile.read`."""


@dataclass(frozen=True, slots=True)
class DetectionFormat:
    """A way in which detections are saved."""

    name: str
    """What messages and docs/inputs.md call it."""
    module: str
    """The module in `longtail_cli.files.frameworks` that reads it, with a function `matches(outline)` and a function
    `open_entries(outline, content)`. `matches` is True for what is surely meant to be of this format; `open_entries`
    returns `Entries` and reads nothing yet. content: a `FileContent`, or a `FolderContent` for a folder."""

    def matches(self, outline: Outline) -> bool:
        """Whether the file is meant to be of this format."""
        found: bool = import_module(f"longtail_cli.files.frameworks.{self.module}").matches(outline)
        return found

    def open_entries(self, outline: Outline, content: FileContent | FolderContent) -> Entries:
        """The detections of a file or folder that `matches`."""
        found: Entries = import_module(f"longtail_cli.files.frameworks.{self.module}").open_entries(outline, content)
        return found


FORMATS: tuple[DetectionFormat, ...] = (
    DetectionFormat("detectron2 predictions", "detectron2"),
    DetectionFormat("MMDetection results", "mmdetection"),
    DetectionFormat("Pascal VOC text files", "pascal_voc"),
    DetectionFormat("YOLO text files", "yolo"),
    DetectionFormat("detections by image (torchvision, torchmetrics, transformers)", "torchvision"),
    DetectionFormat("COCO results with names of images", "ultralytics"),
    DetectionFormat("detections in a table", "tables"),
)


def detection_format(outline: Outline) -> DetectionFormat | None:
    """The first format that the file matches; None for COCO results in JSON and Parquet, and for what is none."""
    return next((one for one in FORMATS if one.matches(outline)), None)
