"""What is being done, on stderr, for work that takes over a second; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def working(task: str) -> Iterator[Callable[[str], None]]:
    """Show a spinner with the time passed while the block runs; yields a function that renames what is shown."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    current = [task]
    done = Event()
    spinner = Thread(target=_spin, args=(current, done), daemon=True)
    spinner.start()
    try:
        yield lambda text: current.__setitem__(0, text)
    finally:
        done.set()
        spinner.join()


def _spin(current: list[str], done: Event) -> None:
    if done.wait(PATIENCE):
        return
    from rich.console import Console  # imported by those who wait

    begin = time.monotonic() - PATIENCE
    console = Console(stderr=True)
    with console.status(current[0]) as status:
        while not done.wait(0.1):
            status.update(f"{current[0]}, {time.monotonic() - begin:.0f} s")
