"""`ltcal report`: one or several result files against one annotation file."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.evaluation import Evaluation, Figures, Wanted
from longtail_cli.evaluate.geometry import Overlaps
from longtail_cli.evaluate.kernels import load_kernels
from longtail_cli.evaluate.protocol import DEFAULT_MAX_DETS, IouType, Protocol, ProtocolName
from longtail_cli.evaluate.selection import images_over
from longtail_cli.evaluate.summary import GROUPS
from longtail_cli.evaluate.tide import Breakdown
from longtail_cli.files.annotations import read_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.results import held_fields, locate, read_results
from longtail_cli.files.source import check_readable, digest
from longtail_cli.report.model import CategoryRow, Gains, Report, Run, Signature, Tide
from longtail_cli.tables import Bools, Detections, FrequencyTable, GroundTruth, Masks, Results

IOU_FIELDS: dict[IouType, str] = {"bbox": "bbox", "segm": "masks"}
"""The field of a result file that each IoU type is measured on."""


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
    say: Callable[[str], None] = lambda _: None,
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
    types = tuple(dict.fromkeys(map(_iou_type, iou_types))) or _types_held(predictions[0])
    wanted = Wanted(fixed_ap=fixed_ap, pooled_ap=pooled_ap, per_category=per_category, tide=tide)
    table = None if frequencies is None else read_frequencies(frequencies)
    say("reading")
    with ThreadPoolExecutor(2) as pool:
        files = _Files.read(predictions, annotations, types, pool)
        load_kernels(wanted)
        truth = files.truth.result()
        rules = _protocol(protocol, truth, max_dets)
        groups, notes = _groups(truth, table)
        bench = [Evaluation.prepare(truth, rules, iou_type, groups, wanted) for iou_type in types]
        runs = _runs(bench, predictions, _names(predictions, names), files, say)
        signature = Signature(
            version=__version__,
            protocol=rules.name,
            max_dets=rules.max_dets,
            iou_types=types,
            tide=tide,
            images=len(truth.image_id),
            categories=len(truth.categories),
            annotations_sha256=files.truth_sha256.result(),
            frequencies_sha256=None if frequencies is None else digest(frequencies),
        )
    return Report(signature=signature, runs=runs, notes=notes)


@dataclass(frozen=True, slots=True)
class _Files:
    """The inputs while they are being read, the largest first."""

    results: Sequence[Future[Results]]
    truth: Future[GroundTruth]
    sha256: Sequence[Future[str]]
    truth_sha256: Future[str]

    @classmethod
    def read(
        cls, predictions: Sequence[Path], annotations: Path, types: Sequence[IouType], pool: ThreadPoolExecutor
    ) -> _Files:
        fields = frozenset(IOU_FIELDS[iou_type] for iou_type in types)
        first, *others = predictions
        results = [pool.submit(read_results, first, fields=fields)]
        truth = pool.submit(read_annotations, annotations, masks="segm" in types)
        results += [pool.submit(read_results, path, fields=fields) for path in others]
        sha256 = [pool.submit(digest, path) for path in predictions]
        return cls(results, truth, sha256, pool.submit(digest, annotations))


def _types_held(path: Path) -> tuple[IouType, ...]:
    """What a result file can be evaluated on; boxes where it is empty."""
    held = held_fields(path)
    return tuple(iou_type for iou_type, field in IOU_FIELDS.items() if field in held) or ("bbox",)


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


def _runs(
    bench: Sequence[Evaluation],
    predictions: Sequence[Path],
    names: Sequence[str],
    files: _Files,
    say: Callable[[str], None],
) -> tuple[Run, ...]:
    """Evaluate the files in turn; geometry is computed again only where the boxes or masks differ."""
    runs: list[Run] = []
    before: Detections | None = None
    geometry: list[Overlaps] = []
    for path, name, read, sha256 in zip(predictions, names, files.results, files.sha256, strict=True):
        detections = locate(read.result(), bench[0].ground_truth)
        say(f"evaluating {name}")
        if before is None or not _same_places(before, detections):
            geometry = [one.geometry(detections) for one in bench]
        figures = [one.figures(detections, pairs) for one, pairs in zip(bench, geometry, strict=True)]
        runs.append(_run(bench, figures, detections, name, path, sha256.result()))
        before = detections
    return tuple(runs)


def _names(predictions: Sequence[Path], names: Sequence[str]) -> tuple[str, ...]:
    """A name for each run: as given, else the file name, with its folder where file names repeat."""
    if names:
        if len(names) != len(predictions) or len(set(names)) != len(names):
            problem = Problem("names", f"{len(predictions)} different ones", ", ".join(names))
            raise UsageError("--name", [problem], "give one name for each prediction file, or none")
        return tuple(map(_readable, names))
    short = [_readable(path.name) for path in predictions]
    if len(set(short)) == len(short):
        return tuple(short)
    long = [_readable(str(path)) for path in predictions]
    return tuple(f"{name} ({number})" if long.count(name) > 1 else name for number, name in enumerate(long, 1))


def _readable(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")


def _same_places(one: Detections, other: Detections) -> bool:
    """Whether the two hold the same boxes and masks of the same categories in the same order."""
    columns = ("image", "category", "bbox")
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns):
        return False
    if one.masks is None or other.masks is None:
        return one.masks is other.masks
    return _same_masks(one.masks, other.masks)


def _same_masks(one: Masks, other: Masks) -> bool:
    columns = ("size", "start", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)


def _run(
    bench: Sequence[Evaluation], figures: Sequence[Figures], detections: Detections, name: str, path: Path, sha256: str
) -> Run:
    types = [one.iou_type for one in bench]
    return Run(
        name=name,
        source=_readable(str(path)),
        sha256=sha256,
        method=None,
        metrics={iou_type: _metrics(found) for iou_type, found in zip(types, figures, strict=True)},
        tide={
            iou_type: _tide(found.tide, found.tide_groups, one.wanted.tide)
            for iou_type, found, one in zip(types, figures, bench, strict=True)
            if found.tide is not None and found.tide_groups is not None
        },
        categories=_categories(bench, figures),
        notes=(_cap_note(detections, bench[0].protocol),),
    )


def _metrics(figures: Figures) -> dict[str, float | Mapping[str, float | None] | None]:
    metrics: dict[str, float | Mapping[str, float | None] | None] = dict(figures.headline)
    if figures.fixed is not None:
        metrics["APfixed"] = figures.fixed
    if figures.pooled is not None:
        metrics["APpool"] = figures.pooled
    return metrics


def _tide(overall: Breakdown, groups: Mapping[str, Breakdown], mode: str) -> Tide:
    by_group = {name: Gains(one.ap50, one.main, one.special) for name, one in groups.items()}
    return Tide(mode, overall.ap50, overall.main, overall.special, by_group)


def _categories(bench: Sequence[Evaluation], figures: Sequence[Figures]) -> tuple[CategoryRow, ...]:
    """A row a category where they were asked for; counts are those of the evaluated annotations."""
    if not bench[0].wanted.per_category:
        return ()
    categories, objects = bench[0].ground_truth.categories, bench[0].objects
    counted = ~objects.ignore & ~objects.excluded
    instances = np.bincount(objects.category[counted], minlength=len(categories))
    pairs = np.unique(np.column_stack([objects.category, objects.image])[counted], axis=0)
    images = np.bincount(pairs[:, 0], minlength=len(categories))
    group = {index: name for name, member in bench[0].groups.items() for index in np.flatnonzero(member).tolist()}
    return tuple(
        CategoryRow(
            id=int(categories.id[c]),
            name=categories.name[c],
            group=group.get(c),
            images=int(images[c]),
            instances=int(instances[c]),
            metrics={one.iou_type: (found.per_category or [])[c] for one, found in zip(bench, figures, strict=True)},
        )
        for c in range(len(categories))
    )


def _cap_note(detections: Detections, protocol: Protocol) -> str:
    number, cap = len(detections), protocol.max_dets
    if protocol.name == "coco":
        return f"{number} detections; the cap of {cap} is per image and category"
    reach, exceed = images_over(detections, cap)
    note = f"{number} detections; {reach} images reach the cap of {cap}, {exceed} exceed it"
    if exceed:
        return note
    return f"{note}: a correction that keeps the order within each category cannot change per-category AP"
