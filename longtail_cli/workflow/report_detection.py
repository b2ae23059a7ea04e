"""`ltcal report`: result files and detection logits against one annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli import __version__
from longtail_cli.adjust.base import Method
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.options import EvaluationOptions
from longtail_cli.evaluate.protocol import DEFAULT_MAX_DETS, GROUPS, Protocol, ProtocolName
from longtail_cli.files.annotations.reader import read_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.source import check_readable, digest, printable
from longtail_cli.reports.model import Report, Signature
from longtail_cli.tables import Bools, FrequencyTable, GroundTruth
from longtail_cli.workflow.options import LogitOptions, kind_of
from longtail_cli.workflow.progress import Progress, no_progress

if TYPE_CHECKING:
    from longtail_cli.workflow.intervals import Bootstrapping


DEFAULT_OPTIONS = LogitOptions()


DEFAULT_CHOICES = EvaluationOptions()


def evaluate(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    choices: EvaluationOptions = DEFAULT_CHOICES,
    bootstrap: Bootstrapping | None = None,
    names: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Report:
    """Evaluate result files and logits side by side.

    predictions: COCO/LVIS result lists or detection logits, at least one. annotations: the COCO or LVIS file they were
    made for. frequencies: a table for the methods, and for the groups r/c/f where the annotations carry no
    ``frequency``, or in place of it.
    methods: each file is corrected by each of them, a run each; without any, result files are taken as they are and
    logits decoded as they are. options: how logits are read and decoded. bootstrap: how to resample the images for
    intervals; None for none. names: of the runs, by default the file names or methods.
    progress: told what is being done, for a progress display.

    Figures are fractions, None where undefined. Raises InputError for broken files and UsageError for options that
    do not fit them.
    """
    for path in (*predictions, annotations):
        if kind_of(path) == "results":
            check_readable(path)
    names_by_file = run_names(predictions, methods, names)
    table = None if frequencies is None else read_frequencies(frequencies)
    progress("reading", None)
    with ThreadPoolExecutor(3) as pool:
        annotations_sha256 = pool.submit(digest, annotations)
        sha256 = {path: pool.submit(digest, path) for path in predictions if kind_of(path) == "results"}
        from longtail_cli.workflow import category_rows  # they import numba, which takes its time
        from longtail_cli.workflow import detection_runs as evaluating
        from longtail_cli.workflow import intervals as add_intervals
        from longtail_cli.workflow.detection_inputs import sources_of

        types = tuple(dict.fromkeys(choices.iou_types)) or evaluating.held_iou_types(predictions[0])
        sources = sources_of(
            predictions, methods, table, types, options, choices.score_space, names_by_file, sha256, pool, progress
        )
        truth_read = pool.submit(read_annotations, annotations, masks="segm" in types)
        evaluating.load_kernels(choices)
        truth = truth_read.result()
        rules = _protocol(choices.protocol, truth, choices.max_dets)
        labels, notes = _groups(truth, table)
        draws = (
            None if bootstrap is None else evaluating.Draws(len(truth.image_id), bootstrap.resamples, bootstrap.seed)
        )
        evaluations = [
            evaluating.Evaluation.prepare(truth, rules, iou_type, _members(labels), choices, draws)
            for iou_type in types
        ]
        outcomes = evaluating.evaluate_sources(evaluations, sources, category_rows.train_counts(truth, table), progress)
    signature = Signature(
        version=__version__,
        protocol=rules.name,
        max_dets=rules.max_dets,
        iou_types=types,
        tide=choices.tide,
        images=len(truth.image_id),
        categories=len(truth.categories),
        annotations_sha256=annotations_sha256.result(),
        frequencies_sha256=None if frequencies is None else digest(frequencies),
        groups_sha256=category_rows.groups_sha256(labels),
    )
    found = Report(
        signature, tuple(one.run for one in outcomes), notes, groups=category_rows.group_sizes(evaluations[0])
    )
    return add_intervals.add_intervals(found, draws, {one.run.name: one.resampled for one in outcomes})


def _protocol(name: str, truth: GroundTruth, max_dets: int | None) -> Protocol:
    """The rules to go by; LVIS needs the lists that say what each image judges."""
    chosen: ProtocolName = "lvis" if name == "lvis" or (name == "auto" and truth.federated) else "coco"
    if chosen == "lvis" and not truth.federated:
        problem = Problem("images", "neg_category_ids and not_exhaustive_category_ids (LVIS)", "neither")
        raise InputError(truth.source, [problem], "evaluate with --protocol coco, or pass an LVIS annotation file")
    return Protocol(chosen, max_dets or DEFAULT_MAX_DETS[chosen])


def _groups(truth: GroundTruth, table: FrequencyTable | None) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """The group of each category, from the table if there is one, else from the annotations; and notes."""
    labels = truth.categories.frequency if table is None else _labels(truth, table)
    if labels is None:
        return None, ("no frequency groups: the annotations have no `frequency` field; pass --freq for APr, APc, APf",)
    return labels, ()


def _members(labels: Sequence[str] | None) -> dict[str, Bools]:
    """Members of r, c and f by category; empty without groups."""
    return {} if labels is None else {group: np.array(labels) == group for group in GROUPS}


def _labels(truth: GroundTruth, table: FrequencyTable) -> tuple[str, ...]:
    missing = np.setdiff1d(truth.categories.id, table.category_id)
    if len(missing):
        found = f"no row for {len(missing)} of them, among them ids {', '.join(map(str, missing[:5]))}"
        problem = Problem("category_id", f"all {len(truth.categories)} categories of {truth.source}", found)
        raise InputError("--freq", [problem], "count the training set that these categories belong to")
    row = np.searchsorted(table.category_id, truth.categories.id)
    labels = tuple(table.group[i] for i in row)
    strange = sorted(set(labels) - set(GROUPS))
    if strange:
        problem = Problem("group", "r, c or f", ", ".join(strange))
        raise InputError("--freq", [problem], "make the table from detection annotations with `ltcal compute-freq`")
    return labels


def run_names(
    predictions: Sequence[Path], methods: Sequence[Method], names: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """For each file a name for each method, or one name where there are no methods.

    names: as given, file by file and for each file method by method. Without them a run is called by its file, by its
    method where there is one file, and by both where there are several. Raises UsageError unless names are as many as
    runs and all different.
    """
    specs = [method.spec for method in methods]
    if len(set(specs)) < len(specs):
        problem = Problem("methods", "each of them once", ", ".join(specs))
        raise UsageError("--method", [problem], "leave out the one that stands there twice")
    each = max(len(specs), 1)
    if names:
        flat = list(map(printable, names))
        if len(flat) != len(predictions) * each or len(set(flat)) != len(flat):
            problem = Problem("names", f"{len(predictions) * each} different ones", ", ".join(flat))
            raise UsageError("--name", [problem], "give one name for each file and method, or none")
    else:
        flat = _by_default(_short_names(predictions), specs)
    return tuple(tuple(flat[first : first + each]) for first in range(0, len(flat), each))


def _by_default(files: list[str], specs: list[str]) -> list[str]:
    if not specs:
        return files
    return specs if len(files) == 1 else [f"{file}: {spec}" for file in files for spec in specs]


def _short_names(predictions: Sequence[Path]) -> list[str]:
    """The file names, with their folders where file names repeat."""
    short = [printable(path.name) for path in predictions]
    if len(set(short)) == len(short):
        return short
    long = [printable(str(path)) for path in predictions]
    return [f"{name} ({number})" if long.count(name) > 1 else name for number, name in enumerate(long, 1)]
