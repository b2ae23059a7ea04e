"""Rows by bucket in a temporary file of Arrow record batches, one for each bucket of each table that was added.

The file has no name, so it is gone when the process ends, however it ends. Batches are read, not mapped: mapped pages
would count as memory of the process.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import pyarrow as pa

from longtail_cli.execution.base import BUCKET
from longtail_cli.files.staging import temporary_file
from longtail_cli.files.temporary import no_room, writing_temporary


@dataclass(frozen=True, slots=True)
class BucketRows:
    """Rows in a file."""

    file: IO[bytes]
    """An Arrow file, without the column `BUCKET`; empty if there are no rows."""
    batches: Mapping[int, Sequence[tuple[int, int]]]
    """By bucket, in the order in which tables were added: the index of each batch, and its number of rows, > 0."""

    @property
    def sizes(self) -> dict[int, int]:
        """The number of rows of each bucket that has any, in ascending order of bucket."""
        return {bucket: sum(rows for _, rows in self.batches[bucket]) for bucket in sorted(self.batches)}


class BucketWriter:
    """A context in which rows are added to a file that is gone at its end. All tables have the same columns, numbers.

    Raises OutputError for a full disk.
    """

    def __init__(self, folder: Path) -> None:
        """folder: of the file."""
        self._folder = folder
        self._writer: pa.ipc.RecordBatchFileWriter | None = None
        self._number = 0
        self._batches: dict[int, list[tuple[int, int]]] = {}

    def __enter__(self) -> BucketWriter:
        with writing_temporary(self._folder):
            self._file = temporary_file(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is still to be written if the disk is full
            self._file.close()

    def add(self, rows: pa.Table) -> None:
        """Write a batch for each bucket that has rows. rows: with a column `BUCKET`, >= 0."""
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
                self._writer = pa.ipc.new_file(pa.PythonFile(self._file, mode="w"), batch.schema)
            for one, low, high in zip(buckets.tolist(), first.tolist(), [*first[1:].tolist(), len(order)], strict=True):
                self._writer.write_batch(batch.slice(low, high - low))
                self._batches.setdefault(one, []).append((self._number, high - low))
                self._number += 1

    def check_room(self, done: int, total: int) -> None:
        """Raise OutputError if the rest needs more space than the disk has, at the rate of what is done."""
        needed = self._file.tell() * (total - done) / max(done, 1)
        free = shutil.disk_usage(self._folder).free
        if needed > free:
            raise no_room(self._folder, f"{_gigabytes(needed)} of free disk space", _gigabytes(free))

    def finish(self) -> BucketRows:
        """The rows, to be read until the end of the context; no more can be added."""
        with writing_temporary(self._folder):
            if self._writer is not None:
                self._writer.close()
            self._file.flush()
        return BucketRows(self._file, self._batches)


class BucketReader:
    """Reads the rows of a file, or some of their columns. A table has each column as one array, in the file's order."""

    def __init__(self, rows: BucketRows, columns: Sequence[str] | None = None) -> None:
        """rows: at least one. columns: None for all; those that the file does not have are left out."""
        self._batches = rows.batches
        source, options = pa.PythonFile(rows.file, mode="r"), pa.ipc.IpcReadOptions()
        if columns is not None:
            names = pa.ipc.open_file(source).schema.names
            options.included_fields = [index for index, name in enumerate(names) if name in columns]
        self._reader = pa.ipc.open_file(source, options=options)

    def whole(self, bucket: int) -> pa.Table:
        """All rows of a bucket that has any, in the order in which they were added."""
        return self._joined(self._batches[bucket])

    def in_turn(self, bucket: int, most_rows: int) -> Iterator[pa.Table]:
        """The same, some batches at a time: as many as have at most `most_rows` rows together, or a larger one."""
        held: list[tuple[int, int]] = []
        for batch in self._batches[bucket]:
            if held and sum(rows for _, rows in held) + batch[1] > most_rows:
                yield self._joined(held)
                held = []
            held.append(batch)
        yield self._joined(held)

    def _joined(self, batches: Sequence[tuple[int, int]]) -> pa.Table:
        """Some batches as one, with never more than one of them in memory beside it."""
        number = sum(rows for _, rows in batches)
        columns = {field.name: np.empty(number, field.type.to_pandas_dtype()) for field in self._reader.schema}
        begin = 0
        for index, rows in batches:
            batch = self._reader.get_batch(index)
            for name, values in columns.items():
                values[begin : begin + rows] = batch.column(name).to_numpy(zero_copy_only=False)
            begin += rows
        return pa.table(columns)


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
