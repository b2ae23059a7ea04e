"""Earlier reports and tunings: their text, and the resamples beside reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.output import open_output
from longtail_cli.files.reading import check_parquet, reading
from longtail_cli.files.source import check_readable
from longtail_cli.metrics import Resamples


def read_baseline(path: Path) -> str:
    """The text of a report, for `longtail_cli.reports.json.from_json`.

    Raises InputError unless `path` is a readable, non-empty file in UTF-8.
    """
    return _text(path, "report", "pass a file that `ltcal report` wrote with `json=`")


def read_tuned(path: Path) -> str:
    """The text of a tuning, for `longtail_cli.reports.tuning.json.from_json`.

    Raises InputError unless `path` is a readable, non-empty file in UTF-8.
    """
    return _text(path, "tuning", "pass a JSON file that `ltcal tune` wrote")


def _text(path: Path, noun: str, fix: str) -> str:
    check_readable(path)
    with reading(str(path), f"a {noun} in JSON, which is UTF-8", fix):
        return path.read_text(encoding="utf-8-sig")  # shells of Windows write a byte order mark


FORMAT = "ltcal-resamples/1"
KEY = b"ltcal"
RUN, RESAMPLE = "run", "resample"


def resamples_path(report: Path) -> Path:
    """The file beside the `report` that holds its resamples."""
    return report.with_suffix(".ltcal.parquet")


def write_resamples(path: Path, resamples: Resamples) -> None:
    """Write one row per run and resample and one column per metric to the new file `path`."""
    import pyarrow as pa  # here, as reports without a bootstrap do not need it
    import pyarrow.parquet as pq

    number, names = resamples.number, list(resamples.runs)
    metrics = list(next(iter(resamples.runs.values())))
    columns: dict[str, pa.Array] = {
        RUN: pa.array(np.repeat(names, number).tolist(), pa.string()).dictionary_encode(),
        RESAMPLE: pa.array(np.tile(np.arange(number, dtype=np.int32), len(names))),
    }
    for metric in metrics:
        columns[metric] = pa.array(np.concatenate([run[metric] for run in resamples.runs.values()]))
    about = {"format": FORMAT, "seed": resamples.seed, "sha256": resamples.sha256}
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(about)})
    with open_output(path) as file:
        pq.write_table(table, file, compression="zstd", use_byte_stream_split=metrics, use_dictionary=[RUN])


def read_resamples(path: Path) -> Resamples:
    """The resamples that `write_resamples` wrote. Raises InputError if the file is not such a table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    check_readable(path)
    fix = "write the report again with `bootstrap=True` and `json=`"
    with reading(str(path), f"resampled metrics ({FORMAT})", fix, pa.ArrowException):
        check_parquet(pq.read_metadata(path), str(path), path.stat().st_size)
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[KEY])
        if about["format"] != FORMAT:
            raise InputError(str(path), [Problem("format", FORMAT, str(about["format"]))], fix)
        runs = table[RUN].cast(pa.string()).to_pylist()
        metrics = table.drop_columns([RUN, RESAMPLE])
        types = {str(type_) for type_ in metrics.schema.types}
        nulls = table[RUN].null_count + sum(column.null_count for column in metrics.columns)
        seed, sha256 = int(about["seed"]), str(about["sha256"])
    if types != {"double"} or nulls or not runs:
        found = f"{len(runs)} rows of {', '.join(sorted(types)) or 'nothing'}, with {nulls} values missing"
        raise InputError(str(path), [Problem("content", "rows of numbers, of type double", found)], fix)
    values = {name: metrics[name].to_numpy() for name in metrics.column_names}
    row = np.array(runs)
    return Resamples(
        seed,
        sha256,
        {run: {name: one[row == run] for name, one in values.items()} for run in dict.fromkeys(runs)},
    )
