"""A progress bar on stderr for work that takes over a second; nothing if stderr is not a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

PATIENCE = 1.0
"""Seconds before anything is shown."""


@contextmanager
def working(task: str) -> Iterator[Callable[[str, float | None], None]]:
    """Show the current task while the block runs.

    Yields a function to call with the task and the share of it that is done, in [0, 1], or None if unknown.
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
    from rich.console import Console  # slow to import, so only when needed
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn(), TextColumn("left"),
        TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("", total=None)
        while not done.wait(0.1):
            task, share = current()
            known = share is not None and share < 1  # a full bar stops its clock, but more tasks may follow
            progress.update(bar, description=task, total=1.0 if known else None, completed=share or 0.0)
