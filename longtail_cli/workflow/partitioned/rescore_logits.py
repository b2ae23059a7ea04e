"""`ltcal rescore` of detection logits in parts: a worker decodes some rows, and writes one file for each method.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Execution, NamedPart, Produced
from longtail_cli.files.logits.fetching import fetched
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.parts_folder import PartsFolder, part_file
from longtail_cli.methods.base import Method
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.classifier_inputs import notes_of
from longtail_cli.workflow.decode_logits import check_decodable, objectness_note, saturation_note
from longtail_cli.workflow.options import InputOptions, device_of, gpus_of
from longtail_cli.workflow.partitioned.logits import PlannedMethod, part_names, part_size, parts_of, rows_for
from longtail_cli.workflow.prepare_methods import prepare_methods
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.rescore_logits import LogitsSummary, Written, opened_for, write_detections

DETECTIONS = 1 << 20
"""Of a part at most, about 25 MB of Parquet. They are written while others are decoded, so memory does not matter."""


@dataclass(frozen=True, slots=True)
class DecodePart:
    """Decodes a part of the rows; called with them and the name of the file to write."""

    methods: tuple[PlannedMethod, ...]
    options: InputOptions
    folders: tuple[PartsFolder, ...]
    """For each method."""

    def __call__(self, part: tuple[LogitsFile, str]) -> Produced[tuple[Written, ...]]:
        """What was written for each method."""
        file, name = part
        device = device_of(self.options.device)
        with ExitStack() as stack:
            file = stack.enter_context(fetched(file))
            prepared = [method.on(file, device) for method in self.methods]
            outs = [stack.enter_context(folder.part(name)) for folder in self.folders]
            written = write_detections(file, prepared, outs, self.options, device, no_progress)
        return Produced(tuple(written), None)


def write_parts(
    path: Path | str,
    table: FrequencyTable | None,
    methods: Sequence[Method],
    folders: Sequence[PartsFolder],
    execution: Execution,
    *,
    options: InputOptions,
    annotations: Path | None = None,
    progress: Progress = no_progress,
) -> tuple[tuple[LogitsSummary, ...], tuple[str, ...]]:
    """As `rescore_logits` for detection logits, in parts. Returns the summaries and the names of the parts, in order.

    folders: an empty folder for each method, in which each part becomes a Parquet file. All parts one after
    another are what a single process writes. Raises as `rescore_logits`, and UsageError for logits of a classifier.
    """
    device = device_of(options.device)
    file, about_names = opened_for(path, table, methods, options, annotations)
    if file.image_id is None:
        problem = Problem("`engine=` and `memory=`", "logits of a detector", "those of a classifier")
        raise UsageError(str(path), [problem], "leave them out: logits of a classifier are read batch by batch")
    check_decodable(file, options)
    prepared = prepare_methods(file, methods, table, options, device)
    parts = parts_of(file, rows_for(file, DETECTIONS, options, beyond_limit=False))
    named = [
        NamedPart(name, part_size(part), (part, part_file(number)))
        for number, (name, part) in enumerate(zip(part_names(parts), parts, strict=True))
    ]
    work = DecodePart(tuple(map(PlannedMethod.of, prepared)), options, tuple(folders))
    with execution.mapped(work, named, "decoding", progress, gpus_of(options.device)) as mapped:
        found = mapped.found
    names = tuple(part_file(number) for number in range(len(parts)))
    for folder in folders:
        folder.check_complete(names)
    about_file = (*objectness_note(file, options), *notes_of([file]), *about_names)
    summaries = tuple(
        LogitsSummary(
            method=one.spec or "",
            rows=file.rows,
            images=file.images,
            entries=sum(part.entries for part in written),
            notes=one.notes + about_file + saturation_note(sum(part.ones for part in written)),
        )
        for one, written in zip(prepared, zip(*found, strict=True), strict=True)
    )
    return summaries, names
