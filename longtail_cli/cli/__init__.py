"""The command line: one module per command. Errors become text and exit codes only here.

Exit codes: 0 done; 1 a gate or a verification failed; 2 bad usage or bad input; 3 not comparable; 130 interrupted, by
SIGINT or SIGTERM; 141 broken pipe.
"""

from __future__ import annotations

import importlib


def __getattr__(name: str) -> object:
    """`main` and `COMMANDS`, imported when they are used: the entry point handles signals before click is imported."""
    if name not in ("main", "COMMANDS"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.commands"), name)
