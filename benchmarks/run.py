"""Time whole processes and their peak memory against named peers, in one run on one machine.

    python benchmarks/run.py                        # everything but the slowest peers
    python benchmarks/run.py report --images 4000   # one benchmark

Every row is the median of `--runs` runs after one that is not counted (of one run for slow peers); ratios are ours over
theirs. The cases come from `generate.py` and are kept in `--cases` between runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tabulate import tabulate

HERE = Path(__file__).parent
LTCAL = [sys.executable, "-m", "longtail_cli.cli"]


@dataclass(frozen=True)
class Measure:
    """Wall seconds and peak resident memory (MB) of one command."""

    seconds: float
    megabytes: float


def measure(command: list[str], runs: int, *, warm: bool = True, environment: dict[str, str] | None = None) -> Measure:
    """The medians over `runs` runs of `command`, after one uncounted run where `warm`."""
    counted = [_once(command, environment) for _ in range(runs + warm)][warm:]
    return Measure(statistics.median(m.seconds for m in counted), statistics.median(m.megabytes for m in counted))


def _once(command: list[str], environment: dict[str, str] | None) -> Measure:
    with tempfile.TemporaryFile() as output:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=subprocess.STDOUT, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            output.seek(0)
            raise SystemExit(f"{' '.join(command)} failed:\n{output.read().decode()}")
    return Measure(seconds, usage.ru_maxrss / 1024)


def case(folder: Path, images: int, *options: str) -> Path:
    """A generated case, made at its first use."""
    where = folder / "-".join([str(images), *(option.strip("-") for option in options)])
    if not where.exists():
        partial = where.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        subprocess.run([sys.executable, HERE / "generate.py", partial, "--images", str(images), *options], check=True)
        partial.rename(where)
    return where


def report(cases: Path, runs: int, images: int, peers: list[str]) -> None:
    """AP and TIDE of one prediction file, and what a second with the same boxes adds."""
    folder = case(cases, images)
    truth, predictions, rescored = (str(folder / name) for name in NAMES)
    one = measure([*LTCAL, "report", predictions, "--annotations", truth], runs)
    two = measure([*LTCAL, "report", predictions, rescored, "--annotations", truth], runs)
    rows: list[list[object]] = [["ltcal report", one.seconds, one.megabytes, "", ""]]
    for peer in peers:
        command = [sys.executable, str(HERE / "peers" / f"{peer}.py"), truth, predictions]
        theirs = measure(command, 1, warm=False) if peer in SLOW else measure(command, runs)
        ratios = one.seconds / theirs.seconds, one.megabytes / theirs.megabytes
        rows.append([peer, theirs.seconds, theirs.megabytes, *ratios])
    show(f"{images} images, {300 * images} detections: load, AP, TIDE", rows)
    print(f"A second file of the same boxes adds {two.seconds - one.seconds:.2f} s, "
          f"{(two.seconds - one.seconds) / one.seconds:.2f} of the first.\n")  # fmt: skip


def bootstrap(cases: Path, runs: int, images: int) -> None:
    """1,000 resamples of the images for every figure, against one evaluation that computes them once.

    The whole process, which also reads the files, and the work in memory: overlaps, matching, figures, TIDE.
    """
    folder = case(cases, images)
    truth, predictions = (str(folder / name) for name in NAMES[:2])
    plain = [*LTCAL, "report", predictions, "--annotations", truth]
    once, often = measure(plain, runs), measure([*plain, "--bootstrap"], max(runs // 2, 1))
    with tempfile.TemporaryFile("w+") as output:
        command = [sys.executable, str(HERE / "bootstrap_in_memory.py"), truth, predictions]
        subprocess.run(command, check=True, stdout=output)
        output.seek(0)
        evaluation, resamples = map(float, output.read().split())
    rows = [["ltcal report", once.seconds, once.megabytes, "", ""],
            ["with 1,000 resamples", often.seconds, often.megabytes, "", ""],
            ["in memory: one evaluation", evaluation, "", "", ""],
            ["in memory: 1,000 resamples", resamples, "", "", ""]]  # fmt: skip
    show(f"{images} images, {300 * images} detections: bootstrap", rows)
    print(f"1,000 resamples take {(often.seconds - once.seconds) / once.seconds:.1f} times one report, "
          f"{resamples / evaluation:.1f} times one evaluation in memory.\n")  # fmt: skip


def compute_freq(cases: Path, runs: int) -> None:
    """Counting a file of the size of LVIS train."""
    truth = case(cases, 100_170, "--polygons", "90", "--no-predictions") / NAMES[0]
    size = truth.stat().st_size / 1e6
    ours = measure([*LTCAL, "compute-freq", str(truth)], runs)
    theirs = measure([sys.executable, str(HERE / "peers" / "official_lvis_load.py"), str(truth)], 1, warm=False)
    ratios = ours.seconds / theirs.seconds, ours.megabytes / theirs.megabytes
    rows = [["ltcal compute-freq", ours.seconds, ours.megabytes, "", ""],
            ["lvis.LVIS and a count", theirs.seconds, theirs.megabytes, *ratios]]  # fmt: skip
    show(f"Counting an annotation file of {size:.0f} MB", rows)
    print(f"lvis takes {theirs.seconds / ours.seconds:.0f} times as long; our peak is "
          f"{ours.megabytes * 1.048576 / size:.2f} of the file.\n")  # fmt: skip


def rescore(cases: Path, runs: int, images: int) -> None:
    """Rewriting the scores of a result file."""
    folder = case(cases, images)
    source = folder / NAMES[1]
    size = source.stat().st_size / 1e6
    with tempfile.TemporaryDirectory() as scratch:
        table, out = f"{scratch}/freq.csv", f"{scratch}/out.json"
        subprocess.run([*LTCAL, "compute-freq", str(folder / NAMES[0]), "--from-categories", "-o", table], check=True)
        ours = measure([*LTCAL, "rescore", str(source), "--freq", table, "--method", "iif", "-o", out], runs)
    show(f"Rescoring a result file of {size:.0f} MB", [["ltcal rescore", ours.seconds, ours.megabytes, "", ""]])
    print(f"{size / ours.seconds:.0f} MB/s; peak {ours.megabytes * 1.048576 / size:.2f} of the file.\n")


def start(runs: int) -> None:
    """The help page, and a report on 100 images with cached kernels and the first time ever."""
    demo = HERE.parent / "examples" / "digit_scenes"
    command = [*LTCAL, "report", str(demo / "predictions.json"), "--annotations", str(demo / "val.json")]
    with tempfile.TemporaryDirectory() as cache:
        first = measure(command, 1, warm=False, environment={"NUMBA_CACHE_DIR": cache})
    rows = [["ltcal --help", *_pair(measure([*LTCAL, "--help"], runs))],
            ["ltcal report, digit scenes", *_pair(measure(command, runs))],
            ["the same, first time ever", *_pair(first)]]  # fmt: skip
    show("Starting", [[*row, "", ""] for row in rows])


def _pair(result: Measure) -> tuple[float, float]:
    return result.seconds, result.megabytes


def show(title: str, rows: list[list[object]]) -> None:
    """Print a Markdown table."""
    print(f"{title}\n")
    headers = ["", "seconds", "peak MB", "time, ours / theirs", "memory, ours / theirs"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".2f", ".0f", ".3f", ".2f")), "\n", flush=True)


SLOW = ("official_lvis", "faster_coco_eval_lvis")
"""Peers that run once: they take minutes, and how long they take differs little."""
NAMES = ("annotations.json", "predictions.json", "rescored.json")
BENCHMARKS = ("start", "report", "bootstrap", "rescore", "compute-freq")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("which", nargs="*", choices=[*BENCHMARKS, []], help="default: all")
    parser.add_argument("--images", type=int, action="append", help="default: 4000 and 19809")
    parser.add_argument(
        "--peer", action="append", help="default: hotcoco_lvis, faster_coco_eval_lvis; official_lvis is slow"
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--cases", type=Path, default=Path(tempfile.gettempdir()) / "ltcal-cases")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    options.cases.mkdir(parents=True, exist_ok=True)
    which = options.which or BENCHMARKS
    sizes = options.images or [4000, 19809]
    if "start" in which:
        start(options.runs)
    for images in sizes:
        if "report" in which:
            report(options.cases, options.runs, images, options.peer or ["hotcoco_lvis", "faster_coco_eval_lvis"])
        if "bootstrap" in which:
            bootstrap(options.cases, options.runs, images)
        if "rescore" in which:
            rescore(options.cases, options.runs, images)
    if "compute-freq" in which:
        compute_freq(options.cases, options.runs)


if __name__ == "__main__":
    main()
