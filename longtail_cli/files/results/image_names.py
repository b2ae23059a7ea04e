"""Names of images in JSON, where others have ids."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np
import numpy.typing as npt

from longtail_cli.errors import MAX_PROBLEMS, Problem
from longtail_cli.files.faults import Fault
from longtail_cli.tables import Longs

FIX = "name the image of every detection, by its id or by its file name with or without the ending"
MAX_NAME = 4096
"""Bytes in JSON; longer than a path can be."""

_SHOWN = 60


class ImageNames:
    """The names in a field of all entries, each with a number in the order in which it was first met."""

    def __init__(self, field: str) -> None:
        """field: ``image_id`` or ``file_name``, a text or an integer in each entry."""
        self.field = field
        self._problems: list[Problem] = []
        self._bad = 0
        self._numbers: dict[str, int] = {}
        self._spellings: dict[bytes, int] = {}

    def names(self) -> tuple[str, ...]:
        """All names, by number."""
        return tuple(self._numbers)

    def faults(self) -> list[Fault]:
        """Of the entries whose name is neither."""
        return [Fault(tuple(self._problems), self._bad, FIX)] if self._bad else []

    def numbers(self, text: npt.NDArray[np.uint8], spans: Longs, first: int) -> Longs:
        """The number of the name of each of N entries, int64 [N]; 0 for one that is refused.

        text: uint8, with JSON values at `spans`, int64 [N, 2], which include the white space after them. first: the
        number of the first entry, for messages.
        """
        return np.fromiter(map(self._number, self._values(text, spans), range(first, first + len(spans))), np.int64)

    def _values(self, text: npt.NDArray[np.uint8], spans: Longs) -> Iterator[bytes]:
        if not len(spans):
            return
        origin = int(spans[0, 0])
        piece = text[origin : int(spans[-1, 1])].tobytes()
        for begin, end in (spans - origin).tolist():
            yield piece[begin:end]

    def _number(self, value: bytes, entry: int) -> int:
        known = self._spellings.get(value)
        if known is not None:
            return known
        name = msgspec.json.decode(value)
        if isinstance(name, bool) or not isinstance(name, int | str) or len(value) > MAX_NAME or name == "":
            self._note(entry, value)
            return 0
        number = self._numbers.setdefault(str(name), len(self._numbers))
        self._spellings[value] = number
        return number

    def _note(self, entry: int, value: bytes) -> None:
        self._bad += 1
        if len(self._problems) < MAX_PROBLEMS:
            shown = value[:_SHOWN].decode(errors="replace")
            self._problems.append(Problem(f"entry {entry}, `{self.field}`", "a name or an id", shown))
