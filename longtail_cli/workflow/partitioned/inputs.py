"""Inputs of a command in parts: opened without their rows, then divided by images."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from longtail_cli.choices import IouType
from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Execution, NamedPart, Progress
from longtail_cli.files.annotations.reader import AnnotationFile
from longtail_cli.files.outline import outline_of
from longtail_cli.files.paths import LOGIT_SUFFIXES, METADATA_SUFFIX, RESULT_SUFFIXES
from longtail_cli.files.recognise import holds_shards, kind_of
from longtail_cli.files.stores import StoredFile, listed
from longtail_cli.files.urls import is_url
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.detection_inputs import Adjustments
from longtail_cli.workflow.options import InputOptions, require_torch
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.memory import Sizes


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """What all parts share of a run."""

    name: str
    method: str | None
    """The canonical spec; None if the scores are as they were."""
    notes: tuple[str, ...]
    """Those that do not depend on the rows; parts add theirs."""


@dataclass(frozen=True, slots=True)
class Planned:
    """The parts of an input: every image of the annotations is in exactly one, with detections or without."""

    source: str
    sha256: Callable[[], str | None]
    from_logits: bool
    runs: tuple[PlannedRun, ...]
    parts: tuple[NamedPart[ImagePart], ...]
    gpus: float = 0
    """That a part can use, see `Execution.mapped`."""


class DividedInput(Protocol):
    """An input that was opened: its files are listed with their sizes, its rows not yet read."""

    @property
    def iou_types(self) -> tuple[IouType, ...]:
        """Those that it has data for, see `detection_inputs.held_iou_types`."""
        ...

    def planned(
        self,
        truth: GroundTruth,
        adjustments: Adjustments,
        names: Sequence[str],
        iou_types: Sequence[IouType],
        sizes: Sizes,
        execution: Execution,
        progress: Progress,
    ) -> Planned:
        """The input in parts of about ``sizes.part`` detections (of logits, of as much memory), valid until `close`.

        execution: surveys files that have to be read to know their images. Raises InputError as reading the whole input
        would, for what concerns all of it.
        """
        ...

    def close(self) -> None:
        """Close the files, and remove temporary ones."""
        ...


def open_in_parts(predictions: Any, annotations: AnnotationFile, options: InputOptions) -> DividedInput:
    """Open results or logits: a path or URL of a file or of a folder of shards, or a tuple of shards of a run.

    Raises InputError if nothing is found there, and UsageError for data in memory and for folders of text files.
    """
    locations = _locations(predictions)
    if not locations:
        problem = Problem("predictions", "paths, of which `engine=` and `memory=` read parts", "data in memory")
        raise UsageError("`engine=` and `memory=`", [problem], "save the data, or leave out `engine=` and `memory=`")
    if hold_logits(locations):
        require_torch()
        from longtail_cli.workflow.partitioned.logits import DividedLogits

        return DividedLogits.open(predictions, annotations, options)
    from longtail_cli.workflow.partitioned.results import DividedResults

    files = [file for one in locations for file in result_files(one)]
    alone = isinstance(predictions, str | os.PathLike) and [one.location for one in files] == list(locations)
    return DividedResults(files, merged=not alone)


def read_masks(inputs: Iterable[DividedInput], iou_types: Sequence[IouType]) -> bool:
    """Whether masks of detections are read: for their IoU, or for the boxes around them if an input has no boxes."""
    return "segm" in iou_types or any("bbox" not in one.iou_types for one in inputs)


def hold_logits(locations: Sequence[str]) -> bool:
    """Whether paths and URLs, at least one, are those of logits. At a URL names tell: no content is read.

    Raises InputError and UsageError as `kind_of` and `listed`.
    """
    paths = tuple(Path(one) for one in locations if not is_url(one))
    if paths:
        return kind_of(paths[0] if len(paths) == 1 else paths) == "logits"
    return len(locations) == 1 and any(file.name.endswith(LOGIT_SUFFIXES) for file in listed(locations[0]))


def _locations(predictions: Any) -> tuple[str, ...]:
    """Paths and URLs as texts; none for data in memory."""
    if isinstance(predictions, str | os.PathLike):
        return (os.fspath(predictions),)
    several = isinstance(predictions, list | tuple) and all(isinstance(one, str | os.PathLike) for one in predictions)
    return tuple(map(os.fspath, predictions)) if several else ()


def result_files(location: str) -> tuple[StoredFile, ...]:
    """The result files at a path or a URL. Raises UsageError for a folder of text files."""
    if not is_url(location) and Path(location).is_dir() and not holds_shards(outline_of(Path(location))):
        problem = Problem(
            "folder", f"result files ({', '.join(RESULT_SUFFIXES)})", "text files, one per image or class"
        )
        fix = "leave out `engine=` and `memory=`, or convert the files to COCO results with `longtail_cli.rescore`"
        raise UsageError(location, [problem], fix)
    return tuple(one for one in listed(location, RESULT_SUFFIXES) if not one.name.endswith(METADATA_SUFFIX))
