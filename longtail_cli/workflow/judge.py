"""Gates: what flags and files ask for, and what comes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.gate_config import TABLE, GateConfig, find_gate_config
from longtail_cli.files.report_files import read_baseline as read_text
from longtail_cli.files.report_files import read_resamples, resamples_path
from longtail_cli.metrics import Resamples
from longtail_cli.reports.gates.comparing import differences
from longtail_cli.reports.gates.judging import JudgedOn, judge
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, KINDS, Gate, GateKind, merge_gates, parse_gate
from longtail_cli.reports.json import from_json
from longtail_cli.reports.model import Baseline, Report
from longtail_cli.workflow.intervals import Bootstrapping, intervals_of, with_deltas


@dataclass(frozen=True, slots=True)
class Asked:
    """What flags ask for; None and empty leave it to the file.

    gates: ``metric=limit`` texts by kind. runs: names of those to judge.
    """

    gates: Mapping[GateKind, Sequence[str]] = field(default_factory=dict)
    baseline: Path | None = None
    on: JudgedOn | None = None
    allow_undefined: bool | None = None
    runs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GatePlan:
    """What is to be judged, and what against. on: ``value`` or ``interval``. runs: empty means all."""

    gates: tuple[Gate, ...] = ()
    on: JudgedOn = "value"
    allow_undefined: bool = False
    runs: tuple[str, ...] = ()
    baseline: BaselineFile | None = None


def plan_gates(asked: Asked, folder: Path) -> GatePlan:
    """Flags before ``ltcal.toml`` or ``pyproject.toml``, looked for from `folder` upwards; the baseline is read.

    Raises UsageError and InputError for gates, files and baselines that do not make sense.
    """
    found = find_gate_config(folder)
    config = GateConfig("", None, None, None, (), ()) if found is None else found
    of_flags = [parse_gate(kind, text, f"--{kind}") for kind in KINDS for text in asked.gates.get(kind, ())]
    of_file = [parse_gate(kind, text, f"{config.source}: {TABLE} {kind}") for kind, text in config.gates]
    baseline = asked.baseline or config.baseline
    return GatePlan(
        gates=merge_gates(of_flags, of_file),
        on=asked.on or config.gate_on or "value",
        allow_undefined=bool(config.allow_undefined if asked.allow_undefined is None else asked.allow_undefined),
        runs=asked.runs or config.runs,
        baseline=None if baseline is None else read_baseline(baseline),
    )


def judged(report: Report, plan: GatePlan) -> Report:
    """The report held against the baseline, if there is one, with a verdict of each gate on each run.

    Raises UsageError for figures and runs that are not there, and for gates on intervals of differences where the
    baseline was not resampled by the same draws.
    """
    report = report if plan.baseline is None else compare_with_baseline(report, plan.baseline)
    comparable = report.baseline is not None and not report.baseline.differences
    against = any(gate.kind in AGAINST_REFERENCE for gate in plan.gates)
    on_intervals = comparable and against and plan.on == "interval"
    if plan.baseline is not None and on_intervals and not paired(report, plan.baseline):
        problem = Problem("resamples", "those of the baseline beside it, by the same draws", "none, or others")
        fix = "write the baseline with `ltcal report --bootstrap --json`, and keep its .ltcal.parquet beside it"
        raise UsageError(str(plan.baseline.path), [problem], fix)
    verdicts = judge(report, plan.gates, on=plan.on, allow_undefined=plan.allow_undefined, runs=plan.runs)
    return replace(report, gates=verdicts)


INTERVAL_TOLERANCE = 1e-9
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
            math.isclose(getattr(found[name], end), getattr(one, end), abs_tol=INTERVAL_TOLERANCE)
            for name, one in run.intervals.items()
            for end in ("low", "high")
        )
        if not same:
            problem = Problem(f"run {run.name}", f"the resamples behind {path}", "those of another report")
            raise InputError(str(beside), [problem], "write the report again with --bootstrap, and keep both files")


def compare_with_baseline(report: Report, baseline: BaselineFile) -> Report:
    """The report with differences to the baseline's first run, or with what keeps the two from being compared.

    Differences have intervals where both were resampled by the same draws.
    """
    first = baseline.report.runs[0]
    unlike = differences(report.signature, baseline.report.signature)
    runs = tuple(replace(run, deltas={}) for run in report.runs)
    if not unlike and paired(report, baseline):
        own, base = report.resamples, baseline.resamples
        if own is not None and base is not None:
            runs = tuple(with_deltas(run, own.runs[run.name], first, base.runs[first.name]) for run in runs)
    return replace(report, runs=runs, baseline=Baseline(str(baseline.path), first, unlike))


def paired(report: Report, baseline: BaselineFile) -> bool:
    """Whether both were resampled by the same draws."""
    own, base = report.resamples, baseline.resamples
    return own is not None and base is not None and own.sha256 == base.sha256 and own.number == base.number
