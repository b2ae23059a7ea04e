"""How a fit says how far it is."""

from __future__ import annotations

from collections.abc import Callable

Progress = Callable[[str, float | None], None]
"""Takes a task and the share of it that is done, None if unknown."""
