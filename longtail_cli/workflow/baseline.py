"""An earlier report that the runs are held against."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.baseline import read_baseline as read_text
from longtail_cli.files.resamples import Resamples, read_resamples, resamples_path
from longtail_cli.report.gates.comparing import differences
from longtail_cli.report.model import Baseline, Report
from longtail_cli.report.schema import from_json
from longtail_cli.workflow.evaluated import Bootstrapping, Evaluated, intervals_of, with_deltas

SAME = 1e-9
"""Intervals differ by less where another NumPy took the quantiles."""


@dataclass(frozen=True, slots=True)
class BaselineFile:
    """A report on file, of which the first run counts. resamples: those beside it; None where there are none."""

    path: Path
    report: Report
    resamples: Resamples | None

    def bootstrapping(self, resamples: int | None, seed: int | None) -> Bootstrapping:
        """How to resample so that draws are paired with these; `resamples` and `seed` as they were asked for, or None.

        Raises UsageError where something else was asked for.
        """
        default = Bootstrapping()
        if self.resamples is None:
            return Bootstrapping(resamples or default.resamples, default.seed if seed is None else seed)
        own = {"--resamples": self.resamples.number, "--seed": self.resamples.seed}
        asked = {"--resamples": resamples, "--seed": seed}
        problems = [
            Problem(option, f"{own[option]}, as in the baseline", str(value))
            for option, value in asked.items()
            if value is not None and value != own[option]
        ]
        if problems:
            raise UsageError(str(self.path), problems, "leave the options out, or write the baseline with them")
        return Bootstrapping(self.resamples.number, self.resamples.seed)


def read_baseline(path: Path) -> BaselineFile:
    """The report at `path` with the resamples beside it, if it was resampled and they are there.

    Raises InputError where either is broken, or the resamples are those of another report.
    """
    report, beside = from_json(read_text(path), str(path)), resamples_path(path)
    if report.bootstrap is None or not beside.exists():
        return BaselineFile(path, report, None)
    resamples = read_resamples(beside)
    _check_same(report, resamples, path, beside)
    return BaselineFile(path, report, resamples)


def _check_same(report: Report, resamples: Resamples, path: Path, beside: Path) -> None:
    """Raise InputError unless the intervals of the report are those of the resamples: files get mixed up."""
    for run in report.runs:
        found = intervals_of(run, resamples.runs.get(run.name, {}))
        same = found.keys() == run.intervals.keys() and all(
            math.isclose(getattr(found[name], end), getattr(one, end), abs_tol=SAME)
            for name, one in run.intervals.items()
            for end in ("low", "high")
        )
        if not same:
            problem = Problem(f"run {run.name}", f"the resamples behind {path}", "those of another report")
            raise InputError(str(beside), [problem], "write the report again with --bootstrap, and keep both files")


def held_against(found: Evaluated, baseline: BaselineFile) -> Report:
    """The report with differences to the baseline's first run, or with what keeps the two from being compared.

    Differences have intervals where both were resampled by the same draws.
    """
    report, first = found.report, baseline.report.runs[0]
    unlike = differences(report.signature, baseline.report.signature)
    runs = tuple(replace(run, deltas={}) for run in report.runs)
    if not unlike and paired(found, baseline):
        own, base = found.resamples, baseline.resamples
        if own is not None and base is not None:
            runs = tuple(with_deltas(run, own.runs[run.name], first, base.runs[first.name]) for run in runs)
    return replace(report, runs=runs, baseline=Baseline(str(baseline.path), first, unlike))


def paired(found: Evaluated, baseline: BaselineFile) -> bool:
    """Whether both were resampled by the same draws."""
    own, base = found.resamples, baseline.resamples
    return own is not None and base is not None and own.sha256 == base.sha256 and own.number == base.number
