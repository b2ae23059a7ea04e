"""Compare the formats that detections are read from: the same detections as JSON, Parquet, Arrow, JSON Lines and CSV.

    python benchmarks/tables.py predictions.json

Every table is written with pyarrow to a temporary folder. Each run is a process of its own; imports are not timed. The
formats take turns, so that other work on the machine falls on all of them.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.feather
import pyarrow.parquet

from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

BOXES = frozenset({"bbox"})
MODULES = ("longtail_cli.files.results.json_entries", "longtail_cli.files.frameworks.table_files")


def coco(results: Results) -> pa.Table:
    """The columns of COCO results, each box a list."""
    assert results.bbox is not None
    boxes = pa.FixedSizeListArray.from_arrays(pa.array(results.bbox.reshape(-1)), 4).cast(pa.list_(pa.float64()))
    ids = {"image_id": results.image_id, "category_id": results.category_id}
    return pa.table({**ids, "bbox": boxes, "score": results.score})


def numbers(results: Results) -> pa.Table:
    """Ids, and four columns of a box, float64."""
    assert results.bbox is not None
    ids = {"image_id": results.image_id, "category_id": results.category_id, "score": results.score}
    return pa.table({**ids, **{side: results.bbox[:, at] for at, side in enumerate("xywh")}})


def names(results: Results) -> pa.Table:
    """Names in dictionaries, and corners, float32, as a data frame has them that holds what a model returned."""
    assert results.bbox is not None
    keys = {"file_name": (results.image_id, "val2017/{:012d}.jpg"), "class_name": (results.category_id, "class {}")}
    columns: dict[str, Any] = {}
    for name, (ids, pattern) in keys.items():
        known, index = np.unique(ids, return_inverse=True)
        texts = pa.array([pattern.format(one) for one in known.tolist()])
        columns[name] = pa.DictionaryArray.from_arrays(pa.array(index.astype(np.int32)), texts)
    corners = results.bbox.copy()
    corners[:, 2:] += corners[:, :2]
    columns["confidence"] = results.score.astype(np.float32)
    columns |= {side: corners[:, at].astype(np.float32) for at, side in enumerate(("xmin", "ymin", "xmax", "ymax"))}
    return pa.table(columns)


def plain(table: pa.Table) -> pa.Table:
    """The table without dictionaries."""
    kinds = [(one.name, one.type.value_type if pa.types.is_dictionary(one.type) else one.type) for one in table.schema]
    return table.cast(pa.schema(kinds))


def write_lines(table: pa.Table, path: Path) -> None:
    with path.open("w") as file:
        for batch in table.to_batches(1 << 16):
            file.writelines(json.dumps(one) + "\n" for one in batch.to_pylist())


WRITERS: dict[str, tuple[Callable[[Results], pa.Table], Callable[[pa.Table, Path], Any]]] = {
    "coco.parquet": (coco, pyarrow.parquet.write_table),
    "numbers.parquet": (numbers, pyarrow.parquet.write_table),
    "names.parquet": (names, pyarrow.parquet.write_table),
    "numbers.feather": (numbers, lambda table, path: pyarrow.feather.write_feather(table, str(path))),
    "names.feather": (names, lambda table, path: pyarrow.feather.write_feather(table, str(path))),
    "coco.jsonl": (coco, write_lines),
    "numbers.csv": (numbers, pyarrow.csv.write_csv),
    "names.csv": (names, lambda table, path: pyarrow.csv.write_csv(plain(table), path)),
}


def timed(path: Path) -> None:
    """Read `path` and print seconds, CPU seconds and the number of detections."""
    for module in MODULES:
        __import__(module)
    begin, busy = time.perf_counter(), time.process_time()
    with open_results(path) as file:
        rows = len(file.read(BOXES))
    seconds = [time.perf_counter() - begin, time.process_time() - busy]
    print(json.dumps([*seconds, rows]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--formats", nargs="+", default=list(WRITERS), choices=list(WRITERS))
    parser.add_argument("--only", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        timed(options.file)
        return
    with tempfile.TemporaryDirectory() as folder:
        paths = [options.file, *(Path(folder, name) for name in options.formats)]
        with open_results(options.file) as file:
            results = file.read(BOXES)
        for path in paths[1:]:
            make, write = WRITERS[path.name]
            write(make(results), path)
        del results
        runs: dict[Path, list[list[float]]] = {path: [] for path in paths}
        for path in paths * options.runs:
            command = [sys.executable, __file__, str(path), "--only"]
            runs[path].append(json.loads(subprocess.check_output(command)))
        print(f"median (range) of {options.runs}")
        for path, found in runs.items():
            seconds, busy, rows = (list(column) for column in zip(*found, strict=True))
            print(
                f"{path.name:18} {path.stat().st_size / 1e6:6.0f} MB {statistics.median(seconds):6.2f} s "
                f"({min(seconds):.2f} to {max(seconds):.2f}), CPU {statistics.median(busy):5.2f} s "
                f"({min(busy):.2f} to {max(busy):.2f}), {rows[0]:.0f} rows"
            )


if __name__ == "__main__":
    main()
