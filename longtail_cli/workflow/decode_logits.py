"""Detection logits decoded to detections, in memory for a report or into result files. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch

from longtail_cli.decode.decoding import Decoded, decode, joined
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.tables import Detections, GroundTruth, LogitColumns, Logits, Results
from longtail_cli.workflow.best_detections import BestDetections, by_class
from longtail_cli.workflow.locate_detections import locate
from longtail_cli.workflow.logit_batches import Work, map_batches
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import PreparedMethod
from longtail_cli.workflow.progress import Progress


def decode_batches(
    file: LogitsFile,
    prepared: Sequence[PreparedMethod],
    options: InputOptions,
    device: torch.device,
    progress: Progress,
    best: Sequence[BestDetections] = (),
) -> Iterator[list[Decoded]]:
    """The detections of each method, batch by batch. Raises InputError if the file holds no boxes.

    best: what is kept of each method, by which detections beyond the limit per image are chosen; none if empty.
    """
    check_decodable(file, options)
    decoding = options.decode.for_queries(file.queries)

    def work_of(best: BestDetections | None) -> Work[Decoded]:
        def work(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> Decoded:
            return decode(scores, columns, batch, decoding, None if best is None else best.bars)

        return work

    kept: Sequence[BestDetections | None] = best or [None] * len(prepared)
    tasks = [(method.adjuster, work_of(own)) for method, own in zip(prepared, kept, strict=True)]
    return map_batches(file, tasks, device, progress)


def check_decodable(file: LogitsFile, options: InputOptions) -> None:
    """Raise InputError if the file holds no boxes, or no objectness that the options use."""
    if file.image_id is None:
        problem = Problem("tensors", "`image_id` and `boxes` of detection logits", "neither")
        raise InputError(file.source, [problem], "report classification logits with `labels=`, without `annotations=`")
    if options.decode.objectness != "none" and not file.has_objectness:
        problem = Problem("tensors", f"`objectness`, for `objectness='{options.decode.objectness}'`", "none")
        raise InputError(file.source, [problem], "leave `objectness=` out, or save the objectness with the logits")


def decode_all(
    file: LogitsFile,
    prepared: Sequence[PreparedMethod],
    options: InputOptions,
    device: torch.device,
    progress: Progress,
    *,
    beyond_limit: bool,
) -> list[Decoded]:
    """The detections of each method. beyond_limit: whether to include those of `BestDetections`."""
    if not beyond_limit:
        batches = list(decode_batches(file, prepared, options, device, progress))
        return [joined(batch[number] for batch in batches) for number in range(len(prepared))]
    category_id = file.columns.category_id
    best = [BestDetections(by_class(category_id), len(category_id)) for _ in prepared]
    for batch in decode_batches(file, prepared, options, device, progress, best):
        for own, part in zip(best, batch, strict=True):
            own.add(part)
    return [own.found() for own in best]


def as_results(decoded: Decoded, source: str) -> Results:
    """The detections as the content of a result file."""
    score, bbox = decoded.score.astype(np.float64), decoded.bbox.astype(np.float64)
    return Results(decoded.image_id, decoded.category_id, score, bbox, None, source)


def located_logits(decoded: Decoded, source: str, truth: GroundTruth) -> Detections:
    """The detections with their images and categories looked up; raises as `locate`."""
    found = locate(as_results(decoded, source), truth)
    return found if decoded.within_limit.all() else replace(found, within_limit=decoded.within_limit)


def saturation_note(ones: int) -> tuple[str, ...]:
    """A note if several detections (`ones` of them) have score 1."""
    if ones < 2:
        return ()
    return (
        f"{ones} detections have score exactly 1 in float32, so ties are broken by row order; add a temperature to "
        "separate them",
    )


def objectness_note(file: LogitsFile, options: InputOptions) -> tuple[str, ...]:
    """A note if the file holds objectness that is not used."""
    if not file.has_objectness or options.decode.objectness != "none":
        return ()
    return (
        f"{file.source} holds objectness, which is not used; `objectness='product'` and `objectness='sqrt'` use it",
    )
