"""What `ltcal inspect` says about logits and scores of rows. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.registry import METHODS
from longtail_cli.reports.inspection.model import Fact, Scalar, Section, Step
from longtail_cli.tables import DataSet, LogitColumns, Longs
from longtail_cli.workflow.inspect_words import counted, ids_fact, rounded, share
from longtail_cli.workflow.inspected import Answer, Beside
from longtail_cli.workflow.methods_that_fit import logits_methods
from longtail_cli.workflow.next_steps import (
    Parameters,
    steps_for_classifier,
    steps_for_detector,
    steps_for_features,
    steps_for_scores,
)
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import classes_of, open_with_options
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.row_labels import row_labels
from longtail_cli.workflow.row_summary import RowSummary, row_summary

_HEADS = {
    "softmax": "softmax over all columns", "sigmoid": "a sigmoid for each column", "bags": "a softmax in each slice",
    "none": "none: scores, to which an activation was applied",
}  # fmt: skip
_MEANINGS = {
    "logits": "logits",
    "probabilities": "probabilities: 0 or more, and every row sums to 1",
    "independent probabilities": "probabilities of independent classes: in [0, 1], rows do not sum to 1",
    "log-probabilities": "log-probabilities: the log-sum-exp of every row is 0",
}


def logits_answer(path: Path, beside: Beside, options: InputOptions, progress: Progress) -> Answer:
    """What the rows are. Raises InputError if the file is not valid, or its columns have to be stated."""
    data_set = None if beside.truth is None else partial(DataSet.of, beside.truth)
    file = open_with_options(path, options, data_set=data_set, classes=classes_of(beside.table))
    summary = None if file.content == "features" else row_summary(file, progress)
    labels = None
    if file.labels is not None or beside.labels is not None:
        labels = row_labels(file, beside.labels, beside.table, options.keys.get("labels"))
    sections = [
        Section("Rows", tuple(_rows(file, summary))),
        Section("Columns", tuple(_columns(file.columns))),
        Section("Values", tuple(_values(summary))),
        Section("Labels", tuple(_labels(file, labels, summary))),
        Section("Annotations", tuple(_coverage(file, beside))),
        Section("Methods", tuple(_methods(file, summary, beside))),
    ]
    notes = (*file.notes, *_notes(file, summary, labels))
    return Answer(file.content, _headline(file), sections, notes, _steps(path, file, summary, beside, options))


def stated_parameters(options: InputOptions) -> Parameters:
    """The options that the user gave about the columns, for the commands."""
    stated = {"head": options.head, "background": options.background, "category_ids": options.category_ids}
    given = [(name, str(value)) for name, value in stated.items() if value is not None]
    return (*given, *(("key", f"{key}={name}") for key, name in options.keys.items()))


def _headline(file: LogitsFile) -> str:
    classes = counted(len(file.columns), "class", "classes")
    if file.images is None:
        return f"{file.content} of a classifier, {counted(file.rows, 'row')} of {classes}"
    proposals, images = counted(file.rows, "proposal"), counted(file.images, "image")
    return f"{file.content} of a detector, {proposals} of {classes} in {images}"


def _rows(file: LogitsFile, summary: RowSummary | None) -> Iterator[Fact]:
    shards = f" in {len(file.parts):,} shards" if len(file.parts) > 1 else ""
    for name, info in file.parts[0].tensors.items():
        rows = [part.tensors[name].shape[0] for part in file.parts if part.tensors.get(name, info).shape]
        shape = [sum(rows), *info.shape[1:]] if name != "weight" and info.shape else list(info.shape)
        yield Fact(f"`{name}`", f"{info.dtype} {shape}{shards}", {"dtype": info.dtype, "shape": str(shape)})
    if file.image_id is not None and file.rows:
        ids, per_image = np.unique(file.image_id, return_counts=True)
        yield ids_fact("images", ids)
        median, most = float(np.median(per_image)), int(per_image.max())
        yield Fact("per image", f"median {rounded(median)}, most {most:,} proposals", {"median": median, "most": most})
    if summary is not None and summary.box is not None:
        box, side = summary.box, summary.largest_side
        per_class = ", one for each class" if file.per_class_boxes else ""
        text = f"two corners (xyxy) in pixels{per_class}, {rounded(box.least)} to {rounded(box.greatest)}"
        values: dict[str, Scalar] = {"least": box.least, "greatest": box.greatest, "largest_side": side}
        yield Fact("boxes", f"{text}; largest side {rounded(side)}", values)


def _columns(columns: LogitColumns) -> Iterator[Fact]:
    yield Fact("head", _HEADS[columns.head], {"head": columns.head})
    where = "no such column" if columns.background == "none" else f"the {columns.background} column"
    yield Fact("background", where, {"background": columns.background})
    fact = ids_fact("classes", np.sort(columns.category_id))
    in_order = bool((np.diff(columns.category_id) > 0).all())
    order = "" if in_order else "; columns are not in order of id"
    yield Fact("classes", f"{fact.text}{order}", {**fact.values, "in_order": in_order})


def _values(summary: RowSummary | None) -> Iterator[Fact]:
    if summary is None:
        return
    value, sums, lse = summary.value, summary.sum, summary.log_sum_exp
    median = float(np.median(summary.sample))
    text = f"{rounded(value.least)} to {rounded(value.greatest)}, median {rounded(median)}"
    yield Fact("range", text, {"least": value.least, "median": median, "greatest": value.greatest})
    yield Fact("meaning", _MEANINGS[summary.meaning], {"meaning": summary.meaning})
    spans = [
        f"{name} {rounded(one.least)} to {rounded(one.greatest)}" for name, one in (("sum", sums), ("log-sum-exp", lse))
    ]
    yield Fact("of each row", ", ".join(spans), {
        "sum_least": sums.least, "sum_greatest": sums.greatest, "lse_least": lse.least, "lse_greatest": lse.greatest,
    })  # fmt: skip
    if summary.objectness is not None:
        least, greatest = summary.objectness.least, summary.objectness.greatest
        yield Fact("objectness", f"{rounded(least)} to {rounded(greatest)}", {"least": least, "greatest": greatest})


def _labels(file: LogitsFile, labels: Longs | None, summary: RowSummary | None) -> Iterator[Fact]:
    """labels: int64 [N], class columns."""
    if labels is None or not file.rows:
        return
    known = labels[labels != IGNORED]
    fact = ids_fact("classes with rows", np.unique(known))
    ignored = len(labels) - len(known)
    if ignored:
        yield Fact("without a class", f"{share(ignored, len(labels))} rows", {"number": ignored})
    yield Fact(fact.name, f"{fact.text}; the columns are 0 to {len(file.columns) - 1:,}", fact.values)
    if summary is not None and file.columns.head != "bags" and len(known):
        right = int((summary.highest == labels).sum())
        text = f"{share(right, len(known))} rows have their highest value in the column of the label"
        yield Fact("agreement", text, {"number": right, "of": len(known)})


def _coverage(file: LogitsFile, beside: Beside) -> Iterator[Fact]:
    truth = beside.truth
    if truth is None or file.image_id is None:
        return
    for name, own, known in (
        ("images", np.unique(file.image_id), truth.image_id),
        ("classes", file.columns.category_id, truth.categories.id),
    ):
        covered = int(np.isin(known, own).sum())
        unknown = int((~np.isin(own, known)).sum())
        more = f"; {unknown:,} of the file are not in the annotations" if unknown else ""
        values = {"number": covered, "of": len(known), "unknown": unknown}
        yield Fact(f"{name} covered", f"{share(covered, len(known))}{more}", values)


def _methods(file: LogitsFile, summary: RowSummary | None, beside: Beside) -> Iterator[Fact]:
    if _adjustable(file, summary):
        logits = file.as_logits() if file.content == "scores" else file
        classifier = file.classifier if file.has_features else None
        fitting = logits_methods(logits.columns, file.features, classifier, exact=logits.log_scores)
        yield Fact("that fit", ", ".join(fitting), {"number": len(fitting)})
        others = [name for name in METHODS if name not in fitting]
        if others:
            yield Fact("that do not", ", ".join(others), {"number": len(others)})
    if file.content == "features" or _adjustable(file, summary):
        heads = "can be fitted" if file.has_features else "cannot be fitted: the file has no `features`"
        yield Fact("heads", heads, {"features": file.features})
    if beside.table is not None:
        same = bool(np.array_equal(np.sort(file.columns.category_id), beside.table.category_id))
        text = "the classes of the columns" if same else "other classes than the columns"
        yield Fact("counts", f"{len(beside.table):,} classes, {text}", {"classes": len(beside.table), "same": same})


def _adjustable(file: LogitsFile, summary: RowSummary | None) -> bool:
    """Whether there are methods for the values: logits, or scores of a softmax, whose logarithms are logits."""
    return file.content == "logits" or (summary is not None and summary.meaning == "probabilities")


def _notes(file: LogitsFile, summary: RowSummary | None, labels: Longs | None) -> Iterator[str]:
    if file.content == "features":
        yield "There are features and no logits: fit a head, and evaluate it on the features of other images."
        return
    if summary is None:
        yield "There are no rows, so there is nothing to adjust."
        return
    if file.content == "scores" and summary.meaning == "probabilities":
        yield (
            "Probabilities leave one constant in each row of logits open. The methods that fit do not depend on it; "
            "methods that weight logits, such as iif, need the logits themselves."
        )
    elif file.content == "scores":
        yield "These are scores: `ltcal report` evaluates them, but methods need the logits."
    elif summary.meaning != "logits":
        yield (
            f"The values look like {summary.meaning}, not logits. A method that weights logits, such as iif, is not "
            "what it is on logits; save the values before the activation."
        )
    if summary.box is not None and summary.box.within(-1, 2) and summary.largest_side > 0:
        yield "No number of a box is above 2. Boxes of logits are two corners in pixels, not in shares of the image."
    if labels is not None and file.columns.head != "bags":
        known = labels != IGNORED
        yield from _shifted(labels[known], summary.highest[known])


def _shifted(labels: Longs, highest: Longs) -> Iterator[str]:
    """A note if labels one higher or one lower agree better by far."""
    agreement = {offset: float((highest == labels + offset).sum()) / max(len(labels), 1) for offset in (-1, 0, 1)}
    best = max(agreement, key=lambda offset: agreement[offset])
    if best and agreement[best] > 2 * agreement[0] + 0.1:
        yield (
            f"With {best:+d} added to the labels, {100 * agreement[best]:.1f}% of the rows agree with them instead of "
            f"{100 * agreement[0]:.1f}%: labels and columns may count from different numbers."
        )


def _steps(
    path: Path, file: LogitsFile, summary: RowSummary | None, beside: Beside, options: InputOptions
) -> list[Step]:
    stated, labelled = stated_parameters(options), file.labels is not None
    if file.images is not None:
        return steps_for_detector(path, beside, stated, features=file.has_features)
    if file.content == "features":
        return steps_for_features(path, beside, stated, labelled=labelled)
    if not _adjustable(file, summary):
        return steps_for_scores(path, beside, stated, labelled=labelled)
    weighted = file.content == "logits"
    return steps_for_classifier(path, beside, stated, labelled=labelled, weighted=weighted, features=file.has_features)
