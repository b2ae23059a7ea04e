"""Class labels of a classification data set: image lists, CSV files, arrays, and the same in other containers."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.arrays import load_arrays
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.files.label_arrays import IGNORE_VALUES, IGNORED, LARGEST_LABEL, class_indices
from longtail_cli.files.label_names import ROW_NAMES, known_names
from longtail_cli.files.pickles import load_saved
from longtail_cli.files.reading import check_parquet, reading
from longtail_cli.files.source import plain_file
from longtail_cli.tables import Categories, Longs, Occurrences

MANY_CLASSES = 100_000
"""More classes than this are refused if there are more of them than labels."""

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".p")

_INTEGER = re.compile(r"[0-9]{1,18}(\.0*)?")
_IGNORED_TEXT = tuple(map(str, IGNORE_VALUES))
_EXPECTED = f"a class index from 0 to {LARGEST_LABEL}"
_FIX_LABELS = "write each label as a class index: 0, 1, 2, ..."
_FIX_MEMORY = "pass one class index for each image: 0, 1, 2, ..."
_FIX_ARRAY = "save the labels with numpy.save as one array of integers, one for each image"
_FIX_TABLE = "name the column of the labels: `label_column=` where classes are counted, else `keys='labels=NAME'`"


@dataclass(frozen=True, slots=True)
class ClassLabels:
    """The class of each image as a source states it."""

    source: str
    index: Longs
    """int64 [N], class indices, or indices into `class_names`; `IGNORED` for images without a class."""
    class_names: tuple[str, ...] = ()
    """The different names of classes, if the labels are names."""
    row_names: tuple[str, ...] = ()
    """The file name of each image; empty if they are not stated."""


def read_class_labels(path: Path, column: str | None = None) -> ClassLabels:
    """The labels in a file, by its suffix, also with ``.gz`` after it.

    path: ``.txt`` with a label a line, or ``path label``, as for ImageNet-LT and Places-LT, where the label follows the
    last blank; ``.csv`` with a header, or without one if it has a single column; ``.parquet``; ``.npy``; ``.npz``;
    ``.pt``, ``.pth`` and pickles of an array, a list, or a dict of these; ``.json`` with a list, or a dict of labels by
    file name. A label is a class index, -1 or -100 for none, or in text the name of a class; arrays may be [N], [N, 1]
    of floats that are whole, or one-hot [N, C]. Blank lines are skipped.
    column: of a table or a dict; one of `label_names.LABEL_NAMES` if None.
    Raises InputError if there are no labels, or some are none of these.
    """
    source = str(path)
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    with plain_file(path) as plain:
        if suffix in (".npy", ".npz"):
            choose = _Chooser(source, column)
            (array,) = load_arrays(plain, source, "a NumPy file", _FIX_ARRAY, choose).values()
            labels = _of_array(array, source, _FIX_ARRAY)
        elif suffix in PICKLES:
            labels = _of_value(load_saved(path), source, column)
        elif suffix == ".json":
            with reading(source, "JSON"):
                value = json.loads(plain.read_bytes())
            labels = _of_value(value, source, column)
        elif suffix == ".parquet":
            labels = _of_parquet(plain, source, column)
        else:
            labels = _of_text(plain, source, column, table=suffix == ".csv")
    if not len(labels.index):
        raise _none(source)
    return labels


def class_labels_of(values: Any, source: str = "labels") -> ClassLabels:
    """As `read_class_labels`, of labels in memory: a list, a dict by file name, a NumPy array or a CPU tensor."""
    if isinstance(values, Mapping):
        return _of_value(dict(values), source, None)
    with reading(source, "an array", _FIX_MEMORY):  # nested lists of different lengths; a tensor on a GPU
        array = np.asarray(values)
    labels = _of_array(array, source, _FIX_MEMORY)
    if not len(labels.index):
        raise _none(source)
    return labels


def read_labels(path: Path, column: str | None = None) -> Occurrences:
    """One occurrence for each labelled image. The classes are 0 to the largest label, without names.

    path, column: see `read_class_labels`.
    Raises InputError if there are no labels, some are not integers from 0 to `LARGEST_LABEL`, or they make more than
    `MANY_CLASSES` classes and more than there are labels.
    """
    return occurrences_of_labels(read_class_labels(path, column))


def labels_from_array(array: npt.ArrayLike, source: str = "labels") -> Occurrences:
    """As `read_labels`, for labels [N] in memory: a list, a NumPy array, or a torch tensor on the CPU.

    source: names the labels in errors.
    """
    return occurrences_of_labels(class_labels_of(array, source))


def occurrences_of_labels(given: ClassLabels) -> Occurrences:
    """One occurrence for each image, for labels that are indices. Raises InputError as `read_labels` does."""
    labels, source = given.index, given.source
    _check_indices(given)
    classes = int(labels.max()) + 1
    if classes > max(MANY_CLASSES, len(labels)):
        row = int(labels.argmax())
        expected = f"at most {MANY_CLASSES:,} classes, or as many as there are labels ({len(labels):,})"
        problem = Problem(f"label {row + 1}", expected, f"{labels[row]}, so {classes:,} classes")
        raise InputError(source, [problem], "number the classes that occur 0, 1, 2, ..., or correct this label")
    categories = Categories(np.arange(classes), ("",) * classes, None, None, None)
    images = np.arange(len(labels), dtype=np.int32)
    return Occurrences(categories, len(labels), images, labels.astype(np.int32), source)


def _check_indices(given: ClassLabels) -> None:
    """Raise InputError for labels that are names, and for those without a class."""
    bad = given.index == IGNORED if not given.class_names else np.ones(len(given.index), bool)

    def describe(row: int) -> Problem:
        found = _readable(given.class_names[given.index[row]]) if given.class_names else "-1"
        return Problem(f"label {row + 1}", _EXPECTED, found)

    raise_faults(given.source, faults_at(bad, describe, _FIX_LABELS))


def _none(source: str) -> InputError:
    problem = Problem("content", "at least one label", "none")
    return InputError(source, [problem], "check the step that made the labels")


def _of_value(value: object, source: str, column: str | None) -> ClassLabels:
    """Labels in a value that was unpickled, or in JSON."""
    if isinstance(value, Mapping):
        names = [name for name in value if isinstance(name, str)]
        if column or known_names(names):
            return _of_value(value[_label_name(names, column, source)], source, None)
        if names and len(names) == len(value) and all(isinstance(one, str | int | float) for one in value.values()):
            return ClassLabels(
                source, *_indices([str(one) for one in value.values()], source, "entry"), row_names=tuple(names)
            )
        raise input_error(source, [fault("content", "labels, or labels by file name", _kind(value), _FIX_LABELS)])
    if isinstance(value, list | tuple) and value and all(isinstance(one, str) for one in value):
        return _of_texts(list(value), source)
    with reading(source, "labels: a list or an array", _FIX_LABELS):
        batches = isinstance(value, list | tuple) and all(isinstance(one, np.ndarray) and one.ndim for one in value)
        array: npt.NDArray[Any] = np.concatenate(cast(Any, value)) if batches and value else np.asarray(value)
    return _of_array(array, source, _FIX_LABELS)


def _of_array(array: npt.NDArray[Any], source: str, fix: str) -> ClassLabels:
    """Labels in an array of class indices, or of names [N]."""
    if array.ndim == 1 and array.dtype.kind in "UO" and array.dtype.itemsize:
        if array.dtype.kind == "U" and _code_points(array).max(initial=0) > sys.maxunicode:
            raise input_error(source, [fault("content", "labels", "text that is not Unicode", fix)])
        texts = array.tolist()
        if all(isinstance(one, str) for one in texts):
            return _of_texts(texts, source)
    return ClassLabels(source, class_indices(array, source, fix))


def _code_points(array: npt.NDArray[np.str_]) -> npt.NDArray[np.uint32]:
    return np.ascontiguousarray(array, array.dtype.newbyteorder("=")).view(np.uint32)


def _kind(value: Mapping[Any, Any]) -> str:
    return f"a dict with {', '.join(_readable(str(name)) for name in list(value)[:MAX_PROBLEMS]) or 'nothing'}"


def _of_texts(texts: list[str], source: str) -> ClassLabels:
    return ClassLabels(source, *_indices(texts, source, "label"))


def _of_parquet(path: Path, source: str, column: str | None) -> ClassLabels:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with reading(source, "a whole Parquet file", _FIX_TABLE, pa.ArrowException), pq.ParquetFile(path) as file:
        check_parquet(file.metadata, source, path.stat().st_size)
        names = file.schema_arrow.names
        label = _label_name(names, column, source)
        images = next((name for name in ROW_NAMES if name in names), None)
        table = file.read([label] if images is None else [label, images])
    with reading(source, "text and numbers", _FIX_LABELS):  # bytes that are no UTF-8
        values = table[label].to_pylist()
        rows = () if images is None else tuple(map(str, table[images].to_pylist()))
    if all(isinstance(one, str) for one in values):
        return ClassLabels(source, *_indices(values, source, "row"), row_names=rows)
    with reading(source, "labels", _FIX_LABELS):
        array = np.asarray(values)
    return ClassLabels(source, class_indices(array, source, _FIX_LABELS), row_names=rows)


def _of_text(plain: Path, source: str, column: str | None, *, table: bool) -> ClassLabels:
    """Labels of a CSV file with a header, or of a list with a label or an image and a label in each line."""
    # Paths of images may be in any encoding.
    with plain.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as lines:
        found = _cells(lines, column, source) if table else _last_words(lines)
    index, names = _indices(found.labels, source, "line", found.numbers)
    return ClassLabels(source, index, names, tuple(found.images) if all(found.images) else ())


class _Lines(NamedTuple):
    """The lines of a text that are not blank."""

    numbers: list[int]
    """From 1."""
    images: list[str]
    """An empty text where there is none."""
    labels: list[str]
    """An empty text where there is none."""


def _last_words(lines: Iterable[str]) -> _Lines:
    """The label is the last word; of lines with a single word it is that one, if all of them are such."""
    found = _Lines([], [], [])
    for number, line in enumerate(lines, 1):
        words = line.rsplit(maxsplit=1)
        if words:
            found.numbers.append(number)
            found.images.append(words[0].lstrip())
            found.labels.append(words[1] if len(words) == 2 else "")
    return found if any(found.labels) else _Lines(found.numbers, found.labels, found.images)


def _cells(lines: Iterable[str], column: str | None, source: str) -> _Lines:
    """By the column of labels and that of images. A file of one column may lack a header."""
    rows = _csv_rows(lines, source)
    number, first = next(rows, (1, []))
    header = [name.strip() for name in first]
    if column is None and len(header) == 1 and _is_number(header[0]):
        rows, header = chain([(number, first)], rows), ["label"]
    names = [column] if column else known_names(header)
    if len(names) != 1 or header.count(names[0]) != 1:
        shown = ", ".join(f"`{name}`" for name in header[:MAX_PROBLEMS]) or "none"
        expected = f"one column `{names[0] if names else 'label'}`"
        raise input_error(source, [fault("header", expected, _readable(shown), _FIX_TABLE)])
    label = header.index(names[0])
    image = next((header.index(name) for name in ROW_NAMES if name in header), len(header))
    found = _Lines([], [], [])
    for number, row in rows:
        if row:
            found.numbers.append(number)
            found.images.append(row[image].strip() if image < len(row) else "")
            found.labels.append(row[label].strip() if label < len(row) else "")
    return found


def _csv_rows(lines: Iterable[str], source: str) -> Iterator[tuple[int, list[str]]]:
    """The number of each line, the last of a row, and its cells."""
    rows = csv.reader(lines)
    with reading(source, "a CSV file", _FIX_LABELS):
        for row in rows:
            yield rows.line_num, row


def _indices(
    texts: Sequence[str], source: str, where: str, numbers: Sequence[int] | None = None
) -> tuple[Longs, tuple[str, ...]]:
    """Class indices, and no names, if any of `texts` is a number; else indices into the names of the classes.

    where, numbers: what an entry is called in messages, and its number, by default counted from 1.
    Raises InputError for empty texts, and beside numbers for all that are no class indices.
    """
    different = set(texts)
    if different & {"", "nan"} or any(map(_is_number, different)):
        wrong = {text for text in different if not _is_index(text)}
        if wrong:
            rows = [row for row, text in enumerate(texts) if text in wrong]
            problems = [
                Problem(f"{where} {numbers[row] if numbers else row + 1}", _EXPECTED, _readable(texts[row]) or "none")
                for row in rows[:MAX_PROBLEMS]
            ]
            raise input_error(source, [Fault(tuple(problems), len(rows), _FIX_LABELS)])
        index = {text: IGNORED if text in _IGNORED_TEXT else int(float(text)) for text in different}
        return _numbered(texts, index), ()
    names = tuple(sorted(different))
    return _numbered(texts, {name: number for number, name in enumerate(names)}), names


def _numbered(texts: Sequence[str], number: Mapping[str, int]) -> Longs:
    """The number of each text, int64 [N]."""
    return np.fromiter(map(number.__getitem__, texts), np.int64, len(texts))


def _is_number(text: str) -> bool:
    """Whether it is a whole number, so that texts beside it that are not are mistakes, not names."""
    return text in _IGNORED_TEXT or bool(_INTEGER.fullmatch(text))


def _is_index(text: str) -> bool:
    return _is_number(text) and float(text) <= LARGEST_LABEL


def _label_names(names: Sequence[str], column: str | None) -> list[str]:
    """Which of `names` may be the labels: that called `column`, or without it all that are known."""
    return known_names(names) if column is None else [name for name in names if name == column]


def _label_name(names: Sequence[str], column: str | None, source: str) -> str:
    """The only one of `_label_names`. Raises InputError if there is none, or several."""
    found = _label_names(names, column)
    if len(found) != 1:
        shown = ", ".join(f"`{_readable(name)}`" for name in (found or names)[:MAX_PROBLEMS]) or "none"
        expected = f"one column `{column}`" if column else "one column of labels, such as `label`"
        raise input_error(source, [fault("columns", expected, shown, _FIX_TABLE)])
    return found[0]


def _readable(text: str) -> str:
    return ascii(text[:60])[1:-1]


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses the array of labels in a ``.npz`` file: `column`, that of a known name, or the only one."""

    source: str
    column: str | None

    def __call__(self, names: list[str]) -> list[str]:
        if names == [""]:  # a ``.npy`` file
            return names
        chosen = _label_names(names, self.column) or ([] if self.column else names)
        if len(chosen) != 1:
            found = ", ".join(f"`{name}`" for name in (chosen or names)[:MAX_PROBLEMS]) or "none"
            expected = f"one called `{self.column}`" if self.column else "one array, or one called `labels`"
            raise input_error(self.source, [fault("arrays", expected, _readable(found), _FIX_ARRAY)])
        return chosen
