"""The file of the images of a report: Parquet, or CSV for spreadsheets."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.escapes import csv_cell, escaped, xml_text
from longtail_cli.files.output import open_output
from longtail_cli.metrics import Column, Value

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = "ltcal-images/1"
KEY = b"ltcal"
SUFFIXES = (".csv", ".parquet")


def check_suffix(path: Path) -> None:
    """Raise UsageError unless `path` ends in one of `SUFFIXES`."""
    if path.suffix not in SUFFIXES:
        problem = Problem("name of the output", f"one that ends in {' or '.join(SUFFIXES)}", path.name)
        raise UsageError(str(path), [problem], "choose the format by the suffix, for example images.parquet")


def write_images(path: Path, columns: Mapping[str, Column], thresholds: Mapping[str, Mapping[str, Value]]) -> None:
    """Write the columns to the new file `path`, in the format of its suffix; NaN and None become nulls, or empty cells.

    In Parquet the metadata of the schema hold, under ``ltcal``, JSON with the `format` and the `thresholds` by run and
    IoU type. Text of CSV is in quotes and escaped by `csv_cell`; in Parquet characters that UTF-8 cannot hold are
    replaced. Raises UsageError as `check_suffix`, OutputError if the file cannot be written.
    """
    import pyarrow as pa  # here, as other reports do not need it
    import pyarrow.csv
    import pyarrow.parquet

    check_suffix(path)
    escape = csv_cell if path.suffix == ".csv" else xml_text
    table = pa.table({name: _array(values, escape) for name, values in columns.items()})
    with open_output(path) as file:
        if path.suffix == ".csv":
            pyarrow.csv.write_csv(table, file)
            return
        about = {"format": FORMAT, "thresholds": thresholds}
        pyarrow.parquet.write_table(table.replace_schema_metadata({KEY: json.dumps(about)}), file, compression="zstd")


def _array(values: Column, escape: Callable[[str], str]) -> pa.Array:
    import pyarrow as pa

    if isinstance(values, np.ndarray):
        return pa.array(values, from_pandas=True)
    return pa.array(escaped(values, escape), pa.string())
