"""`ltcal report`: result files and detection logits against one annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli import __version__
from longtail_cli.adjust.base import Method
from longtail_cli.adjust.scores import ScoreSpace
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.protocol import DEFAULT_MAX_DETS, GROUPS, IouType, Protocol, ProtocolName
from longtail_cli.files.annotations import read_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.source import check_readable, digest
from longtail_cli.report.model import Report, Signature
from longtail_cli.tables import Bools, FrequencyTable, GroundTruth
from longtail_cli.workflow.inputs import LogitOptions, kind_of
from longtail_cli.workflow.naming import names_of_runs
from longtail_cli.workflow.telling import Say, nobody

if TYPE_CHECKING:
    from longtail_cli.workflow.evaluated import Bootstrapping, Evaluated

DEFAULT_OPTIONS = LogitOptions()


@dataclass(frozen=True, slots=True)
class Choices:
    """Which figures of detections, by which rules.

    protocol: ``auto`` takes LVIS where every image says which categories it judges, else COCO.
    iou_types: ``bbox`` and ``segm``; empty means what the first file holds. max_dets: None means 300 for LVIS, 100 for
    COCO. tide: ``aligned``, ``tidecv`` or ``off``. reliability: D-ECE and LaECE.
    score_space: what the scores of result files are, for the methods.
    """

    protocol: str = "auto"
    iou_types: tuple[str, ...] = ()
    max_dets: int | None = None
    fixed_ap: bool = False
    pooled_ap: bool = False
    tide: str = "aligned"
    per_category: bool = False
    reliability: bool = False
    score_space: ScoreSpace = "prob"


DEFAULT_CHOICES = Choices()


def report(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    choices: Choices = DEFAULT_CHOICES,
    bootstrap: Bootstrapping | None = None,
    names: Sequence[str] = (),
    say: Say = nobody,
) -> Report:
    """Evaluate result files and logits side by side: `evaluate` without the resamples."""
    return evaluate(
        predictions,
        annotations,
        frequencies=frequencies,
        methods=methods,
        options=options,
        choices=choices,
        bootstrap=bootstrap,
        names=names,
        say=say,
    ).report


def evaluate(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    choices: Choices = DEFAULT_CHOICES,
    bootstrap: Bootstrapping | None = None,
    names: Sequence[str] = (),
    say: Say = nobody,
) -> Evaluated:
    """Evaluate result files and logits side by side.

    predictions: COCO/LVIS result lists or detection logits, at least one. annotations: the COCO or LVIS file they were
    made for. frequencies: a table for the methods, and for the groups r/c/f where the annotations carry no
    ``frequency``, or in place of it.
    methods: each file is corrected by each of them, a run each; without any, result files are taken as they are and
    logits decoded as they are. options: how logits are read and decoded. bootstrap: how to resample the images for
    intervals; None for none. names: of the runs, by default the file names or methods.
    say: told what is being done, for a progress display.

    Figures are fractions, None where undefined. Raises InputError for broken files and UsageError for options that
    do not fit them.
    """
    for path in (*predictions, annotations):
        if kind_of(path) == "results":
            check_readable(path)
    run_names = names_of_runs(predictions, methods, names)
    table = None if frequencies is None else read_frequencies(frequencies)
    say("reading", None)
    with ThreadPoolExecutor(3) as pool:
        annotations_sha256 = pool.submit(digest, annotations)
        sha256 = {path: pool.submit(digest, path) for path in predictions if kind_of(path) == "results"}
        from longtail_cli.workflow import category_rows, evaluated  # they import numba, which takes its time
        from longtail_cli.workflow import runs as evaluating
        from longtail_cli.workflow.sources import sources_of

        types = tuple(dict.fromkeys(map(_iou_type, choices.iou_types))) or evaluating.types_held(predictions[0])
        sources = sources_of(
            predictions, methods, table, types, options, choices.score_space, run_names, sha256, pool, say
        )
        truth_read = pool.submit(read_annotations, annotations, masks="segm" in types)
        wanted = evaluating.Wanted(
            choices.fixed_ap, choices.pooled_ap, choices.per_category, choices.tide, choices.reliability
        )
        evaluating.load_kernels(wanted)
        truth = truth_read.result()
        rules = _protocol(choices.protocol, truth, choices.max_dets)
        labels, notes = _groups(truth, table)
        draws = (
            None if bootstrap is None else evaluating.Draws(len(truth.image_id), bootstrap.resamples, bootstrap.seed)
        )
        bench = [
            evaluating.Evaluation.prepare(truth, rules, iou_type, _members(labels), replace(wanted, draws=draws))
            for iou_type in types
        ]
        outcomes = evaluating.in_turn(bench, sources, category_rows.train_counts(truth, table), say)
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
    found = Report(signature, tuple(one.run for one in outcomes), notes, groups=category_rows.group_sizes(bench[0]))
    return evaluated.evaluated(found, draws, {one.run.name: one.resampled for one in outcomes})


def _iou_type(name: str) -> IouType:
    if name == "bbox":
        return "bbox"
    if name == "segm":
        return "segm"
    raise UsageError("--iou-type", [Problem("value", "bbox or segm", repr(name))], "choose one of the two")


def _protocol(name: str, truth: GroundTruth, max_dets: int | None) -> Protocol:
    """The rules to go by; LVIS needs the lists that say what each image judges."""
    if name not in ("auto", "lvis", "coco"):
        raise UsageError("--protocol", [Problem("value", "auto, lvis or coco", repr(name))], "choose one of the three")
    chosen: ProtocolName = "lvis" if name == "lvis" or (name == "auto" and truth.federated) else "coco"
    if chosen == "lvis" and not truth.federated:
        problem = Problem("images", "neg_category_ids and not_exhaustive_category_ids (LVIS)", "neither")
        raise InputError(truth.source, [problem], "evaluate with --protocol coco, or pass an LVIS annotation file")
    if max_dets is not None and max_dets < 1:
        raise UsageError("--max-dets", [Problem("value", "a whole number from 1", str(max_dets))], "leave it out")
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
