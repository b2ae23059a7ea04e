"""Class labels of a classification data set: image lists, CSV files, arrays."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.arrays import load_arrays
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.files.reading import reading
from longtail_cli.files.source import plain_file
from longtail_cli.tables import Categories, Longs, Occurrences

LARGEST_LABEL = 10_000_000
"""Larger labels are refused as mistakes: there are as many classes as the largest label plus one."""

MANY_CLASSES = 100_000
"""More classes than this are refused if there are more of them than labels."""

_INTEGER = re.compile(r"[0-9]{1,18}")
_EXPECTED = f"a class index from 0 to {LARGEST_LABEL}"
_FIX_LABELS = "write each label as a class index: 0, 1, 2, ..."
_FIX_MEMORY = "pass one class index for each image: 0, 1, 2, ..."
_FIX_ARRAY = "save the labels with numpy.save as one array of integers, one for each image"


def read_labels(path: Path, column: str | None = None) -> Occurrences:
    """One occurrence for each labelled image. The classes are 0 to the largest label, without names.

    path: by suffix ``.txt`` (one ``path label`` per line, as for ImageNet-LT and Places-LT; the label follows the last
    blank), ``.csv`` with a header, ``.npy`` or ``.npz`` (the array ``labels``, or the only one) of shape [N]; also with
    ``.gz`` after it. Blank lines are skipped.
    column: the column of a CSV file, ``label`` if None.
    Raises InputError if there are no labels, some are not integers from 0 to `LARGEST_LABEL`, or they make more than
    `MANY_CLASSES` classes and more than there are labels.
    """
    source = str(path)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    with plain_file(path) as plain:
        if suffix in (".npy", ".npz"):
            (array,) = load_arrays(
                plain, source, "a NumPy file", _FIX_ARRAY, lambda names: _chosen(names, source)
            ).values()
            labels = _checked(array, source, _FIX_ARRAY)
        else:
            labels = _text_labels(plain, source, (column or "label") if suffix == ".csv" else None)
    return _occurrences(labels, source)


def labels_from_array(array: npt.ArrayLike, source: str = "labels") -> Occurrences:
    """As `read_labels`, for labels [N] in memory: a list, a NumPy array, or a torch tensor on the CPU.

    source: names the labels in errors.
    """
    with reading(source, "an array", _FIX_MEMORY):  # nested lists of different lengths; a tensor on a GPU
        labels = np.asarray(array)
    return _occurrences(_checked(labels, source, _FIX_MEMORY), source)


def _occurrences(labels: Longs, source: str) -> Occurrences:
    if not len(labels):
        problem = Problem("content", "at least one label", "none")
        raise InputError(source, [problem], "check the step that made the labels")
    classes = int(labels.max()) + 1
    if classes > max(MANY_CLASSES, len(labels)):
        row = int(labels.argmax())
        expected = f"at most {MANY_CLASSES:,} classes, or as many as there are labels ({len(labels):,})"
        problem = Problem(f"label {row + 1}", expected, f"{labels[row]}, so {classes:,} classes")
        raise InputError(source, [problem], "number the classes that occur 0, 1, 2, ..., or correct this label")
    categories = Categories(np.arange(classes), ("",) * classes, None, None, None)
    images = np.arange(len(labels), dtype=np.int32)
    return Occurrences(categories, len(labels), images, labels.astype(np.int32), source)


def _text_labels(plain: Path, source: str, column: str | None) -> Longs:
    """Labels of a CSV file with a header (`column`), or of an image list (None)."""
    # Paths of images may be in any encoding; they are not used.
    with plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        return _parsed(_last_words(lines) if column is None else _cells(lines, column, source), source)


def _last_words(lines: Iterable[str]) -> Iterator[tuple[int, str]]:
    """The number of each line that is not blank, and its last word; an empty text if that is its only one."""
    for number, line in enumerate(lines, 1):
        words = line.rsplit(maxsplit=1)
        if words:
            yield number, words[1].strip() if len(words) == 2 else ""


def _cells(lines: Iterable[str], column: str, source: str) -> Iterator[tuple[int, str]]:
    """The number of each line that is not blank, and its cell in `column`."""
    rows = _csv_rows(lines, source)
    _, first = next(rows, (1, []))
    header = [name.strip() for name in first]
    if header.count(column) != 1:
        found = ", ".join(f"`{name}`" for name in header[:MAX_PROBLEMS]) or "none"
        fix = "name the column that holds the class index: `label_column=`"
        raise input_error(source, [fault("header", f"one column `{column}`", _readable(found), fix)])
    index = header.index(column)
    for number, row in rows:
        if row:
            yield number, row[index].strip() if index < len(row) else ""


def _csv_rows(lines: Iterable[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """The number of each line, the last of a row, and its cells."""
    rows = csv.reader(lines)
    with reading(source, "a CSV file", _FIX_LABELS):
        for row in rows:
            yield rows.line_num, row


def _parsed(texts: Iterable[tuple[int, str]], source: str) -> Longs:
    """Labels from (line number, text)."""
    labels: list[int] = []
    wrong: list[tuple[int, str]] = []
    for number, text in texts:
        if _INTEGER.fullmatch(text) and int(text) <= LARGEST_LABEL:
            labels.append(int(text))
        else:
            wrong.append((number, text))
    problems = [
        Problem(f"line {number}", _EXPECTED, _readable(text) or "none") for number, text in wrong[:MAX_PROBLEMS]
    ]
    if wrong:
        raise input_error(source, [Fault(tuple(problems), len(wrong), _FIX_LABELS)])
    return np.array(labels, np.int64)


def _readable(text: str) -> str:
    return ascii(text[:60])[1:-1]


def _checked(array: npt.NDArray[Any], source: str, fix: str) -> Longs:
    """The array as int64. Raises InputError unless it is [N], of integers from 0 to `LARGEST_LABEL`."""
    if array.ndim != 1 or array.dtype.kind not in "iu":
        found = f"an array of {array.dtype} of shape {list(array.shape)}"
        raise input_error(source, [fault("content", "an array of integers of shape [N]", found, fix)])
    bad = (array < 0) | (array > LARGEST_LABEL)
    raise_faults(source, faults_at(bad, lambda row: Problem(f"row {row}", _EXPECTED, str(array[row])), _FIX_LABELS))
    return array.astype(np.int64)


def _chosen(names: list[str], source: str) -> list[str]:
    """The array ``labels`` of a ``.npz`` file, or its only one."""
    if "labels" in names:
        return ["labels"]
    if len(names) != 1:
        found = ", ".join(f"`{name}`" for name in names[:MAX_PROBLEMS]) or "none"
        raise input_error(source, [fault("arrays", "one array, or one called `labels`", _readable(found), _FIX_ARRAY)])
    return names
