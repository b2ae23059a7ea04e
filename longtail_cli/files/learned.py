"""Parameters of a correction that were learned elsewhere: one or two numbers for each class."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_among, faults_at, raise_faults
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Floats, LogitColumns

NAMES = ("alpha", "beta")
BACKGROUND = "background"
LARGEST = 1e6
"""A parameter beyond this is taken for a mistake; logits times it would leave the range of float32."""

_FIX_NPZ = "save `alpha` and, if there is one, `beta` with numpy.savez, a number for each column"
_FIX_CSV = "write a header category_id,alpha,beta and a row for each class, and background for the background's column"
_FIX_VALUES = "save what training ended with"


def read_learned(path: Path, columns: LogitColumns) -> dict[str, Floats]:
    """By name ``alpha`` and, if the file has it, ``beta``: float64 [C], or [K] with the background's, in column order.

    path: ``.npz`` with arrays of these names, [C] or [K], in the order of `columns`; or ``.csv`` with the columns
    `category_id`, `alpha` and perhaps `beta`, rows in any order, `background` in place of an id for the background.
    Raises InputError where there is anything else, a class is missing or unknown, or a value is no finite number of
    magnitude up to `LARGEST`.
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
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, KeyError) as error:
        raise InputError(
            source, [Problem("content", "an .npz archive of arrays", str(error)[:120])], _FIX_NPZ
        ) from error
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
    """The columns of a CSV file, brought into the order of `columns`."""
    source = str(path)
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = [{key: value for key, value in row.items() if key} for row in csv.DictReader(lines)]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(source, [Problem("content", "a CSV file", str(error))], _FIX_CSV) from error
    header = list(rows[0]) if rows else []
    if "category_id" not in header:
        raise InputError(source, [Problem("header", "`category_id`, `alpha`", ", ".join(header) or "none")], _FIX_CSV)
    names = [name for name in header if name != "category_id"]
    _check_names(source, names, _FIX_CSV)
    by_id = {row["category_id"].strip(): row for row in rows}
    order = _order(columns, by_id.keys())
    raise_faults(source, _id_faults([row["category_id"].strip() for row in rows], order))
    return {name: np.array([_number(by_id[key].get(name)) for key in order]) for name in names}


def _order(columns: LogitColumns, given: Iterable[str]) -> list[str]:
    """The ids as text in column order, the background's among them where the file has a row for it."""
    ids = [str(category) for category in columns.category_id.tolist()]
    if BACKGROUND not in given or columns.background == "none":
        return ids
    return [BACKGROUND, *ids] if columns.background == "first" else [*ids, BACKGROUND]


def _id_faults(given: list[str], expected: list[str]) -> list[Fault]:
    missing, unknown = [key for key in expected if key not in given], [key for key in given if key not in expected]
    twice = sorted({key for key in given if given.count(key) > 1}) if len(set(given)) < len(given) else []
    problems = [
        *(Problem(f"category_id {key}", "a row", "none") for key in missing),
        *(Problem(f"category_id {ascii(key)[1:-1]}", "a class of the logits", "no such class") for key in unknown),
        *(Problem(f"category_id {ascii(key)[1:-1]}", "one row", "several") for key in twice),
    ]
    return faults_among(problems, _FIX_CSV)


def _check_names(source: str, names: Iterable[str], fix: str) -> None:
    """Raise InputError unless there is `alpha`, perhaps `beta`, and nothing else."""
    found = sorted(names)
    if found not in (["alpha"], ["alpha", "beta"]):
        shown = ascii(", ".join(found))[1:-1] or "none"
        raise InputError(source, [Problem("parameters", "`alpha`, and perhaps `beta`", shown)], fix)


def _check(source: str, name: str, values: Floats) -> None:
    bad = ~(np.abs(values) <= LARGEST)

    def describe(row: int) -> Problem:
        return Problem(f"`{name}`, place {row}", f"a number from {-LARGEST:g} to {LARGEST:g}", f"{values[row]:g}")

    raise_faults(source, faults_at(bad, describe, _FIX_VALUES))


def _number(cell: Any) -> float:
    """A cell as a number, NaN where it is none."""
    try:
        return float(cell)
    except (TypeError, ValueError):
        return float("nan")
