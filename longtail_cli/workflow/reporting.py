"""`ltcal report`: one or several result files against one annotation file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.protocol import DEFAULT_MAX_DETS, GROUPS, IouType, Protocol, ProtocolName
from longtail_cli.files.annotations import read_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.source import check_readable, digest, printable
from longtail_cli.report.model import Report, Signature
from longtail_cli.tables import Bools, FrequencyTable, GroundTruth
from longtail_cli.workflow.telling import Say, nobody


def report(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    frequencies: Path | None = None,
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
    """Evaluate result files side by side.

    predictions: COCO/LVIS result lists, at least one. annotations: the COCO or LVIS file they were made for.
    frequencies: a table for the groups r/c/f where the annotations carry no ``frequency``, or in place of it.
    protocol: ``auto`` takes LVIS where every image says which categories it judges, else COCO.
    iou_types: ``bbox`` and ``segm``; empty means what the first file holds. max_dets: None means 300 for LVIS, 100 for
    COCO. tide: ``aligned``, ``tidecv`` or ``off``. names: of the runs, by default the file names.
    say: told what is being done, for a progress display.

    Figures are fractions, None where undefined. Raises InputError for broken files and UsageError for options that
    do not fit them.
    """
    for path in (*predictions, annotations):
        check_readable(path)
    run_names = _names(predictions, names)
    say("reading", None)
    with ThreadPoolExecutor(3) as pool:
        sha256 = [pool.submit(digest, path) for path in (annotations, *predictions)]
        from longtail_cli.workflow import runs as evaluating  # imports numba, which takes its time

        types = tuple(dict.fromkeys(map(_iou_type, iou_types))) or evaluating.types_held(predictions[0])
        results = evaluating.read_in_turn(predictions, types, pool, say)
        truth_read = pool.submit(read_annotations, annotations, masks="segm" in types)
        wanted = evaluating.Wanted(fixed_ap=fixed_ap, pooled_ap=pooled_ap, per_category=per_category, tide=tide)
        evaluating.load_kernels(wanted)
        truth = truth_read.result()
        rules = _protocol(protocol, truth, max_dets)
        groups, notes = _groups(truth, None if frequencies is None else read_frequencies(frequencies))
        bench = [evaluating.Evaluation.prepare(truth, rules, iou_type, groups, wanted) for iou_type in types]
        digests = [future.result() for future in sha256]
        runs = evaluating.in_turn(bench, results, predictions, run_names, digests[1:], say)
    signature = Signature(
        version=__version__,
        protocol=rules.name,
        max_dets=rules.max_dets,
        iou_types=types,
        tide=tide,
        images=len(truth.image_id),
        categories=len(truth.categories),
        annotations_sha256=digests[0],
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


def _names(predictions: Sequence[Path], names: Sequence[str]) -> tuple[str, ...]:
    """A name for each run: as given, else the file name, with its folder where file names repeat."""
    if names:
        if len(names) != len(predictions) or len(set(names)) != len(names):
            problem = Problem("names", f"{len(predictions)} different ones", ", ".join(names))
            raise UsageError("--name", [problem], "give one name for each prediction file, or none")
        return tuple(map(printable, names))
    short = [printable(path.name) for path in predictions]
    if len(set(short)) == len(short):
        return tuple(short)
    long = [printable(str(path)) for path in predictions]
    return tuple(f"{name} ({number})" if long.count(name) > 1 else name for number, name in enumerate(long, 1))
