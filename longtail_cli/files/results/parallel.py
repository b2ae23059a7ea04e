"""A large JSON result file read in several parts at once, a thread each.

The seams are guessed: a brace that closes, a comma, and a brace that opens. A guess is borne out by what is read: every
part but the last must end at its seam, just after an entry. Where one does not, or anything is wrong with an entry, the
file is to be read in one go, which says what is wrong and where.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import NEXT, START, Broken, EntryBlock, read_entries

PART_BYTES = 1 << 24
"""The least size of a part; smaller ones are not worth a thread."""

SEAM = re.compile(rb"\}(?=\s*,\s*\{)")
SEAM_WITHIN = 1 << 20
"""How far from an even cut a seam is looked for; the entries of masks are long."""


def gather_in_parts(
    plain: Path, source: str, fields: frozenset[str], advance: Callable[[int], None] | None
) -> ResultColumns | None:
    """The columns of the whole file, or None where it is small, or has to be read in one go."""
    size = plain.stat().st_size
    seams = _seams(plain, size, min(os.cpu_count() or 1, size // PART_BYTES))
    if not seams:
        return None

    def gather(part: tuple[int, int]) -> ResultColumns | None:
        begin, end = part
        columns = ResultColumns(source, size if begin == 0 else end - begin, fields)
        return columns if _fill(columns, plain, begin, end, last=end == size, advance=advance) else None

    with ThreadPoolExecutor(len(seams) + 1) as pool:
        first, *others = pool.map(gather, pairwise([0, *seams, size]))
    for other in others:
        if first is None or other is None:
            return None
        first.extend(other)
    return first


class _Part:
    """A binary file that ends early."""

    def __init__(self, path: Path, begin: int, end: int) -> None:
        self.file: io.FileIO = path.open("rb", buffering=0)
        self.file.seek(begin)
        self.left = end - begin

    def readinto(self, buffer: memoryview, /) -> int:
        got = self.file.readinto(buffer[: self.left]) or 0
        self.left -= got
        return got


def _fill(
    columns: ResultColumns, plain: Path, begin: int, end: int, *, last: bool, advance: Callable[[int], None] | None
) -> bool:
    """Read ``plain[begin:end]`` into `columns`; whether it was entries from end to end, and nothing else."""
    part = _Part(plain, begin, end)
    done = 0
    with part.file:
        for piece in read_entries(part, boxes="bbox" in columns.fields, state=NEXT if begin else START):
            if isinstance(piece, Broken):
                return not last and done == end - begin and not columns.faults
            if not isinstance(piece, EntryBlock):
                return False
            columns.add(piece)
            done += len(piece.content)
            if advance is not None:
                advance(len(piece.content))
    return last and not columns.faults


def _seams(plain: Path, size: int, parts: int) -> list[int]:
    """Positions, ascending and apart, that should lie just after an entry; none where one part is enough."""
    seams: list[int] = []
    with plain.open("rb") as file:
        for part in range(1, parts):
            at = part * size // parts
            file.seek(at)
            found = SEAM.search(file.read(SEAM_WITHIN))
            if found and at + found.end() > max(seams, default=0):
                seams.append(at + found.end())
    return seams
