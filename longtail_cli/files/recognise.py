"""Whether an input holds detections or logits."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import Outline, outline_of
from longtail_cli.files.paths import FOLDER_SUFFIXES, METADATA_SUFFIX, RESULT_SUFFIXES

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


def kind_of_location(location: Path | str | Sequence[Path | str]) -> InputKind:
    """As `kind_of`; what is at URLs is taken for detections, of which alone they are read in parts."""
    several = [location] if isinstance(location, Path | str) else list(location)
    paths = [one for one in several if isinstance(one, Path)]
    if not paths:
        return "results"
    return kind_of(paths[0] if len(several) == 1 else paths)


def kind_of_outline(outline: Outline) -> InputKind:
    """As `kind_of`."""
    if detection_format(outline) is not None:
        return "results"
    if holds_shards(outline):
        return "results"
    if outline.container == "folder" or outline.container in _TENSORS:
        return "logits"
    if outline.container == "parquet" and not set(_COCO) & set(outline.names):
        return "logits"
    return "results"


def holds_shards(outline: Outline) -> bool:
    """Whether it is a folder of the shards of a result file, and of nothing else that is read."""
    if outline.container != "folder" or any(name.endswith(FOLDER_SUFFIXES) for name in outline.names):
        return False
    return bool(shard_names(outline))


def shard_names(outline: Outline) -> tuple[str, ...]:
    """The names of the result files in a folder, in order; hidden ones are left out."""
    return tuple(
        name
        for name in outline.names
        if name.endswith(RESULT_SUFFIXES) and not name.endswith(METADATA_SUFFIX) and not name.startswith(".")
    )
