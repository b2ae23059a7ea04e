"""Detection logits in parts: the driver opens the folder and prepares the methods, a worker decodes some of its rows.

Methods are prepared once, over all rows if they need them, by the code of a single process. A worker gets their steps,
which are numbers, so it reads nothing but the shards of its part. Imports torch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from longtail_cli.choices import IouType
from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Execution, NamedPart, Progress
from longtail_cli.files.annotations.reader import AnnotationFile
from longtail_cli.files.logits.division import divided, row_bytes
from longtail_cli.files.logits.fetching import fetched
from longtail_cli.files.logits.opening import naming_urls, with_urls
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.registry import parse_method
from longtail_cli.methods.steps import Step
from longtail_cli.tables import GroundTruth, Longs
from longtail_cli.workflow.decode_logits import decode_all, located_logits, objectness_note
from longtail_cli.workflow.detection_inputs import Adjustments, Predictions, RunInput, Source
from longtail_cli.workflow.image_subset import truth_of
from longtail_cli.workflow.logit_batches import LOGITS_PER_BATCH
from longtail_cli.workflow.logit_conventions import resolved_logits
from longtail_cli.workflow.options import InputOptions, device_of, gpus_of
from longtail_cli.workflow.partitioned.image_parts import ImagePart, Loaded
from longtail_cli.workflow.partitioned.inputs import Planned, PlannedRun
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.prepare_methods import PreparedMethod, open_with_options, prepare_methods
from longtail_cli.workflow.progress import no_progress

FILE_ROWS = 1 << 40
"""More than a part has detections."""

PART_BYTES = 1 << 28
"""Logits of a part at most, unless one shard that cannot be divided has more: enough work to be worth a start."""

BEYOND_LIMIT_PER_ROW = 8
"""How many detections a row of logits counts as if those beyond the limit per image are decoded too."""


@dataclass(frozen=True, slots=True)
class PlannedMethod:
    """A method that was prepared for all rows; can be pickled."""

    spec: str | None
    """As `PreparedMethod.spec`."""
    steps: tuple[Step, ...]
    notes: tuple[str, ...]

    @classmethod
    def of(cls, prepared: PreparedMethod) -> PlannedMethod:
        return cls(prepared.spec, prepared.adjuster.steps, prepared.notes)

    def on(self, file: LogitsFile, device: torch.device) -> PreparedMethod:
        """The method for a part of the rows, on the device of a worker; its notes are those of the whole."""
        return PreparedMethod(self.spec, Adjuster(self.steps, file.columns, device), ())


@dataclass(frozen=True, slots=True)
class LogitsLoader:
    """Decodes a part of detection logits."""

    file: LogitsFile
    """The rows of the part."""
    number: int
    """Of the part, from 0."""
    methods: tuple[PlannedMethod, ...]
    names: tuple[str, ...]
    """Of the runs, one for each method."""
    options: InputOptions
    """`device` is that of the worker: ``auto`` is the GPU that it was given, if it was."""
    beyond_limit: bool

    def load(self, truth: GroundTruth) -> Loaded:
        """See `Loader`. The notes of the runs are those of the plan, so they have none here."""
        device = device_of(self.options.device)
        with fetched(self.file) as file:
            prepared = [method.on(file, device) for method in self.methods]
            decoded = decode_all(file, prepared, self.options, device, no_progress, beyond_limit=self.beyond_limit)
        runs = tuple(
            RunInput(name, method.spec, located_logits(detections, self.file.source, truth))
            for name, method, detections in zip(self.names, self.methods, decoded, strict=True)
        )
        first = self.number * FILE_ROWS
        file_row = tuple(first + np.arange(len(one)) for one in decoded)
        return Loaded(Source(self.file.source, None, runs, tuple(one.box_index for one in decoded)), file_row)


@dataclass(frozen=True, slots=True)
class DividedLogits:
    """Detection logits that were opened: their headers, image ids and boxes were checked. A `DividedInput`."""

    file: LogitsFile
    iou_types: tuple[IouType, ...] = field(default=("bbox",), init=False)

    @classmethod
    def open(cls, predictions: Predictions, annotations: AnnotationFile, options: InputOptions) -> DividedLogits:
        """A file or a folder of shards, or its URL as text. Raises InputError as `open_logits`."""
        with naming_urls():
            return cls(open_with_options(predictions, options, data_set=annotations.data_set))

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
        """See `DividedInput`. Raises InputError and UsageError as a single process does before it decodes."""
        if tuple(iou_types) != self.iou_types:
            problem = Problem("`iou_types=`", "bbox", ", ".join(iou_types))
            raise UsageError(self.file.source, [problem], "logits hold boxes only; evaluate masks from a result file")
        options, device = adjustments.inputs, device_of(adjustments.inputs.device)
        methods = adjustments.methods or (parse_method("none"),)
        with naming_urls():
            file = resolved_logits(self.file, truth, options)
            prepared = prepare_methods(file, methods, adjustments.table, options, device)
        planned = tuple(map(PlannedMethod.of, prepared))
        about_file = objectness_note(file, options) + file.notes
        share = rows_for(file, sizes.part // len(planned), options, beyond_limit=adjustments.beyond_limit)
        parts = parts_of(file, share)
        own = _images_of(parts, truth)
        loaders = [
            LogitsLoader(part, number, planned, tuple(names), options, adjustments.beyond_limit)
            for number, part in enumerate(parts)
        ]
        return Planned(
            source=file.source,
            sha256=lambda: None,
            from_logits=True,
            runs=tuple(
                PlannedRun(name, one.spec, one.notes + about_file) for name, one in zip(names, planned, strict=True)
            ),
            parts=tuple(
                NamedPart(name, part_size(part), _image_part(truth, images, loader))
                for name, part, images, loader in zip(part_names(parts), parts, own, loaders, strict=True)
            ),
            gpus=gpus_of(options.device),
        )

    def close(self) -> None:
        """Nothing is left open."""


def rows_for(file: LogitsFile, detections: int, options: InputOptions, *, beyond_limit: bool) -> int:
    """The number of rows of logits that are decoded to about as many detections, or to fewer; at least 1."""
    if beyond_limit:
        return max(1, detections // BEYOND_LIMIT_PER_ROW)
    of_image = file.rows / max(file.images or 0, 1)
    return max(1, int(detections / options.decode.detections_per_image * of_image))


def parts_of(file: LogitsFile, rows: int) -> list[LogitsFile]:
    """Parts of about `rows` rows, or of `PART_BYTES` if that is less, whose batches on a CPU are those of the whole."""
    rows = min(rows, max(1, PART_BYTES // max(row_bytes(file), 1)))
    return divided(file, rows, max(1, LOGITS_PER_BATCH["cpu"] // max(file.width, 1)))


def part_names(parts: Sequence[LogitsFile]) -> list[str]:
    """The shards of each part, with the rows if it has some of a shard."""
    number = Counter(part.parts[0].path for part in parts)
    names = []
    for part in parts:
        first, last = part.parts[0].path, part.parts[-1].path
        begin = part.location(0)[1] if part.rows else 0
        rows = f", rows {begin} to {begin + part.rows - 1}" if number[first] > 1 else ""
        names.append(with_urls(f"{first}{rows}" if first == last else f"{first} to {last.name}"))
    return names


def part_size(part: LogitsFile) -> int:
    """Bytes of logits."""
    return part.rows * row_bytes(part)


def _images_of(parts: Sequence[LogitsFile], truth: GroundTruth) -> list[Longs]:
    """int64 [i] for each part, ascending: the images of `truth` that have rows in it, and a share of those without.

    Ids that are not in `truth` are left to the worker, which refuses them if there are detections of them.
    """
    part = np.full(len(truth.image_id), -1)
    for number, one in enumerate(parts):
        if one.image_id is not None:
            part[np.isin(truth.image_id, one.image_id)] = number
    empty = np.flatnonzero(part < 0)
    part[empty] = np.arange(len(empty)) * len(parts) // max(len(empty), 1)
    order = np.argsort(part, kind="stable")
    cuts = np.searchsorted(part[order], np.arange(len(parts) + 1))
    return [order[begin:end] for begin, end in pairwise(cuts.tolist())]


def _image_part(truth: GroundTruth, images: Longs, loader: LogitsLoader) -> ImagePart:
    keep = np.zeros(len(truth.image_id), bool)
    keep[images] = True
    rows = np.flatnonzero(keep[np.sort(truth.image, kind="stable")]).astype(np.int32)
    return ImagePart(truth_of(truth, keep), images, rows, loader)
