"""Progress reports and notes for the user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from longtail_cli.methods.base import Note
    from longtail_cli.tables import FrequencyTable

Progress = Callable[[str, float | None], None]
"""Called with the current task, and the share of it that is done in [0, 1], or None if that is not known."""


def no_progress(task: str, share: float | None) -> None:
    """Show nothing."""


def bytes_progress(progress: Progress, task: str, total: int) -> Callable[[int], None]:
    """A function to call with each number of bytes processed, which reports their share of `total`.

    The share is at most 1, although a compressed file unpacks to more bytes than its size.
    """
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(task, min(done / max(total, 1), 1.0))

    return advance


def note_lines(notes: tuple[Note, ...], table: FrequencyTable) -> tuple[str, ...]:
    """The notes as sentences that name the classes."""
    from longtail_cli.frequency import named

    return tuple(f"{note.rows.sum()} of {len(table)} classes {note.text}: {named(table, note.rows)}" for note in notes)
