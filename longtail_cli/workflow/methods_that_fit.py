"""Which methods of the registry can be applied to an input, found out by asking each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NoReturn

import numpy as np

from longtail_cli.errors import InputError, UsageError
from longtail_cli.methods.base import MethodContext, NamedMethod, needs_logits
from longtail_cli.methods.registry import METHODS, parse_method
from longtail_cli.methods.steps import ScoreStep, Step, ignore_row_constants
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Singles

_VALUES = {"file": "FILE"}
"""Values of required parameters; others get 1."""


class _Asked(Exception):  # noqa: N818  (no error)
    """A method asks for data, so it fits the columns."""


class _NoData:
    """Ends a method that asks for data. See `longtail_cli.methods.base.DataAccess`."""

    def __init__(self, score_only: bool) -> None:
        self._score_only = score_only

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        raise _Asked

    def prior(self, path: str) -> FrequencyTable:
        raise _Asked

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        self._asked()

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        self._asked()

    def rows(self, path: str, steps: tuple[Step, ...], kind: str) -> Iterator[Singles]:
        self._asked()

    def _asked(self) -> NoReturn:
        if self._score_only:
            raise needs_logits("this")
        raise _Asked


def score_only_methods() -> tuple[str, ...]:
    """The names of the methods for result files, in the order of the registry."""
    columns = LogitColumns("sigmoid", "none", np.arange(3))
    return _fitting(MethodContext(columns, _table(columns), None, _NoData(True), score_only=True))


def logits_methods(
    columns: LogitColumns, features: int | None, classifier: Singles | None, *, exact: bool = False
) -> tuple[str, ...]:
    """The names of the methods for logits, in the order of the registry. The rest is as in `MethodContext`.

    exact: whether only those that do not depend on a constant in each row, which probabilities leave open.
    """
    return _fitting(MethodContext(columns, _table(columns), classifier, _NoData(False), features=features), exact)


def _fitting(context: MethodContext, exact: bool = False) -> tuple[str, ...]:
    return tuple(name for name, method in METHODS.items() if _fits(method, context, exact))


def _fits(method: type[NamedMethod], context: MethodContext, exact: bool) -> bool:
    required = [one.name for one in method.parameters() if one.default is None]
    values = ",".join(f"{name}={_VALUES.get(name, '1')}" for name in required)
    try:
        steps = parse_method(f"{method.name}:{values}" if values else method.name).adjustment(context).steps
    except _Asked:
        return not exact
    except (UsageError, InputError):
        return False
    if exact and not ignore_row_constants(steps):
        return False
    return not context.score_only or all(isinstance(step, ScoreStep) for step in steps)


def _table(columns: LogitColumns) -> FrequencyTable:
    """Counts of the classes, all that a table can hold."""
    number = len(columns)
    count = np.arange(1, number + 1)
    return FrequencyTable(
        np.sort(columns.category_id), ("",) * number, count, count, ("f",) * number, 2 * number, np.full(number, 1.5)
    )
