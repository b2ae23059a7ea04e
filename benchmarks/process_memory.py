"""The memory of processes while a command runs: of Ray's workers, and of all processes of a cluster together.

Of a process counts what it does not share, `RssAnon` of its status: its own allocations, neither mapped files nor Ray's
object store. The store lies in shared memory (`/dev/shm`), is shared by all workers, and is counted once for itself.
"""

from __future__ import annotations

import os
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

STORE = Path("/dev/shm")
PAUSE = 0.05
"""Seconds between two looks. A peak that is shorter may be missed."""


@dataclass(frozen=True)
class Peaks:
    """Bytes, each the greatest that was seen."""

    worker: int
    """Of the largest worker."""
    workers: int
    """Of all workers at a time."""
    store: int
    """Of shared memory, beyond what was in it before."""


class Watch:
    """Looks at the workers that descend from a process, in a thread, during a ``with`` block."""

    def __init__(self, root: int) -> None:
        """root: the id of the process."""
        self._root = root
        self._worker = self._workers = self._store = 0
        self._before = shutil.disk_usage(STORE).used
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    @property
    def peaks(self) -> Peaks:
        return Peaks(self._worker, self._workers, self._store)

    def _look(self) -> None:
        while not self._done.wait(PAUSE):
            sizes = [
                own_bytes(process) for process in descendants(self._root) if _command(process).startswith(b"ray::")
            ]
            self._worker = max(self._worker, *sizes, 0)
            self._workers = max(self._workers, sum(sizes))
            self._store = max(self._store, shutil.disk_usage(STORE).used - self._before)


def descendants(root: int) -> list[int]:
    """The processes that `root` started, those that they started, and so on."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and (parent := _status(int(folder.name)).get("PPid")) is not None:
            children.setdefault(int(parent), []).append(int(folder.name))
    found, left = [], [root]
    while left:
        own = children.get(left.pop(), [])
        found += own
        left += own
    return found


def raylet_of(address: str) -> int:
    """The process that starts the workers of a cluster of this machine, itself started by this process."""
    option = f"--gcs-address={address}".encode()
    (found,) = [one for one in descendants(os.getpid()) if option in (words := _command(one)) and b"raylet" in words]
    return found


def own_bytes(process: int) -> int:
    """The bytes of memory of a process that it does not share; 0 if it has ended."""
    return 1024 * int(_status(process).get("RssAnon", "0 kB").split()[0])


def _command(process: int) -> bytes:
    """The words of its command, each followed by a zero; a worker calls itself ``ray::`` and what it runs."""
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:  # it has ended
        return b""


def _status(process: int) -> dict[str, str]:
    """What the kernel says of a process; empty if it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)
