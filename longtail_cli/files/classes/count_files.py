"""Files with counts per class: arrays, JSON, text, CSV and what torch saved."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.arrays import load_arrays
from longtail_cli.files.classes.counts import (
    FIX_COUNTS,
    ClassCounts,
    count_of,
    counts_by_class,
    counts_in_order,
    counts_of,
)
from longtail_cli.files.faults import fault, input_error
from longtail_cli.files.frequency_columns import REQUIRED
from longtail_cli.files.pickles import load_saved
from longtail_cli.files.reading import reading
from longtail_cli.files.source import plain_file

SUFFIXES = (".npy", ".npz", ".json", ".txt", ".csv", ".pt", ".pth")

_ARRAYS = ("counts", "cls_num_list", "class_counts")
_COUNTS = ("count", "counts", "image_count", "images", "num_images", "n")
_IDS = ("category_id", "class_id", "id", "index", "label")
_NAMES = ("name", "class_name", "category", "class")
_FIX_COLUMNS = "call the column of the counts `count`, and that of the classes `id` or `name`"


def read_counts(path: Path) -> ClassCounts:
    """Counts per class from a file.

    path: by suffix an array (``.npy``; ``.npz`` with one array, or one called ``counts`` or ``cls_num_list``), a list
        or an object (``.json``), a tensor, list or dict (``.pt``, ``.pth``), numbers with blanks or commas between
        them, or lines of a class and its count (``.txt``), or a table with a column ``count`` and one of ``id`` or
        ``name`` (``.csv``, whose header may be missing). Also with ``.gz`` after it, except for what torch saved.
    Raises InputError as `counts_of` does, and if the file cannot be read; UsageError for another suffix.
    """
    source = str(path)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix in (".npy", ".npz"):
        with plain_file(path) as plain:
            arrays = load_arrays(plain, source, "a NumPy file", FIX_COUNTS, lambda names: _chosen(names, source))
        (array,) = arrays.values()
        return counts_of(array, source)
    if suffix == ".json":
        return _of_json(path)
    if suffix == ".txt":
        return _of_lines(path)
    if suffix == ".csv":
        return _of_table(path)
    if path.suffix in (".pt", ".pth"):
        return counts_of(load_saved(path), source)
    problem = Problem("name", f"a file that ends in {', '.join(SUFFIXES)}", path.name)
    raise UsageError(source, [problem], "save the counts as one of these")


def _chosen(names: list[str], source: str) -> list[str]:
    """The array of the counts in a ``.npz`` file."""
    known = [name for name in _ARRAYS if name in names]
    if len(names) != 1 and not known:
        found = ", ".join(f"`{ascii(name[:40])[1:-1]}`" for name in names[:10]) or "none"
        raise input_error(source, [fault("arrays", f"one array, or one called `{_ARRAYS[0]}`", found, FIX_COUNTS)])
    return known[:1] or names


def _of_json(path: Path) -> ClassCounts:
    with plain_file(path) as plain, reading(str(path), "JSON", FIX_COUNTS):
        document = json.loads(plain.read_bytes(), object_pairs_hook=_without_repetition)
    return counts_of(document, str(path))


def _without_repetition(members: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, of which the last of equal keys would win otherwise. Raises ValueError if keys are equal."""
    repeated = [key for key, times in Counter(key for key, _ in members).items() if times > 1]
    if repeated:
        raise ValueError(f"class {ascii(repeated[0][:40])[1:-1]} more than once")
    return dict(members)


def _of_lines(path: Path) -> ClassCounts:
    with plain_file(path) as plain, reading(str(path), "text in UTF-8", FIX_COUNTS):
        lines = [line.strip() for line in plain.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    words = " ".join(lines).strip("[]").replace(",", " ").split()
    alone = len(lines) == len(words) or " ".join(lines).startswith("[")
    if alone or (len(lines) == 1 and all(count_of(word) is not None for word in words)):
        return counts_in_order(words, str(path))
    pairs = [line.replace("\t", " ").rpartition(" ") for line in lines]
    return counts_by_class([name.strip(" ,:\"'") for name, _, _ in pairs], [count for *_, count in pairs], str(path))


def _of_table(path: Path) -> ClassCounts:
    source = str(path)
    with plain_file(path) as plain, reading(source, "CSV in UTF-8", FIX_COUNTS):
        text = plain.read_text(encoding="utf-8-sig")
        rows = [[cell.strip() for cell in row] for row in csv.reader(io.StringIO(text, newline="")) if row]
    header = rows[0] if rows else []
    if set(REQUIRED) <= set(header):
        fix = "it needs no conversion: pass it as `frequencies=`"
        raise input_error(source, [fault("content", "counts per class", "a frequency table", fix)])
    uneven = [(number, row) for number, row in enumerate(rows, 1) if len(row) != len(header)]
    if uneven:
        number, row = uneven[0]
        problem = fault(f"row {number}", f"{len(header)} cells, as in the first", str(len(row)), FIX_COUNTS)
        raise input_error(source, [problem])
    if header and len(header) <= 2 and count_of(header[-1]) is not None:
        return _of_columns(rows, None if len(header) == 1 else 0, None, -1, source)
    counted = _column(header, _COUNTS)
    if counted is None:
        found = ", ".join(f"`{ascii(name[:40])[1:-1]}`" for name in header[:10]) or "none"
        raise input_error(source, [fault("columns", "a column `count`", found, _FIX_COLUMNS)])
    by_id, by_name = _column(header, _IDS), _column(header, _NAMES)
    return _of_columns(rows[1:], by_name if by_id is None else by_id, by_name, counted, source)


def _column(header: Sequence[str], names: Sequence[str]) -> int | None:
    """The index of the first of `names` that is in the header."""
    lower = [name.lower() for name in header]
    return next((lower.index(name) for name in names if name in lower), None)


def _of_columns(
    rows: Sequence[Sequence[str]], by: int | None, named: int | None, counted: int, source: str
) -> ClassCounts:
    """by: the column of the ids or names, None if the classes are in order. named: that of the names beside ids."""
    counts = [row[counted] for row in rows]
    if by is None:
        return counts_in_order(counts, source)
    names = None if named is None else [row[named] for row in rows]
    return counts_by_class([row[by] for row in rows], counts, source, names)
