"""Writes the scores of a rescored classification file block by block to a ``.npz`` archive."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np
import numpy.typing as npt

from longtail_cli.files.output import cannot_write, open_output
from longtail_cli.files.staging import temporary_file
from longtail_cli.tables import Longs, Singles

_PIECE = 1 << 20


class ScoresWriter:
    """A context manager that writes ``scores`` [N, C] block by block, as `open_logits` and numpy.load read them.

    The archive is not compressed. It holds ``category_id`` int64 [C], ``labels`` int64 [N] if there are labels,
    ``scores`` float32 [N, C] and, if they are kept, the adjusted ``logits`` float32 [N, K]. It is complete when the
    context ends without an exception and every row was written. Memory: one block.
    """

    def __init__(
        self, path: Path, *, rows: int, category_id: Longs, labels: Longs | None = None, logits_width: int | None = None
    ) -> None:
        """
        path: of the archive, a new file. rows: N. category_id: [C], in column order.
        labels: [N], indices into `category_id`; or None.
        logits_width: K, if every block comes with adjusted logits; otherwise None.
        """
        self._path = path
        self._rows = rows
        self._category_id = category_id
        self._labels = labels
        self._logits_width = logits_width
        self._done = 0
        self._stack = ExitStack()
        self._archive: zipfile.ZipFile | None = None
        self._scores: IO[bytes] | None = None
        self._logits: IO[bytes] | None = None

    def __enter__(self) -> Self:
        """Raises OutputError if the folder of the archive cannot be written to."""
        with ExitStack() as stack, self._writable():
            file = stack.enter_context(open_output(self._path))
            archive = stack.enter_context(zipfile.ZipFile(file, "w"))
            if self._logits_width is not None:
                # an archive takes one member at a time: the logits wait in a file beside it
                self._logits = stack.enter_context(temporary_file(self._path.parent))
            self._archive = archive
            self._write("category_id", self._category_id.astype(np.int64))
            if self._labels is not None:
                self._write("labels", self._labels.astype(np.int64))
            stack.push(self._finish)
            self._scores = stack.enter_context(self._member("scores", len(self._category_id)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._scores = None
        with self._writable():
            self._stack.__exit__(kind, error, trace)

    def append(self, scores: Singles, logits: Singles | None = None) -> None:
        """Add rows: `scores` float32 [n, C] and, if they are kept, `logits` float32 [n, K].

        Raises ValueError if a shape is not as announced, OutputError if the disk is full.
        """
        if self._scores is None:
            raise ValueError("call append inside of `with ScoresWriter(...) as writer:`")
        if (logits is None) != (self._logits is None):
            raise ValueError("pass logits with every block if logits_width is set, otherwise with none")
        if scores.shape[1:] != self._category_id.shape or self._done + len(scores) > self._rows:
            raise ValueError(f"scores {list(scores.shape)} do not fit: row {self._done} of {self._rows}")
        if logits is not None and logits.shape != (len(scores), self._logits_width):
            raise ValueError(f"logits {list(logits.shape)} do not fit {len(scores)} rows of {self._logits_width}")
        with self._writable():
            self._scores.write(_bytes(scores))
            if self._logits is not None and logits is not None:
                self._logits.write(_bytes(logits))
        self._done += len(scores)

    @staticmethod
    def size(rows: int, classes: int, *, labels: bool, logits_width: int | None) -> int:
        """The bytes that the arrays take while they are written; the kept logits are then there twice."""
        return rows * (4 * classes + 8 * labels + 8 * (logits_width or 0)) + 8 * classes

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Copy the logits into the archive, unless there was an exception."""
        if kind is not None:
            return
        if self._done != self._rows:
            raise ValueError(f"{self._done} rows were written of {self._rows} that were announced")
        if self._logits is not None and self._logits_width is not None:
            self._logits.seek(0)
            with self._member("logits", self._logits_width) as member:
                shutil.copyfileobj(self._logits, member, _PIECE)

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def _member(self, name: str, columns: int) -> IO[bytes]:
        """A new member for a float32 array [rows, columns], its header written."""
        return self._open(name, (self._rows, columns), np.dtype("<f4"))

    def _write(self, name: str, array: Longs) -> None:
        with self._open(name, array.shape, array.dtype) as member:
            member.write(_bytes(array))

    def _open(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> IO[bytes]:
        archive = cast(zipfile.ZipFile, self._archive)
        member = archive.open(f"{name}.npy", "w", force_zip64=True)
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(cast(Any, member), header)
        return member


def _bytes(array: npt.NDArray[Any]) -> memoryview:
    """The content of an array, row by row, in little-endian order."""
    return np.ascontiguousarray(array, array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data
