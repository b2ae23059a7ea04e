"""`ltcal tune`: the search, the choice, and its cross-fitted figures, for any kind of data.

An interruption keeps what was found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np

from longtail_cli import __version__
from longtail_cli.errors import Problem, UsageError, require
from longtail_cli.files.source import printable
from longtail_cli.methods.base import Method
from longtail_cli.reports.metric_names import lower_is_better
from longtail_cli.reports.origin import METHOD, InputDigest, Origin
from longtail_cli.reports.tuning.model import Candidate, Choice, Tuning
from longtail_cli.tables import Bools, Longs
from longtail_cli.tuning.folds import stratified_folds
from longtail_cli.tuning.search import MANY, Search
from longtail_cli.tuning.spaces import Space, parse_space
from longtail_cli.workflow.method_specs import method_of, space_of
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.saved_method import SavedMethod, saved_in
from longtail_cli.workflow.tune_data import CrossFitted, Estimate, TuningData

UNADJUSTED, CHOSEN, ALL = "none", "tuned", "all"
"""Names of the first two runs of the report, and of the choice among all spaces."""


@dataclass(frozen=True, slots=True)
class TuneOptions:
    """What to search, and what for."""

    spaces: Sequence[str] = ()
    """Spaces of specs; empty for the default ones."""
    objective: str | None = None
    """The metric to optimise; None for AP, of classifiers for the likelihood after a fitted temperature."""
    keep: Sequence[str] = ()
    """Constraints against no adjustment: ``bbox/APf=-0.005``."""
    folds: int = 5
    seed: int = 0
    """Random seed of the folds, >= 0."""
    target: str = "balanced"
    """Classifiers: the class distribution that rows are weighted to: ``balanced``, ``as-is``, or the path of a
    frequency table."""
    split: str | None = None
    """``half:SEED`` to tune on half of the images and to report on the other half."""


def spaces_of(options: TuneOptions, default: Sequence[str]) -> list[Space]:
    """The spaces, each once, after that of no adjustment. Raises UsageError if there is no other,
    MissingExtraError if a space needs Optuna and it is not installed.
    """
    texts = dict.fromkeys(text.strip() for text in options.spaces or default)
    spaces = [space_of(text) for text in texts if text != UNADJUSTED]
    if not spaces:
        problem = Problem("`methods=`", "at least one space of methods besides none", "none")
        raise UsageError("tune", [problem], "name one, such as norcal:gamma=0..1.5, or pass `frequencies=`")
    if any(len(space.ranges) >= MANY for space in spaces):
        require("optuna", "spaces with three ranges and more", "tune")
    return [parse_space(UNADJUSTED), *spaces]


def check_unseen(spaces: Sequence[Space], overlap: Callable[[SavedMethod], int], noun: str) -> None:
    """Raise UsageError for a space of a fit, or of a tuning, that was made from data that is tuned on.

    overlap: how many of the images or rows (`noun`) a saved method was made from.
    """
    for space in spaces:
        for saved in saved_in(space.method(next(space.coarse()))):
            shared = overlap(saved)
            if shared:
                problem = Problem(saved.source, f"{saved.made} on other {noun}", f"{saved.made} on {shared:,} of these")
                fix = f"tune on {noun} that it has not seen; its cross-fitted metrics would be too high"
                raise UsageError("`method=`", [problem], fix)


def method_digests(spaces: Sequence[Space]) -> tuple[InputDigest, ...]:
    """The digests of the fits that are tried, those that are files."""
    tried = (saved for space in spaces if not space.axes for saved in saved_in(space.method(())))
    files = {file for saved in tried if saved.made == "fitted" for file in saved.files}
    return tuple(
        InputDigest(METHOD, printable(file), sha256(Path(file).read_bytes()).hexdigest()) for file in sorted(files)
    )


def search_all(search: Search, data: TuningData, progress: Progress) -> bool:
    """Try candidates until the search is over. Returns whether it was: an interruption ends it early.

    An interruption before the figures of no adjustment are known is raised.
    """
    try:
        while methods := search.propose():
            for first in range(0, len(methods), data.at_once):
                group = methods[first : first + data.at_once]
                shown = _within(progress, search, first, len(group), len(methods))
                for method, figures in zip(group, data.figures(group, shown), strict=True):
                    search.trials.figures[method.spec] = figures
                data.retain(_possible(search))
            search.trials.check_constraints()
    except KeyboardInterrupt:
        if UNADJUSTED not in search.trials.figures:
            raise
        return False
    return True


def _within(progress: Progress, search: Search, first: int, group: int, number: int) -> Progress:
    """Progress of a group as a share of the round."""
    task = f"round {search.round}: {number} candidates"

    def shown(_: str, share: float | None) -> None:
        progress(task, (first + group * (share or 0.0)) / number)

    shown("", 0.0)
    return shown


def _possible(search: Search) -> set[str]:
    """The specs that would be chosen as things stand, in any part and space."""
    spaces = [None, *range(1, len(search.spaces))]
    chosen = {search.trials.choose(part, space) for part in range(search.trials.folds.parts) for space in spaces}
    return {search.trials.trials[index].spec for index in chosen}


_Key = tuple[str, ...]
"""The specs of the folds."""


@dataclass(frozen=True, slots=True)
class _Picked:
    """What was chosen from a space, or from all: one method for all images, and one for each fold."""

    space: str
    method: Method
    fold_methods: tuple[Method, ...]
    candidate: int

    @property
    def key(self) -> _Key:
        return tuple(method.spec for method in self.fold_methods)


def result(
    search: Search, data: TuningData, options: TuneOptions, tuned_on: Origin, *, complete: bool, progress: Progress
) -> Tuning:
    """The tuning: the choice of all and of each space, with cross-fitted figures if the search is complete."""
    numbers: list[int | None] = [None, *range(1, len(search.spaces))]
    none = search.trials.trials[0].method
    unadjusted = _Picked(UNADJUSTED, none, (none,) * search.trials.folds.folds, 0)
    picked = [unadjusted, *(_pick(search, data, number) for number in numbers)]
    report, runs, estimates = None, dict[_Key, CrossFitted](), dict[_Key, Estimate]()
    if complete:
        runs = _distinct_runs(picked)
        try:
            report = data.report(list(runs.values()), progress)
            estimates = dict(zip(runs, data.objectives(list(runs.values()), report), strict=True))
        except KeyboardInterrupt:
            report, runs, complete = None, {}, False
    before, chosen, *others = (_choice(search, one, runs.get(one.key), estimates.get(one.key)) for one in picked)
    sign = -1 if lower_is_better(search.trials.goal.objective) else 1
    best = sorted(others, key=lambda one: -sign * _first_of(one.cross_fitted, one.in_sample))
    return Tuning(
        version=__version__,
        objective=search.trials.goal.objective,
        keep=tuple(one.text for one in search.trials.goal.keeps),
        target=options.target if tuned_on.rows else None,
        folds=options.folds,
        seed=options.seed,
        split=options.split,
        partial=not complete,
        unadjusted=before,
        chosen=chosen,
        best=tuple(best),
        candidates=_candidates(search),
        tuned_on=tuned_on,
        report=report,
        notes=data.notes + _disagreement(chosen, search),
    )


def _disagreement(chosen: Choice, search: Search) -> tuple[str, ...]:
    """A note if the folds of detections are scored with methods of different kinds."""
    kinds = {re.sub(r":[^+]*", "", spec) for spec in chosen.fold_specs}
    if len(kinds) < 2 or search.trials.goal.objective.startswith("classification/"):
        return ()
    return (
        f"the folds chose different methods ({', '.join(sorted(kinds))}), whose scores are on different scales; AP "
        "ranks the detections of all folds together, so the cross-fitted AP of the choice is lower than that of any "
        "one of them would be",
    )


def _first_of(*values: float | None) -> float:
    return next((value for value in values if value is not None), 0.0)


def _pick(search: Search, data: TuningData, number: int | None) -> _Picked:
    whole = search.trials.choose(0, number)
    of_folds = [search.trials.choose(part, number) for part in range(1, search.trials.folds.parts)]
    methods = [_fitted(search, data, index, part, number) for part, index in enumerate([whole, *of_folds])]
    text = ALL if number is None else search.spaces[number].text
    return _Picked(text, methods[0], tuple(methods[1:]), whole)


def _fitted(search: Search, data: TuningData, index: int, part: int, number: int | None) -> Method:
    """The method of a candidate, with its temperature if its space asks for one.

    No adjustment gets one if it was chosen from a space that does, or from spaces that all do.
    """
    tried = search.trials.trials[index]
    asked = [space.temperature_fitted for space in search.spaces]
    fit = asked[tried.space] or (index == 0 and (all(asked[1:]) if number is None else asked[number]))
    return data.with_temperature(tried.method, part) if fit else tried.method


def _distinct_runs(picked: Sequence[_Picked]) -> dict[_Key, CrossFitted]:
    """The runs to report on, by the specs of the folds; choices that agree in all folds share one."""
    runs: dict[_Key, CrossFitted] = {}
    for one in picked:
        runs.setdefault(one.key, CrossFitted(CHOSEN if one.space == ALL else one.space, one.fold_methods))
    return runs


def _choice(search: Search, picked: _Picked, run: CrossFitted | None, estimate: Estimate | None) -> Choice:
    return Choice(
        space=picked.space,
        spec=picked.method.spec,
        candidate=search.trials.trials[picked.candidate].spec,
        fold_specs=picked.key,
        in_sample=search.trials.value(picked.candidate, search.trials.goal.objective),
        cross_fitted=None if estimate is None else estimate.value,
        interval=None if estimate is None else estimate.interval,
        gain=None if estimate is None else estimate.gain,
        run="" if run is None else run.name,
    )


def _candidates(search: Search) -> tuple[Candidate, ...]:
    trials, name = search.trials, search.trials.goal.objective
    best, met = trials.best(0, None) or 0, trials.met(0)
    rows = []
    for index in trials.evaluated():
        trial, figures = trials.trials[index], trials.of(index)
        space, objective = search.spaces[trial.space], trials.value(index, name)
        rows.append(
            Candidate(
                spec=trial.spec,
                space=space.text,
                settings=space.settings(trial.point),
                objective=objective,
                error=None if objective is None else trials.error(index, best, 0),
                moved=figures.moved,
                metrics=figures.metrics,
                kept=bool(met[index]),
            )
        )
    return tuple(rows)


def with_heldout(tuning: Tuning, data: TuningData, progress: Progress) -> Tuning:
    """The tuning with no adjustment and the choice on images that nothing was chosen on, which are in one fold.

    An interruption leaves them out and marks the tuning as partial.
    """
    named = {UNADJUSTED: UNADJUSTED, tuning.chosen.spec: CHOSEN}
    named[UNADJUSTED] = UNADJUSTED  # also if it was chosen
    runs = [CrossFitted(name, (method_of(spec),)) for spec, name in named.items()]
    try:
        return replace(tuning, heldout=data.report(runs, progress))
    except KeyboardInterrupt:
        return replace(tuning, partial=True)


def split_of(options: TuneOptions, which: str) -> str | None:
    """The split for the signature of a report; which: ``tuned on`` or ``held out``."""
    return None if options.split is None else f"{options.split}, {which}"


def chosen_half(stratum: Longs, options: TuneOptions) -> Bools | None:
    """The images or rows to tune on: bool [I]; None for all. stratum: see `stratified_folds`.

    Raises UsageError unless the split is ``half:SEED``.
    """
    if options.split is None:
        return None
    kind, _, seed = options.split.partition(":")
    if kind != "half" or not (seed.isascii() and seed.isdecimal()):
        problem = Problem("`split=`", "half:SEED, for example half:0", repr(options.split))
        raise UsageError("tune", [problem], "give a whole number as the random seed of the halves")
    return np.asarray(stratified_folds(stratum, 2, int(seed)).fold == 0)
