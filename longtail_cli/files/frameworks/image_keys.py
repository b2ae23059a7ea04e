"""What predictions call their images: by ids, or by names if one of them is text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from longtail_cli.choices import ImageKey
from longtail_cli.errors import InputError, Problem
from longtail_cli.tables import Longs

_FIX = "image ids must be integers or names of files; write the predictions again with such ids"


def image_keys(keys: Sequence[Any], source: str) -> tuple[Longs, ImageKey, tuple[str, ...]]:
    """The ids of I images, int64 [I], and ``id``; or indices into names, ``name``, and the names.

    Raises InputError for a key that is neither an integer nor text.
    """
    for number, key in enumerate(keys):
        fits = isinstance(key, int | np.integer) and not isinstance(key, bool) and -(1 << 63) <= key < 1 << 63
        if not fits and not isinstance(key, str):
            found = str(key) if isinstance(key, int) else type(key).__name__
            raise InputError(source, [Problem(f"image {number}, id", "an integer or text", found[:60])], _FIX)
    if not any(isinstance(key, str) for key in keys):
        return np.array([int(key) for key in keys], np.int64), "id", ()
    index: dict[str, int] = {}
    numbers = [index.setdefault(str(key), len(index)) for key in keys]
    return np.array(numbers, np.int64), "name", tuple(index)
