"""`ltcal rescore` of detections in parts: a worker adjusts a shard, and writes it with other scores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import ScoreSpace
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.execution.base import Execution, NamedPart, Produced
from longtail_cli.files.parts_folder import PartsFolder
from longtail_cli.files.paths import RESULT_SUFFIXES
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.files.results.merged import common_convention
from longtail_cli.files.results.row_groups import open_row_groups, rows_of_groups
from longtail_cli.files.stores import StoredFile, staged
from longtail_cli.methods.base import Method
from longtail_cli.tables import Convention, FrequencyTable, GroundTruth, Longs, Results
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.partitioned.memory import PROCESS
from longtail_cli.workflow.partitioned.whole_files import ENTRY_BYTES, PACKED, ROW_BYTES
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.rescore_results import RescoreSummary, read_truth, rescore_file, summary_of

ROWS = 1 << 21
"""Detections of a part of a Parquet file at most."""

_FIX_DIFFERENT = (
    "pass the shards of one run, each image in one shard; without `engine=` and `memory=` detections that a sampler "
    "repeats are counted once"
)


@dataclass(frozen=True, slots=True)
class AdjustedPart:
    """What a shard holds."""

    image: Longs
    """int64 [i], ascending, the ids of its images."""
    detections: Longs
    """int64 [i], the detections of each."""
    stated: Convention
    """How it was written, without names."""
    has_boxes: bool
    order_kept: bool
    """See `RescoreSummary.order_kept`."""
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ResultsPart:
    """A shard, or some row groups of one."""

    file: StoredFile
    groups: range | None
    """Of a Parquet file that is divided; None for all of the file."""
    rows: int
    """Detections, estimated from the size for a file that is not Parquet."""
    name: str
    """Of the file to write."""

    @contextmanager
    def opened(self) -> Iterator[ResultFile]:
        """The detections; an object of a store is copied. Raises InputError as `open_results` and `staged`."""
        with ExitStack() as stack:
            path = stack.enter_context(staged(self.file))
            opened = open_results(path) if self.groups is None else open_row_groups(path, self.groups)
            yield stack.enter_context(opened)


@dataclass(frozen=True, slots=True)
class AdjustPart:
    """Adjusts a `ResultsPart`."""

    table: FrequencyTable | None
    method: Method
    truth: GroundTruth | None
    convention: ConventionOptions
    score_space: ScoreSpace
    folder: PartsFolder

    def __call__(self, part: ResultsPart) -> Produced[AdjustedPart]:
        with part.opened() as file, self.folder.part(part.name) as out:
            adjusted, stated = rescore_file(
                file, self.table, self.method, out, self.truth, self.convention, self.score_space, no_progress
            )
            has_boxes = "bbox" in file.fields
        image, detections = np.unique(adjusted.results.image_id, return_counts=True)
        notes = adjusted.results.convention.notes + adjusted.notes
        stated = replace(stated, image_names=(), category_names=())
        return Produced(AdjustedPart(image, detections, stated, has_boxes, adjusted.order_kept, notes), None)


def rescore_results_in_parts(
    shards: Sequence[StoredFile],
    table: FrequencyTable | None,
    method: Method,
    folder: PartsFolder,
    execution: Execution,
    *,
    annotations: Any,
    convention: ConventionOptions,
    score_space: ScoreSpace,
    memory: int | None = None,
    progress: Progress = no_progress,
) -> tuple[RescoreSummary, tuple[str, ...]]:
    """As `rescore` for the shards of a run, each of which becomes a file in the empty folder `folder`.

    A shard in the format of COCO keeps its name and everything but its scores. Large Parquet files become several
    files, ``NAME-00000.parquet`` and so on, of whole row groups. memory: bytes that a worker may use; None for any.
    Returns the summary, and the names of the files in the order of the detections. Raises as `rescore`, UsageError if
    the memory is not enough for a part, and InputError for an image in two shards.
    """
    source = _name_of(shards)
    parts = _parts(shards, ROWS if memory is None else min(ROWS, max(0, memory - PROCESS) // ROW_BYTES))
    _check_names(parts, shards)
    if memory is not None:
        _check_memory(parts, memory)
    work = AdjustPart(table, method, read_truth(annotations), convention, score_space, folder)
    named = [NamedPart(part.file.location, part.rows, part) for part in parts]
    with execution.mapped(work, named, "adjusting", progress) as mapped:
        found = mapped.found
    names = tuple(part.name for part in parts)
    folder.check_complete(names)
    if len(shards) > 1:
        common_convention([_first_row(one, part) for one, part in zip(found, parts, strict=True)], source)
    summary = summary_of(
        method,
        _per_image(found, [part.file.location for part in parts], source),
        all(one.order_kept for one in found),
        tuple(dict.fromkeys(chain.from_iterable(one.notes for one in found))),
    )
    return summary, names


def _name_of(shards: Sequence[StoredFile]) -> str:
    first, *others = (file.location for file in shards)
    return f"{first} and {len(others)} more" if others else first


def _first_row(found: AdjustedPart, part: ResultsPart) -> Results:
    """One detection in the way of the part, none if it has none."""
    rows = min(len(found.image), 1)
    ids, bbox = np.zeros(rows, np.int64), np.zeros((rows, 4)) if found.has_boxes else None
    return Results(ids, ids, np.zeros(rows), bbox, None, part.file.location, found.stated)


def _parts(shards: Sequence[StoredFile], rows: int) -> list[ResultsPart]:
    """The shards; a Parquet file with more than `rows` rows in pieces of whole row groups."""
    parts = []
    for file in shards:
        sizes = None if file.is_remote else rows_of_groups(Path(file.location))
        if sizes is None:
            unpacked = file.size * (PACKED if file.name.endswith((".gz", ".parquet")) else 1)
            name = file.name if file.name.endswith(RESULT_SUFFIXES) else f"{Path(file.name).stem}.json"
            parts.append(ResultsPart(file, None, unpacked // ENTRY_BYTES, name))
        elif sum(sizes) <= rows:
            parts.append(ResultsPart(file, None, sum(sizes), file.name))
        else:
            for number, groups in enumerate(_grouped(sizes, rows)):
                held = sum(sizes[group] for group in groups)
                parts.append(ResultsPart(file, groups, held, f"{Path(file.name).stem}-{number:05d}.parquet"))
    return parts


def _grouped(sizes: Sequence[int], rows: int) -> Iterator[range]:
    """Consecutive row groups with up to `rows` rows together, or one with more."""
    begin = held = 0
    for group, size in enumerate(sizes):
        if group > begin and held + size > rows:
            yield range(begin, group)
            begin, held = group, 0
        held += size
    yield range(begin, len(sizes))


def _check_names(parts: Sequence[ResultsPart], shards: Sequence[StoredFile]) -> None:
    """Raise UsageError if two outputs would have the same name."""
    first: dict[str, ResultsPart] = {}
    for part in parts:
        before = first.setdefault(part.name, part)
        if before is not part:
            problem = Problem(
                "shards", "different names, which their outputs get", f"{before.file.location} and {part.file.location}"
            )
            raise UsageError(_name_of(shards), [problem], "rename one of them")


def _check_memory(parts: Sequence[ResultsPart], memory: int) -> None:
    """Raise UsageError if a part needs more."""
    largest = max(parts, key=lambda part: part.rows)
    needed = PROCESS + largest.rows * ROW_BYTES
    if needed > memory:
        unit = "row group" if largest.groups is not None else "file"
        expected = f"at least {-(-needed // 10**6):,} MB, for a {unit} with about {largest.rows:,} detections"
        fix = "allow more, or write the detections as more shards, or as Parquet with smaller row groups"
        raise UsageError(largest.file.location, [Problem("`memory=`", expected, f"{memory // 10**6:,} MB")], fix)


def _per_image(found: Sequence[AdjustedPart], paths: Sequence[str], source: str) -> Longs:
    """The number of detections of each image, int64 [I]. Raises InputError for an image in two files.

    paths: of each part. source: what an error about the whole calls it.
    """
    files = list(dict.fromkeys(paths))
    image = np.concatenate([one.image for one in found])
    detections = np.concatenate([one.detections for one in found])
    file = np.repeat([files.index(path) for path in paths], [len(one.image) for one in found])
    order = np.lexsort([file, image])
    same = image[order[1:]] == image[order[:-1]]
    again = np.flatnonzero(same & (file[order[1:]] != file[order[:-1]]))
    if len(again):
        problems = [
            Problem(
                f"image {image[order[one]]}",
                f"no detections but those in {files[file[order[one]]]}",
                f"others in {files[file[order[one + 1]]]}",
            )
            for one in again[:MAX_PROBLEMS].tolist()
        ]
        raise InputError(source, problems, _FIX_DIFFERENT, total=len(again))
    starts = np.flatnonzero(np.append(True, ~same)) if len(order) else np.zeros(0, np.int64)
    return np.add.reduceat(detections[order], starts) if len(order) else np.zeros(0, np.int64)
