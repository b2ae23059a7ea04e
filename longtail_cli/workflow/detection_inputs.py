"""The inputs of a detection report: result files and logits, opened once and adjusted by each method."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail_cli.choices import IouType, ScoreSpace
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.annotations.reader import AnnotationFile
from longtail_cli.files.paths import paths_in
from longtail_cli.files.recognise import kind_of
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Detections, FrequencyTable, GroundTruth, Longs, Results
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.locate_detections import areas_in, locate, sharing
from longtail_cli.workflow.options import InputOptions, device_of, require_torch
from longtail_cli.workflow.progress import Progress, bytes_progress
from longtail_cli.workflow.rescore_results import AdjustableResults

if TYPE_CHECKING:
    from longtail_cli.files.logits.reader import LogitsFile

Predictions = Any
"""A path, a tuple of paths of the shards of a run, or in memory: a list of COCO result dicts, columns, a data frame, or
a mapping of detection logits."""

GEOMETRY: dict[IouType, str] = {"bbox": "bbox", "segm": "masks"}
"""The field of a result file that each IoU type is measured on."""


@dataclass(frozen=True, slots=True)
class RunInput:
    """The input of one run."""

    name: str
    method: str | None
    """The spec of the method that adjusted the scores here, or None."""
    detections: Detections
    notes: tuple[str, ...] = ()
    order_kept: bool | None = None
    """Whether the method keeps the order of the detections of a result file within every category; None if it changes
    no score, and for logits."""


@dataclass(frozen=True, slots=True)
class Source:
    """The runs of one input: the same detections with other scores or, from logits, other ones of the same boxes."""

    name: str
    sha256: str | None
    runs: tuple[RunInput, ...]
    box_index: tuple[Longs, ...] | None = None
    """int64 [N] for each run, equal for equal boxes; None if all runs hold the same boxes in the same order."""


@dataclass(frozen=True, slots=True)
class Adjustments:
    """How every input is adjusted before it is evaluated."""

    methods: Sequence[Method]
    table: FrequencyTable | None
    score_space: ScoreSpace
    inputs: InputOptions
    beyond_limit: bool
    """Whether to decode what Fixed AP and pooled AP evaluate beyond the limit per image."""


def open_inputs(
    predictions: Sequence[Predictions], annotations: AnnotationFile, options: InputOptions, stack: ExitStack
) -> list[ResultFile | LogitsFile]:
    """Open the result files and logits; `stack` closes the files. Raises InputError if one is not valid."""
    return [
        _open_logits(one, annotations, options) if _holds_logits(one) else stack.enter_context(open_results(one))
        for one in predictions
    ]


def _open_logits(predictions: Predictions, annotations: AnnotationFile, options: InputOptions) -> LogitsFile:
    require_torch()
    from longtail_cli.workflow.prepare_methods import open_with_options

    return open_with_options(predictions, options, data_set=annotations.data_set)


def _holds_logits(predictions: Predictions) -> bool:
    paths = paths_in(predictions)
    if paths:
        return kind_of(paths[0] if isinstance(predictions, Path) else paths) == "logits"
    return isinstance(predictions, Mapping) and "logits" in predictions


def held_iou_types(file: ResultFile | LogitsFile) -> tuple[IouType, ...]:
    """The IoU types that the input has data for; ``bbox`` for logits and empty files."""
    return iou_types_of(file.fields if isinstance(file, ResultFile) else frozenset())


def iou_types_of(held: frozenset[str]) -> tuple[IouType, ...]:
    """The IoU types of results with these fields; ``bbox`` for empty files."""
    return tuple(iou_type for iou_type, field in GEOMETRY.items() if field in held) or ("bbox",)


def adjusted_sources(
    files: Sequence[ResultFile | LogitsFile],
    names: Sequence[Sequence[str]],
    adjustments: Adjustments,
    iou_types: Sequence[IouType],
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> Callable[[GroundTruth], Iterator[Source]]:
    """A source for each input, with a run for each method, once there is a ground truth. Reading starts at once."""
    logits = [file for file in files if not isinstance(file, ResultFile)]
    if logits and tuple(iou_types) != ("bbox",):
        problem = Problem("`iou_types=`", "bbox", ", ".join(iou_types))
        raise UsageError(logits[0].source, [problem], "logits hold boxes only; evaluate masks from a result file")
    results = _Prefetch([file for file in files if isinstance(file, ResultFile)], iou_types, pool, progress)

    def iterate(truth: GroundTruth) -> Iterator[Source]:
        before: Detections | None = None
        for file, own_names in zip(files, names, strict=True):
            if isinstance(file, ResultFile):
                source = _of_results(file, *results.next(), truth, adjustments, own_names, before)
                before = source.runs[0].detections
            else:
                source = _of_logits(file, truth, adjustments, own_names, progress)
            yield source

    return iterate


class _Prefetch:
    """Result files read one after another, each while the previous one is being evaluated."""

    def __init__(
        self, files: Sequence[ResultFile], iou_types: Sequence[IouType], pool: ThreadPoolExecutor, progress: Progress
    ) -> None:
        self._waiting = list(files)
        self._fields = frozenset(GEOMETRY[iou_type] for iou_type in iou_types)
        self._pool = pool
        self._digests = [pool.submit(file.sha256) for file in files]
        self._read: Future[Results] | None = None
        if files:
            advance = bytes_progress(progress, "reading", files[0].size)
            self._read = pool.submit(self._waiting.pop(0).read, self._fields, advance)

    def next(self) -> tuple[Results, str | None]:
        """The content and digest of the next file; starts to read the one after it."""
        if self._read is None:
            raise ValueError("all result files were read")
        results = self._read.result()
        self._read = self._pool.submit(self._waiting.pop(0).read, self._fields) if self._waiting else None
        return results, self._digests.pop(0).result()


def _of_results(
    file: ResultFile, results: Results, sha256: str | None, truth: GroundTruth, adjustments: Adjustments,
    names: Sequence[str], before: Detections | None,
) -> Source:  # fmt: skip
    """The runs of a result file, of which only what the evaluation needs stays in memory."""
    methods = adjustments.methods

    def resolve(found: Results) -> Results:
        return resolved(found, truth, adjustments.inputs.convention)

    results = resolve(results)
    if not methods:
        detections = sharing(locate(results, truth), before)
        return Source(results.source, sha256, (RunInput(names[0], None, detections, results.convention.notes),))
    adjustable = AdjustableResults(
        results, adjustments.table, adjustments.score_space, areas_in(file, results, resolve)
    )
    found = [adjustable.adjusted(method) for method in methods]
    located = sharing(locate(results, truth), before)
    runs = tuple(
        RunInput(
            name,
            method.spec,
            replace(located, score=one.results.score),
            results.convention.notes + one.notes,
            None if np.array_equal(one.results.score, located.score) else one.order_kept,
        )
        for name, method, one in zip(names, methods, found, strict=True)
    )
    return Source(results.source, sha256, runs)


def _of_logits(
    file: LogitsFile, truth: GroundTruth, adjustments: Adjustments, names: Sequence[str], progress: Progress
) -> Source:
    from longtail_cli.workflow.decode_logits import decode_all, located_logits, objectness_note, saturation_note
    from longtail_cli.workflow.logit_conventions import resolved_logits
    from longtail_cli.workflow.prepare_methods import prepare_methods

    options = adjustments.inputs
    device = device_of(options.device)
    file = resolved_logits(file, truth, options)
    methods = adjustments.methods or (parse_method("none"),)
    prepared = prepare_methods(file, methods, adjustments.table, options, device)
    decoded = decode_all(file, prepared, options, device, progress, beyond_limit=adjustments.beyond_limit)
    about_file = objectness_note(file, options) + file.notes
    runs = tuple(
        RunInput(
            name,
            one.spec,
            located_logits(detections, file.source, truth),
            one.notes + about_file + saturation_note(int((detections.score[detections.within_limit] == 1).sum())),
        )
        for name, one, detections in zip(names, prepared, decoded, strict=True)
    )
    return Source(file.source, None, runs, tuple(one.box_index for one in decoded))
