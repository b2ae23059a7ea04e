"""The figures of each resample, beside the JSON of a report: ``report.json`` has ``report.ltcal.parquet``.

A later report of the same images sees the same resamples, as these follow from a seed and the number of images alone.
So differences to the baseline are paired draw by draw, without its detections.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.output import replacing
from longtail_cli.tables import Floats

FORMAT = "ltcal-resamples/1"
KEY = b"ltcal"
RUN, RESAMPLE = "run", "resample"


@dataclass(frozen=True, slots=True)
class Resamples:
    """B resamples of the runs of a report.

    seed: that they were drawn by. sha256: hex digest of the draws. runs: by name of the run, by name of the figure,
    float64 [B], NaN where the figure is undefined.
    """

    seed: int
    sha256: str
    runs: Mapping[str, Mapping[str, Floats]]

    @property
    def number(self) -> int:
        """B."""
        return max((len(values) for run in self.runs.values() for values in run.values()), default=0)


def resamples_path(report: Path) -> Path:
    """Where the resamples of the report at `report` lie."""
    return report.with_suffix(".ltcal.parquet")


def write_resamples(path: Path, resamples: Resamples) -> None:
    """Write a row for each run and resample and a column for each figure; whole or not at all."""
    import pyarrow as pa  # here, as reports without a bootstrap do not need it
    import pyarrow.parquet as pq

    number, names = resamples.number, list(resamples.runs)
    figures = list(next(iter(resamples.runs.values())))
    columns: dict[str, pa.Array] = {
        RUN: pa.array(np.repeat(names, number).tolist(), pa.string()).dictionary_encode(),
        RESAMPLE: pa.array(np.tile(np.arange(number, dtype=np.int32), len(names))),
    }
    for figure in figures:
        columns[figure] = pa.array(np.concatenate([run[figure] for run in resamples.runs.values()]))
    about = {"format": FORMAT, "seed": resamples.seed, "sha256": resamples.sha256}
    table = pa.table(columns).replace_schema_metadata({KEY: json.dumps(about)})
    with replacing(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", use_byte_stream_split=figures, use_dictionary=[RUN])


def read_resamples(path: Path) -> Resamples:
    """The resamples back. Raises InputError where the file is no such table."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    fix = "write the report again with `ltcal report --bootstrap --json`"
    try:
        table = pq.read_table(path)
        about = json.loads((table.schema.metadata or {})[KEY])
        if about["format"] != FORMAT:
            raise InputError(str(path), [Problem("format", FORMAT, str(about["format"]))], fix)
        runs = table[RUN].to_pylist()
        values = {name: table[name].to_numpy() for name in table.column_names if name not in (RUN, RESAMPLE)}
        seed, sha256 = int(about["seed"]), str(about["sha256"])
    except (OSError, pa.ArrowException, KeyError, TypeError, ValueError) as error:
        problem = Problem("content", f"resampled figures ({FORMAT})", str(error))
        raise InputError(str(path), [problem], fix) from error
    row = np.array(runs)
    return Resamples(
        seed,
        sha256,
        {run: {name: one[row == run] for name, one in values.items()} for run in dict.fromkeys(runs)},
    )
