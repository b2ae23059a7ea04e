"""Slices in tables: a row for each image of a slice, or a row for each image with attributes."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from longtail_cli.choices import SliceKey
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.faults import fault, faults_among, input_error, raise_faults
from longtail_cli.files.reading import check_parquet, reading

KEYS: tuple[SliceKey, ...] = ("image_id", "file_name", "row")
"""Columns that say which image or row a row of the table is about."""

SLICE = "slice"
"""The column with the names of slices."""

MOST_NUMBERS = 10
"""Different numbers in a column; of more the values are a measurement, which has to be cut into ranges."""

_INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_FIX_COLUMNS = (
    "begin with a header: slice,image_id for a row for each image of a slice; or image_id and a column for each "
    "attribute. file_name takes the part of image_id, and row that of the rows of a classifier, from 0"
)
_FIX_CELLS = "write as many cells in each row as the header has, and put values that hold commas in quotes"
_FIX_KEYS = "state the image of each row"
_FIX_ROWS = "write one row for each image"
_FIX_RANGES = "write the range of each image instead, such as small and large, or leave the column out"
_FIX_VALUES = "write text, a number or a truth value; leave the cell empty if the image has none"

Lists = list[tuple[str, list[Any]]]
"""The images of each slice, by its name: ids and rows as int, file names as text."""


def csv_columns(path: Path, source: str) -> dict[str, Sequence[object]]:
    """The cells of a CSV file by column, without blanks around them. Raises InputError if it is none."""
    with reading(source, "CSV in UTF-8", _FIX_COLUMNS), path.open(encoding="utf-8-sig", newline="") as file:
        rows = [[cell.strip() for cell in row] for row in csv.reader(file) if row]
    header = rows[0] if rows else []
    _check_header(header, source)
    uneven = [
        Problem(f"row {number}", f"{len(header)} cells", str(len(row)))
        for number, row in enumerate(rows[1:], 1)
        if len(row) != len(header)
    ]
    raise_faults(source, faults_among(uneven, _FIX_CELLS))
    return dict(zip(header, zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header), strict=True))


def parquet_columns(path: Path, source: str) -> dict[str, Sequence[object]]:
    """The cells of a Parquet file by column. Raises InputError if it is none."""
    import pyarrow
    import pyarrow.parquet

    with reading(source, "a Parquet file", _FIX_COLUMNS, pyarrow.ArrowException):
        check_parquet(pyarrow.parquet.read_metadata(path), source, path.stat().st_size)
        table = pyarrow.parquet.read_table(path)
        names = table.column_names
        columns = [table.column(number).to_pylist() for number in range(len(names))]
    _check_header(names, source)
    return dict(zip(names, columns, strict=True))


def cells_of(column: Any) -> list[object]:
    """The cells of a column in memory as Python values; None for the missing values of pandas."""
    values = column.tolist() if hasattr(column, "tolist") else list(column)
    return [None if type(one).__name__ in ("NAType", "NaTType") else one for one in values]


def slices_in_table(columns: Mapping[str, Sequence[object]], source: str) -> tuple[SliceKey, Lists]:
    """What the images are given by, and the images of each slice.

    With a column `slice` each row is an image of a slice. Without one each row is an image, and each value of each
    other column a slice ``column=value``, in order of columns and values; an image without a value is in no slice of
    the column. Beside `image_id` a column `file_name` is no attribute.
    Raises InputError unless there is a column of images and one of slices or attributes; for images that are missing
    or no integers or text; and for columns with more than `MOST_NUMBERS` different numbers.
    """
    key = _key_of(columns, source)
    images = _images(key, columns[key], source)
    names = [name for name in columns if name not in KEYS]
    if SLICE in columns:
        if names != [SLICE]:
            others = ", ".join(f"`{name}`" for name in names if name != SLICE)
            raise input_error(source, [fault("columns", f"`{SLICE}` and `{key}` alone", others, _FIX_COLUMNS)])
        return key, _by_name(columns[SLICE], images, source)
    if not names:
        found = "no other column"
        raise input_error(source, [fault("columns", "attributes of the images, or `slice`", found, _FIX_COLUMNS)])
    if len(set(images)) < len(images):
        found = f"{most_repeated(images)!a} twice"
        raise input_error(source, [fault(f"column `{key}`", "each image once", found, _FIX_ROWS)])
    return key, [one for name in names for one in _of_attribute(name, columns[name], images, source)]


def _check_header(header: Sequence[str], source: str) -> None:
    repeated = [name for name in dict.fromkeys(header) if header.count(name) > 1]
    if repeated or "" in header:
        found = f"`{repeated[0]}` twice" if repeated and repeated[0] else "a column without a name"
        raise input_error(source, [fault("header", "different names of columns", found, _FIX_COLUMNS)])


def _key_of(columns: Mapping[str, Sequence[object]], source: str) -> SliceKey:
    """The column of images. Raises InputError if there is none, or `row` beside another."""
    found = [key for key in KEYS if key in columns]
    if not found or (len(found) > 1 and "row" in found):
        shown = ", ".join(f"`{name}`" for name in (found or list(columns)[:MAX_PROBLEMS])) or "none"
        expected = "one column `image_id`, `file_name` or `row`"
        raise input_error(source, [fault("columns", expected, ascii(shown)[1:-1], _FIX_COLUMNS)])
    return found[0]


def _images(key: SliceKey, cells: Sequence[object], source: str) -> list[Any]:
    """The image of each row: int, or text for `file_name`. Raises InputError for cells that are neither."""
    if not cells:
        raise input_error(source, [fault("content", "at least one row", "none", _FIX_KEYS)])
    values = [_text(cell) if key == "file_name" else _integer(cell) for cell in cells]
    expected = "a file name" if key == "file_name" else "an integer"
    wrong = [
        Problem(f"row {number}, `{key}`", expected, _shown(cell))
        for number, (cell, value) in enumerate(zip(cells, values, strict=True), 1)
        if value is None
    ]
    raise_faults(source, faults_among(wrong, _FIX_KEYS))
    return values


def _text(cell: object) -> str | None:
    return cell if isinstance(cell, str) and cell else None


def _integer(cell: object) -> int | None:
    if isinstance(cell, str) and _INTEGER.fullmatch(cell):
        return int(cell)
    return cell if type(cell) is int and abs(cell) < 2**63 else None


def _by_name(cells: Sequence[object], images: Sequence[Any], source: str) -> Lists:
    found: dict[str, list[Any]] = {}
    wrong = []
    for number, (cell, image) in enumerate(zip(cells, images, strict=True), 1):
        name = str(cell) if type(cell) is int else cell
        if isinstance(name, str) and name:
            found.setdefault(name, []).append(image)
        else:
            wrong.append(Problem(f"row {number}, `{SLICE}`", "the name of a slice", _shown(cell)))
    raise_faults(source, faults_among(wrong, "name the slice of each row"))
    return list(found.items())


def _of_attribute(name: str, cells: Sequence[object], images: Sequence[Any], source: str) -> Lists:
    """The slice of each value of a column, in order of the values."""
    values = [_value(cell) for cell in cells]
    wrong = [
        Problem(f"row {number}, `{name}`", "text, a number or a truth value", _shown(cell))
        for number, (cell, value) in enumerate(zip(cells, values, strict=True), 1)
        if value is _NO_VALUE
    ]
    raise_faults(source, faults_among(wrong, _FIX_VALUES))
    different = {value for value in values if value is not None}
    if all(isinstance(value, int | float) for value in different):
        _check_numbers(name, different, source)
    labels: dict[object, list[Any]] = {value: [] for value in sorted(different, key=_order)}
    for value, image in zip(values, images, strict=True):
        if value is not None:
            labels[value].append(image)
    return [(f"{name}={_label(value)}", inside) for value, inside in labels.items()]


_NO_VALUE = object()
"""A cell that is nothing that a slice can be named after."""


def _value(cell: object) -> object:
    """The value of a cell: text, a number, or None if it is empty. Truth values are text."""
    if isinstance(cell, bool):
        return str(cell)
    if isinstance(cell, int):
        return cell
    if isinstance(cell, float):
        if math.isnan(cell):
            return None
        return int(cell) if cell.is_integer() else _NO_VALUE if math.isinf(cell) else cell
    if not isinstance(cell, str):
        return None if cell is None else _NO_VALUE
    if cell.lower().lstrip("+-") in ("nan", "inf", "infinity"):
        return _NO_VALUE
    if _NUMBER.fullmatch(cell):
        return int(cell) if _INTEGER.fullmatch(cell) else _value(float(cell))
    return cell or None


def _check_numbers(name: str, different: Iterable[Any], source: str) -> None:
    numbers = sorted(different)
    if len(numbers) > MOST_NUMBERS:
        found = f"{len(numbers):,}, from {numbers[0]:g} to {numbers[-1]:g}"
        expected = f"text, or at most {MOST_NUMBERS} different numbers"
        raise InputError(source, [Problem(f"column `{name}`", expected, found)], _FIX_RANGES)


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers first, then text."""
    return isinstance(value, str), value


def _label(value: object) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def most_repeated(images: Sequence[Any]) -> object:
    """The image that is listed most often."""
    return Counter(images).most_common(1)[0][0]


def _shown(value: object) -> str:
    return "an empty cell" if value in (None, "") else ascii(value)[:60]
