"""A progress bar on stderr for work that takes over a second; nothing where stderr is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def working(task: str) -> Iterator[Callable[[str, float | None], None]]:
    """Show what is being done while the block runs.

    Yields a function to be told what that is and which share of it is done, in [0, 1], or None.
    """
    current: tuple[str, float | None] = (task, None)

    def progress(text: str, share: float | None) -> None:
        nonlocal current
        current = (text, share)

    if not sys.stderr.isatty():
        yield progress
        return
    done = Event()
    shown = Thread(target=_show, args=(lambda: current, done), daemon=True)
    shown.start()
    try:
        yield progress
    finally:
        done.set()
        shown.join()


def _show(current: Callable[[], tuple[str, float | None]], done: Event) -> None:
    if done.wait(PATIENCE):
        return
    from rich.console import Console  # imported by those who wait
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        while not done.wait(0.1):
            task, share = current()
            known = share is not None and share < 1  # a bar that is full would stop its clock, and more may follow
            progress.update(bar, description=task, total=1.0 if known else None, completed=share or 0.0)
