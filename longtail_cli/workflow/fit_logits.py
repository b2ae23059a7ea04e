"""`ltcal fit` on logits and features: of a classifier's rows, or of a detector's proposals. Imports torch."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail_cli.choices import TARGETS
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.logits.digests import Digests, row_digests, rows_in
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.source import printable
from longtail_cli.fitting.corrections import fit_correction
from longtail_cli.fitting.fitted import Fitted
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import LinearHead
from longtail_cli.fitting.methods import Classifier, DisAlign, FitMethod, HeadFit, LogitsFit, TauNormalized
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.fitting.schedules import schedule_of
from longtail_cli.methods.bags import slice_softmax
from longtail_cli.methods.steps import Classify
from longtail_cli.reports.fitting.model import ClassNorms, RowCounts
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.tables import FrequencyTable, LogitColumns
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.classifier_inputs import notes_of, open_classifier
from longtail_cli.workflow.fit import FitOptions
from longtail_cli.workflow.fit_record import FitData, fit_of
from longtail_cli.workflow.given_head import given_head, given_head_if_consistent, lengths
from longtail_cli.workflow.input_digests import digests_of_paths, input_digests, sha256_of
from longtail_cli.workflow.label_proposals import ProposalOptions, labelled_proposals
from longtail_cli.workflow.labelled_rows import TensorName, labelled_rows
from longtail_cli.workflow.logit_conventions import resolved_logits
from longtail_cli.workflow.memorised import balanced_accuracy, memorised, memorised_against, right_rows
from longtail_cli.workflow.options import InputOptions, load_frequencies
from longtail_cli.workflow.prepare_methods import check_classes, classes_of, open_with_options
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.row_labels import labelled, labels_in
from longtail_cli.workflow.saved_method import Fit
from longtail_cli.workflow.target_shares import row_weights


def fit_classifier(
    method: FitMethod,
    predictions: Any,
    labels: Any,
    held_out: Any,
    frequencies: Path | FrequencyTable | None,
    options: FitOptions,
    progress: Progress,
) -> Fit:
    """Learn `method` on the rows of a classifier. See `longtail_cli.workflow.fit.fit`."""
    table, frequencies_sha256 = load_frequencies(frequencies)
    file = open_classifier(predictions, options.inputs, as_logits=True, labels=labels, classes=classes_of(table))
    _check_content(file, method)
    file = labelled(file, labels, table, options.inputs.keys.get("labels"))
    label = labels_in(file)
    right = None if file.content == "features" else right_rows(file, label)
    accuracy = None if right is None else float(right.mean())
    rows = labelled_rows(file, label, _tensors(method), options.seed, progress)
    notes = (*notes_of([file]), *_score_notes(file), *(() if accuracy is None else memorised(accuracy)))
    digests = row_digests(file)
    inputs = input_digests(file.source, _sha256(digests), frequencies, frequencies_sha256)
    inputs += digests_of_paths({"labels": labels, "target": None if options.target in TARGETS else options.target})
    if held_out is not None:
        stated = options.inputs if isinstance(held_out, Path) else _stating(file.columns, options.inputs)
        classes = file.columns.category_id
        other = open_classifier(held_out, stated, as_logits=True, name="held-out logits", classes=classes)
        if other.labels is None:
            problem = Problem("tensors", "`labels`", "none")
            raise InputError(other.source, [problem], "save the labels with the held-out logits")
        other = labelled(other, None, table)
        _check_same_model(other, file, features="features" in _tensors(method))
        others, chosen_on = labels_in(other), row_digests(other)
        _check_unseen(chosen_on, digests)
        rows = rows.with_held_out(labelled_rows(other, others, _tensors(method), options.seed, progress))
        if right is not None:
            reached = balanced_accuracy(right_rows(other, others), others)
            notes += memorised_against(balanced_accuracy(right, label), reached, other.source)
        inputs += (InputDigest("held-out", printable(other.source), _sha256(chosen_on)),)
        digests = np.concatenate([digests, chosen_on])
    counts = RowCounts(len(rows), int(rows.held_out.sum()), None, None, 0, len(np.unique(label)))
    origin = _origin(rows.columns, inputs, {}, digests)
    data = FitData(counts, origin, accuracy, 0 if held_out is None else int(rows.held_out.sum()), notes)
    return _learned(method, file, rows, table, data, options, progress)


def fit_detector(
    method: FitMethod,
    predictions: Any,
    annotations: Any,
    frequencies: Path | FrequencyTable | None,
    options: FitOptions,
    progress: Progress,
) -> Fit:
    """Learn `method` on the proposals of a detector. See `longtail_cli.workflow.fit.fit`."""
    table, frequencies_sha256 = load_frequencies(frequencies)
    how = ProposalOptions(options.foreground_iou, options.background_iou, options.negatives, options.seed)
    with open_annotations(annotations) as truth_file:
        file = open_with_options(predictions, options.inputs, data_set=truth_file.data_set)
        _check_content(file, method)
        truth = truth_file.read(masks=False)
        file, notes = resolved_logits(file, truth, options.inputs), compared_names(table, truth)
        found = labelled_proposals(file, truth, how, _tensors(method), progress)
        names, annotations_sha256 = truth_file.image_names(), truth_file.sha256()
        source = truth_file.source
    present = [] if file.image_id is None else np.unique(file.image_id).tolist()
    inputs = input_digests(file.source, sha256_of(file), frequencies, frequencies_sha256)
    inputs += (InputDigest("annotations", source, annotations_sha256),)
    rows, number = found.rows, found.counts
    counts = RowCounts(
        used=len(rows),
        held_out=int(rows.held_out.sum()),
        images=number.images,
        background=number.kept_background,
        left_out=number.ignored + number.background - number.kept_background,
        classes=len(torch.unique(rows.target)) - (number.kept_background > 0),
    )
    origin = _origin(rows.columns, inputs, {id_: names[id_] for id_ in present}, np.zeros(0, np.uint64))
    return _learned(method, file, rows, table, FitData(counts, origin, notes=notes), options, progress)


def _learned(
    method: FitMethod,
    file: LogitsFile,
    rows: LabelledRows,
    table: FrequencyTable | None,
    data: FitData,
    options: FitOptions,
    progress: Progress,
) -> Fit:
    if table is not None:
        check_classes(rows.columns, table, file.source)
    if isinstance(method, LogitsFit):
        target = None if isinstance(method, DisAlign) else options.target
        weight = np.ones(len(rows)) if target is None else row_weights(rows, target)
        return fit_of(method, fit_correction(method, rows, weight, progress), data, table, options.seed, target)
    assert isinstance(method, HeadFit)
    given = given_head(file) if _starts_from_given(method) else given_head_if_consistent(file)
    fitted = fit_head(method, rows, table, given, options.seed, progress)
    return fit_of(method, fitted, data, table, options.seed, None, _class_norms(fitted, given, rows.columns, table))


def _starts_from_given(method: HeadFit) -> bool:
    """Whether the method needs the head that made the logits."""
    if isinstance(method, Classifier):
        return method.start == "given" or (method.solver == "sgd" and schedule_of(method).start == "given")
    return isinstance(method, TauNormalized)


def _tensors(method: FitMethod) -> tuple[TensorName, ...]:
    """What is read of each row."""
    if isinstance(method, HeadFit):
        return ("features",)
    if isinstance(method, DisAlign) and method.confidence == "features":
        return ("logits", "features")
    return ("logits",)


def _origin(columns: LogitColumns, inputs: tuple[InputDigest, ...], images: dict[int, str], digests: Digests) -> Origin:
    ids = tuple(columns.category_id.tolist())
    return Origin("logits", columns.head, columns.background, ids, inputs, images, tuple(digests.tolist()))


def _check_content(file: LogitsFile, method: FitMethod) -> None:
    """Raise InputError for what nothing can be learned on, UsageError for features alone if the method needs more."""
    if file.content == "features" and (not isinstance(method, HeadFit) or _starts_from_given(method)):
        problem = Problem("content", f"logits, for the method {method.spec}", "features alone")
        fix = "learn a new head, such as classifier:start=new or ncm, or save the logits and `weight` with the features"
        raise UsageError(file.source, [problem], fix)
    if file.content == "scores":
        problem = Problem("content", "logits", "scores, to which an activation was applied")
        raise InputError(file.source, [problem], "fit on the logits that they were made from")
    if not file.rows:
        problem = Problem("content", "at least one row", "none")
        raise InputError(file.source, [problem], "fit on the logits of labelled images")
    if file.columns.head == "bags":
        problem = Problem("head", "softmax or sigmoid", "bags, whose slices have no common scale")
        raise InputError(file.source, [problem], "fit on the logits of a head with one scale")


def _score_notes(file: LogitsFile) -> tuple[str, ...]:
    text = f"{printable(file.source)}: learned on the logarithms of its scores, so apply it to scores of this model"
    return (text,) if file.log_scores else ()


def _stating(columns: LogitColumns, options: InputOptions) -> InputOptions:
    """The options for logits in memory, which do not state their columns."""
    return replace(options, head=columns.head, background=columns.background, category_ids=columns.category_id, keys={})


def _check_same_model(file: LogitsFile, first: LogitsFile, *, features: bool) -> None:
    """Raise InputError unless both have the same columns. features: whether those are compared too."""
    one, other = file.columns, first.columns
    problems = [
        Problem(name, f"{wanted}, as in {first.source}", found)
        for name, found, wanted in (
            ("content", file.content, first.content),
            ("head", one.head, other.head),
            ("background", one.background, other.background),
            ("features", _columns_of_features(file), _columns_of_features(first)),
        )
        if found != wanted and (features or name != "features")
    ]
    if not np.array_equal(one.category_id, other.category_id):
        same = np.array_equal(np.sort(one.category_id), np.sort(other.category_id))
        found = "the same in another order" if same else f"others, {len(one)} of them"
        problems.append(Problem("categories", f"the {len(other)} of {first.source} in that order", found))
    if problems:
        raise InputError(file.source, problems, "hold out logits of the same model, in the same order of columns")


def _columns_of_features(file: LogitsFile) -> str:
    return "none" if file.features is None else f"{file.features} columns"


def _check_unseen(held_out: Digests, fitted: Digests) -> None:
    """Raise UsageError if some of the held-out rows are fitted on."""
    shared = rows_in(held_out, fitted.tolist())
    if shared:
        problem = Problem("`held_out=`", "rows that are not fitted on", f"{shared:,} of {len(held_out):,} that are")
        raise UsageError("fit", [problem], "pass other images, or leave it out: a fifth of the rows is then held out")


def _sha256(digests: Digests) -> str:
    """Of the digests of rows."""
    return sha256(digests.tobytes()).hexdigest()


def _class_norms(
    fitted: Fitted, given: LinearHead | None, columns: LogitColumns, table: FrequencyTable | None
) -> ClassNorms:
    """The lengths of the weights of the classes before and after."""
    step = fitted.steps[0]
    assert isinstance(step, Classify)
    if step.columns.head == "bags":
        column = slice_softmax(step.columns).column
    else:
        column = np.arange(len(columns)) + step.columns.classes.start
    before = () if given is None else lengths(given.weight[columns.classes])
    counts = () if table is None else tuple(table.image_count.tolist())
    return ClassNorms(counts, before, lengths(step.weight[column]))
