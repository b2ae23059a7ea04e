"""The official packages lvis, pycocotools and tidecv, run on the same files, with our names for their metrics.

Each package gets its own copy of the files: the user's entries, plus missing fields that its loader needs and no metric
depends on. Two changes do affect metrics, and both make them follow the protocol:

- Annotations are numbered 1, 2, ... in file order. The matching of lvis and pycocotools records the id of the matched
  object, with 0 for no match, so an object with id 0 would be found and still count as missed.
- For masks, a ``bbox`` next to the ``segmentation`` of a detection is dropped, as in detectron2: otherwise the official
  area ranges use the box.

Nothing else in a report imports this module.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from longtail_cli.choices import IouType, ProtocolName
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.masks import compressed_counts
from longtail_cli.files.results.table_entries import parquet_entries
from longtail_cli.files.source import json_document
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.metrics import Value, mean, ratio
from longtail_cli.tables import Floats
from longtail_cli.verify.packages import numpy_with_float, official_package

Entry = dict[str, Any]
NestedMetrics = Mapping[str, "Value | NestedMetrics"]

_TIDE_POSITIVE, _TIDE_BACKGROUND = 0.5, 0.1  # the defaults of tidecv.TIDE
_GROUP_METRICS = ("APr", "APc", "APf")
_LONGEST_OUTLINE = 1 << 22
_ONE_PIXEL = {"size": [1, 1], "counts": "1"}


@dataclass(frozen=True, slots=True)
class OfficialMetrics:
    """The metrics of an official package, fractions in [0, 1], None for its -1 (undefined)."""

    metrics: dict[str, Value]
    """By the names of the report: AP, AP50, AP75, APs, ..., AR@300, ARs@300, ..."""
    categories: dict[int, Value]
    """AP by category id."""


class Difference(NamedTuple):
    """A metric that differs from the official value."""

    name: str
    """Nested names are joined by dots."""
    ours: Value
    official: Value


def official_lvis(
    annotations: Path, predictions: Path, iou_type: IouType, max_dets: int, frequency: Mapping[int, str] | None = None
) -> OfficialMetrics:
    """AP, AP50, AP75, APs/m/l, APr/c/f, AR@`max_dets` and its sizes, of lvis 0.5.3.

    annotations, predictions: JSON, also ``.gz``; predictions also ``.parquet``.
    frequency: ``"r"``, ``"c"`` or ``"f"`` by category id, instead of the field of that name. Without either, APr, APc
        and APf are None.

    Raises VerificationError if the package fails (it does on a file without detections), MissingExtraError if it is not
    installed, UsageError for annotations without the lists of judged categories.
    """
    truth, found = _truth_of(annotations, iou_type), _found_of(predictions, iou_type)
    if not all({"neg_category_ids", "not_exhaustive_category_ids"} <= image.keys() for image in truth["images"]):
        problem = Problem("`images`", "neg_category_ids and not_exhaustive_category_ids (LVIS)", "no such fields")
        raise UsageError(str(annotations), [problem], "verify with `protocol='coco'`")
    grouped = frequency is not None or all("frequency" in category for category in truth["categories"])
    for category in truth["categories"]:  # the package needs a letter; its group metrics are dropped below
        letter = category.get("frequency", "f") if frequency is None else frequency[category["id"]]
        category["frequency"] = letter
    with official_package("lvis", predictions) as lvis, _private_copy(truth, found) as (truth_path, found_path):
        known = lvis.LVIS(truth_path)
        evaluation = lvis.LVISEval(known, lvis.LVISResults(known, found_path, max_dets=max_dets), iou_type)
        evaluation.params.max_dets = max_dets
        with numpy_with_float(lvis.eval):
            evaluation.run()
    metrics = {name: _defined(value) for name, value in evaluation.results.items()}
    metrics |= {} if grouped else dict.fromkeys(_GROUP_METRICS)
    precision = evaluation.eval["precision"][:, :, :, 0]
    return OfficialMetrics(metrics, _by_category(precision, evaluation.params.cat_ids))


def official_coco(annotations: Path, predictions: Path, iou_type: IouType, max_dets: int) -> OfficialMetrics:
    """AP, AP50, AP75, APs/m/l, AR@1, AR@10, AR@`max_dets` and its sizes, of pycocotools 2.0.11.

    Arguments and errors are those of `official_lvis`. The metrics are the means of ``COCOeval.summarize``, which itself
    supports no cap but 100. A cap below 10 applies to AR@10 (and AR@1) too.
    """
    truth, found = _truth_of(annotations, iou_type), _found_of(predictions, iou_type)
    for annotation in truth["annotations"]:
        annotation.setdefault("iscrowd", 0)
    caps = sorted({min(rank, max_dets) for rank in (1, 10, max_dets)})
    with official_package("pycocotools", predictions), _private_copy(truth, found) as (truth_path, found_path):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        known = COCO(truth_path)
        evaluation = COCOeval(known, known.loadRes(found_path), iou_type)
        evaluation.params.maxDets = caps
        evaluation.evaluate()
        evaluation.accumulate()
    precision, recall = evaluation.eval["precision"][..., -1], evaluation.eval["recall"]
    metrics = {"AP": _mean(precision[..., 0]), "AP50": _mean(precision[0, ..., 0]), "AP75": _mean(precision[5, ..., 0])}
    metrics |= {f"AP{size}": _mean(precision[..., area]) for area, size in enumerate("sml", start=1)}
    metrics |= {f"AR@{rank}": _mean(recall[:, :, 0, caps.index(min(rank, max_dets))]) for rank in (1, 10, max_dets)}
    metrics |= {f"AR{size}@{max_dets}": _mean(recall[:, :, area, -1]) for area, size in enumerate("sml", start=1)}
    return OfficialMetrics(metrics, _by_category(precision[..., 0], evaluation.params.catIds))


def official_tide(
    annotations: Path, predictions: Path, iou_type: IouType, protocol: ProtocolName,
    groups: Mapping[str, Collection[int]] | None = None,
) -> NestedMetrics:  # fmt: skip
    """The breakdown of tidecv 1.0.1 as fractions: ``{"AP50": ., "main": {"Cls": ., ...}, "special": {"FalsePos": .}}``.

    The caps are tidecv's own: 300 for LVIS, 100 for COCO. Arguments and errors are those of `official_lvis`; the
    package also fails if fixing an error leaves neither objects nor detections, and on scores of -1 and less.

    groups: category ids by group name. tidecv has no groups; ``"groups"`` holds the same metrics, computed from its AP
    of each category like its own mean over all of them, None for a group with neither objects nor detections.
    """
    truth, found = _truth_of(annotations, iou_type), _found_of(predictions, iou_type)
    _fill_for_tidecv(truth, found, iou_type)
    with official_package("tidecv", predictions) as tidecv, _private_copy(truth, found) as (truth_path, found_path):
        load = tidecv.datasets.LVIS if protocol == "lvis" else tidecv.datasets.COCO
        known, seen = load(truth_path), tidecv.datasets.COCOResult(found_path)
        mode = tidecv.TIDE.BOX if iou_type == "bbox" else tidecv.TIDE.MASK
        # as TIDE.evaluate; creating a TIDE object would restyle matplotlib and make a folder in the user's home
        run = tidecv.TIDERun(known, seen, _TIDE_POSITIVE, _TIDE_BACKGROUND, mode, known.max_dets)
        main, special = run.fix_main_errors(), run.fix_special_errors()
        by_category = _tide_by_category(tidecv, run) if groups else {}
    overall: NestedMetrics = {
        "AP50": run.ap / 100,
        "main": {error.short_name: gain / 100 for error, gain in main.items()},
        "special": {error.short_name: gain / 100 for error, gain in special.items()},
    }
    by_group = {name: _tide_of_group(by_category, set(members)) for name, members in (groups or {}).items()}
    return {**overall, "groups": by_group} if groups else overall


def _tide_by_category(tidecv: Any, run: Any) -> dict[str, dict[int, float]]:
    """AP by category id, with nothing fixed (``""``) and with each kind of error fixed."""
    false_positive, false_negative = tidecv.TIDE._special_error_types
    data = {"": run.ap_data}
    for error in tidecv.TIDE._error_types:
        data[error.short_name] = run.fix_errors(lambda found, kind=error: isinstance(found, kind))
    data[false_positive.short_name] = run.fix_errors(transform=false_positive.fix)
    data[false_negative.short_name] = run.fix_errors(false_neg_dict=run.false_negatives)
    return {
        name: {category: one.get_ap() / 100 for category, one in table.objs.items() if not one.is_empty()}
        for name, table in data.items()
    }


def _tide_of_group(by_category: Mapping[str, Mapping[int, float]], members: Collection[int]) -> NestedMetrics:
    ap: dict[str, Value] = {}
    for name, table in by_category.items():
        values = [value for category, value in table.items() if category in members]
        ap[name] = ratio(sum(values), len(values))
    before = ap.pop("")
    gains = {name: None if before is None or after is None else after - before for name, after in ap.items()}
    special = {name: gains.pop(name) for name in ("FalsePos", "FalseNeg")}
    main = {name: None if gain is None else max(gain, 0.0) for name, gain in gains.items()}  # as tidecv clamps
    return {"AP50": before, "main": main, "special": special}


def compare(ours: NestedMetrics, official: NestedMetrics, tolerance: float) -> tuple[Difference, ...]:
    """The official metrics from which ours differ by more than `tolerance`, or that only one side defines.

    Metrics that the official package does not have are not compared.
    """
    mine, theirs = _flat(ours), _flat(official)
    rows = (Difference(name, mine.get(name), value) for name, value in theirs.items())
    return tuple(row for row in rows if not _equal(row.ours, row.official, tolerance))


def _equal(one: Value, other: Value, tolerance: float) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= tolerance


def _flat(metrics: NestedMetrics, prefix: str = "") -> dict[str, Value]:
    flat: dict[str, Value] = {}
    for name, value in metrics.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {prefix + name: value}
    return flat


def _defined(value: float) -> Value:
    return None if value == -1 else float(value)


def _mean(values: Floats) -> Value:
    """The mean of the values that are not -1."""
    return mean(np.where(values > -1, values, np.nan))


def _by_category(precision: Floats, category_ids: list[int]) -> dict[int, Value]:
    """AP by category id, from precision [10, 101, C]."""
    return {int(category): _mean(precision[:, :, c]) for c, category in enumerate(category_ids)}


def _truth_of(path: Path, iou_type: IouType) -> Entry:
    """The annotation file, its annotations numbered from 1 (see the docstring of the module).

    Raises UsageError for masks with longer outlines than `_LONGEST_OUTLINE`.
    """
    truth: Entry = json_document(path)
    for number, annotation in enumerate(truth["annotations"], start=1):
        if iou_type == "segm" and isinstance(annotation["segmentation"], list):
            length = sum(map(_outline_length, annotation["segmentation"]))
            if length > _LONGEST_OUTLINE:
                expected = f"outlines of at most {_LONGEST_OUTLINE:,} pixels, all of which pycocotools keeps in memory"
                problem = Problem(f"annotations[{number - 1}], `segmentation`", expected, f"{length:,.0f}")
                raise UsageError(str(path), [problem], "verify boxes, or leave `verify=` out")
        annotation["id"] = number
    return truth


def _outline_length(polygon: list[float]) -> float:
    """The length of an outline in steps along x or y, in pixels."""
    points = np.array(polygon).reshape(-1, 2)
    return float(np.abs(points - np.roll(points, 1, axis=0)).max(axis=1).sum())


def _found_of(path: Path, iou_type: IouType) -> list[Entry]:
    """The result file, for masks without ``bbox``; run lengths are compressed, as the packages read no others."""
    found: list[Entry] = parquet_entries(path) if path.suffix == ".parquet" else json_document(path)
    for entry in found:
        if iou_type == "segm":
            entry.pop("bbox", None)
        if "bbox" not in entry and isinstance(entry["segmentation"]["counts"], list):
            mask = entry["segmentation"]
            entry["segmentation"] = {"size": mask["size"], "counts": compressed_counts(mask["counts"])}
    return found


def _fill_for_tidecv(truth: Entry, found: list[Entry], iou_type: IouType) -> None:
    """Fill in names, crowd flags and, for boxes, masks and sizes: the loaders need them, but the metrics do not."""
    from pycocotools import mask as coco_mask

    for image in truth["images"]:
        for field in ("file_name", "coco_url"):
            image.setdefault(field, "")
    for category in truth["categories"]:
        for field in ("name", "synset"):
            category.setdefault(field, "")
    for annotation in truth["annotations"]:
        annotation.setdefault("iscrowd", 0)
    if iou_type == "segm":
        return
    for image in truth["images"]:
        image |= {"width": 1, "height": 1}
    for annotation in truth["annotations"]:
        annotation["segmentation"] = _ONE_PIXEL
    for entry in found:
        if "bbox" not in entry:  # as in lvis and pycocotools
            entry["bbox"] = coco_mask.toBbox(entry["segmentation"]).tolist()


@contextmanager
def _private_copy(truth: Entry, found: list[Entry]) -> Iterator[tuple[str, str]]:
    """Paths to the two as JSON files, in a temporary folder."""
    with private_folder(temporary_folder()) as folder:
        paths = folder / "annotations.json", folder / "predictions.json"
        for path, content in zip(paths, (truth, found), strict=True):
            path.write_text(json.dumps(content))
        yield str(paths[0]), str(paths[1])
