"""The tables of a tuning as rows of text, for the renderers."""

from __future__ import annotations

from longtail_cli.reports.format import UNDEFINED, Table, between, between_signed, difference, shown
from longtail_cli.reports.metric_names import lower_is_better, metrics_of
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.tuning.model import Choice, Tuning

DETECTION = ("AP", "APr", "APc", "APf")
CLASSIFICATION = {"balanced": "balanced", "top1": "top-1", "many": "many", "medium": "medium", "few": "few",
                  "nll": "NLL", "ece": "ECE"}  # fmt: skip

PARTIAL = "The search was interrupted: these are the candidates tried so far, without cross-fitted figures."
NO_HELDOUT = "Interrupted before the other half of the images was reported on."


def headline(tuning: Tuning) -> str:
    """One line on what was searched, for what, and on which data."""
    tried = sum(one.space != "none" for one in tuning.candidates)
    found = f"{tried} {_plural('candidate', tried)} in {len(tuning.best)} {_plural('space', len(tuning.best))}"
    best = "lowest" if lower_is_better(tuning.objective) else "highest"
    kept = f", keeping {' and '.join(tuning.keep)}" if tuning.keep else ""
    target = "" if tuning.target is None else f", target {tuning.target}"
    half = "" if tuning.split is None else f", split {tuning.split}"
    return (
        f"Tuned for the {best} {tuning.objective}{kept}{target}: {found}; "
        f"{tuning.folds} folds, seed {tuning.seed}{half}; ltcal {tuning.version}"
    )


def warning(tuning: Tuning) -> str:
    """What is missing because of an interruption; empty if nothing is."""
    return (PARTIAL if tuning.report is None else NO_HELDOUT) if tuning.partial else ""


def tables_of(tuning: Tuning) -> tuple[Table, ...]:
    """The choice beside no adjustment, the best of each space, what the folds chose, and the half held out."""
    tables = [choice_table(tuning), spaces_table(tuning)]
    folds = tuning.chosen.fold_specs
    if len(set(folds)) > 1:
        rows = tuple((str(number), spec) for number, spec in enumerate(folds, 1))
        tables.append(Table("Chosen for each fold, on the other folds", ("fold", "chosen"), rows, (0, 1)))
    if tuning.heldout is not None:
        title = f"On the other half, which was not tuned on (split {tuning.split})"
        tables.append(_runs_table(title, tuning.heldout, tuning.objective))
    return tuple(tables)


def folds_line(tuning: Tuning) -> str:
    """What all folds chose; empty if they disagree, or if there are none."""
    found = set(tuning.chosen.fold_specs)
    return f"All {len(tuning.chosen.fold_specs)} folds chose {next(iter(found))}." if len(found) == 1 else ""


def notes_of(tuning: Tuning) -> tuple[str, ...]:
    """The notes on the tuning, on its reports, and on the choice, each once."""
    reports = [one for one in (tuning.report, tuning.heldout) if one is not None]
    of_reports = [note for one in reports for note in one.notes]
    of_choice = [] if tuning.report is None else run_of(tuning.report, tuning.chosen).notes
    return tuple(dict.fromkeys([*tuning.notes, *of_reports, *of_choice]))


def choice_table(tuning: Tuning) -> Table:
    """The objective without adjustment and of the choice, cross-fitted and in-sample, and the optimism."""
    chosen, none, name = tuning.chosen, tuning.unadjusted, tuning.objective
    last = name.rpartition("/")[2]
    title = f"Chosen: {chosen.spec}"
    in_sample = ("chosen, in-sample", shown(last, chosen.in_sample), UNDEFINED)
    if tuning.report is None:
        before = ("no adjustment, in-sample", shown(last, none.in_sample), UNDEFINED)
        return Table(title, ("", name, "95% interval"), (before, in_sample))
    rows = (
        ("no adjustment", shown(last, none.cross_fitted), between(last, none.interval)),
        ("chosen, cross-fitted", shown(last, chosen.cross_fitted), between(last, chosen.interval)),
        ("  difference", difference(last, chosen.cross_fitted, none.cross_fitted), between_signed(last, chosen.gain)),
        in_sample,
        ("  optimism", difference(last, tuning.optimism, 0.0 if tuning.optimism is not None else None), UNDEFINED),
    )
    return Table(title, ("", name, "95% interval"), rows)


def spaces_table(tuning: Tuning) -> Table:
    """The best of each space: its objective in-sample and cross-fitted, further cross-fitted metrics, and intervals."""
    last = tuning.objective.rpartition("/")[2]
    if tuning.report is None:
        found = tuple((one.space, one.spec, shown(last, one.in_sample)) for one in tuning.best)
        return Table("Best of each space, in-sample", ("space", "best", tuning.objective), found, (0, 1))
    columns = columns_of(tuning.report)
    title = columns.pop(tuning.objective, tuning.objective)
    rows: list[tuple[str, ...]] = []
    for choice in (tuning.unadjusted, *tuning.best):
        run = run_of(tuning.report, choice)
        objectives = shown(last, choice.in_sample), shown(last, choice.cross_fitted)
        rows.append((choice.space, choice.spec, *objectives, *_values(run, columns)))
        rows += _intervals(run, columns, ("", "", between(last, choice.interval)))
    header = ("space", "best", f"in-sample {title}", title, *columns.values())
    return Table("Best of each space, cross-fitted", header, tuple(rows), (0, 1))


def columns_of(report: Report) -> dict[str, str]:
    """Titles of the headline metrics that some run defines, by name."""
    if report.signature.protocol == "classification":
        titles = {f"classification/{name}": title for name, title in CLASSIFICATION.items()}
    else:
        titles = {}
        for iou_type in report.signature.iou_types:
            prefix = f"{iou_type} " if len(report.signature.iou_types) > 1 else ""
            titles |= {f"{iou_type}/{name}": f"{prefix}{name}" for name in DETECTION}
            titles[f"tide/{iou_type}/FalsePos"] = f"{prefix}FalsePos"
    found = [metrics_of(run) for run in report.runs]
    return {name: title for name, title in titles.items() if any(one.get(name) is not None for one in found)}


def run_of(report: Report, choice: Choice) -> Run:
    """The run with the cross-fitted figures of a choice."""
    return next(run for run in report.runs if run.name == choice.run)


def _runs_table(title: str, report: Report, objective: str) -> Table:
    """The objective and the headline metrics of each run, their intervals, and the differences to the first."""
    columns = columns_of(report)
    if objective not in columns and any(objective in metrics_of(run) for run in report.runs):
        columns = {objective: objective, **columns}
    rows: list[tuple[str, ...]] = []
    base = metrics_of(report.runs[0])
    for run in report.runs:
        rows += [(run.name, *_values(run, columns)), *_intervals(run, columns, blank=())]
        if run is not report.runs[0]:
            own = metrics_of(run)
            changes = (difference(name.rpartition("/")[2], own.get(name), base.get(name)) for name in columns)
            rows.append(("  difference", *changes))
            if run.deltas:
                bounds = (between_signed(name.rpartition("/")[2], run.deltas.get(name)) for name in columns)
                rows.append(("  95% interval", *bounds))
    return Table(title, ("run", *columns.values()), tuple(rows))


def _values(run: Run, columns: dict[str, str]) -> tuple[str, ...]:
    values = metrics_of(run)
    return tuple(shown(name.rpartition("/")[2], values.get(name)) for name in columns)


def _intervals(run: Run, columns: dict[str, str], blank: tuple[str, ...] = ("", "")) -> list[tuple[str, ...]]:
    """A row of the 95% intervals; no row without intervals. blank: the cells between its title and the metrics."""
    if not run.intervals:
        return []
    bounds = (between(name.rpartition("/")[2], run.intervals.get(name)) for name in columns)
    return [("  95% interval", *blank, *bounds)]


def candidate_metrics(tuning: Tuning) -> tuple[str, ...]:
    """The metrics of the candidates besides the objective."""
    found = dict.fromkeys(name for one in tuning.candidates for name in one.metrics)
    return tuple(name for name in found if name != tuning.objective)


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"
