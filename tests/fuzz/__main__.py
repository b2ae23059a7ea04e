"""The long run, from the root of the project: PYTHONPATH=tests python -m fuzz --minutes 30 --jobs 2 --seed 0."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time

from fuzz.campaign import REGRESSIONS, Tally, campaign


def main() -> int:
    parser = argparse.ArgumentParser(prog="fuzz", description="Damage the inputs of all readers, and report failures.")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--jobs", type=int, default=1, help="processes, each with its own cases")
    parser.add_argument("--seed", type=int, help="the same cases again; default: the time")
    parser.add_argument("--only", default="", metavar="TEXT", help="only readers with this in their name")
    given = parser.parse_args()
    seed = int(time.time()) if given.seed is None else given.seed
    print(f"seed {seed}", flush=True)
    work = [(60 * given.minutes, seed + job, given.only) for job in range(given.jobs)]
    tally, start = Tally(), time.monotonic()
    with multiprocessing.get_context("spawn").Pool(given.jobs) as pool:
        for part in pool.starmap(campaign, work, chunksize=1):
            tally.add(part)
    print(summary(tally, time.monotonic() - start))
    return int(tally.failures > 0)


def summary(tally: Tally, seconds: float) -> str:
    """Cases and exit codes by reader, and the failures of each by reason."""
    lines = [f"{'reader':42} {'cases':>7} {'exit 0':>7} {'1':>5} {'2':>7} {'3':>5} {'failed':>7}"]
    for name, codes in tally.endings.items():
        shown = f"{codes[0]:7} {codes[1]:5} {codes[2]:7} {codes[3]:5}"
        lines.append(f"{name:42} {codes.total():7} {shown} {tally.faults[name].total():7}")
        lines += [f"    {number:6} x {reason}" for reason, number in tally.faults[name].most_common()]
    rate = tally.cases / max(seconds, 1)
    lines.append(f"{tally.cases} cases, {rate:.1f} per second, {tally.failures} failures, kept in {REGRESSIONS.name}/")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
