"""Methods of files, the choice of a tuning or a fit, which apply only to what they were made for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Literal

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.fitted import read_fitted, write_fitted
from longtail_cli.files.output import outputs_of
from longtail_cli.files.report_files import read_tuned
from longtail_cli.files.source import check_readable, printable
from longtail_cli.methods.base import Adjustment, Method, MethodContext
from longtail_cli.methods.fitted import FittedStep, from_arrays
from longtail_cli.methods.registry import parse_method
from longtail_cli.methods.steps import Classify
from longtail_cli.reports.fitting.json import from_json as record_of
from longtail_cli.reports.fitting.json import to_json
from longtail_cli.reports.fitting.model import FitRecord
from longtail_cli.reports.origin import METHOD, Origin
from longtail_cli.reports.tuning.json import from_json
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import LogitColumns, Longs
from longtail_cli.workflow.method_specs import FILE

KINDS = {"results": "one score per detection (a result file)", "logits": "full logits"}
SHOWN = 5
"""Category ids that an error lists."""

_ZIP = b"PK"


@dataclass(frozen=True, slots=True)
class SavedMethod:
    """A method with the data that it was made from. It does what `method` does, under the same spec."""

    method: Method
    origin: Origin
    source: str
    """The file of the tuning or of the fit."""
    made: Literal["tuned", "fitted"]
    partial: bool = False
    """Whether the search of the tuning was interrupted."""
    description: str = ""
    """What was fitted; empty for a tuning, whose choice says so itself."""

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
            data = ", ".join(one.name for one in self.origin.inputs if one.role == "predictions") or "its predictions"
            again = {"tuned": "tune", "fitted": "fit"}[self.made]
            fix = f"apply it to the model that it was {self.made} on ({data}), or {again} again on this one"
            raise InputError(f"{self.source}: {self.made} for other classes or another head", problems, fix)
        return self.method.adjustment(context)

    def _problems(self, context: MethodContext) -> list[Problem]:
        expected, columns = self.origin, context.columns
        kind = "results" if context.score_only else "logits"
        if kind != expected.kind:
            return [Problem("input", f"{KINDS.get(expected.kind, expected.kind)}, as {self.made} on", KINDS[kind])]
        problems = []
        if (columns.head, columns.background) != (expected.head, expected.background):
            wanted, found = (f"{one.head}, background {one.background}" for one in (expected, columns))
            problems.append(Problem("head", f"{wanted}, as {self.made} on", found))
        return problems + self._class_problems(columns, incomplete=context.score_only and not self.uses_counts)

    def _class_problems(self, columns: LogitColumns, *, incomplete: bool) -> list[Problem]:
        """incomplete: whether classes may be missing."""
        wanted, found = np.array(self.origin.category_ids, np.int64), columns.category_id
        more, missing = np.setdiff1d(found, wanted), np.setdiff1d(wanted, found)
        if not len(more) and (incomplete or not len(missing)):
            return []
        differing = f"{_listed(missing)} missing, {_listed(more)} unknown"
        return [Problem("categories", f"the {len(wanted)} {self.made} on", f"{len(found)}: {differing}")]


def saved_in(method: Method) -> Iterator[SavedMethod]:
    """The method, and what a tuning chose, if they are from files."""
    while isinstance(method, SavedMethod):
        yield method
        method = method.method


def is_head(method: Method) -> bool:
    """Whether the method is a fitted classifier, which needs features and no logits."""
    if isinstance(method, SavedMethod):
        return is_head(method.method)
    return isinstance(method, FittedMethod) and isinstance(method.fit.step.step, Classify)


def read_tuning(path: Path) -> Tuning:
    """The tuning at `path`. Raises InputError if the file is broken, or is none."""
    return from_json(read_tuned(path), str(path))


def method_of_file(path: Path) -> SavedMethod:
    """The choice of the tuning at `path`, or what was fitted there; the first bytes tell which.

    Raises InputError if the file is broken, or is neither.
    """
    check_readable(path)
    with path.open("rb") as file:
        archive = file.read(len(_ZIP)) == _ZIP
    return fitted_method(path) if archive else choice_of(read_tuning(path), printable(str(path)))


def choice_of(tuning: Tuning, source: str) -> SavedMethod:
    """The method that the tuning called `source` chose, which may be a fit.

    Raises InputError if the file of the fit is gone, or is not the one that was tried.
    """
    spec = tuning.chosen.spec
    if not spec.startswith(FILE):
        method: Method = parse_method(spec)
    else:
        path = Path(spec.removeprefix(FILE))
        method = fitted_method(path)
        _check_same(path, tuning.tuned_on, source)
    return SavedMethod(method, tuning.tuned_on, source, "tuned", tuning.partial)


def _check_same(path: Path, tuned_on: Origin, source: str) -> None:
    """Raise InputError unless the file is the one that was tried."""
    found = sha256(path.read_bytes()).hexdigest()
    tried = [one.sha256 for one in tuned_on.inputs if one.role == METHOD and one.name == printable(str(path))]
    if found not in tried:
        problem = Problem(printable(str(path)), "the file that was tried", "another one of that name")
        raise InputError(source, [problem], "restore that file, or tune again with this one")


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """What `ltcal fit` learned; ``fitted.npz`` holds all of it."""

    record: FitRecord
    step: FittedStep

    def __repr__(self) -> str:
        """One line: a fit may hold thousands of images and millions of weights."""
        return f"<Fit: {self.record.method}, {self.record.rows.used} rows>"

    def to_text(self) -> str:
        """What was fitted and how it went, for a terminal."""
        from longtail_cli.reports.fitting.text import to_text

        return to_text(self.record)

    def write(self, path: Path) -> None:
        """Write the file for ``@fitted.npz``, a new one. Raises OutputError if it cannot be written to."""
        write_fitted(path, to_json(self.record), self.step.to_arrays())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file for ``@fitted.npz``, which replaces another one. Raises OutputError if that fails."""
        with outputs_of([Path(path)], inputs=[]) as staged:
            self.write(staged[Path(path)])


def read_fit(path: Path) -> Fit:
    """The fit at `path`. Raises InputError if the file is broken, or is none."""
    text, arrays = read_fitted(path)
    record = record_of(text, str(path))
    origin = record.fitted_on
    ids = np.array(origin.category_ids, np.int64)
    if not len(ids) or (np.diff(ids) <= 0).any():
        problem = Problem("category_ids", "at least one, ascending", "others")
        raise InputError(str(path), [problem], "write the file again with `ltcal fit`")
    return Fit(record, from_arrays(arrays, LogitColumns(origin.head, origin.background, ids), str(path)))


def fitted_method(path: Path) -> SavedMethod:
    """What was fitted at `path`, as a method. Raises InputError if the file is broken, or is none."""
    return method_of_fit(read_fit(path), printable(str(path)), (str(path),))


def method_of_fit(fit: Fit, source: str, files: tuple[str, ...] = ()) -> SavedMethod:
    """A fit as a method, whose spec is ``@source``. files: that hold it."""
    method = FittedMethod(fit, f"{FILE}{source}", files)
    return SavedMethod(method, fit.record.fitted_on, source, "fitted", description=fit.record.description)


@dataclass(frozen=True, slots=True)
class FittedMethod:
    """What a fit learned."""

    fit: Fit
    spec: str
    files: tuple[str, ...]
    uses_counts: bool = False

    def adjustment(self, context: MethodContext) -> Adjustment:
        """The learned step. Raises InputError if the logits lack the features that it needs, or have others."""
        width = self.fit.step.features
        if width is not None and context.features != width:
            found = "none" if context.features is None else f"{context.features} columns"
            problem = Problem("tensors", f"`features` [N, {width}], as it was fitted on", found)
            raise InputError(f"method {self.spec}", [problem], "save the features of the same layer with the logits")
        return self.fit.step.adjustment(context)


def _listed(ids: Longs) -> str:
    shown = ", ".join(map(str, ids[:SHOWN].tolist()))
    return (shown or "none") if len(ids) <= SHOWN else f"{shown} and {len(ids) - SHOWN} more"
