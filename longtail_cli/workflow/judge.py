"""Gates, baselines and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from longtail_cli.choices import GATE_KINDS, JudgedOn
from longtail_cli.errors import InputError, LtcalError, Problem, UsageError
from longtail_cli.files.gate_config import TABLE, GateConfig, find_gate_config
from longtail_cli.files.report_files import read_baseline as read_text
from longtail_cli.files.report_files import read_resamples, resamples_path
from longtail_cli.metrics import Resamples
from longtail_cli.reports.gates.comparing import differences
from longtail_cli.reports.gates.judging import judge
from longtail_cli.reports.gates.limits import AGAINST_REFERENCE, Gate, merge_gates, parse_gate
from longtail_cli.reports.json import from_json
from longtail_cli.reports.model import Baseline, Report
from longtail_cli.workflow.intervals import intervals_of, with_deltas
from longtail_cli.workflow.options import BootstrapOptions, BootstrapRequest, GateRequest

INTERVAL_TOLERANCE = 1e-9
"""Intervals computed with different versions of NumPy differ by less than this."""


@dataclass(frozen=True, slots=True)
class GatePlan:
    """The gates, the runs they apply to, and the baseline. runs: empty means all."""

    gates: tuple[Gate, ...] = ()
    on: JudgedOn = "value"
    allow_undefined: bool = False
    runs: tuple[str, ...] = ()
    baseline: Report | None = None
    baseline_path: Path | None = None
    allow_oracle: bool = False
    config_path: Path | None = None
    """The file that gates were read from, if any."""
    from_file: frozenset[str] = frozenset()
    """Which of ``baseline``, ``gate-on`` and ``runs`` the file decides."""

    def origin(self, entry: str, otherwise: str = "gate") -> str:
        """What errors about a decision name: the `entry` of the file if the file decides, else `otherwise`."""
        return f"{self.config_path}: {TABLE} {entry}" if entry in self.from_file else otherwise

    @property
    def source(self) -> str:
        """What asked for the gates, for the error that ends the build: the file if it decides anything."""
        decides = self.from_file or any(_is_about(gate.option, self.config_path) for gate in self.gates)
        return str(self.config_path) if decides else "gate"

    @property
    def baseline_source(self) -> str:
        """The name of the baseline in errors and reports."""
        return "in memory" if self.baseline_path is None else str(self.baseline_path)

    @property
    def baseline_origin(self) -> str:
        """The name of the baseline in errors about it, after the entry of the file that names it, if any."""
        entry = self.origin("baseline", "")
        return f"{entry}: {self.baseline_source}" if entry else self.baseline_source

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that are read: the JSON of the baseline, the resamples beside it, and the file with the gates."""
        baseline = () if self.baseline_path is None else (self.baseline_path, resamples_path(self.baseline_path))
        return baseline if self.config_path is None else (*baseline, self.config_path)


def plan_gates(request: GateRequest, folder: Path) -> GatePlan:
    """The request, completed from ``ltcal.toml`` or ``pyproject.toml`` in `folder` or above; reads the baseline.

    Raises UsageError and InputError for invalid gates, files and baselines.
    """
    found = find_gate_config(folder) if request.gate else None
    config = GateConfig("", None, None, None, (), ()) if found is None else found
    config_path = None if found is None else Path(found.source)
    asked = request.texts if request.gate else {}
    gate_on = request.gate_on if request.gate else None
    of_request = [parse_gate(kind, text, _parameter(kind)) for kind in GATE_KINDS for text in asked.get(kind, ())]
    with _optional(config_path):
        of_file = [parse_gate(kind, text, config.entry(kind)) for kind, text in config.gates]
    decided = {
        "baseline": config.baseline is not None and request.baseline is None,
        "gate-on": config.gate_on is not None and gate_on is None,
        "runs": bool(config.runs) and not request.gate_runs,
    }
    plan = GatePlan(
        gates=merge_gates(of_request, of_file),
        on=gate_on or config.gate_on or "value",
        allow_undefined=bool(config.allow_undefined if request.allow_undefined is None else request.allow_undefined),
        runs=request.gate_runs or config.runs,
        baseline_path=request.baseline or config.baseline,
        allow_oracle=bool(config.allow_oracle if request.allow_oracle is None else request.allow_oracle),
        config_path=config_path,
        from_file=frozenset(entry for entry, by_file in decided.items() if by_file),
    )
    with _optional(config_path):
        return plan if plan.baseline_path is None else replace(plan, baseline=_read_baseline(plan, plan.baseline_path))


_WAY_OUT = "`gate=False` to do without the gates of this file"


@contextmanager
def _optional(config: Path | None) -> Iterator[None]:
    """Errors about the file with the gates also say how to do without it."""
    try:
        yield
    except LtcalError as error:
        if not _is_about(error.source, config) or "`gate=False`" in error.fix:
            raise
        raise type(error)(
            error.source, error.problems, f"{error.fix}; or pass {_WAY_OUT}", total=error.total
        ) from error


def _is_about(source: str, config: Path | None) -> bool:
    """Whether the source of an error, or the option of a gate, is an entry of the file."""
    return config is not None and f"{config}: {TABLE}" in source


def _read_baseline(plan: GatePlan, path: Path) -> Report:
    """The baseline. Raises InputError, about the file with the gates if that names the baseline."""
    try:
        return read_report(path)
    except InputError as error:
        if "baseline" not in plan.from_file:
            raise
        source = f"{plan.origin('baseline')}: {error.source}"
        raise InputError(source, error.problems, error.fix, total=error.total) from error


def plan_bootstrap(request: BootstrapRequest, plan: GatePlan, *, plotted: bool) -> BootstrapOptions | None:
    """The bootstrap to run, or None; with the seed and the number of resamples of the baseline if it has any.

    plotted: whether an output shows intervals; they are then computed unless `request` says otherwise.
    Raises UsageError if the gates need intervals or p-values that are not computed, or the baseline has other
    resamples.
    """
    wanted = request.bootstrap
    tested = plan.on == "significance" if request.significance is None else request.significance
    with _optional(plan.config_path):
        _check_request(request, plan, tested=tested)
    if wanted is None:
        asked = request.resamples is not None or request.seed is not None
        wanted = plotted or plan.on == "interval" or tested or asked
    if not wanted:
        return None
    base = None if plan.baseline is None else plan.baseline.resamples
    if base is not None:
        with _optional(plan.config_path):
            _check_resampling(request, base, plan.baseline_origin)
        return BootstrapOptions(base.number, base.seed, tested)
    default = BootstrapOptions()
    return BootstrapOptions(request.resamples or default.resamples, request.seed or default.seed, tested)


def _check_request(request: BootstrapRequest, plan: GatePlan, *, tested: bool) -> None:
    """Raise UsageError if what the gates need was refused, or cannot be computed. tested: whether p-values are."""
    origin = plan.origin("gate-on")
    if request.significance is False and plan.on == "significance" and plan.gates:
        raise _contradiction(origin, "significance", f"p-values, for `gate_on='{plan.on}'`")
    if plan.on == "significance" and plan.baseline is not None:
        _refuse_untested(plan)
    if request.bootstrap is False and plan.on != "value" and plan.gates:
        raise _contradiction(origin, "bootstrap", f"intervals, for `gate_on='{plan.on}'`")
    if request.bootstrap is False and tested:
        raise _contradiction("gate", "bootstrap", "intervals, which come with `significance=True`")


def _contradiction(origin: str, parameter: str, expected: str) -> UsageError:
    """The error of a parameter that is False although its result is needed. origin: what needs it."""
    problem = Problem(f"`{parameter}=`", expected, f"`{parameter}=False`")
    return UsageError(origin, [problem], f"leave `{parameter}=False` out")


def _refuse_untested(plan: GatePlan) -> None:
    """Raise UsageError if gates that compare with a baseline are judged on significance."""
    if any(gate.kind in AGAINST_REFERENCE for gate in plan.gates):
        problem = Problem("baseline", "detections, which runs exchange in a permutation test", "metrics alone")
        fix = "pass both prediction files, that of the reference first, and leave `baseline=` out"
        raise UsageError(plan.baseline_origin, [problem], fix)


def _check_resampling(request: BootstrapRequest, base: Resamples, source: str) -> None:
    """Raise UsageError if resamples or a seed other than those of the baseline are requested."""
    own = {"resamples": (request.resamples, base.number), "seed": (request.seed, base.seed)}
    problems = [
        Problem(f"`{name}=`", f"{expected}, as in the baseline", str(value))
        for name, (value, expected) in own.items()
        if value is not None and value != expected
    ]
    if problems:
        raise UsageError(source, problems, "leave these options out, or write the baseline with them")


def read_report(path: Path) -> Report:
    """The report at `path`, with the resamples beside it, if any.

    Raises InputError if either is broken, or the resamples belong to another report.
    """
    report, beside = from_json(read_text(path), str(path)), resamples_path(path)
    if report.bootstrap is None or not beside.exists():
        return report
    resamples = read_resamples(beside)
    _check_same(report, resamples, path, beside)
    return replace(report, resamples=resamples)


def _check_same(report: Report, resamples: Resamples, path: Path, beside: Path) -> None:
    """Raise InputError unless the intervals of the report follow from the resamples."""
    for run in report.runs:
        found = intervals_of(run, resamples.runs.get(run.name, {}), report)
        same = found.keys() == run.intervals.keys() and all(
            math.isclose(getattr(found[name], end), getattr(one, end), abs_tol=INTERVAL_TOLERANCE)
            for name, one in run.intervals.items()
            for end in ("low", "high")
        )
        if not same:
            problem = Problem(f"run {run.name}", f"the resamples of {path}", "those of another report")
            raise InputError(str(beside), [problem], "write the report again with intervals, and keep both files")


def check_one_reference(reference: str | None, plan: GatePlan) -> None:
    """Raise UsageError if differences are requested to a run and to a baseline."""
    if reference is not None and plan.baseline is not None:
        problem = Problem(reference, "no baseline beside it", f"the baseline {plan.baseline_origin}")
        otherwise = f"pass {_WAY_OUT}" if "baseline" in plan.from_file else "leave out the baseline"
        raise UsageError("`reference=`", [problem], f"leave out `reference=`, or {otherwise}")


def judged(report: Report, plan: GatePlan) -> Report:
    """The report compared with the baseline, if there is one, and with a verdict of each gate on each run.

    Raises UsageError for a baseline besides a requested reference, for unknown metrics and runs, for gates on intervals
    of differences if the baseline was not resampled with the same draws, and for gates on significance without
    p-values.
    """
    check_one_reference(report.compared_to, plan)
    if plan.baseline is not None:
        report = _compared(report, plan.baseline, plan.baseline_source)
    with _optional(plan.config_path):
        _check_paired(report, plan)
        _check_tested(report, plan)
        verdicts = judge(
            report,
            plan.gates,
            on=plan.on,
            allow_undefined=plan.allow_undefined,
            allow_oracle=plan.allow_oracle,
            runs=plan.runs,
            runs_option=plan.origin("runs"),
        )
    return replace(report, gates=verdicts)


def _compared(report: Report, baseline: Report, source: str) -> Report:
    """The report with differences to the baseline's first run, or with the reasons why they cannot be compared.

    Differences have intervals if both were resampled with the same draws.
    """
    first = baseline.runs[0]
    unlike = differences(report.signature, baseline.signature)
    runs = tuple(replace(run, deltas={}, p_values={}) for run in report.runs)
    own, base = report.resamples, baseline.resamples
    if not unlike and own is not None and base is not None and paired(own, base):
        runs = tuple(with_deltas(run, own.runs[run.name], first, base.runs[first.name], report) for run in runs)
    untested = f"no p-values: the baseline {source} holds metrics, and no detections to exchange"
    notes = (*report.notes, untested) if any(run.p_values for run in report.runs) else report.notes
    return replace(report, runs=runs, notes=notes, baseline=Baseline(source, first, unlike))


def _check_paired(report: Report, plan: GatePlan) -> None:
    """Raise UsageError if a gate needs the interval of a difference that cannot be paired."""
    comparable = report.baseline is not None and not report.baseline.differences
    against = any(gate.kind in AGAINST_REFERENCE for gate in plan.gates)
    base = None if plan.baseline is None else plan.baseline.resamples
    if comparable and against and plan.on == "interval" and not paired(report.resamples, base):
        problem = Problem("resamples", "those of the baseline, from the same draws", "none, or others")
        fix = "write the baseline with `bootstrap=True` and `json=`, and keep its .ltcal.parquet beside it"
        raise UsageError(plan.baseline_origin, [problem], fix)


def _check_tested(report: Report, plan: GatePlan) -> None:
    """Raise UsageError if a gate needs p-values and the report has none."""
    if plan.on != "significance":
        return
    if plan.baseline is not None:
        _refuse_untested(plan)
    untested = [run.name for run in report.runs if run is not report.reference and not run.p_values]
    if untested and any(gate.kind in AGAINST_REFERENCE for gate in plan.gates):
        problem = Problem("p-values", "those of the differences to the reference", f"none of {', '.join(untested)}")
        fix = "evaluate both prediction files with `significance=True`"
        raise UsageError(plan.origin("gate-on"), [problem], fix)


def paired(own: Resamples | None, base: Resamples | None) -> bool:
    """Whether both come from the same draws."""
    return own is not None and base is not None and own.sha256 == base.sha256 and own.number == base.number


def _parameter(kind: str) -> str:
    return f"`{kind.replace('-', '_')}=`"
