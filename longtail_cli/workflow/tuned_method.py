"""The choice of a tuning as a method that applies only to what it was tuned for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.report_files import read_tuned
from longtail_cli.files.source import printable
from longtail_cli.methods.base import Adjustment, Method, MethodContext
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.tuning.json import from_json
from longtail_cli.reports.tuning.model import TunedOn, Tuning
from longtail_cli.tables import LogitColumns, Longs

KINDS = {"results": "one score per detection (a result file)", "logits": "full logits"}
SHOWN = 5
"""Category ids that an error lists."""


def read_tuning(path: Path) -> Tuning:
    """The tuning at `path`. Raises InputError if the file is broken, or is none."""
    return from_json(read_tuned(path), str(path))


def tuned_method(path: Path) -> TunedMethod:
    """The method that the tuning at `path` chose. Raises InputError if the file is broken, or is none."""
    return choice_of(read_tuning(path), printable(str(path)))


def choice_of(tuning: Tuning, source: str) -> TunedMethod:
    """The method that the tuning called `source` chose."""
    return TunedMethod(parse_method(tuning.chosen.spec), tuning.tuned_on, source, tuning.partial)


@dataclass(frozen=True, slots=True)
class TunedMethod:
    """A method with the data that it was chosen on. It does what `method` does, under the same spec."""

    method: Method
    tuned_on: TunedOn
    source: str
    """The file of the tuning."""
    partial: bool
    """Whether the search was interrupted."""

    @property
    def spec(self) -> str:
        return self.method.spec

    @property
    def uses_counts(self) -> bool:
        return self.method.uses_counts

    @property
    def files(self) -> tuple[str, ...]:
        return self.method.files

    def adjustment(self, context: MethodContext) -> Adjustment:
        """That of the method. Raises InputError for other classes, another head, or another kind of input.

        The order of the categories does not matter. A method that uses no counts may be applied to a result file that
        lacks some of them.
        """
        problems = self._problems(context)
        if problems:
            data = ", ".join(one.name for one in self.tuned_on.inputs if one.role == "predictions") or "its predictions"
            fix = f"apply it to the model that it was tuned on ({data}), or tune again on this one"
            raise InputError(f"{self.source}: tuned for other classes or another head", problems, fix)
        return self.method.adjustment(context)

    def _problems(self, context: MethodContext) -> list[Problem]:
        expected, columns = self.tuned_on, context.columns
        kind = "results" if context.score_only else "logits"
        if kind != expected.kind:
            return [Problem("input", f"{KINDS.get(expected.kind, expected.kind)}, as tuned on", KINDS[kind])]
        problems = []
        if (columns.head, columns.background) != (expected.head, expected.background):
            wanted, found = (f"{one.head}, background {one.background}" for one in (expected, columns))
            problems.append(Problem("head", f"{wanted}, as tuned on", found))
        return problems + self._class_problems(columns, incomplete=context.score_only and not self.uses_counts)

    def _class_problems(self, columns: LogitColumns, *, incomplete: bool) -> list[Problem]:
        """incomplete: whether classes may be missing."""
        wanted, found = np.array(self.tuned_on.category_ids, np.int64), columns.category_id
        more, missing = np.setdiff1d(found, wanted), np.setdiff1d(wanted, found)
        if not len(more) and (incomplete or not len(missing)):
            return []
        differing = f"{_listed(missing)} missing, {_listed(more)} unknown"
        return [Problem("categories", f"the {len(wanted)} tuned on", f"{len(found)}: {differing}")]


def _listed(ids: Longs) -> str:
    shown = ", ".join(map(str, ids[:SHOWN].tolist()))
    return (shown or "none") if len(ids) <= SHOWN else f"{shown} and {len(ids) - SHOWN} more"
