"""Compare readers of a result file: time, memory, and what they make of files that are wrong.

    python benchmarks/readers.py predictions.json

Compares those that are installed: `pip install duckdb msgspec orjson pysimdjson`. Every reader has the same task: the
columns image_id, category_id, score and bbox as NumPy arrays. Each run is a process of its own; imports are not timed.
Only ltcal also says at which bytes each score stands, which rewriting needs.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from itertools import chain
from operator import attrgetter, itemgetter
from pathlib import Path
from typing import Any

import numpy as np

Columns = tuple[Any, Any, Any, Any]
FIELDS = ("image_id", "category_id", "score", "bbox")
ENTRY = '{"image_id":1,"category_id":2,"bbox":[1,2,3,4],"score":0.5}'
WRONG = {
    "an id in quotes": ENTRY.replace(":1,", ':"1",'),
    "an id of 1.7": ENTRY.replace(":1,", ":1.7,"),
    "an id beyond 64 bits": ENTRY.replace(":1,", ":18446744073709551617,"),
    "a score of NaN": ENTRY.replace("0.5", "NaN"),
    "a score of 1e999": ENTRY.replace("0.5", "1e999"),
    "a score of 00.5": ENTRY.replace("0.5", "00.5"),
    "a score of null": ENTRY.replace("0.5", "null"),
    "no score": ENTRY.replace(',"score":0.5', ""),
    "two scores": ENTRY.replace("}", ',"score":0.25}'),
    "a box of three numbers": ENTRY.replace(",4]", "]"),
    "a trailing comma": ENTRY + ",",
    "a list that is cut off": None,
    "text after the list": None,
    "a name that is not UTF-8": ENTRY.replace("}", ',"name":"\udcff"}'),
}


def columns(ids: Iterable[int], categories: Iterable[int], scores: Iterable[float], boxes: Iterable[Any]) -> Columns:
    found = np.fromiter(chain.from_iterable(boxes), np.float64).reshape(-1, 4)
    return (*(np.fromiter(values, np.int64) for values in (ids, categories)), np.fromiter(scores, np.float64), found)


def ltcal(path: Path) -> Columns:
    from longtail_cli.files.results.file import open_results

    with open_results(path) as file:
        results = file.read(frozenset({"bbox"}))
    return results.image_id, results.category_id, results.score, results.bbox


def duckdb(path: Path) -> Columns:
    import duckdb as library

    kinds = "{image_id: 'BIGINT', category_id: 'BIGINT', score: 'DOUBLE', bbox: 'DOUBLE[4]'}"
    sides = "bbox[1] AS x, bbox[2] AS y, bbox[3] AS w, bbox[4] AS h"
    query = f"SELECT image_id, category_id, score, {sides} FROM read_json(?, format='array', columns={kinds})"
    found = [np.ma.asarray(values) for values in library.execute(query, [str(path)]).fetchnumpy().values()]
    if any(np.ma.is_masked(values) for values in found):
        raise ValueError("a value is missing")
    return found[0], found[1], found[2], np.column_stack(found[3:])


def msgspec(path: Path) -> Columns:
    import msgspec as library

    kinds = [("image_id", int), ("category_id", int), ("score", float), ("bbox", tuple[float, float, float, float])]
    entry = library.defstruct("Entry", kinds, gc=False)
    entries = library.json.Decoder(list[entry]).decode(path.read_bytes())
    return columns(*(map(attrgetter(field), entries) for field in FIELDS))


def orjson(path: Path) -> Columns:
    import orjson as library

    entries = library.loads(path.read_bytes())
    return columns(*(map(itemgetter(field), entries) for field in FIELDS))


def simdjson(path: Path) -> Columns:
    import simdjson as library

    entries = library.Parser().parse(path.read_bytes()).as_list()
    return columns(*(map(itemgetter(field), entries) for field in FIELDS))


READERS: dict[str, Callable[[Path], Columns]] = {
    reader.__name__: reader for reader in (ltcal, duckdb, msgspec, orjson, simdjson)
}
MODULES = {"ltcal": "longtail_cli.files.results.json_entries"}


def timed(name: str, path: Path) -> None:
    """Read `path` with the named reader and print seconds, CPU seconds, peak megabytes and a sum of the columns."""
    importlib.import_module(MODULES.get(name, name))
    begin, busy = time.perf_counter(), time.process_time()
    found = READERS[name](path)
    seconds = [time.perf_counter() - begin, time.process_time() - busy]
    sums = [float(np.asarray(column).sum()) for column in found]
    print(json.dumps([*seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(found[0]), sums]))


def reaction(name: str, content: bytes) -> str:
    """What a reader does with a small file: the exception, or the values that it reads."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "predictions.json")
        path.write_bytes(content)
        try:
            found = READERS[name](path)
        except Exception as error:  # every library has its own kinds
            return f"refused ({type(error).__name__})"
    return "READ as " + " ".join(str(np.asarray(column)[-1]) for column in found[:3])


def wrong_files() -> dict[str, bytes]:
    """One entry that is right before each that is wrong."""
    files = {name: f"[{ENTRY},{text}]" for name, text in WRONG.items() if text}
    files |= {"a list that is cut off": f"[{ENTRY},{ENTRY}", "text after the list": f"[{ENTRY}] {ENTRY}"}
    return {name: files[name].encode(errors="surrogateescape") for name in WRONG}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--readers", nargs="+", default=list(READERS), choices=list(READERS))
    parser.add_argument("--only", choices=list(READERS), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.only:
        timed(options.only, options.file)
        return
    names = [name for name in options.readers if importlib.util.find_spec(MODULES.get(name, name))]
    size = options.file.stat().st_size / 1e6
    print(f"{options.file.name}, {size:.0f} MB; median (range) of {options.runs}")
    for name in names:
        command = [sys.executable, __file__, str(options.file), "--only", name]
        runs = [json.loads(subprocess.check_output(command)) for _ in range(options.runs)]
        seconds, busy, memory, rows, sums = (list(column) for column in zip(*runs, strict=True))
        print(
            f"{name:9} {statistics.median(seconds):6.2f} s ({min(seconds):.2f} to {max(seconds):.2f}), CPU "
            f"{statistics.median(busy):6.2f} s, {statistics.median(memory):6.0f} MB, {rows[0]} rows, sums {sums[0]}"
        )
    for wrong, content in wrong_files().items():
        print(f"\n{wrong}")
        for name in names:
            print(f"  {name:9} {reaction(name, content)}")


if __name__ == "__main__":
    main()
