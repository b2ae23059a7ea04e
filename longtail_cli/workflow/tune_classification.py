"""`ltcal tune` of classifiers: logits against class labels. Imports torch."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail_cli.choices import TARGETS
from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.files.logits.digests import rows_in
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import Bools, FrequencyTable
from longtail_cli.tuning import default_spaces
from longtail_cli.tuning.folds import Folds, one_fold, stratified_folds
from longtail_cli.tuning.goal import parse_goal
from longtail_cli.tuning.search import Search
from longtail_cli.workflow.classifier_inputs import groups_of, notes_of, open_classifier
from longtail_cli.workflow.input_digests import digests_of_paths, input_digests
from longtail_cli.workflow.options import BootstrapOptions, InputOptions, load_frequencies
from longtail_cli.workflow.prepare_methods import classes_of, open_with_options
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_classification import ClassificationReporter
from longtail_cli.workflow.row_labels import labelled, labels_in
from longtail_cli.workflow.target_shares import target_shares
from longtail_cli.workflow.tune import (
    TuneOptions,
    check_unseen,
    chosen_half,
    method_digests,
    result,
    search_all,
    spaces_of,
    split_of,
    with_heldout,
)
from longtail_cli.workflow.tune_classifier import BLOCK, METRICS, NLL, ClassifierData


def tune_classification(
    predictions: Any,
    labels: Any,
    *,
    frequencies: Path | FrequencyTable | None,
    options: TuneOptions,
    input_options: InputOptions,
    bootstrap: BootstrapOptions | None,
    progress: Progress = no_progress,
) -> Tuning:
    """Choose an adjustment for the logits `predictions` on these labels; None for those in the file.

    Raises InputError for broken files and UsageError for options that do not fit them.
    """
    table, frequencies_sha256 = load_frequencies(frequencies)
    progress("reading", None)
    file = open_classifier(predictions, input_options, as_logits=True, labels=labels, classes=classes_of(table))
    _check_logits(file)
    file = labelled(file, labels, table, input_options.keys.get("labels"))
    label = labels_in(file)
    groups = None if table is None else groups_of(file, table)
    half = chosen_half(label, options)
    rows = np.ones(len(label), bool) if half is None else half
    target = target_shares(options.target, file.columns, label[rows])
    goal = parse_goal(options.objective or NLL, options.keep, METRICS)
    with_features = file.has_features and file.classifier is not None
    source = default_spaces.as_source(predictions)
    default = default_spaces.of_classifier(table, source, has_features=with_features, weighted=not file.log_scores)
    spaces = spaces_of(options, default)

    def data_of(chosen: Bools, folds: Folds, which: str) -> ClassifierData:
        own = label[chosen]
        draws = None if bootstrap is None else Draws(len(own), bootstrap.resamples, bootstrap.seed)
        reporter = ClassificationReporter(
            file.columns,
            own,
            groups,
            table,
            frequencies_sha256,
            False,
            draws,
            split_of(options, which),
            notes_of([file]),
        )
        part = _rows_of(file, chosen, input_options)
        return ClassifierData(part, own, folds, goal, target, table, input_options, reporter)

    data = data_of(rows, stratified_folds(label[rows], options.folds, options.seed), "tuned on")
    check_unseen(spaces, lambda saved: rows_in(np.array(data.digests, np.uint64), saved.origin.rows), "rows")
    search = Search(spaces, goal, data.folds)
    complete = search_all(search, data, progress)
    of_rows = sha256(np.array(data.digests, "<u8").tobytes()).hexdigest()
    inputs = input_digests(file.source, of_rows, frequencies, frequencies_sha256)
    inputs += digests_of_paths({"labels": labels, "target": None if options.target in TARGETS else options.target})
    inputs += method_digests(spaces)
    tuned_on = _tuned_on(file, data.digests, inputs)
    tuning = result(search, data, options, tuned_on, complete=complete, progress=progress)
    if half is None or tuning.partial:
        return tuning
    other = data_of(~rows, one_fold(int((~rows).sum())), "held out")
    return with_heldout(tuning, other, progress)


def _check_logits(file: LogitsFile) -> None:
    """Raise InputError for features alone, as every method is compared with the logits as they are."""
    if file.content == "features":
        problem = Problem("content", "logits, to compare methods with them", "features alone")
        fix = "write the scores of a fitted head with `ltcal rescore`, and tune on those"
        raise InputError(file.source, [problem], fix)


def _rows_of(file: LogitsFile, chosen: Bools, options: InputOptions) -> LogitsFile:
    """The chosen rows (bool [N]), in memory unless all are."""
    if chosen.all():
        return file
    batches = list(file.batches(max(1, BLOCK // file.width)))
    tensors: dict[str, Any] = {}
    for name in ("logits", "features"):
        if getattr(batches[0], name) is not None:
            parts = [getattr(batch, name)[chosen[batch.first :][: len(batch)]] for batch in batches]
            tensors[name] = torch.cat(parts)
    if file.classifier is not None:
        tensors["weight"] = file.classifier
    columns = file.columns
    stated = replace(
        options, head=columns.head, background=columns.background, category_ids=columns.category_id, keys={}
    )
    return replace(open_with_options(tensors, stated, file.source), log_scores=file.log_scores)


def _tuned_on(file: LogitsFile, digests: tuple[int, ...], inputs: tuple[InputDigest, ...]) -> Origin:
    columns = file.columns
    ids = tuple(columns.category_id.tolist())
    return Origin("logits", columns.head, columns.background, ids, inputs, {}, digests)
