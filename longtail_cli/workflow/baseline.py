"""An earlier report that the runs are held against."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.baseline import read_baseline as read_text
from longtail_cli.files.resamples import Resamples, read_resamples, resamples_path
from longtail_cli.report.comparing import differences
from longtail_cli.report.model import Baseline, Report
from longtail_cli.report.schema import from_json
from longtail_cli.workflow.evaluated import Bootstrapping, Evaluated, with_deltas


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
    """The report at `path` with the resamples beside it. Raises InputError where either is broken."""
    report = from_json(read_text(path), str(path))
    beside = resamples_path(path)
    return BaselineFile(path, report, read_resamples(beside) if beside.exists() else None)


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
