"""A computed plan for evaluations too large for one machine: what is read, shuffled and held, and how long it takes.

    python benchmarks/scale_plan.py            # prints the tables of docs/scale.md
    python benchmarks/scale_plan.py measure    # prints the measured constants below, for this machine

Bytes of a row, of an image and of an object are those of the code itself, taken from the example in
`examples/digit_scenes`. Rates and factors are constants, each with its source. Times are sums of steps one after
another, and so upper bounds: in fact reading, adjusting and matching overlap.
"""

from __future__ import annotations

import argparse
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, TypeVar

import numpy as np
from tabulate import tabulate

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.rows import MatchedRows, Whole, matched_rows
from longtail_cli.evaluation.parts.share import Rules, share_metrics
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Detections, GroundTruth
from longtail_cli.workflow.locate_detections import locate
from longtail_cli.workflow.partitioned.match import buckets_of
from longtail_cli.workflow.partitioned.memory import MOST_PIECE_ROWS

SCENES = Path(__file__).parents[1] / "examples" / "digit_scenes"
KB, MB, GB, TB = 1e3, 1e6, 1e9, 1e12
PIECES = 8
"""In which `measure` reduces rows that are in order."""
Result = TypeVar("Result")

# Measured on one core of a shared 2-core machine by `python benchmarks/scale_plan.py measure`.
MATCHED_PER_SECOND = 1.7e6
"""Detections that one core matches, with TIDE, once they are in memory."""
REDUCED_PER_SECOND = 4.6e6
"""Rows that one core reduces, in pieces; all at once it is 5.2 million."""
MATCHING_MEMORY = 210
"""Bytes held for each detection of a part while it is matched."""
REDUCING_MEMORY = 3.1
"""Times the bytes of its rows that are held while a bucket, or a piece of one, is reduced, the rows included."""

# Measured by `python benchmarks/logits.py detection`, see docs/benchmarks.md: 1.2 ms per image of 1,000 x 1,204 float16
# on two cores, from the page cache to detections.
DECODED_PER_SECOND = 1000 * 1204 * 2 / 1.2e-3 / 2
"""Bytes of logits that one core reads, adjusts and decodes."""

# Measured on a cluster of two cores, on a loaded machine, see docs/benchmarks.md: 18 MB/s.
SORTED_PER_SECOND = 9e6
"""Bytes of rows that one core moves to where they are reduced, by Ray Data's default for many rows."""

# Defined: the data.
DETECTIONS_PER_IMAGE = 300
"""The default of the decoder, and the limit of LVIS."""
OBJECTS_PER_IMAGE = 10
PARQUET_BYTES = 36
"""Of a detection: image 8, category 4, box 4 x 4, score 8, uncompressed."""

PROPOSALS = 1000
"""Of an image, the rows of its logits."""
LISTED_BYTES = 8 + 4 * 4
"""Of a row of logits that the driver reads: its image id and box."""

# Counted in the code.
READING_MEMORY = 6
"""Times the arrays of the annotations that the driver holds while it reads them."""
COPIES = 3
"""Of the rows, at most: those of the parts, which are read again for the counts; what Ray Data reads, and writes."""
ROW_ID_BYTES = 8
"""Of a row of logits, on the driver: its image id."""
IMAGE_ENTRY_BYTES = 28
"""Of an image of result files, on the driver: what it is called there, its detections, its index, twice."""

# Defined: the cluster.
NODES, CORES, MEMORY = 8, 16, 256 * GB
"""Nodes, cores of a node, bytes of memory of a node."""
STORE, NETWORK = 1 * GB, 1.25 * GB
"""Bytes a second of a node, from the store and over the network (10 Gbit/s)."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of what the code holds and sends."""

    row: float
    """Of a row that travels."""
    rows_per_detection: float
    """Above 1, as a detection that a fix moves to another category has two rows."""
    image: float
    """Of an image in the annotations, on the driver."""
    object: float
    """Of an object in the annotations, on the driver."""
    found: float
    """Of a true positive, on the driver and where its category is reduced."""
    rules: float
    """Of an object where categories are reduced, once for all workers of a node."""


@dataclass(frozen=True)
class Case:
    """What is to be evaluated: one run, boxes, under COCO."""

    name: str
    images: int
    categories: int
    read: float
    """Bytes of the input."""
    decoded: float
    """Bytes of logits; 0 for a result file."""

    @property
    def detections(self) -> int:
        return self.images * DETECTIONS_PER_IMAGE

    @property
    def largest(self) -> float:
        """The share of the most frequent category, if the k-th has a share in proportion to 1 / k."""
        return float(1 / (1 / np.arange(1, self.categories + 1)).sum())

    @property
    def buckets(self) -> int:
        return buckets_of(self.categories, self.detections)

    @property
    def other_bucket(self) -> float:
        """The share of a bucket without the most frequent category, if all others are spread evenly."""
        return (1 - self.largest) / self.buckets

    @property
    def largest_bucket(self) -> float:
        """The share of the bucket with the most frequent category."""
        return self.largest + self.other_bucket

    def in_pieces(self, rows: float) -> float:
        """The share of the rows that is in buckets with more than a piece, of so many rows in all."""
        if rows * self.other_bucket > MOST_PIECE_ROWS:
            return 1.0
        return self.largest_bucket if rows * self.largest_bucket > MOST_PIECE_ROWS else 0.0


V3DET = Case(
    name="V3Det, logits",
    images=30_000,
    categories=13_204,
    read=30_000 * PROPOSALS * (13_204 * 2 + 4 * 4),  # float16 logits and float32 boxes
    decoded=30_000 * PROPOSALS * 13_204 * 2,
)
TEN_BILLION = Case(
    name="10 billion detections, Parquet",
    images=10**10 // DETECTIONS_PER_IMAGE,
    categories=13_204,
    read=10**10 * PARQUET_BYTES,
    decoded=0,
)


def read_scenes() -> tuple[Evaluation, Detections]:
    """The example, prepared for an evaluation with AP and TIDE under COCO."""
    with open_annotations(SCENES / "val.json") as file:
        truth = file.read(masks=False)
    with open_results(SCENES / "predictions.json") as results:
        detections = locate(results.read(frozenset({"bbox"})), truth)
    return Evaluation.prepare(truth, Protocol("coco", 100), "bbox", {}, EvaluationOptions("coco")), detections


def rows_of(evaluation: Evaluation, detections: Detections) -> MatchedRows:
    """The rows of all detections."""
    everything = Whole(
        np.arange(len(evaluation.ground_truth.image_id)),
        np.arange(len(evaluation.objects), dtype=np.int32),
        np.arange(len(detections)),
    )
    return matched_rows(evaluation, detections, evaluation.candidates(detections), everything)


def sizes() -> Sizes:
    """The bytes of the rows, images and objects of the example."""
    evaluation, detections = read_scenes()
    rows = rows_of(evaluation, detections)
    columns = [*arrays(evaluation.ground_truth), *arrays(evaluation.objects)]
    images, objects = len(evaluation.ground_truth.image_id), len(evaluation.objects)
    assert images != objects
    rules = Rules.of(evaluation)
    found = share_metrics(rules, np.arange(len(evaluation.ground_truth.categories)), rows).true_positives
    assert found is not None
    return Sizes(
        row=sum(values.itemsize for values in rows.columns.values()) + np.dtype(np.int32).itemsize,  # and its bucket
        rows_per_detection=len(rows) / len(detections),
        image=sum(values.nbytes for values in columns if len(values) in (images, images + 1)) / images,
        object=sum(values.nbytes for values in columns if len(values) == objects) / objects,
        found=sum(values.itemsize for values in arrays(found)),
        rules=sum(values.itemsize for values in arrays(rules.objects) if len(values) == objects) + 8,  # and their order
    )


def arrays(table: GroundTruth | Any) -> list[np.ndarray[Any, Any]]:
    """The arrays of a dataclass."""
    values = (getattr(table, field.name) for field in fields(table))
    return [one for one in values if isinstance(one, np.ndarray)]


def steps(case: Case, own: Sizes) -> list[tuple[str, str, float]]:
    """What each step costs: its name, its amount, and its seconds on the cluster."""
    cores = NODES * CORES
    rows = case.detections * own.rows_per_detection
    ordered = rows * case.in_pieces(rows)
    reducing = max(rows / cores, rows * case.largest_bucket) / REDUCED_PER_SECOND

    def moved(number: float) -> tuple[str, float]:
        return f"{count(number)} rows, {size(number * own.row)}", number * own.row / min(
            NODES * NETWORK, cores * SORTED_PER_SECOND
        )

    if case.decoded:
        listed = case.images * PROPOSALS * LISTED_BYTES
        first = ("listed, by the driver", size(listed), listed / STORE)
    else:
        first = ("listed and digested", size(case.read), case.read / NODES / STORE)
    named = [
        first,
        ("read", size(case.read), case.read / NODES / STORE),
        ("adjusted and decoded", size(case.decoded), case.decoded / cores / DECODED_PER_SECOND),
        ("matched", count(case.detections), case.detections / cores / MATCHED_PER_SECOND),
        ("shuffled", *moved(rows - ordered)),
        ("shuffled and put in order", *moved(ordered)),
        ("reduced", f"{count(rows)} rows, {count(rows * case.largest_bucket)} in the largest bucket", reducing),
    ]
    return [one for one in named if one[2]]


def held(case: Case, own: Sizes) -> list[tuple[str, str]]:
    """What is held where."""
    rows = case.detections * own.rows_per_detection
    objects = case.images * OBJECTS_PER_IMAGE
    annotations = case.images * own.image + objects * own.object

    def reducing(share: float) -> str:
        """The rows at once, and the true positives of a bucket that is reduced in pieces."""
        number = rows * share
        found = objects * share * own.found if number > MOST_PIECE_ROWS else 0.0
        return size(min(number, MOST_PIECE_ROWS) * own.row * REDUCING_MEMORY + found)

    return [
        ("driver: annotations, while they are read", size(READING_MEMORY * annotations)),
        ("driver: which image is where", size(
            case.images * (PROPOSALS * ROW_ID_BYTES if case.decoded else IMAGE_ENTRY_BYTES))),
        ("driver: true positives, at most", size(objects * own.found)),
        ("a worker that matches 1,000,000 detections", size(1e6 * MATCHING_MEMORY)),
        ("a worker that reduces the largest bucket", reducing(case.largest_bucket)),
        ("a worker that reduces another bucket", reducing(case.other_bucket)),
        ("a node: the objects, for the workers that reduce", size(objects * own.rules)),
        ("a node: rows, in memory or on disk, at most", size(COPIES * rows * own.row / NODES)),
    ]  # fmt: skip


def assumptions(own: Sizes) -> list[tuple[str, str, str]]:
    measured = "`python benchmarks/scale_plan.py measure`, one core"
    example = "the tables of `examples/digit_scenes`"
    memory = "`workflow/partitioned/memory.py`"
    return [
        ("bytes of a row that travels", f"{own.row:.0f}", "`MatchedRows`"),
        ("rows of a detection", f"{own.rows_per_detection:.2f}", example),
        ("bytes of an image, of an object on the driver", f"{own.image:.0f}, {own.object:.0f}", example),
        ("matched", f"{count(MATCHED_PER_SECOND)} detections/s", measured),
        ("reduced", f"{count(REDUCED_PER_SECOND)} rows/s", measured),
        ("held for a detection while it is matched", f"{MATCHING_MEMORY} bytes", measured),
        ("held while a bucket or a piece is reduced", f"{REDUCING_MEMORY:.1f} times its rows", measured),
        ("rows of a piece, at most", count(MOST_PIECE_ROWS), memory),
        ("shuffled, or put in order", f"{size(SORTED_PER_SECOND)}/s", "`docs/benchmarks.md`, one core"),
        ("copies of the rows, at most", f"{COPIES}", "those of the parts, what Ray Data reads, and writes"),
        ("adjusted and decoded", f"{size(DECODED_PER_SECOND)}/s", "`python benchmarks/logits.py detection`, one core"),
        ("detections of an image", f"{DETECTIONS_PER_IMAGE}", "the default of the decoder"),
        ("objects of an image", f"{OBJECTS_PER_IMAGE}", "assumed"),
        (
            "held of the annotations while they are read",
            f"{READING_MEMORY} times their arrays",
            memory,
        ),
        ("bytes of a detection in Parquet", f"{PARQUET_BYTES}", "float32 boxes, not compressed"),
        ("share of the k-th category", "in proportion to 1/k", "assumed"),
        ("cluster", f"{NODES} nodes of {CORES} cores and {size(MEMORY)}", "assumed"),
        ("from the store, over the network", f"{size(STORE)}/s, {size(NETWORK)}/s a node", "assumed"),
    ]


def size(number: float) -> str:
    """Bytes as people read them."""
    for unit, name in ((TB, "TB"), (GB, "GB"), (MB, "MB"), (KB, "kB")):
        if number >= unit:
            return f"{number / unit:.{0 if number >= 10 * unit else 1}f} {name}"
    return f"{number:.0f} B"


def count(number: float) -> str:
    for unit, name in ((1e9, "billion"), (1e6, "million")):
        if number >= unit:
            return f"{number / unit:.{0 if number >= 10 * unit else 1}f} {name}"
    return f"{number:,.0f}"


def duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s" if seconds >= 1 else "< 1 s"


def markdown() -> str:
    """The tables of docs/scale.md."""
    own = sizes()
    parts = ["The assumptions:", table(["", "value", "source"], assumptions(own))]
    for case in (V3DET, TEN_BILLION):
        costs = steps(case, own)
        shown = [(name, amount, duration(seconds)) for name, amount, seconds in costs]
        total = sum(seconds for *_, seconds in costs)
        title = (
            f"{case.name}: {case.images:,} images, {case.categories:,} categories, {count(case.detections)} detections"
        )
        parts += [
            f"{title}:",
            table(["step", "amount", "time"], [*shown, ("all, one after another", "", duration(total))]),
        ]
        parts.append(table(["held", "bytes"], held(case, own)))
    return "\n\n".join(parts) + "\n"


def table(headers: list[str], rows: list[Any]) -> str:
    return str(tabulate(rows, headers, tablefmt="github", disable_numparse=True))


def repeated(detections: Detections, truth: GroundTruth, times: int) -> tuple[Detections, GroundTruth]:
    """Copies of the example side by side, each with images of its own."""
    images, objects = len(truth.image_id), len(truth.id)

    def copies(values: Any, step: int = 0) -> Any:
        return np.concatenate(
            [values + np.asarray(step * number, values.dtype) if step else values for number in range(times)]
        )

    more = replace(
        truth,
        image_id=np.arange(images * times),
        image_position=np.arange(images * times, dtype=np.int32),
        image_size=copies(truth.image_size),
        image_name=(),
        id=np.arange(objects * times),
        image=copies(truth.image, images),
        **{name: copies(getattr(truth, name)) for name in ("category", "bbox", "area", "crowd", "ignore")},
        negative=None,
        not_exhaustive=None,
    )
    found = replace(
        detections,
        image=copies(detections.image, images),
        **{name: copies(getattr(detections, name)) for name in ("category", "score", "bbox", "area")},
    )
    return found, more


def measure(number: int) -> None:
    """Print the rates and factors of this machine, on about `number` detections."""
    from longtail_cli.evaluation.parts.ordered import metrics_in_order

    evaluation, detections = read_scenes()
    detections, truth = repeated(detections, evaluation.ground_truth, max(1, number // len(detections)))
    evaluation = Evaluation.prepare(truth, evaluation.protocol, "bbox", {}, evaluation.options)
    rows, seconds, peak = observed(lambda: rows_of(evaluation, detections))
    print(f"matched: {len(detections) / seconds:,.0f} detections/s, {peak / len(detections):.0f} bytes each")
    category = np.arange(len(truth.categories))
    rules = Rules.of(evaluation)
    _, seconds, peak = observed(lambda: share_metrics(rules, category, rows))
    own = sum(values.nbytes for values in rows.columns.values())
    print(f"reduced: {len(rows) / seconds:,.0f} rows/s, {1 + peak / own:.1f} times the bytes of the rows")
    order = np.lexsort((rows.tie, -rows.score, rows.category))

    def in_pieces() -> None:
        pieces = (rows.at(piece) for piece in np.array_split(order, PIECES))
        for _ in metrics_in_order(rules, category, pieces, TemporaryFile):
            pass

    _, seconds, peak = observed(in_pieces)
    print(f"reduced in {PIECES} pieces: {len(rows) / seconds:,.0f} rows/s, {PIECES * peak / own:.1f} times a piece")


def observed(work: Callable[[], Result]) -> tuple[Result, float, int]:
    """What `work` returns, its seconds, and the bytes that it allocates at most, in a second call."""
    begin = time.perf_counter()
    result = work()
    seconds = time.perf_counter() - begin
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return result, seconds, peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="?", choices=("plan", "measure"), default="plan")
    parser.add_argument("--detections", type=int, default=1_000_000, help="of measure")
    arguments = parser.parse_args()
    if arguments.what == "measure":
        measure(arguments.detections)
    else:
        print(markdown(), end="")


if __name__ == "__main__":
    main()
