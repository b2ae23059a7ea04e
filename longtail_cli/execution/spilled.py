"""Parts one after another in this process, their rows in a temporary file: memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Generic

import numpy as np
import pyarrow as pa

from longtail_cli.execution.base import BUCKET, Found, NamedPart, Part, Produced, Progress, Reduction, Result
from longtail_cli.execution.bucket_file import BucketReader, BucketRows, BucketWriter
from longtail_cli.execution.pieces import ROWS_AT_ONCE, ordered
from longtail_cli.files.staging import temporary_folder


@dataclass(frozen=True, slots=True)
class Spilled:
    """Runs parts in this process. The columns of their rows are numbers, without nulls, the same in every part."""

    folder: Path | None = None
    """Where temporary files are; None for the system's folder for such files, which ``TMPDIR`` names."""

    @contextmanager
    def mapped(
        self,
        work: Callable[[Part], Produced[Found]],
        parts: Sequence[NamedPart[Part]],
        task: str,
        progress: Progress,
        gpus: float = 0,
    ) -> Iterator[SpilledRows[Found]]:
        """See `Execution.mapped`.

        Raises OutputError if the disk is full, or would be before the last part, judging by the rows of those before.
        """
        total, done, found = sum(part.size for part in parts), 0, []
        folder = self.folder or temporary_folder()
        with BucketWriter(folder) as writer:
            for number, part in enumerate(parts):
                progress(f"{task} {number} of {len(parts)} parts", done / max(total, 1))
                produced = work(part.content)
                found.append(produced.found)
                if produced.rows is not None:
                    writer.add(produced.rows)
                done += part.size
                writer.check_room(done, total)
            yield SpilledRows(tuple(found), writer.finish(), folder)


@dataclass(frozen=True, slots=True)
class SpilledRows(Generic[Found]):
    """The rows of all parts in a file."""

    found: tuple[Found, ...]
    rows: BucketRows
    folder: Path
    """For the pieces of a large bucket."""

    def reduced(self, work: Reduction[Result], progress: Progress) -> Iterator[Result]:
        """See `Mapped.reduced`. The rows of a bucket come in the order of the parts, each column as one array.

        Raises OutputError if the disk has no room to put a large bucket in order.
        """
        sizes, done = self.rows.sizes, 0
        if not sizes:
            return
        reader, total = BucketReader(self.rows), sum(sizes.values())
        for bucket, size in sizes.items():
            progress("reducing", done / total)
            if size <= work.most_rows:
                result = work(bucket, reader.whole(bucket))
            else:
                begin, middle, end = done / total, (done + size / 2) / total, (done + size) / total
                ordering, reducing = _within(progress, begin, middle), _within(progress, middle, end)
                with ordered(self.rows, bucket, work.order, work.most_rows, self.folder, ordering) as pieces:
                    result = work.in_pieces(bucket, _in_turn(pieces, reducing))
            yield result
            done += size

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """See `Mapped.each`."""
        sizes, done = self.rows.sizes, 0
        if not sizes:
            return
        reader, total = BucketReader(self.rows, columns), sum(sizes.values())
        for bucket in sizes:
            for table in reader.in_turn(bucket, ROWS_AT_ONCE):
                progress("counting", done / total)
                done += len(table)
                if BUCKET in columns:
                    table = table.append_column(BUCKET, pa.array(np.full(len(table), bucket, np.int32)))
                yield work(table.select(list(columns)))


def _within(progress: Progress, begin: float, end: float) -> Progress:
    """Progress of work that is a share of all, from `begin` to `end`."""
    return lambda task, share: progress(task, None if share is None else begin + (end - begin) * share)


def _in_turn(pieces: BucketRows, progress: Progress) -> Iterator[pa.Table]:
    """The pieces in order, each read when it is asked for."""
    reader, sizes, done = BucketReader(pieces), pieces.sizes, 0
    total = sum(sizes.values())
    for piece, size in sizes.items():
        progress("reducing", done / total)
        yield reader.whole(piece)
        done += size
