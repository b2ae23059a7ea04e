"""Gates: what flags and files ask for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.gate_config import TABLE, GateConfig, find_gate_config
from longtail_cli.report.gates.judging import KINDS, Gate, GateKind, JudgedOn, judge, merged, parse_gate
from longtail_cli.report.gates.limits import AGAINST_REFERENCE
from longtail_cli.report.model import Report
from longtail_cli.workflow.baseline import BaselineFile, held_against, paired, read_baseline
from longtail_cli.workflow.evaluated import Evaluated


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
        gates=merged(of_flags, of_file),
        on=asked.on or config.gate_on or "value",
        allow_undefined=bool(config.allow_undefined if asked.allow_undefined is None else asked.allow_undefined),
        runs=asked.runs or config.runs,
        baseline=None if baseline is None else read_baseline(baseline),
    )


def judged(found: Evaluated, plan: GatePlan) -> Report:
    """The report held against the baseline, if there is one, with a verdict of each gate on each run.

    Raises UsageError for figures and runs that are not there, and for gates on intervals of differences where the
    baseline was not resampled by the same draws.
    """
    report = found.report if plan.baseline is None else held_against(found, plan.baseline)
    comparable = report.baseline is not None and not report.baseline.differences
    against = any(gate.kind in AGAINST_REFERENCE for gate in plan.gates)
    on_intervals = comparable and against and plan.on == "interval"
    if plan.baseline is not None and on_intervals and not paired(found, plan.baseline):
        problem = Problem("resamples", "those of the baseline beside it, by the same draws", "none, or others")
        fix = "write the baseline with `ltcal report --bootstrap --json`, and keep its .ltcal.parquet beside it"
        raise UsageError(str(plan.baseline.path), [problem], fix)
    verdicts = judge(report, plan.gates, on=plan.on, allow_undefined=plan.allow_undefined, runs=plan.runs)
    return replace(report, gates=verdicts)
