"""`ltcal rescore` of logits: detections decoded into result files, or scores of a classifier. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.logits.scores_writer import ScoresWriter
from longtail_cli.files.output import check_free_space
from longtail_cli.files.results.writer import detections_writer, result_format
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.base import Method
from longtail_cli.tables import FrequencyTable, LogitColumns, Logits, Singles
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.classifier_inputs import notes_of
from longtail_cli.workflow.decode_logits import decode_batches, objectness_note, saturation_note
from longtail_cli.workflow.logit_batches import Work, check_finite, map_batches
from longtail_cli.workflow.logit_conventions import resolved_logits, resolved_logits_alone
from longtail_cli.workflow.options import InputOptions, device_of
from longtail_cli.workflow.prepare_methods import PreparedMethod, classes_of, open_with_options, prepare_methods
from longtail_cli.workflow.progress import Progress, no_progress


@dataclass(frozen=True, slots=True)
class LogitsSummary:
    """The output of one method for a logits file."""

    method: str
    """The canonical spec."""
    rows: int
    """Proposals or labelled images."""
    images: int | None
    """Images with proposals; None for classification."""
    entries: int | None
    """Detections written; None for classification."""
    notes: tuple[str, ...]


def rescore_logits(
    path: Path,
    table: FrequencyTable | None,
    methods: Sequence[Method],
    outs: Sequence[Path],
    *,
    options: InputOptions,
    annotations: Path | None = None,
    keep_logits: bool = False,
    progress: Progress = no_progress,
) -> tuple[LogitsSummary, ...]:
    """Adjust the logits `path` with each method and write the results, reading them once.

    outs: a new file for each method: a result file (``.json``, ``.json.gz``, ``.parquet``) for detection logits, scores
    (``.npz``) for classification logits.
    annotations: of the detections, to check the ids, and for the images and categories of the outputs of a query model;
    may be None for other logits.
    keep_logits: whether the scores file also holds the adjusted logits.
    Raises InputError if the file is broken or does not fit the table, UsageError if a method, an option or an output
    does not fit the file, OutputError if an output cannot be written to, or all scores will not fit on the disk.
    """
    device = device_of(options.device)
    file, about_names = opened_for(path, table, methods, options, annotations)
    check_one_each(methods, outs)
    prepared = prepare_methods(file, methods, table, options, device)
    written: Sequence[Written | None] = [None] * len(prepared)
    if file.image_id is None:
        _write_scores(file, prepared, outs, device, keep_logits, progress)
    else:
        if keep_logits:
            problem = Problem("`keep_logits=True`", "classification logits", "detection logits")
            raise UsageError(str(path), [problem], "leave it out: a result file cannot hold logits")
        written = write_detections(file, prepared, outs, options, device, progress)
    about_file = (*objectness_note(file, options), *notes_of([file]), *about_names)
    return tuple(
        LogitsSummary(
            method=one.spec or "",
            rows=file.rows,
            images=file.images,
            entries=None if out is None else out.entries,
            notes=one.notes + about_file + (() if out is None else saturation_note(out.ones)),
        )
        for one, out in zip(prepared, written, strict=True)
    )


def opened_for(
    path: Path | str,
    table: FrequencyTable | None,
    methods: Sequence[Method],
    options: InputOptions,
    annotations: Path | None,
) -> tuple[LogitsFile, tuple[str, ...]]:
    """The logits `path`, or at a URL, with the ids of the annotations if there are any, and notes on their names.

    Raises as `rescore_logits`.
    """
    with nullcontext() if annotations is None else open_annotations(annotations) as truth_file:
        data_set = None if truth_file is None else truth_file.data_set
        file = open_with_options(path, options, data_set=data_set, classes=classes_of(table, methods))
        truth = None if truth_file is None else truth_file.read(masks=False)
    if file.content == "scores":
        file = file.as_logits()
    if truth is None:
        return resolved_logits_alone(file, options), ()
    return resolved_logits(file, truth, options), compared_names(table, truth)


def check_one_each(methods: Sequence[Method], outs: Sequence[Path]) -> None:
    """Raise UsageError unless there is another output for each method."""
    if len(outs) != len(methods) or len(set(outs)) != len(outs):
        problem = Problem("files", f"{len(methods)} different ones, one for each method", f"{len(outs)}")
        raise UsageError("`output=`", [problem], "give one `output=` for each `method=`, in the same order")


@dataclass(slots=True)
class Written:
    """How many detections an output has, and how many of score 1."""

    entries: int = 0
    ones: int = 0


def write_detections(
    file: LogitsFile,
    prepared: Sequence[PreparedMethod],
    outs: Sequence[Path],
    options: InputOptions,
    device: torch.device,
    progress: Progress,
) -> list[Written]:
    """Write a result file for each method, and return what was written to each."""
    for out in outs:
        result_format(out)
    written = [Written() for _ in prepared]
    with ExitStack() as together:
        writers = [together.enter_context(detections_writer(out)) for out in outs]
        for batch in decode_batches(file, prepared, options, device, progress):
            for write, so_far, found in zip(writers, written, batch, strict=True):
                write(found.image_id, found.category_id, found.bbox, found.score)
                so_far.entries += len(found)
                so_far.ones += int((found.score == 1).sum())
    return written


def _write_scores(
    file: LogitsFile,
    prepared: Sequence[PreparedMethod],
    outs: Sequence[Path],
    device: torch.device,
    keep_logits: bool,
    progress: Progress,
) -> None:
    wrong = [Problem("file name", "one that ends in .npz", out.name) for out in outs if out.suffix != ".npz"]
    if wrong:
        raise UsageError(file.source, wrong, "classification logits are written as scores: name it scores.npz")

    widths = [method.adjuster.columns.width if keep_logits else None for method in prepared]
    check_free_space(
        {
            out: ScoresWriter.size(file.rows, len(file.columns), labels=file.labels is not None, logits_width=width)
            for out, width in zip(outs, widths, strict=True)
        }
    )

    def work_of(adjuster: Adjuster) -> Work[tuple[Singles, Singles | None]]:
        def work(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> tuple[Singles, Singles | None]:
            kept = None
            if keep_logits:
                adjusted = adjuster(batch.logits, batch.features)
                check_finite(adjusted, file, batch)
                kept = adjusted.cpu().numpy().copy()
            return scores[:, columns.classes].cpu().numpy().copy(), kept

        return work

    with ExitStack() as together:
        writers = [
            together.enter_context(
                ScoresWriter(
                    out,
                    rows=file.rows,
                    category_id=file.columns.category_id,
                    labels=file.labels,
                    logits_width=width,
                )
            )
            for width, out in zip(widths, outs, strict=True)
        ]
        for found in map_batches(
            file, [(method.adjuster, work_of(method.adjuster)) for method in prepared], device, progress
        ):
            for writer, (scores, adjusted) in zip(writers, found, strict=True):
                writer.append(scores, adjusted)
