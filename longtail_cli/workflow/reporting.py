"""`ltcal report`: result files and detection logits against one annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

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

DEFAULT_OPTIONS = LogitOptions()


def report(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    score_space: ScoreSpace = "prob",
    protocol: str = "auto",
    iou_types: Sequence[str] = (),
    max_dets: int | None = None,
    fixed_ap: bool = False,
    pooled_ap: bool = False,
    tide: str = "aligned",
    per_category: bool = False,
    names: Sequence[str] = (),
    say: Say = nobody,
) -> Report:
    """Evaluate result files and logits side by side.

    predictions: COCO/LVIS result lists or detection logits, at least one. annotations: the COCO or LVIS file they were
    made for. frequencies: a table for the methods, and for the groups r/c/f where the annotations carry no
    ``frequency``, or in place of it.
    methods: each file is corrected by each of them, a run each; without any, result files are taken as they are and
    logits decoded as they are. options: how logits are read and decoded. score_space: what the scores of result files
    are, for the methods.
    protocol: ``auto`` takes LVIS where every image says which categories it judges, else COCO.
    iou_types: ``bbox`` and ``segm``; empty means what the first file holds. max_dets: None means 300 for LVIS, 100 for
    COCO. tide: ``aligned``, ``tidecv`` or ``off``. names: of the runs, by default the file names or methods.
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
        from longtail_cli.workflow import runs as evaluating  # imports numba, which takes its time
        from longtail_cli.workflow.sources import sources_of

        types = tuple(dict.fromkeys(map(_iou_type, iou_types))) or evaluating.types_held(predictions[0])
        sources = sources_of(predictions, methods, table, types, options, score_space, run_names, sha256, pool, say)
        truth_read = pool.submit(read_annotations, annotations, masks="segm" in types)
        wanted = evaluating.Wanted(fixed_ap=fixed_ap, pooled_ap=pooled_ap, per_category=per_category, tide=tide)
        evaluating.load_kernels(wanted)
        truth = truth_read.result()
        rules = _protocol(protocol, truth, max_dets)
        groups, notes = _groups(truth, table)
        bench = [evaluating.Evaluation.prepare(truth, rules, iou_type, groups, wanted) for iou_type in types]
        runs = evaluating.in_turn(bench, sources, say)
    signature = Signature(
        version=__version__,
        protocol=rules.name,
        max_dets=rules.max_dets,
        iou_types=types,
        tide=tide,
        images=len(truth.image_id),
        categories=len(truth.categories),
        annotations_sha256=annotations_sha256.result(),
        frequencies_sha256=None if frequencies is None else digest(frequencies),
    )
    return Report(signature=signature, runs=runs, notes=notes)


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


def _groups(truth: GroundTruth, table: FrequencyTable | None) -> tuple[dict[str, Bools], tuple[str, ...]]:
    """Members of r, c and f by category, from the table if there is one, else from the annotations."""
    label = truth.categories.frequency if table is None else _labels(truth, table)
    if label is None:
        return {}, ("no frequency groups: the annotations have no `frequency` field; pass --freq for APr, APc, APf",)
    array = np.array(label)
    return {group: array == group for group in GROUPS}, ()


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
