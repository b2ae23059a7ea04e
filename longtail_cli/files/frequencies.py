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
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.escapes import csv_cell, csv_text
from longtail_cli.files.faults import fault, input_error
from longtail_cli.files.frequency_columns import RawTable, table_of
from longtail_cli.files.output import open_output, write_text
from longtail_cli.files.reading import check_parquet, reading
from longtail_cli.files.shipped import shipped_name, shipped_table, unknown_table
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Floats, FrequencyTable

FORMAT = "ltcal-frequency/1"
SUFFIXES = (".csv", ".json", ".parquet")

_COUNT_SUFFIXES = (".npy", ".npz", ".txt", ".pt", ".pth")

_FIX_FILE = "make the table with `ltcal compute-freq`; of counts per class with `ltcal compute-freq` and `counts=`"

Cell = str | int | float | None


def read_frequencies(path: Path) -> FrequencyTable:
    """A frequency table, written by `write_frequencies` or by hand, rows in any order; or a shipped one by its name.

    path: the path of a table, or a name of `longtail_cli.files.shipped` if there is no such file.
    Required are `category_id`, `image_count` and `instance_count`. Without `name` the names are empty, without `group`
    the groups are LVIS's by image count (10, 100), without `image_rate` in a CSV the number of images is None.
    Raises InputError if the file is not of the kind its suffix says, a column is missing, ids repeat, counts are not
    whole numbers >= 0, an instance count is below its image count, the image rates contradict each other, or fractal
    dimensions are not finite numbers >= 1.
    """
    name = shipped_name(path)
    if name is not None:
        return shipped_table(name)
    if not path.exists() and path.parent == Path() and path.suffix not in (*SUFFIXES, *_COUNT_SUFFIXES):
        raise unknown_table(path)
    check_readable(path)
    readers = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}
    if path.suffix not in readers:
        problem = Problem("name", f"a file that ends in {', '.join(SUFFIXES)}", path.name)
        raise InputError(str(path), [problem], _FIX_FILE)
    return table_of(readers[path.suffix](path), str(path))


def frequencies_sha256(path: Path) -> str:
    """Hex digest of the file of a table; of a shipped one that of its CSV form."""
    name = shipped_name(path)
    content = path.read_bytes() if name is None else frequencies_csv(shipped_table(name), {}).encode()
    return sha256(content).hexdigest()


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
