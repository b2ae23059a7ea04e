"""Parameters of a method that were learned elsewhere: one or two numbers per class."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.arrays import load_arrays
from longtail_cli.files.faults import Fault, fault, faults_among, faults_at, raise_faults
from longtail_cli.files.reading import reading
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Floats, LogitColumns

BACKGROUND = "background"
LARGEST = 1e6
"""Larger parameters are refused as mistakes; their products with logits could overflow float32."""

_FIX_NPZ = "save `alpha` and, if there is one, `beta` with numpy.savez, one number per column"
_FIX_CSV = "write a header category_id,alpha,beta and one row per class, with background as an id for the background"
_FIX_VALUES = "save the values at the end of training"


def read_learned(path: Path, columns: LogitColumns) -> dict[str, Floats]:
    """``alpha`` and, if the file has it, ``beta``: float64 [C], or [K] with the background's, in column order.

    path: ``.npz`` with arrays of these names, [C] or [K], in the order of `columns`; or ``.csv`` with the columns
    `category_id`, `alpha` and optionally `beta`, rows in any order, `background` as the id of the background.
    Raises InputError for any other content, for missing and unknown classes, and for values that are not finite or
    exceed `LARGEST` in magnitude.
    """
    check_readable(path)
    source = str(path)
    if path.suffix == ".npz":
        found = _arrays(path, columns)
    elif path.suffix == ".csv":
        found = _table(path, columns)
    else:
        raise InputError(source, [Problem("file name", "one that ends in .npz or .csv", path.name)], _FIX_NPZ)
    for name, values in found.items():
        _check(source, name, values)
    return found


def _arrays(path: Path, columns: LogitColumns) -> dict[str, Floats]:
    source = str(path)
    arrays = load_arrays(path, source, "an .npz archive of arrays", _FIX_NPZ)
    if "" in arrays:
        raise InputError(source, [Problem("content", "an .npz archive of arrays", "one array")], _FIX_NPZ)
    _check_names(source, arrays, _FIX_NPZ)
    faults = [
        fault(f"`{name}`", f"numbers of shape {_shapes(columns)}", f"{array.dtype} {list(array.shape)}", _FIX_NPZ)
        for name, array in arrays.items()
        if array.dtype.kind not in "fiu" or array.ndim != 1 or len(array) not in {len(columns), columns.width}
    ]
    raise_faults(source, faults)
    return {name: array.astype(np.float64) for name, array in arrays.items()}


def _shapes(columns: LogitColumns) -> str:
    width = columns.width
    return f"[{len(columns)}]" if width in (None, len(columns)) else f"[{len(columns)}] or [{width}]"


def _table(path: Path, columns: LogitColumns) -> dict[str, Floats]:
    """The columns of a CSV file, in the order of `columns`."""
    source = str(path)
    header, rows = _cells(path)
    if "category_id" not in header:
        raise InputError(source, [Problem("header", "`category_id`, `alpha`", _shown(", ".join(header)))], _FIX_CSV)
    _check_names(source, [name for name in header if name != "category_id"], _FIX_CSV)
    raise_faults(source, _shape_faults(header, rows))
    ids = [row[header.index("category_id")] for row in rows]
    order = _order(columns, ids)
    raise_faults(source, _id_faults(ids, order))
    by_id = dict(zip(ids, rows, strict=True))
    return {name: _numbers(source, name, header.index(name), by_id, order) for name in header if name != "category_id"}


def _cells(path: Path) -> tuple[list[str], list[list[str]]]:
    """The header and the rows that are not empty, cells without surrounding blanks."""
    with reading(str(path), "a CSV file", _FIX_CSV), path.open(encoding="utf-8-sig", newline="") as lines:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines) if row]
    return (rows[0], rows[1:]) if rows else ([], [])


def _shape_faults(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[Fault]:
    """Rows with more or fewer cells than the header, for example because of decimal commas."""
    bad = np.array([len(row) != len(header) for row in rows], np.bool_)

    def describe(row: int) -> Problem:
        return Problem(f"row {row + 1} after the header", f"{len(header)} cells", str(len(rows[row])))

    return faults_at(bad, describe, _FIX_CSV)


def _order(columns: LogitColumns, given: Sequence[str]) -> list[str]:
    """The ids as text in column order, with the background if the file has a row for it."""
    ids = [str(category) for category in columns.category_id.tolist()]
    if BACKGROUND not in given or columns.background == "none":
        return ids
    return [BACKGROUND, *ids] if columns.background == "first" else [*ids, BACKGROUND]


def _id_faults(given: Sequence[str], expected: Sequence[str]) -> list[Fault]:
    rows, known = Counter(given), set(expected)
    problems = [
        *(Problem(f"category_id {key}", "a row", "none") for key in expected if key not in rows),
        *(Problem(f"category_id {_shown(key)}", "a class of the logits", "none") for key in rows if key not in known),
        *(Problem(f"category_id {_shown(key)}", "one row", str(count)) for key, count in rows.items() if count > 1),
    ]
    return faults_among(problems, _FIX_CSV)


def _check_names(source: str, names: Iterable[str], fix: str) -> None:
    """Raise InputError unless there is `alpha`, optionally `beta`, and nothing else."""
    found = sorted(names)
    if found not in (["alpha"], ["alpha", "beta"]):
        problem = Problem("parameters", "`alpha`, and optionally `beta`", _shown(", ".join(found)))
        raise InputError(source, [problem], fix)


def _check(source: str, name: str, values: Floats) -> None:
    bad = ~(np.abs(values) <= LARGEST)

    def describe(row: int) -> Problem:
        return Problem(f"`{name}`, index {row}", f"a number from {-LARGEST:g} to {LARGEST:g}", f"{values[row]:g}")

    raise_faults(source, faults_at(bad, describe, _FIX_VALUES))


def _numbers(source: str, name: str, column: int, by_id: Mapping[str, Sequence[str]], order: Sequence[str]) -> Floats:
    """A column of the rows in `order` as float64. Raises InputError if a cell is not a number."""
    cells = [by_id[key][column] for key in order]
    values = [_number(cell) for cell in cells]

    def describe(row: int) -> Problem:
        return Problem(f"`{name}`, category_id {order[row]}", "a number", _shown(cells[row]))

    raise_faults(source, faults_at(np.array([value is None for value in values], np.bool_), describe, _FIX_VALUES))
    return np.array(values, np.float64)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _shown(text: str) -> str:
    """`text` so that it can be printed anywhere."""
    return ascii(text)[1:-1] or "nothing"
