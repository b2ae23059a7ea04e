"""One way to say what does not fit."""

from __future__ import annotations

from typing import Any

from longtail_cli.errors import Problem, UsageError


def misfit(source: str, where: str, expected: str, found: str, fix: str) -> UsageError:
    """The error of one thing that does not fit a model, its outputs or the writer."""
    return UsageError(source, [Problem(where, expected, found)], fix)


def wrong_model(source: str, expected: str, found: object, fix: str) -> UsageError:
    """The error of an object that is not the kind of model that `source` watches."""
    return misfit(source, "the model", expected, type(found).__name__, fix)


def check_evaluating(source: str, model: Any) -> None:
    """Raise `UsageError` where `model` is in training mode, in which it makes no detections."""
    if model.training:
        raise misfit(source, "the model", "eval mode", "training mode", "call model.eval() first")
