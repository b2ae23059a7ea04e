"""Result files in parts: one file or the shards of a run, divided by images before their detections are read."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from hashlib import sha256

import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.execution.base import Execution, NamedPart, Produced, Progress
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.paths import name_of_shards
from longtail_cli.files.results.manifest import Shard, opened, survey
from longtail_cli.files.stores import StoredFile, listed, staged
from longtail_cli.tables import GroundTruth, Ints
from longtail_cli.workflow.detection_inputs import GEOMETRY, Adjustments, iou_types_of
from longtail_cli.workflow.image_subset import objects_by_part, rows_by_part, truths_of
from longtail_cli.workflow.partitioned.division import Piece, parts_of_images, pieces_of_parts, times_read
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.inputs import Planned, PlannedRun
from longtail_cli.workflow.partitioned.kept_apart import Parts, moved_scores, with_moved
from longtail_cli.workflow.partitioned.locate_shards import LocatedShards, locate_shards
from longtail_cli.workflow.partitioned.match import buckets_of
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.partitioned.result_loader import LocatedPiece, ResultLoader
from longtail_cli.workflow.partitioned.shards import Shards
from longtail_cli.workflow.partitioned.whole_files import check_memory, streamed

SLOW_TIMES = 3
SLOW_ROWS = 10_000_000
"""A file with so many detections that is read more than so many times is worth a note."""


class DividedResults:
    """A result file, or the shards of a run, that were opened. See `inputs.DividedInput`."""

    def __init__(self, files: Sequence[StoredFile], *, merged: bool) -> None:
        """files: at least one. merged: whether they are the shards of a run, even if there is only one.

        Raises InputError if one cannot be read.
        """
        self._files, self._merged = tuple(files), merged
        self._stack = ExitStack()
        self._survey: tuple[Shard, ...] = ()
        self._digests: tuple[str, ...] = ()
        """Of the files, if they were found with the survey."""
        self._source = name_of_shards([one.location for one in files])

    @cached_property
    def iou_types(self) -> tuple[IouType, ...]:
        """Those of the first file with detections."""
        return iou_types_of(next(filter(None, map(_fields, self._files)), frozenset()))

    def sha256(self) -> str:
        """As `ResultFile.sha256`, or as `MergedResults.sha256` of shards."""
        digests = self._digests or tuple(map(_sha256, self._files))
        return sha256("".join(digests).encode()).hexdigest() if self._merged else digests[0]

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
        """See `inputs.DividedInput`."""
        shards = Shards.of(self._surveyed(sizes, execution, progress), self._source)
        located = locate_shards(shards, truth, adjustments.inputs.convention, _geometry(iou_types))

        def parts_within(sizes: Sizes) -> tuple[Parts, tuple[str, ...]]:
            part, number = parts_of_images(shards, located.image, len(truth.image_id), sizes)
            pieces = pieces_of_parts(shards, located.image, part, number)
            loaders = [_loader(own, shards, located, truth, adjustments, names, iou_types) for own in pieces]
            return _parts(pieces, shards, truth, part, loaders), _slow(shards, pieces)

        parts, slow = parts_within(sizes)
        if adjustments.methods and len(parts) > 1:
            buckets = buckets_of(len(truth.categories), sum(part.size for part in parts))
            moved = moved_scores(parts, buckets, sizes, execution, progress)
            smaller = sizes.beside_moved(sum(map(len, moved)))
            if smaller.part < sizes.part:
                parts, slow = parts_within(smaller)
            if moved:
                parts = with_moved(parts, moved)
        return Planned(shards.source, self.sha256, False, self._runs(names, adjustments, located.notes + slow), parts)

    def close(self) -> None:
        """See `inputs.DividedInput`."""
        self._stack.close()

    def _surveyed(self, sizes: Sizes, execution: Execution, progress: Progress) -> tuple[Shard, ...]:
        """What each file, or the temporary one that is read in its stead, holds; listed once."""
        if not self._survey:
            self._survey = self._listed(sizes, execution, progress)
        return self._survey

    def _listed(self, sizes: Sizes, execution: Execution, progress: Progress) -> tuple[Shard, ...]:
        if not isinstance(execution, Spilled):
            with execution.mapped(digested, self._named(self._files), "listing", progress) as found:
                shards, self._digests = zip(*found.found, strict=True)
            return shards
        files = [
            streamed(one, sizes.part, self._stack, progress) for one in self._files
        ]  # elsewhere nobody would see them
        for one in files:
            check_memory(one, sizes.memory or sys.maxsize)
        with execution.mapped(surveyed, self._named(files), "listing", progress) as mapped:
            return mapped.found

    def _named(self, files: Sequence[StoredFile]) -> list[NamedPart[tuple[StoredFile, str]]]:
        """The files, or those that are read in their stead, each with what the user calls it."""
        return [
            NamedPart(given.location, given.size, (one, given.location))
            for one, given in zip(files, self._files, strict=True)
        ]

    def _runs(self, names: Sequence[str], adjustments: Adjustments, notes: tuple[str, ...]) -> tuple[PlannedRun, ...]:
        specs: list[str | None] = [method.spec for method in adjustments.methods]
        return tuple(PlannedRun(name, spec, notes) for name, spec in zip(names, specs or [None], strict=True))


def surveyed(file: tuple[StoredFile, str]) -> Produced[Shard]:
    """What a shard holds, as work of an execution. file: and what the user calls it."""
    return Produced(survey(*file), None)


def digested(file: tuple[StoredFile, str]) -> Produced[tuple[Shard, str]]:
    """As `surveyed`, and the digest of the shard, which workers find side by side."""
    stored, name = file
    with staged(stored) as path:
        here = listed(path)[0]
        return Produced((replace(survey(here, name), file=stored), _sha256(here)), None)


def _fields(file: StoredFile) -> frozenset[str]:
    with opened(file) as held:
        return held.fields


def _sha256(file: StoredFile) -> str:
    with opened(file) as held:
        return held.sha256() or ""


def _geometry(iou_types: Sequence[IouType]) -> frozenset[str]:
    return frozenset(GEOMETRY[iou_type] for iou_type in iou_types)


def _loader(
    pieces: Sequence[Piece], shards: Shards, located: LocatedShards, truth: GroundTruth, adjustments: Adjustments,
    names: Sequence[str], iou_types: Sequence[IouType],
) -> ResultLoader:  # fmt: skip
    reads = tuple(
        LocatedPiece(
            piece,
            truth.image_id[piece.image],
            shards.categories[piece.shard].key,
            located.category_id[piece.shard],
            shards.first_row[piece.shard],
        )
        for piece in pieces
    )
    every = np.unique(np.concatenate(located.category_id))
    return ResultLoader(
        shards.source,
        _geometry(iou_types),
        located.boxes,
        reads,
        adjustments,
        every,
        tuple(names),
        (None,) * len(adjustments.methods),
    )


def _parts(
    pieces: Sequence[Sequence[Piece]], shards: Shards, truth: GroundTruth, part: Ints, loaders: Sequence[ResultLoader]
) -> Parts:
    """The parts. part: that of each image, int32 [I]; pieces and loader of each."""
    columns = (truths_of(truth, part, len(pieces)), rows_by_part(part, len(pieces)))
    return tuple(
        NamedPart(_name(own, shards), sum(piece.selected.rows for piece in own), ImagePart(of, image, objects, loader))
        for own, of, image, objects, loader in zip(
            pieces, *columns, objects_by_part(truth, part, len(pieces)), loaders, strict=True
        )
    )


def _name(pieces: Sequence[Piece], shards: Shards) -> str:
    """The files of a part, as messages call them."""
    paths = [piece.selected.name for piece in pieces] or [shards.source]
    more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
    return paths[0] + more


def _slow(shards: Shards, pieces: Sequence[Sequence[Piece]]) -> tuple[str, ...]:
    """A note if parts read far more than what they keep."""
    times, rows = times_read(shards, pieces), sum(one.rows for one in shards.each)
    if times <= SLOW_TIMES or rows < SLOW_ROWS:
        return ()
    return (
        f"the detections of an image lie apart in the file, so that it is read up to {times:.0f} times: sorted by "
        "`image_id`, in row groups of about 1,000,000 rows, it is read once",
    )
