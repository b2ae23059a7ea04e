"""Frequency tables on file: CSV, JSON and Parquet, one row a class, in order of category id.

Columns: `category_id, name, image_count, instance_count, group, image_rate`, `fractal_dimension`
where it was computed, and any number of others, such as weights.
JSON and Parquet state the number of images; CSV has it in `image_rate` = `image_count` / images, written in full.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.faults import fault, input_error
from longtail_cli.files.frequency_columns import RawTable, table_of
from longtail_cli.files.output import replacing, write_text
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Floats, FrequencyTable

FORMAT = "ltcal-frequency/1"
SUFFIXES = (".csv", ".json", ".parquet")

_FIX_FILE = "make the table with `ltcal compute-freq`"

Cell = str | int | float | None


def read_frequencies(path: Path) -> FrequencyTable:
    """A frequency table, written by `write_frequencies` or by hand; rows in any order.

    Needed are `category_id`, `image_count` and `instance_count`. Without `name` the names are empty, without `group`
    they are LVIS's by image count (10, 100), without `image_rate` in a CSV the number of images is None, without
    `fractal_dimension` there is none.
    Raises InputError where the file is not of its suffix, a column is missing, ids stand twice, counts are no whole
    numbers >= 0, an object count is below its image count, the image rates do not belong to one number of images, or
    fractal dimensions are no finite numbers >= 1.
    """
    check_readable(path)
    readers = {".csv": _read_csv, ".json": _read_json, ".parquet": _read_parquet}
    if path.suffix not in readers:
        problem = Problem("name", f"a file that ends in {', '.join(SUFFIXES)}", path.name)
        raise InputError(str(path), [problem], _FIX_FILE)
    return table_of(readers[path.suffix](path), str(path))


def format_of(path: Path) -> str:
    """The suffix of `path`, one of `SUFFIXES`. Raises UsageError where it is another."""
    if path.suffix not in SUFFIXES:
        problem = Problem("name of the output", f"one that ends in {', '.join(SUFFIXES)}", path.name)
        raise UsageError(str(path), [problem], "choose the format by the suffix, for example -o freq.csv")
    return path.suffix


def write_frequencies(table: FrequencyTable, path: Path, columns: Mapping[str, Floats]) -> None:
    """Write `table` and more `columns` (float64 [C] each, finite) in the format of the suffix of `path`.

    Raises UsageError as `format_of` does, OutputError where the file cannot be written.
    """
    suffix = format_of(path)
    if suffix == ".csv":
        write_text(path, frequencies_csv(table, columns))
    elif suffix == ".json":
        write_text(path, _frequencies_json(table, columns))
    else:
        _write_parquet(table, path, columns)


def frequencies_csv(table: FrequencyTable, columns: Mapping[str, Floats]) -> str:
    """The table as CSV, floats in as many digits as they need to be read back the same; empty where undefined."""
    cells = _cells(table, columns)
    return "".join(map(_record, [list(cells), *zip(*cells.values(), strict=True)]))


def _record(cells: Sequence[Cell]) -> str:
    """One line. It is written with CRLF, as only then all Pythons quote a lone CR inside a cell."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)
    return text.getvalue().removesuffix("\r\n") + "\n"


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
    cells = cells.set_column(rate, "image_rate", cells["image_rate"].cast(pyarrow.float64()))  # where all are null
    with replacing(path) as temporary:
        pyarrow.parquet.write_table(cells.replace_schema_metadata(metadata), temporary)


def _cells(table: FrequencyTable, columns: Mapping[str, Floats]) -> dict[str, list[Cell]]:
    rate: list[Cell] = [None] * len(table) if table.num_images is None else table.image_rate.tolist()
    dimension = table.fractal_dimension
    return {
        "category_id": table.category_id.tolist(),
        "name": list(table.name),
        "image_count": table.image_count.tolist(),
        "instance_count": table.instance_count.tolist(),
        "group": list(table.group),
        "image_rate": rate,
        **({} if dimension is None else {"fractal_dimension": dimension.tolist()}),
        **{name: column.tolist() for name, column in columns.items()},
    }


def _read_csv(path: Path) -> RawTable:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (csv.Error, UnicodeDecodeError) as error:
        raise input_error(str(path), [fault("content", "CSV in UTF-8", str(error), _FIX_FILE)]) from error
    header = [name.strip() for name in rows[0]] if rows else []
    uneven = [(number, len(row)) for number, row in enumerate(rows[1:], 1) if len(row) != len(header)]
    if uneven:
        problems = [Problem(f"row {number}", f"{len(header)} cells", str(cells)) for number, cells in uneven]
        raise InputError(str(path), problems, "put names that hold commas in quotes")
    return RawTable(
        dict(zip(header, zip(*rows[1:], strict=True) if rows[1:] else [()] * len(header), strict=True)), None
    )


def _read_json(path: Path) -> RawTable:
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise input_error(str(path), [fault("content", "JSON", str(error), _FIX_FILE)]) from error
    classes = document.get("classes") if isinstance(document, dict) else None
    if not isinstance(classes, list) or not all(isinstance(entry, dict) for entry in classes):
        expected = f'an object of "format": "{FORMAT}" with a list "classes" of objects'
        raise input_error(str(path), [fault("content", expected, type(document).__name__, _FIX_FILE)])
    names = dict.fromkeys(name for entry in classes for name in entry)
    return RawTable({name: tuple(entry.get(name) for entry in classes) for name in names}, document.get("num_images"))


def _read_parquet(path: Path) -> RawTable:
    import pyarrow
    import pyarrow.parquet

    try:
        cells = pyarrow.parquet.read_table(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise input_error(str(path), [fault("content", "a Parquet file", str(error), _FIX_FILE)]) from error
    stated = (cells.schema.metadata or {}).get(b"num_images")
    return RawTable(
        {name: tuple(cells[name].to_pylist()) for name in cells.column_names},
        stated and stated.decode(errors="replace"),
    )
