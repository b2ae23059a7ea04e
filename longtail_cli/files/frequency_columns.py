"""The content of a frequency table, checked: counts that a data set can have, one row per class."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.tables import Bools, Floats, FrequencyTable, Longs

REQUIRED = ("category_id", "image_count", "instance_count")
GROUPS = (("r", "c", "f"), ("few", "medium", "many"))

_INTEGER = re.compile(r"[+-]?[0-9]{1,19}(\.0*)?")
_AGREEMENT = 1e-6
"""Relative; rates with fewer digits could give a wrong number of images."""

_FIX_COLUMNS = "make the table with `ltcal compute-freq`, or add the columns"
_FIX_CELLS = "correct these rows"
_FIX_RATES = "make the table again with `ltcal compute-freq`, or remove the column `image_rate`"
_FIX_DIMENSIONS = "count again with `fractal_dimension=True`, or remove the column `fractal_dimension`"


@dataclass(frozen=True, slots=True)
class RawTable:
    """The content of a table before it is checked."""

    columns: Mapping[str, Sequence[object]]
    """Cells by name of the column, all of one length: text (CSV) or values (others; None for missing ones)."""
    num_images: object
    """As the file states it, or None."""


def table_of(raw: RawTable, source: str) -> FrequencyTable:
    """`raw`, checked, in order of category id. Raises InputError about `source`, as `read_frequencies` does."""
    missing = [name for name in REQUIRED if name not in raw.columns]
    if missing or not raw.columns["category_id"]:
        raise input_error(source, [_not_a_table(raw, missing)])
    (ids, id_faults), (images, image_faults), (instances, instance_faults) = (
        _integers(name, raw.columns, lowest) for name, lowest in zip(REQUIRED, (-(2**63), 0, 0), strict=True)
    )
    raise_faults(source, [*id_faults, *image_faults, *instance_faults])
    num_images, rate_faults = _num_images(raw, images)
    group, group_faults = _groups(raw, images)
    dimension, dimension_faults = _dimensions(raw)
    conflicts = _conflicts(ids, images, instances, num_images)
    raise_faults(source, [*conflicts, *rate_faults, *group_faults, *dimension_faults])
    order = np.argsort(ids, kind="stable")
    names = raw.columns.get("name", ("",) * len(ids))
    return FrequencyTable(
        category_id=ids[order],
        name=tuple(str(names[row] or "") for row in order.tolist()),
        image_count=images[order],
        instance_count=instances[order],
        group=tuple(group[row] for row in order.tolist()),
        num_images=num_images,
        fractal_dimension=None if dimension is None else dimension[order],
    )


def _not_a_table(raw: RawTable, missing: Sequence[str]) -> Fault:
    if not missing:
        return fault("content", "at least one class", "no rows", _FIX_COLUMNS)
    expected = "the columns " + ", ".join(f"`{name}`" for name in missing)
    found = ", ".join(f"`{name}`" for name in list(raw.columns)[:20]) or "no columns"
    return fault("columns", expected, found, _FIX_COLUMNS)


def _integers(name: str, columns: Mapping[str, Sequence[object]], lowest: int) -> tuple[Longs, list[Fault]]:
    """A column of whole numbers from `lowest` to 2^63 - 1, int64 [C]; 0 and a fault for every other cell."""
    cells = columns[name]
    values = [_integer(cell) for cell in cells]
    bad = np.array([value is None or not lowest <= value < 2**63 for value in values], np.bool_)
    expected = "a whole number" if lowest < 0 else f"a whole number of {lowest} or more"

    def describe(row: int) -> Problem:
        return Problem(f"{_row(row, columns)}, `{name}`", expected, _shown(cells[row]))

    whole = [0 if wrong or value is None else value for value, wrong in zip(values, bad.tolist(), strict=True)]
    return np.array(whole, np.int64), faults_at(bad, describe, _FIX_CELLS)


def _integer(cell: object) -> int | None:
    if isinstance(cell, str):
        match = _INTEGER.fullmatch(cell.strip())
        return int(match[0].partition(".")[0]) if match else None
    if isinstance(cell, float):  # pandas turns integers into floats if a column lacks values
        return int(cell) if cell.is_integer() else None
    return cell if isinstance(cell, int) and not isinstance(cell, bool) else None


def _conflicts(ids: Longs, images: Longs, instances: Longs, num_images: int | None) -> list[Fault]:
    """Repeated ids, and counts that no data set can have."""
    _, first, inverse = np.unique(ids, return_index=True, return_inverse=True)
    repeats = first[inverse]

    def describe_id(row: int) -> Problem:
        return Problem(f"row {row + 1}", "a `category_id` of only one row", f"{ids[row]}, as in row {repeats[row] + 1}")

    def describe_instances(row: int) -> Problem:
        where = f"row {row + 1} (category_id {ids[row]}), `instance_count`"
        return Problem(where, f"at least its image_count, {images[row]}", str(instances[row]))

    def describe_images(row: int) -> Problem:
        where = f"row {row + 1} (category_id {ids[row]}), `image_count`"
        return Problem(where, f"at most the number of images, {num_images}", str(images[row]))

    too_many = np.zeros(len(ids), np.bool_) if num_images is None else images > num_images
    return [
        *faults_at(repeats != np.arange(len(ids)), describe_id, _FIX_CELLS),
        *faults_at(instances < images, describe_instances, _FIX_CELLS),
        *faults_at(too_many, describe_images, _FIX_CELLS),
    ]


def _groups(raw: RawTable, images: Longs) -> tuple[tuple[str, ...], list[Fault]]:
    """The column `group`, all from one of `GROUPS`; without it LVIS's groups by image count (<= 10, <= 100)."""
    if "group" not in raw.columns:
        return tuple("rcf"[group] for group in np.searchsorted([10, 100], images).tolist()), []
    cells = raw.columns["group"]
    names = next((names for names in GROUPS if cells[0] in names), GROUPS[0])

    def describe(row: int) -> Problem:
        return Problem(f"{_row(row, raw.columns)}, `group`", f"one of {', '.join(names)}", _shown(cells[row]))

    strange = np.array([cell not in names for cell in cells])
    return tuple(str(cell) for cell in cells), faults_at(strange, describe, _FIX_CELLS)


def _num_images(raw: RawTable, images: Longs) -> tuple[int | None, list[Fault]]:
    """The number of images: as stated, or else by the class with most images and its rate; None if neither is known."""
    stated = _integer(raw.num_images)
    if raw.num_images is not None and (stated is None or not 1 <= stated < 2**63):
        return None, [fault("num_images", "a whole number from 1 to 2^63 - 1", _shown(raw.num_images), _FIX_CELLS)]
    cells = raw.columns.get("image_rate", ())
    if all(cell in (None, "") for cell in cells):
        return stated, []
    rate = np.array([_number(cell) for cell in cells])
    top = int(np.argmax(images))
    if stated is None and images[top] > 0 and 1e-12 < rate[top] <= 1:
        stated = round(float(images[top] / rate[top]))
    expected = images / stated if stated else np.where(images > 0, np.nan, 0.0)
    return stated, _rate_faults(raw, rate, expected)


def _rate_faults(raw: RawTable, rate: Floats, expected: Floats) -> list[Fault]:
    disagree: Bools = ~np.isclose(rate, expected, rtol=_AGREEMENT, atol=0)

    def describe(row: int) -> Problem:
        wanted = "image_count / images" if math.isnan(expected[row]) else f"{float(expected[row])!r}, by the other rows"
        return Problem(f"{_row(row, raw.columns)}, `image_rate`", wanted, _shown(raw.columns["image_rate"][row]))

    return faults_at(disagree, describe, _FIX_RATES)


def _dimensions(raw: RawTable) -> tuple[Floats | None, list[Fault]]:
    """The column `fractal_dimension`, float64 [C]; None if there is none."""
    if "fractal_dimension" not in raw.columns:
        return None, []
    cells = raw.columns["fractal_dimension"]
    dimension = np.array([_number(cell) for cell in cells])

    def describe(row: int) -> Problem:
        return Problem(f"{_row(row, raw.columns)}, `fractal_dimension`", "a number of 1 or more", _shown(cells[row]))

    return dimension, faults_at(~(np.isfinite(dimension) & (dimension >= 1)), describe, _FIX_DIMENSIONS)


def _number(cell: object) -> float:
    """A cell as a number, NaN if it is not one."""
    try:
        return float(cell) if isinstance(cell, str | int | float) else math.nan
    except (ValueError, OverflowError):
        return math.nan


def _row(row: int, columns: Mapping[str, Sequence[object]]) -> str:
    return f"row {row + 1} (category_id {_shown(columns['category_id'][row])})"


def _shown(cell: object) -> str:
    return "nothing" if cell in (None, "") else str(cell)[:40]
