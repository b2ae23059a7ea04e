"""The commands that fit an input, with its name in them."""

from __future__ import annotations

import os
from pathlib import Path

from longtail_cli.reports.inspection.model import Command, Step
from longtail_cli.workflow.inspected import Beside

Parameters = tuple[tuple[str, str], ...]

ANNOTATIONS, FREQUENCIES, LABELS, TRAINING = "VAL.json", "freq.csv", "LABELS", "TRAIN"
"""What stands for a file that the user has to name."""

_HEAD = "classifier:loss=balanced-softmax"

_MEANING = {
    ANNOTATIONS: "VAL.json: the annotations of the images",
    LABELS: "LABELS: the true classes of the rows",
    TRAINING: "TRAIN: annotations or labels of the training set",
}


def steps_for_results(source: Path, beside: Beside, convention: Parameters, *, plain: bool) -> list[Step]:
    """Evaluate, count, adjust.

    convention: how ids and boxes are meant, where the user says so. plain: whether ids and boxes are those of COCO
    results, so that they can be written without the annotations.
    """
    truth = ("annotations", _named(beside.annotations, ANNOTATIONS))
    counts = ("frequencies", _named(beside.frequencies, FREQUENCIES))
    report = _call("report", source, truth, *convention)
    compare = _call("report", source, truth, counts, ("methods", "none"), ("methods", "norcal"), *convention)
    output = ("output", _output(source, ".json"))
    looked_up = () if plain and not convention else (truth,)
    rescore = _call("rescore", source, *looked_up, counts, ("methods", "norcal"), output, *convention)
    return [
        _step("Evaluate", report),
        *_counting(beside),
        _step("See what a score-only method changes", compare),
        _step("Write adjusted scores", rescore),
    ]


def steps_for_detector(source: Path, beside: Beside, stated: Parameters, *, features: bool) -> list[Step]:
    """Compare methods, choose one or learn a head on other data, decode.

    stated: what was said about the columns. features: whether the file holds them.
    """
    truth = ("annotations", _named(beside.annotations, ANNOTATIONS))
    return _steps_for_logits(source, beside, (truth, *stated), stated, ".json", features)


def steps_for_classifier(
    source: Path, beside: Beside, stated: Parameters, *, labelled: bool, weighted: bool, features: bool
) -> list[Step]:
    """The same. labelled: whether the file holds the true classes. weighted: whether its values can be weighted."""
    labels: Parameters = () if labelled and beside.labels is None else (("labels", _named(beside.labels, LABELS)),)
    return _steps_for_logits(source, beside, (*labels, *stated), stated, ".npz", features, weighted)


def steps_for_scores(source: Path, beside: Beside, stated: Parameters, *, labelled: bool) -> list[Step]:
    """Evaluate, as nothing can be adjusted."""
    labels: Parameters = () if labelled and beside.labels is None else (("labels", _named(beside.labels, LABELS)),)
    return [_step("Evaluate", _call("report", source, *labels, *stated))]


def steps_for_features(source: Path, beside: Beside, stated: Parameters, *, labelled: bool) -> list[Step]:
    """Learn a head on the features of one part of the data, apply it to those of another."""
    labels: Parameters = () if labelled and beside.labels is None else (("labels", _named(beside.labels, LABELS)),)
    counts = ("frequencies", _named(beside.frequencies, FREQUENCIES))
    head = (("method", _HEAD), ("output", "head.npz"))
    return [
        *_counting(beside),
        _step("Learn a classifier head", _call("fit", source, *labels, counts, *head, *stated)),
        _step("Evaluate a head", _call("report", source, *labels, counts, ("methods", "@head.npz"), *stated)),
    ]


def steps_for_training_data(source: Path) -> list[Step]:
    """Count the classes."""
    return [_step("Count the classes, if it is the training set", _count(str(source)))]


def steps_for_labels(source: Path) -> list[Step]:
    """Use the labels with logits."""
    command = Command("report", ("LOGITS",), (("labels", str(source)),))
    return [
        Step(
            "Evaluate a classifier, if they are its labels", command, "LOGITS: its logits or scores, in the same order"
        )
    ]


def steps_for_counts(source: Path) -> list[Step]:
    """Make a frequency table."""
    command = Command("compute-freq", (), (("counts", str(source)), ("output", FREQUENCIES)))
    return [Step("Make a frequency table", command)]


def steps_for_annotations(source: Path) -> list[Step]:
    """Count the classes, or evaluate."""
    report = Command("report", ("PREDICTIONS",), (("annotations", str(source)),))
    return [
        *steps_for_training_data(source),
        Step("Evaluate, if it is the validation set", report, "PREDICTIONS: a result file or logits"),
    ]


def steps_for_frequencies(source: Path) -> list[Step]:
    """Use the counts."""
    command = Command(
        "report", ("LOGITS",), (("frequencies", str(source)), ("methods", "none"), ("methods", "logit-adjust"))
    )
    return [Step("Compare methods", command, "LOGITS: logits of a classifier with labels; see also `ltcal methods`")]


def steps_for_method(source: Path, kind: str) -> list[Step]:
    """Apply what a tuning chose, or what was fitted, to an input of the `kind` that it was made on."""
    given, meaning = ("PREDICTIONS.json", "a result file") if kind == "results" else ("LOGITS", "logits")
    command = Command("report", (given,), (("methods", "none"), ("methods", f"@{source}")))
    return [Step("Apply it", command, f"{given}: {meaning} of the same model, with annotations or labels")]


def steps_for_report(source: Path) -> list[Step]:
    """Compare a new report with this one."""
    command = Command("report", ("PREDICTIONS",), (("annotations", ANNOTATIONS), ("baseline", str(source))))
    return [Step("Compare with it", command, "PREDICTIONS: detections on the same images; VAL.json: their annotations")]


def _steps_for_logits(
    source: Path,
    beside: Beside,
    truth: Parameters,
    stated: Parameters,
    suffix: str,
    features: bool,
    weighted: bool = True,
) -> list[Step]:
    counts = ("frequencies", _named(beside.frequencies, FREQUENCIES))
    methods = tuple(("methods", one) for one in ("none", *(("iif",) if weighted else ()), "logit-adjust"))
    known = tuple(one for one in truth if one == ("annotations", str(beside.annotations)))
    adjusted = (*known, counts, ("methods", "logit-adjust"), ("output", _output(source, suffix)), *stated)
    head = (("method", _HEAD), ("output", "head.npz"))
    fit = [_step("Learn a classifier head on held-out rows", _call("fit", source, *truth, counts, *head))]
    return [
        *_counting(beside),
        _step("Compare methods", _call("report", source, *truth, counts, *methods)),
        _step("Choose a method on held-out rows", _call("tune", source, *truth, counts, ("output", "tuned.json"))),
        *(fit if features else ()),
        _step("Write adjusted scores", _call("rescore", source, *adjusted)),
    ]


def _call(name: str, source: Path, *parameters: tuple[str, str]) -> Command:
    return Command(name, (str(source),), parameters)


def _counting(beside: Beside) -> list[Step]:
    return [] if beside.frequencies is not None else [_step("Count the training set", _count(TRAINING))]


def _count(source: str) -> Command:
    return Command("compute-freq", (source,), (("output", FREQUENCIES),))


def _step(purpose: str, command: Command) -> Step:
    """The step, which says what the names in capitals stand for."""
    words = [*command.inputs, *(value for _, value in command.parameters)]
    missing = [text for name, text in _MEANING.items() if name in words]
    return Step(purpose, command, "; ".join(missing))


def _named(path: Path | None, otherwise: str) -> str:
    return otherwise if path is None else os.fspath(path)


def _output(source: Path, suffix: str) -> str:
    """A name for the adjusted file."""
    ending = ".parquet" if source.suffix == ".parquet" and suffix == ".json" else suffix
    return f"{source.name.partition('.')[0] or 'predictions'}_adjusted{ending}"
