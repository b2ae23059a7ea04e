"""Tuning on the logits of a classifier against plain loops and scipy in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from frequency_tables import table
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

import longtail_cli
from longtail_cli.files.frequencies import write_frequencies
from longtail_cli.methods.registry import parse_method
from longtail_cli.tuning.folds import stratified_folds
from longtail_cli.tuning.goal import Goal, Keep
from longtail_cli.workflow.classifier_inputs import groups_of
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import open_with_options
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.report_classification import ClassificationReporter
from longtail_cli.workflow.target_shares import target_shares
from longtail_cli.workflow.tune_classifier import METRICS, NLL, TOP1, ClassifierData

CLASSES, FOLDS = 5, 3
COUNTS = replace(table([500, 90, 40, 12, 3], ids=range(CLASSES)), group=("many", "medium", "medium", "few", "few"))
METHODS = ("none", "logit-adjust:tau=0.75", "iif:strength=0.5")


def rows(number: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Overconfident logits of a model that favours frequent classes, and labels, rare ones less often."""
    rng = np.random.default_rng(seed)
    label = rng.choice(CLASSES, number, p=[0.4, 0.25, 0.15, 0.12, 0.08])
    logits = rng.normal(size=(number, CLASSES)) + np.log(COUNTS.image_count) / 2
    logits[np.arange(number), label] += 2
    return (2 * logits).astype(np.float32), label


LOGITS, LABEL = rows()
DISTRIBUTION = np.array([7.0, 1.0, 5.0, 2.0, 1.0])


@pytest.fixture(params=["balanced", "as-is", "table"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, np.ndarray]:
    """The parameter, and the share of each class."""
    if request.param == "table":
        path = tmp_path / "target.csv"
        counts = table((DISTRIBUTION * 10).astype(int).tolist(), ids=range(CLASSES))
        write_frequencies(counts, path, {})
        return str(path), DISTRIBUTION / DISTRIBUTION.sum()
    shares = np.full(CLASSES, 1 / CLASSES)
    if request.param == "as-is":
        shares = np.array([np.mean(c == LABEL) for c in range(CLASSES)])
    return request.param, shares


def adjusted(spec: str, logits: np.ndarray = LOGITS) -> np.ndarray:
    return longtail_cli.adjust(logits.astype(np.float64), COUNTS, spec)


def mean_over_classes(value: np.ndarray, label: np.ndarray, share: np.ndarray) -> float:
    """The mean of the class means, weighted by the shares of the classes that occur."""
    present = sorted(set(label.tolist()))
    means = [np.mean([v for v, y in zip(value, label, strict=True) if y == c]) for c in present]
    return float(np.dot(share[present], means) / share[present].sum())


def nll(logits: np.ndarray, label: np.ndarray, share: np.ndarray, power: float) -> float:
    z = logits * np.exp(power)
    return mean_over_classes(logsumexp(z, axis=1) - z[np.arange(len(z)), label], label, share)


def best_power(logits: np.ndarray, label: np.ndarray, share: np.ndarray) -> float:
    """-ln T of the temperature with the least loss."""
    found = minimize_scalar(
        lambda power: nll(logits, label, share, power), bounds=(-5, 5), method="bounded", options={"xatol": 1e-10}
    )
    return float(found.x)


def least_nll(logits: np.ndarray, label: np.ndarray, share: np.ndarray) -> float:
    return nll(logits, label, share, best_power(logits, label, share))


def data_of(target: str) -> ClassifierData:
    options = InputOptions("softmax", "none", COUNTS.category_id)
    file = open_with_options({"logits": LOGITS, "labels": LABEL}, options)
    groups = groups_of(file, COUNTS)
    reporter = ClassificationReporter(file.columns, LABEL, groups, COUNTS, None, False, None)
    goal = Goal(NLL, tuple(Keep(name, name, 0.0) for name in METRICS))
    folds = stratified_folds(LABEL, FOLDS, 0)
    return ClassifierData(
        file, LABEL, folds, goal, target_shares(target, file.columns, LABEL), COUNTS, options, reporter
    )


def test_the_figures_of_each_part_equal_plain_loops(target: tuple[str, np.ndarray]) -> None:
    name, share = target
    data = data_of(name)
    figures = data.figures([parse_method(spec) for spec in METHODS], no_progress)
    for spec, one in zip(METHODS, figures, strict=True):
        logits = adjusted(spec)
        for part in range(data.folds.parts):
            inside = data.folds.inside(part)
            z, label = logits[inside], LABEL[inside]
            wanted = least_nll(z, label, share)
            assert one.lanes[NLL][part] == pytest.approx(wanted, rel=1e-6), spec
            right = z.argmax(axis=1) == label
            assert one.lanes[TOP1][part] == pytest.approx(mean_over_classes(right, label, share), abs=1e-12)
            recall = np.array([right[label == c].mean() for c in range(CLASSES)])
            groups = {"balanced": range(5), "many": [0], "medium": [1, 2], "few": [3, 4]}
            for group, members in groups.items():
                found = one.lanes[f"classification/{group}"][part]
                assert found == pytest.approx(recall[list(members)].mean(), abs=1e-12), group


def test_a_resample_counts_rows_as_often_as_they_are_drawn() -> None:
    data = data_of("balanced")
    (figures,) = data.figures([parse_method("logit-adjust:tau=0.75")], no_progress)
    logits = adjusted("logit-adjust:tau=0.75")
    for lane in (data.folds.resamples(0).start, data.folds.resamples(2).stop - 1):
        drawn = np.repeat(np.arange(len(LABEL)), data.folds.weight(lane))
        wanted = least_nll(logits[drawn], LABEL[drawn], np.ones(CLASSES))
        assert figures.lanes[NLL][lane] == pytest.approx(wanted, rel=1e-6)


def cross_fitted(specs: Sequence[str], share: np.ndarray, fold: np.ndarray) -> float:
    """The loss of each row by the method of its fold at the temperature that is best for the other folds."""
    loss = np.empty(len(LABEL))
    for number, spec in enumerate(specs):
        logits, own = adjusted(spec), fold == number
        z = logits[own] * np.exp(best_power(logits[~own], LABEL[~own], share))
        loss[own] = logsumexp(z, axis=1) - z[np.arange(len(z)), LABEL[own]]
    return mean_over_classes(loss, LABEL, share)


def untempered(spec: str) -> str:
    """The spec without the fitted temperature at its end."""
    return spec.rpartition("+")[0] if "+temperature" in spec else "none" if spec.startswith("temperature") else spec


def test_cross_fitted_figures_equal_a_plain_loop(target: tuple[str, np.ndarray]) -> None:
    name, share = target
    tuning = longtail_cli.tune(
        LOGITS, labels=LABEL, frequencies=COUNTS, folds=FOLDS, target=name, bootstrap=None,
        spaces=["logit-adjust:tau=0..2+temperature:t=fit", "iif:variant=raw|base10,strength=0.25..1.5"],
    )  # fmt: skip
    fold = stratified_folds(LABEL, FOLDS, 0).fold
    assert tuning.objective == NLL
    for choice in (tuning.unadjusted, tuning.chosen, *tuning.best):
        wanted = cross_fitted([untempered(spec) for spec in choice.fold_specs], share, fold)
        assert choice.cross_fitted == pytest.approx(wanted, rel=1e-6), choice.space
        whole = least_nll(adjusted(untempered(choice.spec)), LABEL, share)
        assert choice.in_sample == pytest.approx(whole, rel=1e-6), choice.space
    assert tuning.optimism == pytest.approx(tuning.chosen.cross_fitted - tuning.chosen.in_sample, abs=1e-15)
    assert len(set(tuning.best[0].fold_specs)) > 1


def test_the_fitted_temperature_is_that_of_the_other_folds(target: tuple[str, np.ndarray]) -> None:
    name, share = target
    tuning = longtail_cli.tune(
        LOGITS, labels=LABEL, folds=FOLDS, target=name, spaces="temperature:t=fit", bootstrap=None
    )
    fold = stratified_folds(LABEL, FOLDS, 0).fold
    parts = [np.ones(len(LABEL), bool), *(fold != number for number in range(FOLDS))]
    for spec, inside in zip((tuning.best[0].spec, *tuning.best[0].fold_specs), parts, strict=True):
        method: Any = parse_method(spec)
        power = best_power(LOGITS[inside].astype(np.float64), LABEL[inside], share)
        assert method.t == pytest.approx(np.exp(-power), rel=1e-4)


@pytest.mark.parametrize("objective", ["top1", "balanced", "many", "medium", "few"])
def test_accuracies_of_the_cross_fitted_run_equal_a_plain_loop(objective: str) -> None:
    tuning = longtail_cli.tune(
        LOGITS, labels=LABEL, frequencies=COUNTS, folds=FOLDS, target="as-is", bootstrap=None,
        spaces="logit-adjust:tau=0..2", objective=f"classification/{objective}",
    )  # fmt: skip
    fold = stratified_folds(LABEL, FOLDS, 0).fold
    runs = {run.name: run for run in tuning.report.runs}  # type: ignore[union-attr]
    for choice in (tuning.unadjusted, tuning.chosen, *tuning.best):
        joined = np.empty_like(LOGITS, np.float64)
        for number, spec in enumerate(choice.fold_specs):
            joined[fold == number] = adjusted(spec)[fold == number]
        report = longtail_cli.evaluate_classification(joined.astype(np.float32), LABEL, frequencies=COUNTS)
        expected, found = report.runs[0].classification, runs[choice.run].classification
        assert choice.cross_fitted == pytest.approx(getattr(expected, objective), abs=1e-12)
        for name in ("top1", "top5", "balanced", "many", "medium", "few", "nll", "ece"):
            assert getattr(found, name) == pytest.approx(getattr(expected, name), abs=1e-6), name


def test_what_a_fold_is_scored_with_does_not_depend_on_its_own_labels() -> None:
    """The rows of a fold change places, so their labels say nothing about them any more."""

    def fold_specs(logits: np.ndarray) -> tuple[str, ...]:
        tuning = longtail_cli.tune(
            logits, labels=LABEL, frequencies=COUNTS, folds=FOLDS, bootstrap=None,
            spaces="logit-adjust:tau=0..2+temperature:t=fit",
        )  # fmt: skip
        return tuning.chosen.fold_specs

    fold, before, changed = stratified_folds(LABEL, FOLDS, 0).fold, fold_specs(LOGITS), False
    for number in range(FOLDS):
        own = np.flatnonzero(fold == number)
        mixed = LOGITS.copy()
        mixed[own] = LOGITS[np.random.default_rng(number).permutation(own)]
        after = fold_specs(mixed)
        assert parse_method(untempered(after[number])) == parse_method(untempered(before[number]))
        changed |= after != before
    assert changed


def test_a_large_file_is_searched_on_rows_of_all_classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail_cli.workflow.tune_classifier.MOST_ROWS", 60)
    tuning = longtail_cli.tune(
        LOGITS, labels=LABEL, frequencies=COUNTS, folds=2, bootstrap=None,
        spaces="logit-adjust:tau=0..2+temperature:t=fit",
    )  # fmt: skip
    by_class = [np.flatnonzero(c == LABEL)[:12] for c in range(CLASSES)]  # each class has more than 60 / 5 rows
    assert min(map(len, by_class)) == 12
    chosen = np.sort(np.concatenate(by_class))
    wanted = least_nll(LOGITS[chosen].astype(np.float64), LABEL[chosen], np.ones(CLASSES))
    assert tuning.unadjusted.in_sample == pytest.approx(wanted, rel=1e-6)
    assert tuning.report is not None
    assert tuning.report.signature.images == len(LABEL)
