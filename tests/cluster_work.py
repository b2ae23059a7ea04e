"""Work on parts for the tests of clusters, whose workers import it. A part is a number, the seed of its rows."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from longtail_cli.errors import InputError, Problem
from longtail_cli.execution.base import BUCKET, NamedPart, Produced

BUCKETS = 16


def parts_of(number: int) -> list[NamedPart[int]]:
    return [NamedPart(f"shard {seed}", 1 + seed % 3, seed) for seed in range(number)]


@dataclass(frozen=True)
class MakeRows:
    """Rows of random buckets and values; none for a part without rows."""

    rows: int = 1000

    def __call__(self, part: int) -> Produced[int]:
        if part < 0:
            return Produced(part, None)
        random = np.random.default_rng(part)
        columns = {
            BUCKET: random.integers(0, BUCKETS, self.rows).astype(np.int32),
            "score": random.random(self.rows),
            "flags": random.integers(0, 1 << 60, self.rows).astype(np.uint64),
            "kind": random.integers(-1, 5, self.rows).astype(np.int8),
        }
        return Produced(part, pa.table(columns))


@dataclass(frozen=True)
class KilledAt:
    """Kills its worker at a part: once if there is a marker to remember it, else always."""

    at: int
    marker: Path | None = None

    def __call__(self, part: int) -> Produced[int]:
        if part == self.at and not (self.marker and self.marker.exists()):
            if self.marker:
                self.marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return MakeRows()(part)


@dataclass(frozen=True)
class Slow:
    """Leaves a file for each part that has begun, and takes its time."""

    folder: Path
    seconds: float

    def __call__(self, part: int) -> Produced[int]:
        (self.folder / str(part)).touch()
        time.sleep(self.seconds)
        return MakeRows()(part)


@dataclass(frozen=True)
class Refused:
    """Refuses one part, and leaves a file for each other one that has begun."""

    at: int
    folder: Path

    def __call__(self, part: int) -> Produced[int]:
        if part == self.at:
            raise InputError(f"shard-{part}.parquet", [Problem("file", "a Parquet file", "text")], "write it again")
        (self.folder / str(part)).touch()
        return MakeRows()(part)


def threads(part: int) -> Produced[int]:
    from longtail_cli.parallel import THREADS

    return Produced(THREADS, None)


def gpus(part: int) -> Produced[int]:
    """How many GPUs Ray gave to the worker, which need not exist."""
    import ray

    return Produced(len(ray.get_runtime_context().get_accelerator_ids()["GPU"]), None)


def sorted_rows(bucket: int, rows: pa.Table) -> tuple[int, dict[str, list[float]]]:
    """A bucket and its rows, in an order that does not depend on that of their arrival."""
    return bucket, rows.sort_by([(name, "ascending") for name in rows.column_names]).to_pydict()


def refuse_bucket(bucket: int, rows: pa.Table) -> int:
    if bucket == 3:
        raise InputError("category 3", [Problem("rows", "none", str(len(rows)))], "leave it out")
    return bucket


def summed(rows: pa.Table) -> tuple[int, list[str]]:
    return int(rows.column("kind").to_numpy().astype(np.int64).sum()), rows.column_names
