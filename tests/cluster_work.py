"""Work on parts for the tests of clusters, whose workers import it. A part is a number, the seed of its rows."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from longtail_cli.errors import InputError, Problem
from longtail_cli.execution.base import BUCKET, NamedPart, Order, Produced

BUCKETS = 16


def parts_of(number: int) -> list[NamedPart[int]]:
    return [NamedPart(f"shard {seed}", 1 + seed % 3, seed) for seed in range(number)]


@dataclass(frozen=True)
class MakeRows:
    """Rows of random buckets, the first of which is the largest, and values; none for a part without rows."""

    rows: int = 1000

    def __call__(self, part: int) -> Produced[int]:
        if part < 0:
            return Produced(part, None)
        random = np.random.default_rng(part)
        columns = {
            BUCKET: (random.random(self.rows) ** 2 * BUCKETS).astype(np.int32),
            "score": random.integers(0, 500, self.rows) / 500,
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


@dataclass(frozen=True)
class SortRows:
    """A bucket and its rows, in an order that does not depend on that of their arrival. Scores are many times equal."""

    most_rows: int = 1 << 22

    @property
    def order(self) -> Order:
        return Order(("kind", "score"), (True, False))

    def __call__(self, bucket: int, rows: pa.Table) -> tuple[int, dict[str, list[float]]]:
        return bucket, rows.sort_by([(name, "ascending") for name in rows.column_names]).to_pydict()

    def in_pieces(self, bucket: int, pieces: Iterable[pa.Table]) -> tuple[int, dict[str, list[float]]]:
        """The same, of pieces that are in order, not larger than allowed, and no more than needed."""
        seen, last = list[pa.Table](), (-np.inf, -np.inf)
        for piece in pieces:
            keys = sorted(zip((-piece["kind"].to_numpy()).tolist(), piece["score"].to_pylist(), strict=True))
            assert last < keys[0]
            assert len(piece) <= self.most_rows
            last = keys[-1]
            seen.append(piece)
        assert len(seen) <= 2 + 2 * sum(map(len, seen)) / self.most_rows
        assert len(seen) > 1
        return self(bucket, pa.concat_tables(seen))


@dataclass(frozen=True)
class RefuseBucket(SortRows):
    """Refuses a bucket."""

    at: int = 3

    def __call__(self, bucket: int, rows: pa.Table) -> tuple[int, dict[str, list[float]]]:
        if bucket == self.at:
            raise InputError(f"category {bucket}", [Problem("rows", "none", str(len(rows)))], "leave it out")
        return super().__call__(bucket, rows)


def summed(rows: pa.Table) -> tuple[int, list[str]]:
    return int(rows.column("kind").to_numpy().astype(np.int64).sum()), rows.column_names
