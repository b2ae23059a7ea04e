"""Post-hoc calibration of long-tailed classifiers and detectors: count, adjust, tune, evaluate, judge.

Names are imported when they are first used, so that ``import longtail_cli`` loads no array library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from longtail_cli import capture, losses
    from longtail_cli.api import (
        adjust,
        count,
        evaluate,
        evaluate_classification,
        inspect,
        judge,
        read_frequencies,
        read_report,
        read_tuning,
        rescore,
        tune,
    )
    from longtail_cli.errors import LtcalError, LtcalWarning
    from longtail_cli.files.logits.writer import LogitsWriter
    from longtail_cli.methods.registry import parse_method
    from longtail_cli.reports.inspection.model import Inspection
    from longtail_cli.reports.model import Report
    from longtail_cli.reports.tuning.model import Tuning
    from longtail_cli.tables import FrequencyTable

__version__ = "0.1.0"

__all__ = [
    "Fit",
    "FrequencyTable",
    "Inspection",
    "LogitsWriter",
    "LtcalError",
    "LtcalWarning",
    "Report",
    "Tuning",
    "adjust",
    "capture",
    "count",
    "evaluate",
    "evaluate_classification",
    "fit",
    "inspect",
    "judge",
    "losses",
    "parse_method",
    "read_fit",
    "read_frequencies",
    "read_report",
    "read_tuning",
    "rescore",
    "tune",
]

_MODULES = {
    "Fit": "workflow.saved_method",
    "FrequencyTable": "tables",
    "Inspection": "reports.inspection.model",
    "LogitsWriter": "files.logits.writer",
    "LtcalError": "errors",
    "LtcalWarning": "errors",
    "Report": "reports.model",
    "Tuning": "reports.tuning.model",
    "parse_method": "methods.registry",
}
"""Modules of the names that `longtail_cli.api` does not define."""

_PACKAGES = ("capture", "losses")
"""Names that are packages themselves."""


def __getattr__(name: str) -> Any:
    if name in _PACKAGES:
        return importlib.import_module(f"{__name__}.{name}")
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES.get(name, 'api')}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
