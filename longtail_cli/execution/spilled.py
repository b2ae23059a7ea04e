"""Parts one after another in this process, their rows in a temporary file: memory does not grow with their number.

The file has no name, so it is gone when the process ends, however it ends. It holds Arrow record batches, one for each
bucket of each part. They are read, not mapped: mapped pages would count as memory of the process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Generic

import numpy as np
import pyarrow as pa

from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import BUCKET, Found, NamedPart, Part, Produced, Progress, Result
from longtail_cli.files.staging import temporary_file, temporary_folder
from longtail_cli.files.temporary import no_room, writing_temporary

REDUCING = 4
"""The memory of a process that reduces a bucket, in times the bytes of its rows. Measured: 2.5 for the rows and what is
computed from them; the rest is for the process and the annotations."""


@dataclass(frozen=True, slots=True)
class Spilled:
    """Runs parts in this process. The columns of their rows are numbers, without nulls, the same in every part."""

    memory: int | None = None
    """Bytes that the process may use; None for no bound."""

    folder: Path | None = None
    """Where the temporary file is; None for the system's folder for such files, which ``TMPDIR`` names."""

    @property
    def at_once(self) -> int:
        return 1

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

        Raises OutputError if the disk is full, or would be before the last part, judging by the rows of those before;
        UsageError if a bucket is too large for `memory`.
        """
        total, done, found = sum(part.size for part in parts), 0, []
        folder = self.folder or temporary_folder()
        with _Spill(folder) as spill:
            for part in parts:
                progress(f"{task} {part.name}", done / max(total, 1))
                produced = work(part.content)
                found.append(produced.found)
                if produced.rows is not None:
                    spill.add(produced.rows)
                done += part.size
                spill.check_room(done, total)
            spill.finish()
            _check_buckets(spill, self.memory)
            yield SpilledRows(tuple(found), spill.file, spill.batches)


@dataclass(frozen=True, slots=True)
class SpilledRows(Generic[Found]):
    """Rows in a file."""

    found: tuple[Found, ...]
    file: IO[bytes]
    """An Arrow file, without the column `BUCKET`; empty if there are no rows."""
    batches: Mapping[int, Sequence[tuple[int, int]]]
    """By bucket, in the order of the parts: the index of each batch, and its number of rows, > 0."""

    def reduced(self, work: Callable[[int, pa.Table], Result], progress: Progress) -> Iterator[Result]:
        """See `Mapped.reduced`. The rows come in the order of the parts, each column as one array, without `BUCKET`."""
        for bucket, table in self._tables(None, "reducing", progress):
            yield work(bucket, table)

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """See `Mapped.each`."""
        for bucket, table in self._tables(columns, "counting", progress):
            if BUCKET in columns:
                table = table.append_column(BUCKET, pa.array(np.full(len(table), bucket, np.int32)))
            yield work(table.select(list(columns)))

    def _tables(self, columns: Sequence[str] | None, task: str, progress: Progress) -> Iterator[tuple[int, pa.Table]]:
        """Each bucket and its rows, in ascending order of bucket. columns: None for all."""
        if not self.batches:
            return
        reader = pa.ipc.open_file(pa.PythonFile(self.file, mode="r"))
        if columns is not None:
            fields = [index for index, name in enumerate(reader.schema.names) if name in columns]
            options = pa.ipc.IpcReadOptions(included_fields=fields)
            reader = pa.ipc.open_file(pa.PythonFile(self.file, mode="r"), options=options)
        number = {bucket: sum(rows for _, rows in batches) for bucket, batches in self.batches.items()}
        total, done = sum(number.values()), 0
        for bucket in sorted(number):
            progress(task, done / total)
            yield bucket, _joined(reader, [index for index, _ in self.batches[bucket]], number[bucket])
            done += number[bucket]


def _joined(reader: pa.ipc.RecordBatchFileReader, batches: Sequence[int], rows: int) -> pa.Table:
    """Some batches as one, with never more than one of them in memory beside it. rows: of all."""
    columns = {field.name: np.empty(rows, field.type.to_pandas_dtype()) for field in reader.schema}
    begin = 0
    for index in batches:
        batch = reader.get_batch(index)
        for name, values in columns.items():
            values[begin : begin + len(batch)] = batch.column(name).to_numpy(zero_copy_only=False)
        begin += len(batch)
    return pa.table(columns)


class _Spill:
    """Rows on their way to a temporary file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._number = 0
        self.row_bytes = 0
        """Of a row."""
        self.batches: dict[int, list[tuple[int, int]]] = {}
        """See `SpilledRows.batches`."""

    def __enter__(self) -> _Spill:
        with writing_temporary(self._folder):
            self.file = temporary_file(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is still to be written if the disk is full
            self.file.close()

    def add(self, rows: pa.Table) -> None:
        """Write a batch for each bucket that has rows."""
        columns = {name: rows.column(name).to_numpy() for name in rows.column_names}
        bucket = columns.pop(BUCKET)
        if not len(bucket):
            return
        few = np.min_scalar_type(bucket.max())  # 8 and 16 bits are sorted by radix
        order = np.argsort(bucket.astype(few), kind="stable")
        batch = pa.record_batch({name: values[order] for name, values in columns.items()})
        buckets, first = np.unique(bucket[order], return_index=True)
        with writing_temporary(self._folder):
            if self._writer is None:
                self._writer = pa.ipc.new_file(pa.PythonFile(self.file, mode="w"), batch.schema)
                self.row_bytes = sum(values.itemsize for values in columns.values())
            for one, low, high in zip(buckets.tolist(), first.tolist(), [*first[1:].tolist(), len(order)], strict=True):
                self._writer.write_batch(batch.slice(low, high - low))
                self.batches.setdefault(one, []).append((self._number, high - low))
                self._number += 1

    def check_room(self, done: int, total: int) -> None:
        """Raise OutputError if the rest needs more space than the disk has, at the rate of what is done."""
        needed = self.file.tell() * (total - done) / max(done, 1)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise no_room(self._folder, f"{_gigabytes(needed)} of free disk space", _gigabytes(free))

    def finish(self) -> None:
        with writing_temporary(self._folder):
            if self._writer is not None:
                self._writer.close()
            self.file.flush()


def _check_buckets(spill: _Spill, memory: int | None) -> None:
    """Raise UsageError if `memory` bytes are too few to reduce the largest bucket."""
    rows = max((sum(rows for _, rows in batches) for batches in spill.batches.values()), default=0)
    needed = REDUCING * rows * spill.row_bytes
    if memory is not None and needed > memory:
        expected = f"at least {_gigabytes(needed)}, for {rows:,} matches of categories that are reduced together"
        raise UsageError(
            "parts of the images", [Problem("`memory=`", expected, _gigabytes(memory))], "allow more memory"
        )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
