"""What the commands do, in memory, for Python users. A function is imported when it is first asked for."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from longtail_cli.workflow.inputs import require_torch

if TYPE_CHECKING:
    from longtail_cli.workflow.classifying import evaluate_classification, report_classification
    from longtail_cli.workflow.counting import compute_freq
    from longtail_cli.workflow.reporting import evaluate, report
    from longtail_cli.workflow.rescoring import rescore
    from longtail_cli.workflow.rescoring_logits import rescore_logits
    from longtail_cli.workflow.verifying import verify

__all__ = [
    "compute_freq",
    "evaluate",
    "evaluate_classification",
    "report",
    "report_classification",
    "rescore",
    "rescore_logits",
    "verify",
]

_HOME = {
    "compute_freq": "counting",
    "rescore": "rescoring",
    "rescore_logits": "rescoring_logits",
    "evaluate": "reporting",
    "evaluate_classification": "classifying",
    "report": "reporting",
    "report_classification": "classifying",
    "verify": "verifying",
}


_NEEDS_TORCH = ("rescore_logits", "evaluate_classification", "report_classification")


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in _NEEDS_TORCH:
        require_torch()
    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
