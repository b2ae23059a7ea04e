"""Result files in JSON: a list of detections, read strictly, and rewritten with other scores.

A large file is read in parts, several at once. The seams are guessed: a closing brace, a comma, and an opening brace.
Reading checks the guess: every part except the last must end at its seam, just after an entry. If one does not, or an
entry has any fault, the file is read in one go, which reports the faults.

When scores are rewritten, only the values of `score` change; every other byte stays.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from longtail_cli.engine.splicing import splice
from longtail_cli.errors import InputError
from longtail_cli.files.faults import raise_faults
from longtail_cli.files.output import open_output
from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import (
    BLOCK_BYTES,
    NEXT,
    START,
    Broken,
    EntryBlock,
    Refused,
    Window,
    read_entries,
)
from longtail_cli.files.results.image_names import ImageNames
from longtail_cli.files.results.problems import name_field, wrong_count
from longtail_cli.files.results.writer import compressed
from longtail_cli.files.source import Content, Reader
from longtail_cli.parallel import THREADS
from longtail_cli.tables import Convention, Floats, Results

NAMED = "COCO results with names of images"
"""What docs/inputs.md calls a list with names of images."""

PART_BYTES = BLOCK_BYTES - (1 << 16)
"""The size of a part, mostly read as one block."""

SEAM = re.compile(rb"\}(?=\s*,\s*\{)")
SEAM_WITHIN = 1 << 20
"""How far from an even cut to look for a seam; entries with masks are long."""
_FIRST_LOOK = 1 << 12


class _Writable(Protocol):
    def write(self, data: memoryview, /) -> int: ...


class JsonEntries:
    """The entries of a JSON list, plain or compressed. The methods do what those of `ResultFile` do."""

    def __init__(self, content: Content, names_in: str | None = None) -> None:
        """names_in: the field with the name of the image; None if `image_id` is its id, unless `read` meets a text."""
        self._content, self._names_in = content, names_in

    def fields(self) -> frozenset[str]:
        try:
            first = next(read_entries(self._content.stream(), boxes=True, window=self._window()), None)
        except InputError:  # `read` raises it
            return frozenset()
        if not isinstance(first, EntryBlock) or not len(first.score):
            return frozenset()
        held = {"bbox": not np.isnan(first.bbox[0, 0]), "masks": first.mask_span[0, 1] > 0}
        return frozenset(field for field, present in held.items() if present)

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        with self._content.unchanged():
            plain = self._content.unpacked()
            columns = self._gather(plain, fields, advance)
            if columns.named_in is not None:
                return JsonEntries(self._content, columns.named_in).read(fields, None)
            if "bbox" in fields and columns.masks_instead:
                columns = self._gather(plain, fields | {"masks"}, None)
            results = columns.results()
        if self._names_in is None:
            return results
        return replace(results, convention=Convention(NAMED, "name", columns.image_names()))

    def blocks(self) -> Iterator[EntryBlock]:
        """The entries in order, each block valid until the next; a compressed file is unpacked as it is read.

        Raises InputError as `read`, for geometry that only some entries have excepted, and for names of images, which
        only `read` looks up.
        """
        with self._content.unchanged():
            columns = ResultColumns(self._content.source, 0, self.fields())
            for part in read_entries(self._content.stream(), boxes=True):
                if isinstance(part, EntryBlock):
                    yield part
                elif isinstance(part, Refused):
                    columns.refuse(part)
                else:
                    columns.stop(part, self._content.unpacked())
                if columns.hopeless:
                    break
            raise_faults(self._content.source, columns.faults_of_entries())

    @property
    def named(self) -> bool:
        """Whether the first entry names its image, or entries are known to do so."""
        first = next(read_entries(self._content.stream(), boxes=False), None)
        return self._names_in is not None or (isinstance(first, Refused) and name_field(first.content) is not None)

    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None) -> None:
        with _writing(out) as written, self._content.unchanged():
            plain, rows = self._content.unpacked(), 0
            for block in read_entries(Reader(plain), boxes=False, window=self._window()):
                if not isinstance(block, EntryBlock):
                    self.read(frozenset(), None)  # raises the error of the broken entry
                    raise wrong_count(plain.source, len(scores), f"{rows} or more")
                rows += len(block.score)
                if rows > len(scores):
                    raise wrong_count(plain.source, len(scores), f"{rows} or more")
                written.write(_respelled(block, scores[block.first : rows]))
                if advance is not None:
                    advance(len(block.content))
            if rows < len(scores):
                raise wrong_count(plain.source, len(scores), str(rows))

    def _window(self) -> Window:
        return Window(images=None if self._names_in is None else ImageNames(self._names_in))

    def _gather(self, content: Content, fields: frozenset[str], advance: Callable[[int], None] | None) -> ResultColumns:
        columns = None if self._names_in else gather_in_parts(content, fields, advance)
        if columns is not None:
            return columns
        window = self._window()
        columns = ResultColumns(content.source, content.size, fields, images=window.images)
        for part in read_entries(Reader(content), boxes="bbox" in fields, window=window):
            if isinstance(part, EntryBlock):
                columns.add(part)
                if advance is not None:
                    advance(len(part.content))
            elif isinstance(part, Refused):
                columns.refuse(part)
            else:
                columns.stop(part, content)
            if columns.hopeless or columns.named_in is not None:
                break
        return columns


def gather_in_parts(
    content: Content, fields: frozenset[str], advance: Callable[[int], None] | None
) -> ResultColumns | None:
    """The columns of the whole file, or None if it is small or must be read in one go."""
    seams = _seams(content, content.size // PART_BYTES)
    if not seams:
        return None
    parts = _Parts(content, [0, *seams, content.size], fields, advance)
    with ThreadPoolExecutor(THREADS) as pool:
        parts.windows = [Window() for _ in range(THREADS)]
        whole = all(pool.map(parts.gather, range(len(seams) + 1)))
    return parts.columns if whole else None


class _Parts:
    """Parts of a file that are read at once into one table."""

    def __init__(
        self, content: Content, ends: list[int], fields: frozenset[str], advance: Callable[[int], None] | None
    ) -> None:
        self.content, self.ends, self.advance = content, ends, advance
        self.columns = ResultColumns(content.source, content.size, fields)
        self.windows: list[Window] = []
        self.first: list[Future[int]] = [Future() for _ in ends]
        """The row with which each part begins, known as soon as the parts before it are read; -1 if one is not."""
        self.first[0].set_result(0)

    def gather(self, part: int) -> bool:
        """Read a part; whether it held nothing but entries without faults, and those before it too."""
        window = self.windows.pop()
        known = self.first[part]
        try:
            return not (known.done() and known.result() < 0) and self._gather(part, window)
        finally:
            self.windows.append(window)
            if not self.first[part + 1].done():
                self.first[part + 1].set_result(-1)

    def _gather(self, part: int, window: Window) -> bool:
        begin, end = self.ends[part : part + 2]
        last = part + 2 == len(self.ends)
        done, columns = 0, self.columns
        reader = Reader(self.content, begin, end)
        for piece in read_entries(
            reader, boxes="bbox" in columns.fields, state=NEXT if begin else START, window=window
        ):
            if isinstance(piece, Broken):
                return not last and done == end - begin
            masks = columns.masks_of(piece) if isinstance(piece, EntryBlock) else None
            if not isinstance(piece, EntryBlock) or masks is None:
                return False
            row = self.first[part].result() if done == 0 else columns.rows
            if row < 0:
                return False
            columns.masks.append(masks)
            columns.rows = row + len(piece.score)
            done += len(piece.content)
            if done == end - begin:
                self.first[part + 1].set_result(columns.rows)
            columns.place(piece, row)
            if self.advance is not None:
                self.advance(len(piece.content))
        return last


def _seams(content: Content, parts: int) -> list[int]:
    """Positions, ascending and apart, that should lie just after an entry; none if one part is enough."""
    seams: list[int] = []
    for part in range(1, parts):
        start = part * content.size // parts
        found = SEAM.search(Reader(content, start).read(_FIRST_LOOK) or b"")
        found = found or SEAM.search(Reader(content, start).read(SEAM_WITHIN) or b"")
        if found and start + found.end() > max(seams, default=0):
            seams.append(start + found.end())
    return seams


def _respelled(block: EntryBlock, scores: Floats) -> memoryview:
    """The text of `block` with `scores`, float64 [N]."""
    rows = np.flatnonzero(
        np.ascontiguousarray(scores).view(np.int64) != np.ascontiguousarray(block.score).view(np.int64)
    )
    texts = np.frombuffer(msgspec.json.encode(scores[rows].tolist()), np.uint8)
    out = np.empty(len(block.content) + len(texts), np.uint8)
    length = splice(block.content, block.score_span[rows], texts, out)
    return out[:length].data


@contextmanager
def _writing(out: Path) -> Iterator[_Writable]:
    """The new file `out`, compressed for ``.gz``."""
    with open_output(out) as file:
        if out.suffix != ".gz":
            yield file
            return
        with compressed(file) as packed:
            yield packed
