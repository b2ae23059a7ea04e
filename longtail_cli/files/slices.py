"""Slices: named sets of images, as lists of images by name or as attributes of images in a table.

A slice is the images of one name: ``night``, or ``weather=rain`` of a column `weather`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import SliceKey
from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, fault, faults_among, input_error, raise_faults
from longtail_cli.files.memory import check_lengths, columns_in
from longtail_cli.files.reading import reading
from longtail_cli.files.slice_tables import KEYS, cells_of, csv_columns, most_repeated, parquet_columns, slices_in_table
from longtail_cli.files.source import plain_file
from longtail_cli.tables import Slices

MOST_SLICES = 1_000
MOST_LETTERS = 200
"""Of the name of a slice."""

_LARGEST_ID = 2**63 - 1
_FIX_CONTENT = (
    'write {"night": [1, 2], ...} with the ids or file names of the images; or a .csv or .parquet file with columns '
    "slice and image_id, or image_id and one for each attribute"
)
_FIX_ONE_KIND = "write integers without quotes for ids, or the file names of all images"
_FIX_EMPTY = "leave the slice out, or list its images"
_FIX_TWICE = "list each image of a slice once"
_FIX_NAME = f"choose names of at most {MOST_LETTERS} characters that can be printed, without `/`"
_FIX_NAME_TWICE = "give each slice its own name"
_FIX_MANY = "leave out columns that are no attributes, or write ranges of values, such as small and large"


def read_slices(path: Path) -> Slices:
    """The slices in a file, by its suffix, also with ``.gz`` after it.

    ``.json``: an object with a list of image ids, or of file names, for each name. ``.csv`` with a header, and
    ``.parquet``: a row for each image of a slice, with columns `slice` and `image_id` (or `file_name`, or `row` for the
    rows of a classifier); or a row for each image with columns of attributes, each value of which makes a slice
    ``column=value`` (`slices_in_table`).
    Raises InputError if the file is none of these, a slice is empty, holds an image twice, or has a name that repeats,
    is too long, holds ``/`` or cannot be printed; and for more than `MOST_SLICES`.
    """
    source = str(path)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    with plain_file(path) as plain:
        if suffix == ".csv":
            return _of_table(csv_columns(plain, source), source)
        if suffix == ".parquet":
            return _of_table(parquet_columns(plain, source), source)
        if suffix != ".json":
            expected = "a file that ends in .json, .csv or .parquet"
            raise input_error(source, [fault("name", expected, path.name, _FIX_CONTENT)])
        with reading(source, "JSON", _FIX_CONTENT):
            document = json.loads(plain.read_bytes(), object_pairs_hook=_Object)
    if not isinstance(document, _Object):
        found = _kind(document)
        raise input_error(source, [fault("content", "an object of slices by name", found, _FIX_CONTENT)])
    return _of_lists(document.pairs, source)


def slices_of(value: Any, source: str = "slices") -> Slices:
    """As `read_slices`, of slices in memory: lists or arrays of images by name, or a data frame."""
    if isinstance(value, Mapping):
        return _of_lists([(name, _plain_list(one)) for name, one in value.items()], source)
    columns = columns_in(value)
    if columns is None:
        expected = "lists of images by name, or a data frame"
        raise input_error(source, [fault("slices", expected, type(value).__name__, _FIX_CONTENT)])
    check_lengths(columns, source)
    return _of_table({str(name): cells_of(column) for name, column in columns.items()}, source)


@dataclass(frozen=True, slots=True)
class _Object:
    """A JSON object with its keys in order, repeated ones too."""

    pairs: list[tuple[str, Any]]


def _plain_list(values: Any) -> Any:
    """An array, a tensor or a range as a list of Python values; anything else as it is."""
    if hasattr(values, "tolist"):
        return values.tolist()
    return list(values) if isinstance(values, range | tuple | set | frozenset) else values


def _of_table(columns: Mapping[str, Sequence[object]], source: str) -> Slices:
    key, lists = slices_in_table(columns, source)
    return _checked(lists, key, source)


def _of_lists(pairs: Sequence[tuple[Any, Any]], source: str) -> Slices:
    """Slices of lists by name. The values may be anything."""
    columns = [name for name, _ in pairs if name in KEYS]
    if columns:
        problem = f"`{columns[0]}`, which is a column of a table"
        fix = "write tables as .csv or .parquet, or pass a data frame"
        raise input_error(source, [fault("slices", "lists of images by name", problem, fix)])
    wrong = [
        Problem(f"slice {_shown(name)}", "a list of image ids or file names", _kind(values))
        for name, values in pairs
        if not isinstance(values, list)
    ]
    raise_faults(source, faults_among(wrong, _FIX_CONTENT))
    first = next(chain.from_iterable(values for _, values in pairs), None)
    key: SliceKey = "file_name" if isinstance(first, str) else "number"
    right = _is_text if key == "file_name" else _is_number
    expected = "a file name" if key == "file_name" else "an integer of at most 64 bits"
    wrong = [
        Problem(f"slice {_shown(name)}, entry {number}", expected, _kind(one))
        for name, values in pairs
        for number, one in enumerate(values, 1)
        if not right(one)
    ]
    raise_faults(source, faults_among(wrong, _FIX_ONE_KIND))
    return _checked(pairs, key, source)


def _is_number(value: object) -> bool:
    return type(value) is int and -_LARGEST_ID - 1 <= value <= _LARGEST_ID


def _is_text(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _checked(lists: Sequence[tuple[Any, Sequence[Any]]], key: SliceKey, source: str) -> Slices:
    """Slices of lists of integers, or of texts if `key` is ``file_name``."""
    if not lists:
        raise input_error(source, [fault("content", "at least one slice", "none", _FIX_CONTENT)])
    if len(lists) > MOST_SLICES:
        raise input_error(source, [fault("slices", f"at most {MOST_SLICES:,}", f"{len(lists):,}", _FIX_MANY)])
    names = [name for name, _ in lists]
    raise_faults(source, [*_faults_of_names(names), *_faults_of_members(lists)])
    sizes = [len(values) for _, values in lists]
    members: Iterable[Any] = chain.from_iterable(values for _, values in lists)
    file_names: dict[str, int] = {}
    if key == "file_name":
        members = [file_names.setdefault(one, len(file_names)) for one in members]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
    member = np.fromiter(members, np.int64, sum(sizes))
    return Slices(tuple(names), start, key, member, source, tuple(file_names))


def _faults_of_names(names: Sequence[Any]) -> list[Fault]:
    bad = [
        Problem("name of a slice", "text without `/`, control characters and blanks around it", _shown(name))
        for name in names
        if not isinstance(name, str)
        or not 0 < len(name) <= MOST_LETTERS
        or "/" in name
        or not name.isprintable()
        or name != name.strip()
    ]
    twice = [name for name, number in Counter(names).items() if number > 1]
    repeated = [Problem(f"slice {_shown(name)}", "each name once", "it twice") for name in twice]
    return [*faults_among(bad, _FIX_NAME), *faults_among(repeated, _FIX_NAME_TWICE)]


def _faults_of_members(lists: Sequence[tuple[Any, Sequence[Any]]]) -> list[Fault]:
    empty = [Problem(f"slice {_shown(name)}", "at least one image", "none") for name, values in lists if not values]
    repeated = [
        Problem(f"slice {_shown(name)}", "each image once", f"{_shown(most_repeated(values))} twice")
        for name, values in lists
        if len(set(values)) < len(values)
    ]
    return [*faults_among(empty, _FIX_EMPTY), *faults_among(repeated, _FIX_TWICE)]


def _kind(value: object) -> str:
    """What a value is, for messages: texts and numbers as they are, others by their type."""
    if value is None or isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, str | int | float):
        return _shown(value)
    return f"a value of type {type(value).__name__.removeprefix('_').lower()}"


def _shown(value: object) -> str:
    return ascii(value)[:60] if not isinstance(value, int) or abs(value) <= _LARGEST_ID else "a longer integer"
