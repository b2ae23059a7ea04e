"""The long run: damages the inputs of all readers in turn, and keeps what fails as regression files."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

from fuzz.hostile import HOSTILE
from fuzz.runner import Case, Runner, fault
from fuzz.targets import targets

REGRESSIONS = Path(__file__).parent / "regressions"
LARGEST = 20_000
"""Bytes of a regression's inputs, all together; larger ones are only reported."""


@dataclass(slots=True)
class Tally:
    """Counts by reader."""

    endings: defaultdict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    """Cases by exit code."""
    faults: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    """Failures by reason."""

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        for name, codes in other.endings.items():
            self.endings[name].update(codes)
        for name, reasons in other.faults.items():
            self.faults[name].update(reasons)

    @property
    def cases(self) -> int:
        return sum(codes.total() for codes in self.endings.values())

    @property
    def failures(self) -> int:
        return sum(reasons.total() for reasons in self.faults.values())


def campaign(seconds: float, seed: int, chosen: str = "") -> Tally:
    """Run the hostile cases, then damaged inputs until the time is over. chosen: only readers with this in their name.

    The smallest case of each reason is kept under `REGRESSIONS`; hand-made ones are tests already.
    """
    end, tally = time.monotonic() + seconds, Tally()
    with Runner() as runner:
        for reader, name, case in _cases(seed, chosen):
            if time.monotonic() > end:
                break
            ending = runner.run(case)
            reason = fault(case, ending)
            tally.endings[reader][ending.status] += 1
            if reason is None:
                continue
            if name:
                tally.faults[reader][f"{reason} ({name})"] += 1
                continue
            tally.faults[reader][reason] += 1
            if (folder := keep(case, reason, reader)) is not None:
                print(f"{reader}: {reason}: {folder}", flush=True)
    return tally


def _cases(seed: int, chosen: str) -> Iterator[tuple[str, str, Case]]:
    """The reader, the name of the case if it is hand-made, and the case."""
    for group, make in HOSTILE.items():
        if chosen in f"hostile {group}":
            yield from ((f"hostile {group}", name, case) for name, case in make())
    readers = [target for target in targets().values() if chosen in target.name]
    for number in count() if readers else ():
        for target in readers:
            yield target.name, "", target.case(seed, number)


def keep(case: Case, reason: str, reader: str) -> Path | None:
    """Write the case as a folder named by its reason, unless a smaller one is kept or it is larger than `LARGEST`."""
    folder = REGRESSIONS / f"{re.sub(r'[^a-z0-9]+', '-', reason.lower())[:60].strip('-')}-{_digest(reason)}"
    size = _size(case)
    with _alone():
        if size > LARGEST or (folder.exists() and _size(kept_case(folder)) <= size):
            return None
        shutil.rmtree(folder, ignore_errors=True)
        _write(folder, case, {"reader": reader, "reason": reason})
    return folder


@contextmanager
def _alone() -> Iterator[None]:
    """Waits while another process keeps a case."""
    REGRESSIONS.mkdir(exist_ok=True)
    handle = os.open(REGRESSIONS, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _write(folder: Path, case: Case, about: Mapping[str, str]) -> None:
    for path, content in case.inputs.items():
        target = folder / "inputs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    call = {
        "arguments": list(case.arguments),
        "outputs": dict(case.outputs),
        "optional": dict(case.optional),
        "stale": case.stale,
    }
    (folder / "case.json").write_text(json.dumps({**about, **call}, indent=1) + "\n", encoding="utf-8")


def kept_case(folder: Path) -> Case:
    """The case that `keep` wrote into the folder."""
    about = json.loads((folder / "case.json").read_text(encoding="utf-8"))
    inputs = folder / "inputs"
    contents = {
        str(path.relative_to(inputs)): path.read_bytes() for path in sorted(inputs.rglob("*")) if path.is_file()
    }
    return Case(tuple(about["arguments"]), contents, about["outputs"], about["optional"], about["stale"])


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()[:8]


def _size(case: Case) -> int:
    return sum(map(len, case.inputs.values()))
