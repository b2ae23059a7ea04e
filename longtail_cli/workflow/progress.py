"""What is told to the user: how far the work is, and what was decided on the way."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from longtail_cli.adjust.base import Note
from longtail_cli.frequency import named
from longtail_cli.tables import FrequencyTable

Progress = Callable[[str, float | None], None]
"""Is told what is being done, and which share of it is done, in [0, 1], or None where that is not known."""


def no_progress(task: str, share: float | None) -> None:
    """Who listens where no_progress does."""


def bytes_progress(progress: Progress, task: str, files: Iterable[Path]) -> Callable[[int], None]:
    """A function that is given numbers of bytes as they are done, and tells which share of the files that makes.

    Of compressed files more bytes are done than they have; the share stays at 1 then.
    """
    total = max(sum(path.stat().st_size for path in files), 1)
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(task, min(done / total, 1.0))

    return advance


def note_lines(notes: tuple[Note, ...], table: FrequencyTable) -> tuple[str, ...]:
    """The notes as sentences that name the classes."""
    return tuple(f"{note.rows.sum()} of {len(table)} classes {note.text}: {named(table, note.rows)}" for note in notes)
