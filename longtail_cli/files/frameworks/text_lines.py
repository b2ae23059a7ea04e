"""The lines of many text files, split into words and read as numbers all at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, faults_at
from longtail_cli.files.folder import FolderContent
from longtail_cli.files.results.problems import FIX_FINITE
from longtail_cli.tables import Floats, Longs

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Lines:
    """The N lines of the files in a folder that are not blank, in the order of the files."""

    source: str
    """The folder as the user gave it."""
    names: tuple[str, ...]
    """Of all files, ascending, also of empty ones."""
    file: Longs
    """int64 [N], index into `names`."""
    number: Longs
    """int64 [N], from 1 in each file; blank lines count."""
    words: Longs
    """int64 [N], how many words each line has."""
    first: Longs
    """int64 [N], the index of the first word of each line in `text`."""
    text: pa.LargeStringArray
    """All words, one after another."""

    def where(self, line: int) -> str:
        """What messages call a line."""
        return f"{self.names[self.file[line]]}, line {self.number[line]}"

    def column(self, word: int, lines: Longs) -> pa.LargeStringArray:
        """The text of a word of each of these lines, which all have it. word: from 0."""
        return self.text.take(pa.array(self.first[lines] + word))

    def numbers(self, word: int, lines: Longs, name: str) -> tuple[Floats, list[Fault]]:
        """float64 [L], a word of each of L lines as a finite number, and the faults of those that are none, here 0.

        name: what messages call the number.
        """
        texts = self.column(word, lines)
        values = _floats(texts)
        bad = ~np.isfinite(values)

        def describe(row: int) -> Problem:
            return Problem(f"{self.where(lines[row])}, {name}", "a finite number", repr(texts[row].as_py()))

        return np.where(bad, 0.0, values), faults_at(bad, describe, FIX_FINITE)


def read_lines(content: FolderContent) -> Lines:
    """All lines of the files in a folder. Raises InputError if one cannot be read, has changed, or is not UTF-8."""
    pieces = [one.removeprefix(_BOM) for one in content.contents()]
    begins = np.cumsum([0, *(len(one) + 1 for one in pieces)])
    text = b"\n".join([*pieces, b""])
    _check_utf8(text, begins, content)
    data = np.frombuffer(text, np.uint8)
    ends = np.flatnonzero(data == ord("\n")) + 1
    starts = np.concatenate([np.zeros(1, np.int64), ends])
    lines = pa.LargeStringArray.from_buffers(len(ends), pa.py_buffer(starts), pa.py_buffer(data))
    lines = pc.ascii_trim_whitespace(lines)
    filled = np.flatnonzero(pc.binary_length(lines).to_numpy() > 0)
    split = pc.ascii_split_whitespace(lines.take(pa.array(filled)))
    words = split.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    file = np.searchsorted(begins, starts[filled], side="right") - 1
    first_lines = np.searchsorted(ends, begins[:-1], side="right")
    return Lines(
        source=content.source,
        names=content.names,
        file=file,
        number=filled - first_lines[file] + 1,
        words=words,
        first=np.cumsum(words) - words,
        text=split.flatten(),
    )


def _check_utf8(text: bytes, begins: Longs, content: FolderContent) -> None:
    if text.isascii():
        return
    try:
        text.decode()
    except UnicodeDecodeError as error:
        file = int(np.searchsorted(begins, error.start, side="right")) - 1
        where = f"{content.names[file]}, byte {error.start - begins[file]}"
        problem = Problem(where, "text in UTF-8", repr(text[error.start : error.start + 4])[1:])
        raise InputError(content.source, [problem], "leave only the text files of detections in the folder") from error


def _floats(texts: pa.LargeStringArray) -> Floats:
    """float64 [N], NaN for a text that is not a number."""
    try:
        values = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        values = pc.cast(pc.if_else(is_number(texts), texts, pa.scalar("nan", texts.type)), pa.float64())
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def is_number(texts: pa.LargeStringArray) -> pa.BooleanArray:
    """Whether each text is a finite number in decimal digits."""
    return pc.match_substring_regex(texts, _NUMBER)
