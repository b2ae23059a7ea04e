"""`ltcal tune` against the work that it cannot avoid: whole processes, and peak memory.

    python benchmarks/tune.py detection        # 40 candidates, 1,000 images of 1,000 proposals and 1,204 columns
    python benchmarks/tune.py classification   # 60 candidates, 1 million rows of 1,000 classes
    python benchmarks/tune.py results          # 60 candidates, the detections of 4,000 images

Detection is compared with 40 times what one more method costs in `ltcal report`, plus one reading; classification
with bare softmax passes over the logits (`torch.softmax` with all threads on float32 in memory, 1,024 rows at a time);
result files with one `ltcal report`. Spaces are lists, so that there is no refinement, and intervals are left out. The
commands run in turn; times are medians with the least and the greatest.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from logits import case

from longtail_cli.files.logits.reader import open_logits

HERE = Path(__file__).parent
LTCAL = (sys.executable, "-m", "longtail_cli.cli")


def seconds_of(command: Sequence[str | Path]) -> float:
    """Wall seconds of a process."""
    begin = time.perf_counter()
    subprocess.run([*map(str, command)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begin


def listed(low: float, high: float, number: int) -> str:
    """A list of numbers as in a space."""
    return "|".join(f"{low + (high - low) * step / (number - 1):.6g}" for step in range(number))


def shown(values: Sequence[float]) -> str:
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def detection(cases: Path, runs: int, images: int, out: Path) -> None:
    dump = case(cases, "detection", "--images", str(images))
    table, annotations = (dump.with_name(dump.name + suffix) for suffix in (".freq.csv", ".json"))
    report = [*LTCAL, "report", dump, "--annotations", annotations, "--freq", table]
    methods = [part for gamma in range(1, 11) for part in ("--method", f"norcal:gamma={gamma / 8}")]
    tune = [*LTCAL, "tune", dump, "--annotations", annotations, "--freq", table, "--no-bootstrap", "-o", out,
            "--method", f"norcal:gamma={listed(0.05, 1.5, 20)}",
            "--method", f"iif:scale=mean,strength={listed(0.05, 1.5, 20)}"]  # fmt: skip
    ratios, times = [], []
    for _ in range(runs):
        one, eleven = seconds_of([*report, "--method", "none"]), seconds_of([*report, "--method", "none", *methods])
        marginal, whole = (eleven - one) / 10, seconds_of(tune)
        times.append(whole)
        ratios.append((whole - one) / (40 * marginal))
        print(f"report {one:.1f} s, one more method {marginal:.2f} s, 40 candidates {whole:.1f} s", flush=True)
    print(f"(tune - report with one method) / 40 more methods: {shown(ratios)}; tune {shown(times)} s; {peak()}")


def classification(cases: Path, runs: int, rows: int, out: Path) -> None:
    dump = case(cases, "classification", "--rows", str(rows))
    labels = out.with_name("counts.npy")
    table = out.with_name("counts.csv")
    write_counts(dump, labels)
    seconds_of([*LTCAL, "compute-freq", labels, "-o", table])
    tune = [*LTCAL, "tune", dump, "--freq", table, "--no-bootstrap", "-o", out,
            "--method", f"logit-adjust:tau={listed(0.05, 2, 30)}+temperature:t=fit",
            "--method", f"iif:strength={listed(0.05, 1.5, 30)}+temperature:t=fit"]  # fmt: skip
    times = [seconds_of(tune) for _ in range(runs)]
    memory, softmax = peak(), bare_softmax(dump, runs)  # in this order, as a process counts what it was forked with
    passes = [one / softmax / 6 for one in times]
    print(f"softmax {softmax:.2f} s; tune {shown(times)} s; softmax passes for 10 candidates {shown(passes)}; {memory}")


def results(cases: Path, runs: int, images: int, out: Path) -> None:
    path = cases / f"{images}-digits-15-format-detectron2-near-0.9"
    if not path.exists():
        arguments = ["--images", str(images), "--digits", "15", "--format", "detectron2", "--near", "0.9"]
        subprocess.run([sys.executable, HERE / "generate.py", path, *arguments], check=True)
    predictions, annotations = path / "predictions.json", path / "annotations.json"
    table = out.with_name("freq.csv")
    seconds_of([*LTCAL, "compute-freq", annotations, "-o", table])
    report = [*LTCAL, "report", predictions, "--annotations", annotations, "--freq", table]
    tune = [*LTCAL, "tune", predictions, "--annotations", annotations, "--freq", table, "--no-bootstrap", "-o", out,
            "--method", f"norcal:gamma={listed(0.05, 1.5, 30)}",
            "--method", f"logit-adjust:tau={listed(0.05, 1.5, 30)}"]  # fmt: skip
    pairs = [(seconds_of(tune), seconds_of(report)) for _ in range(runs)]
    print(f"tune {shown([one for one, _ in pairs])} s; report {shown([two for _, two in pairs])} s; "
          f"tune / report {shown([one / two for one, two in pairs])}; {peak()}")  # fmt: skip


def write_counts(dump: Path, labels: Path) -> None:
    """Labels of a long-tailed training set with the counts of the generated frequency table."""
    import numpy as np

    rows = [line.split(",") for line in dump.with_name(dump.name + ".freq.csv").read_text().splitlines()[1:]]
    np.save(labels, np.repeat([int(row[0]) for row in rows], [int(row[1]) for row in rows]))


def bare_softmax(dump: Path, runs: int) -> float:
    """Seconds of a softmax of all rows in memory, 1,024 at a time."""
    blocks = [batch.logits for batch in open_logits(dump).batches(1024)]
    found = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        for block in blocks:
            torch.softmax(block, 1)
        found.append(time.perf_counter() - begin)
    return statistics.median(found[1:])


def peak() -> str:
    """The greatest memory of any process so far."""
    return f"peak memory {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024**2:.2f} GiB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", choices=["detection", "classification", "results"])
    parser.add_argument("--images", type=int, help="default: 1,000, for results 4,000")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--cases", type=Path, default=Path(tempfile.gettempdir()) / "ltcal-cases")
    options = parser.parse_args()
    options.cases.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "tuned.json"
        if options.which == "detection":
            detection(options.cases, options.runs, options.images or 1000, out)
        elif options.which == "classification":
            classification(options.cases, options.runs, options.rows, out)
        else:
            results(options.cases, options.runs, options.images or 4000, out)


if __name__ == "__main__":
    main()
