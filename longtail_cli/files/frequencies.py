"""Frequency tables: CSV, JSON, Parquet and data frames, one row per class, in order of category id.

Columns: `category_id, name, image_count, instance_count, group, image_rate`, `fractal_dimension` if it was computed,
and any number of others, such as weights.
JSON and Parquet state the number of images; in CSV it follows from `image_rate` = `image_count` / images, which is
written in full.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.escapes import csv_cell, csv_text
from longtail_cli.files.faults import Fault, fault, faults_at, input_error, raise_faults
from longtail_cli.files.output import open_output, write_text
from longtail_cli.files.reading import check_parquet, reading
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Bools, Floats, FrequencyTable, Longs

FORMAT = "ltcal-frequency/1"
SUFFIXES = (".csv", ".json", ".parquet")

_FIX_FILE = "make the table with `ltcal compute-freq`"

Cell = str | int | float | None


def read_frequencies(path: Path) -> FrequencyTable:
    """A frequency table, written by `write_frequencies` or by hand; rows in any order.

    Required are `category_id`, `image_count` and `instance_count`. Without `name` the names are empty, without `group`
    the groups are LVIS's by image count (10, 100), without `image_rate` in a CSV the number of images is None.
    Raises InputError if the file is not of the kind its suffix says, a column is missing, ids repeat, counts are not
    whole numbers >= 0, an instance count is below its image count, the image rates contradict each other, or fractal
    dimensions are not finite numbers >= 1.
    """
    check_readable(path)
    readers = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}
    if path.suffix not in readers:
        problem = Problem("name", f"a file that ends in {', '.join(SUFFIXES)}", path.name)
        raise InputError(str(path), [problem], _FIX_FILE)
    return table_of(readers[path.suffix](path), str(path))


def frequency_table_of(columns: Any, source: str = "frequencies") -> FrequencyTable:
    """A frequency table of a pandas DataFrame, or of sequences by name of the column.

    The columns are those of `read_frequencies`; NaN counts as missing. source: names the table in errors.
    Raises InputError as `read_frequencies` does, and for columns of different lengths.
    """
    frame = hasattr(columns, "columns") and hasattr(columns, "to_dict")
    given: Mapping[str, Sequence[Any]] = columns.to_dict("list") if frame else columns
    cells = {str(name): tuple(_plain(cell) for cell in column) for name, column in given.items()}
    rows = max(map(len, cells.values()), default=0)
    uneven = [(name, len(column)) for name, column in cells.items() if len(column) != rows]
    if uneven:
        problems = [Problem(f"column `{name}`", f"{rows} cells, as in the longest", str(size)) for name, size in uneven]
        raise InputError(source, problems, "pass columns of one length")
    return table_of(RawTable(cells, None), source)


def _plain(cell: Any) -> object:
    """A cell as a Python object; None for the missing values of pandas, text for arrays, which no column may hold."""
    if hasattr(cell, "ndim"):
        cell = str(cell) if cell.ndim else cell.item()
    missing = (isinstance(cell, float) and math.isnan(cell)) or type(cell).__name__ == "NAType"
    return None if missing else cell


def format_of(path: Path) -> str:
    """The suffix of `path`. Raises UsageError unless it is one of `SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        problem = Problem("name of the output", f"one that ends in {', '.join(SUFFIXES)}", path.name)
        raise UsageError(str(path), [problem], "choose the format by the suffix, for example freq.csv")
    return path.suffix


def write_frequencies(table: FrequencyTable, path: Path, columns: Mapping[str, Floats]) -> None:
    """Write `table` and more `columns` (float64 [C] each, finite) to the new file `path`, in the format of its suffix.

    Raises UsageError as `format_of` does, OutputError if the file cannot be written.
    """
    suffix = format_of(path)
    if suffix == ".csv":
        write_text(path, frequencies_csv(table, columns))
    elif suffix == ".json":
        write_text(path, _frequencies_json(table, columns))
    else:
        _write_parquet(table, path, columns)


def frequencies_csv(table: FrequencyTable, columns: Mapping[str, Floats]) -> str:
    """The table as CSV, floats with as many digits as they need to be read back exactly; undefined values are empty.

    Names are escaped by `csv_cell`, as the text may also go to a terminal.
    """
    cells = _cells(table, columns)
    return "".join(map(_record, [list(cells), *zip(*cells.values(), strict=True)]))


def _record(cells: Sequence[Cell]) -> str:
    text = io.StringIO()
    escaped = [csv_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    csv.writer(text, lineterminator="\n").writerow(escaped)
    return text.getvalue()


def _frequencies_json(table: FrequencyTable, columns: Mapping[str, Floats]) -> str:
    cells = _cells(table, columns)
    classes = [dict(zip(cells, row, strict=True)) for row in zip(*cells.values(), strict=True)]
    document = {"format": FORMAT, "num_images": table.num_images, "classes": classes}
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _write_parquet(table: FrequencyTable, path: Path, columns: Mapping[str, Floats]) -> None:
    import pyarrow
    import pyarrow.parquet

    metadata = {"format": FORMAT} | ({} if table.num_images is None else {"num_images": str(table.num_images)})
    cells = pyarrow.table(_cells(table, columns))
    rate = cells.schema.get_field_index("image_rate")
    cells = cells.set_column(rate, "image_rate", cells["image_rate"].cast(pyarrow.float64()))  # in case all are null
    with open_output(path) as file:
        pyarrow.parquet.write_table(cells.replace_schema_metadata(metadata), file)


def _cells(table: FrequencyTable, columns: Mapping[str, Floats]) -> dict[str, list[Cell]]:
    cells = table.columns
    if table.num_images is None:
        cells["image_rate"] = [None] * len(table)
    return {**cells, **{name: column.tolist() for name, column in columns.items()}}


def _read_csv(path: Path) -> RawTable:
    with reading(str(path), "CSV in UTF-8", _FIX_FILE), path.open(encoding="utf-8-sig", newline="") as file:
        rows = [row for row in csv.reader(file) if row]
    header = [name.strip() for name in rows[0]] if rows else []
    uneven = [(number, len(row)) for number, row in enumerate(rows[1:], 1) if len(row) != len(header)]
    if uneven:
        problems = [Problem(f"row {number}", f"{len(header)} cells", str(cells)) for number, cells in uneven]
        raise InputError(str(path), problems, "put names that hold commas in quotes")
    columns = dict(zip(header, zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header), strict=True))
    return RawTable(columns | {"name": tuple(map(csv_text, columns["name"]))} if "name" in columns else columns, None)


def _read_json(path: Path) -> RawTable:
    with reading(str(path), "JSON", _FIX_FILE):
        document = json.loads(path.read_bytes())
    classes = document.get("classes") if isinstance(document, dict) else None
    if not isinstance(classes, list) or not all(isinstance(entry, dict) for entry in classes):
        expected = f'an object of "format": "{FORMAT}" with a list "classes" of objects'
        raise input_error(str(path), [fault("content", expected, type(document).__name__, _FIX_FILE)])
    names = dict.fromkeys(name for entry in classes for name in entry)
    return RawTable({name: tuple(entry.get(name) for entry in classes) for name in names}, document.get("num_images"))


def _read_parquet(path: Path) -> RawTable:
    import pyarrow
    import pyarrow.parquet

    with reading(str(path), "a Parquet file", _FIX_FILE, pyarrow.ArrowException):
        check_parquet(pyarrow.parquet.read_metadata(path), str(path), path.stat().st_size)
        table = pyarrow.parquet.read_table(path)
        cells = {name: tuple(table[name].to_pylist()) for name in table.column_names}
    stated = (table.schema.metadata or {}).get(b"num_images")
    return RawTable(cells, stated and stated.decode(errors="replace"))


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
