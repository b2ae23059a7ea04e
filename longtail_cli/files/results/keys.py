"""Columns of images or categories that may hold names: as numbers, without a Python object for each row."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from longtail_cli.tables import Longs

_ID = re.compile(r"\s*(-?[0-9]{1,18})(?:\.0+)?\s*")


class NamedKeys:
    """The texts of a column, each with a number in the order in which it was first met."""

    def __init__(self) -> None:
        self._number: dict[str, int] = {}
        self._dictionary: Any = None
        self._known: Longs = np.zeros(0, np.int64)

    def of(self, column: pa.Array) -> Longs:
        """The number of each text of a part of the column, int64 [N]; -1 for an empty text and for null."""
        if not pa.types.is_dictionary(column.type):
            column = column.dictionary_encode()
        if self._dictionary is None or not column.dictionary.equals(self._dictionary):
            texts = column.dictionary.to_pylist()
            self._known = np.array([self._add(text) for text in texts] + [-1], np.int64)
            self._dictionary = column.dictionary
        row = column.indices.fill_null(len(self._known) - 1).to_numpy(zero_copy_only=False)
        return np.asarray(self._known[row])

    def names(self) -> tuple[str, ...]:
        """All texts, by number."""
        return tuple(self._number)

    def _add(self, text: str | None) -> int:
        return self._number.setdefault(text, len(self._number)) if text else -1


def ids_in(names: Sequence[str]) -> Longs | None:
    """The names as ids, int64 [N], if all of them are written as whole numbers; else None."""
    found = [_ID.fullmatch(name) for name in names]
    return np.array([int(one[1]) for one in found if one], np.int64) if all(found) else None


def is_text(kind: pa.DataType) -> bool:
    """Whether a column of this type holds texts."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(inner) or pa.types.is_large_string(inner) or pa.types.is_string_view(inner))
