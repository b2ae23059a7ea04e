"""A look at the text files in a folder, to tell what they hold."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from longtail_cli.files.folder import SUFFIX
from longtail_cli.files.outline import Outline
from longtail_cli.files.reading import reading

NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?nan|[+-]?inf", re.ASCII | re.IGNORECASE)

_LOOKED_AT = 1000
_SAMPLES = 8
_HEAD_BYTES = 1 << 12


def text_samples(outline: Outline) -> list[list[str]] | None:
    """The words of the first line of each of the first 8 text files in a folder that are not empty.

    None if it is no folder, or has no text file. Raises InputError if one cannot be read.
    """
    names = [name for name in outline.names if name.endswith(SUFFIX) and not name.startswith(".")]
    if outline.container != "folder" or not names:
        return None
    return list(islice(_first_lines(outline, names[:_LOOKED_AT]), _SAMPLES))


def _first_lines(outline: Outline, names: list[str]) -> Iterator[list[str]]:
    for name in names:
        path = outline.path / name
        with reading(str(outline.path), "files that can be read", where=name):
            if not path.is_file():
                continue
            with path.open("rb") as file:
                head = file.read(_HEAD_BYTES)
        words = next(filter(None, map(str.split, head.decode("utf-8-sig", "replace").splitlines())), None)
        if words is not None:
            yield words
