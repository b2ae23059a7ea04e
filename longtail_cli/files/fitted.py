"""Fitted files: a document and arrays in one ``.npz`` archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.arrays import load_arrays
from longtail_cli.files.output import open_output
from longtail_cli.files.reading import reading
from longtail_cli.files.source import check_readable

Arrays = Mapping[str, npt.NDArray[Any]]

DOCUMENT = "document"
"""The array with the text, its bytes in UTF-8."""

_FIX = "pass a file that `ltcal fit` wrote"


def write_fitted(path: Path, document: str, arrays: Arrays) -> None:
    """Write the document and the arrays to the new file `path`; the same content gives the same bytes."""
    text = np.frombuffer(document.encode(), np.uint8)
    with open_output(path) as file:
        np.savez(file, allow_pickle=False, **{DOCUMENT: text}, **arrays)


def read_fitted(path: Path) -> tuple[str, dict[str, npt.NDArray[Any]]]:
    """The document and the arrays. Raises InputError if the file is damaged, or is none."""
    check_readable(path)
    source = str(path)
    arrays = load_arrays(path, source, "a fitted .npz file", _FIX)
    document = arrays.pop(DOCUMENT, None)
    if document is None or document.dtype != np.uint8 or document.ndim != 1:
        found = ", ".join(f"`{name}`" for name in list(arrays)[:5]) or "none"
        raise InputError(source, [Problem("arrays", f"`{DOCUMENT}` among them", ascii(found)[1:-1])], _FIX)
    with reading(source, "a document in UTF-8", _FIX):
        return document.tobytes().decode(), arrays
