"""Image lists with class names: one image a line, with the name of its class, or in a folder that names it.

Lists with class indices, as those of ImageNet-LT, Places-LT and iNaturalist 2018, are read by `files.labels`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from longtail_cli.errors import MAX_PROBLEMS, Problem
from longtail_cli.files.classes.folders import IMAGE_SUFFIXES
from longtail_cli.files.classes.numbered import occurrences_of
from longtail_cli.files.faults import Fault, fault, input_error
from longtail_cli.files.source import plain_file
from longtail_cli.tables import Occurrences

Kind = Literal["index", "name", "folder"]
"""What a line says of its class: an index, a name, or only the folder of the path."""

_WORDS = {"index": "a class index", "name": "a class name", "folder": "a path in a folder"}
_SUFFIXES = "\\.(?:" + "|".join(suffix[1:] for suffix in IMAGE_SUFFIXES) + ")"
_END_OF_PATH = re.compile(rf"({_SUFFIXES})(\s+|$)", re.IGNORECASE)
_INDEX = re.compile(r"[+-]?[0-9]+(\.[0-9]*)?")
_FIX = "write every line in the same way: a path and a class index, a path and a class name, or a path alone"


class Line(NamedTuple):
    """An image and its class."""

    number: int
    """Of the line, from 1."""
    path: str
    """Empty if there is none."""
    label: str
    """Empty if there is none."""

    @property
    def kind(self) -> Kind:
        if _INDEX.fullmatch(self.label or self.path):
            return "index"
        return "name" if self.label else "folder"

    @property
    def name(self) -> str:
        """The class name; empty if the path lies in no folder."""
        return self.label or self.path.replace("\\", "/").rpartition("/")[0].rpartition("/")[2]


def read_image_list(path: Path) -> tuple[Occurrences, Kind] | None:
    """One occurrence for each image, and what the lines say of its class; None if the first line has a class index.

    path: a text file, plain or ``.gz``, one image a line: its path, and its class name after a blank or a tab, in
        quotes or not; without a name the class is the folder that the image lies in.
    The classes are those of the names, in order of the names (see `numbered`).
    Raises InputError if there are no images, or the lines differ in what they say.
    """
    names: Counter[str] = Counter()
    wrong: list[Line] = []
    kind: Kind | None = None
    with plain_file(path) as plain, plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as text:
        for line in _lines(text):
            kind = kind or line.kind
            if kind == "index":
                return None
            if line.kind == kind and line.name:
                names[line.name] += 1
            else:
                wrong.append(line)
    if kind is None:
        raise input_error(str(path), [fault("content", "at least one image", "none", _FIX)])
    if wrong:
        problems = [_problem(line, kind) for line in wrong[:MAX_PROBLEMS]]
        raise input_error(str(path), [Fault(tuple(problems), len(wrong), _FIX)])
    return occurrences_of(names, str(path)), kind


def _lines(text: Iterable[str]) -> Iterator[Line]:
    for number, line in enumerate(text, 1):
        stripped = line.strip()
        if stripped:
            yield _parted(number, stripped)


def _parted(number: int, line: str) -> Line:
    """A line in its parts: the path ends at a tab, with the first suffix of an image, or before the last blank."""
    if "\t" in line:
        path, _, label = line.partition("\t")
    elif (found := _END_OF_PATH.search(line)) is not None:
        path, label = line[: found.end(1)], line[found.end() :]
    else:
        path, _, label = line.rpartition(" ") if " " in line else (line, "", "")
    return Line(number, path.strip(), _unquoted(label.strip()))


def _unquoted(text: str) -> str:
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1] if quoted else text


def _problem(line: Line, kind: Kind) -> Problem:
    found = line.label or line.path
    as_before = ", as the first line has" if line.number > 1 else ", or a class after it"
    return Problem(f"line {line.number}", f"{_WORDS[kind]}{as_before}", ascii(found[:60])[1:-1] or "none")
