"""Whether an input holds detections or logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import Outline, outline_of

InputKind = Literal["results", "logits"]

_TENSORS = ("npy", "npz", "torch", "safetensors", "pickle", "csv", "text")
_COCO = ("image_id", "category_id", "score")


def kind_of(source: Path | Sequence[Path]) -> InputKind:
    """``results`` for detections in any format, else ``logits``: of a detector, or what a classifier saved.

    source: a path, or those of the shards of a run. Raises InputError if a file cannot be read, or is empty; UsageError
    for several paths with logits among them, whose shards have to be in a folder.
    """
    if isinstance(source, Path):
        return kind_of_outline(outline_of(source))
    logits = [path for path in source if kind_of(path) == "logits"]
    if logits:
        problem = Problem("`merge=`", "result files, which hold one score per detection", "logits")
        raise UsageError(str(logits[0]), [problem], "put the shards of logits into one folder, and pass the folder")
    return "results"


def kind_of_outline(outline: Outline) -> InputKind:
    """As `kind_of`."""
    if detection_format(outline) is not None:
        return "results"
    if outline.container == "folder" or outline.container in _TENSORS:
        return "logits"
    if outline.container == "parquet" and not set(_COCO) & set(outline.names):
        return "logits"
    return "results"
