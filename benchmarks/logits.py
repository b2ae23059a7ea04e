"""Logits compared with a bare softmax of the same numbers, in one process; peak memory for a dump of any size.

    python benchmarks/logits.py detection        # 200 images of 1,000 proposals and 1,204 columns, float16
    python benchmarks/logits.py classification   # 1 million rows of 1,000 classes, float32
    python benchmarks/logits.py memory --images 3400   # peak memory of `ltcal rescore` on 8 GB of shards

The bare softmax is `torch.softmax` with all threads on float32 that is already in memory: once image by image (or 1,024
rows at a time), which reuses memory, and once on everything in one call, which allocates memory. Our times are from the
files (in the page cache) to detections or metrics. Times are medians.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from pathlib import Path

import torch
from tabulate import tabulate

from longtail_cli.evaluation.classification.metrics import Tally
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.methods.registry import parse_method
from longtail_cli.parallel import THREADS, one_thread_each
from longtail_cli.tables import Logits
from longtail_cli.workflow.decode_logits import decode_all
from longtail_cli.workflow.options import InputOptions, device_of
from longtail_cli.workflow.prepare_methods import open_with_options, prepare_methods
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.report_classification import evaluate_classification

HERE = Path(__file__).parent
METHODS = ("none", "iif", "logit-adjust")
Row = tuple[str, float]


def timed(work: Callable[[], object], runs: int) -> float:
    """Median seconds of `runs` calls, after one call that is not counted."""
    work()
    seconds = []
    for _ in range(runs):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    return statistics.median(seconds)


def case(folder: Path, kind: str, *size: str) -> Path:
    """A generated dump, created when first used."""
    path = folder / "-".join([kind, *(part.strip("-") for part in size)])
    if not path.exists():
        subprocess.run([sys.executable, HERE / "generate_logits.py", kind, path, *size], check=True)
    return path


def detection(cases: Path, runs: int, images: int, options: InputOptions) -> None:
    """Read, adjust, softmax, threshold, suppression and top detections, for one method and several in one pass."""
    dump = case(cases, "detection", "--images", str(images))
    table = read_frequencies(dump.with_name(dump.name + ".freq.csv"))
    rows = bare([batch.logits.float() for batch in open_with_options(dump, options).batches(1000)], runs)

    def ours(specs: tuple[str, ...]) -> object:
        file = open_with_options(dump, options)
        device = device_of(options.device)
        prepared = prepare_methods(file, [parse_method(spec) for spec in specs], table, options, device)
        return decode_all(file, prepared, options, device, no_progress)

    for specs in (*((method,) for method in METHODS), METHODS[:2], METHODS):
        rows.append((" and ".join(specs), timed(partial(ours, specs), runs)))
    show(f"{images} images: read, adjust, softmax, threshold, NMS, top 300", rows)


def classification(cases: Path, runs: int, number: int, options: InputOptions) -> None:
    """The whole report of a classifier, and only its computation on logits in memory."""
    dump = case(cases, "classification", "--rows", str(number))
    batches = list(open_with_options(dump, options).batches(1024))
    rows = [
        *bare([batch.logits for batch in batches], runs),
        ("softmax and all metrics", timed(lambda: all_metrics(batches), runs)),
    ]
    batches.clear()
    for method in ("none", "temperature:t=2"):
        report = partial(evaluate_classification, [dump], methods=[parse_method(method)], input_options=options)
        rows.append((f"report from the file, {method}", timed(report, runs)))
    show(f"{number} rows of 1,000 classes", rows)


def all_metrics(batches: list[Logits]) -> object:
    """Softmax and metrics of logits in memory, with one thread per processor."""

    def count(number: int) -> Tally:
        tally, scores = Tally(batches[0].logits.shape[1]), torch.empty_like(batches[0].logits)
        for batch in batches[number::THREADS]:
            found = torch.softmax(batch.logits, dim=1, out=scores[: len(batch)])
            tally.add(found.numpy(), batch.labels)
        return tally

    with one_thread_each(), ThreadPoolExecutor(THREADS) as pool:
        return reduce(Tally.plus, pool.map(count, range(THREADS))).metrics()


def bare(blocks: list[torch.Tensor], runs: int) -> list[Row]:
    """Seconds of the bare softmax, block by block and in one call. Empties `blocks`."""

    def by_blocks() -> None:
        for block in blocks:
            torch.softmax(block, 1)

    seconds = timed(by_blocks, runs)
    whole = torch.cat(blocks)
    blocks.clear()
    return [
        ("bare softmax, block by block", seconds),
        ("bare softmax, one call", timed(partial(torch.softmax, whole, 1), 1)),
    ]


def memory(cases: Path, images: int) -> None:
    """Peak memory of `ltcal rescore` on a dump of many shards."""
    dump = case(cases, "detection", "--images", str(images))
    size = sum(shard.stat().st_size for shard in dump.iterdir()) / 1e9
    with tempfile.TemporaryDirectory() as scratch:
        table = dump.with_name(dump.name + ".freq.csv")
        command = [sys.executable, "-m", "longtail_cli.cli", "rescore", dump, "--freq", table]
        for method in ("iif", "norcal"):
            command += ["--method", method, "-o", f"{scratch}/{method}.parquet"]
        begin = time.perf_counter()
        subprocess.run(command, check=True)
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2
    print(f"{size:.1f} GB, two methods: {seconds:.0f} s, peak {peak:.2f} GiB")


def show(title: str, rows: list[Row]) -> None:
    print(f"\n{title}\n")
    blocks, in_one = rows[0][1], rows[1][1]
    table = [(name, seconds, seconds / blocks, seconds / in_one) for name, seconds in rows]
    headers = ["", "seconds", "to blocks", "to one call"]
    print(tabulate(table, headers, tablefmt="github", floatfmt=("", ".3f", ".2f", ".2f")), "\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["detection", "classification", "memory"])
    parser.add_argument("--images", type=int, help="default: 200, for memory 3,400")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", type=Path, default=Path(tempfile.gettempdir()) / "ltcal-cases")
    parser.add_argument("--device", default="cpu", help="for our code; the bare softmax is always on the CPU")
    options = parser.parse_args()
    reading = InputOptions(device=options.device)
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, torch {torch.__version__}\n"
    )
    options.cases.mkdir(parents=True, exist_ok=True)
    if options.which == "detection":
        detection(options.cases, options.runs, options.images or 200, reading)
    elif options.which == "classification":
        classification(options.cases, options.runs, options.rows, reading)
    else:
        memory(options.cases, options.images or 3400)


if __name__ == "__main__":
    main()
