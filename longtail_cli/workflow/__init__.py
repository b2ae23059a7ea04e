"""What the commands do, in memory, for Python users. A function is imported when it is first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longtail_cli.workflow.counting import compute_freq
    from longtail_cli.workflow.reporting import report
    from longtail_cli.workflow.rescoring import rescore
    from longtail_cli.workflow.verifying import verify

__all__ = ["compute_freq", "report", "rescore", "verify"]

_HOME = {"compute_freq": "counting", "rescore": "rescoring", "report": "reporting", "verify": "verifying"}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
