"""TIDE in plain loops, one detection at a time, written from the protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from pycocotools import mask as coco_mask

Entry = dict[str, Any]
Curves = dict[int, tuple[list[bool], int]]
"""By category: hit or not, best score first, and the number of objects."""

LARGEST = 1e10  # pixels; larger areas are outside even the range "all"
GROUPS = ("r", "c", "f")
ERRORS = ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")


def aligned_tide(
    annotations: Entry, predictions: list[Entry], *, protocol: Literal["lvis", "coco"], iou_type: str, max_dets: int
) -> Entry:
    """TIDE by the rules of the report, in the form of `official_tide`, with ``groups`` of the same form.

    Bolya et al., "TIDE", ECCV 2020, sec. 2.2-2.3; tests in the order Loc, Cls, Dupe, Bkg, Both.
    """
    found, counted = _matched(annotations, predictions, protocol, iou_type, max_dets)
    ranked = sorted(found, key=lambda d: (-d["score"], d["image_id"]))
    curves = _fixed(ranked, counted)
    letters = {category["id"]: category.get("frequency") for category in annotations["categories"]}

    def breakdown(categories: set[int]) -> Entry:
        return _differences(curves, categories) | {"false_positives": _false_positives(ranked, counted, categories)}

    by_group = {group: {key for key, letter in letters.items() if letter == group} for group in GROUPS}
    return breakdown(set(letters)) | {"groups": {group: breakdown(own) for group, own in by_group.items()}}


def per_image(
    annotations: Entry, predictions: list[Entry], *, protocol: Literal["lvis", "coco"], iou_type: str, max_dets: int
) -> tuple[float | None, dict[int, Entry]]:
    """The score threshold with the greatest F1, the highest of several, and the metrics of each image at it, by id.

    At every threshold the detections that are left are matched and explained anew.
    """
    best: tuple[float, float | None] = (0.0, None)
    for threshold in sorted({entry["score"] for entry in predictions}, reverse=True):
        kept = [entry for entry in predictions if entry["score"] >= threshold]
        f1 = _f1(*_matched(annotations, kept, protocol, iou_type, max_dets)) or 0.0
        if f1 > best[0]:
            best = f1, threshold
    threshold = best[1]
    kept = [entry for entry in predictions if threshold is None or entry["score"] >= threshold]
    found, counted = _matched(annotations, kept, protocol, iou_type, max_dets)
    rows = {}
    for image in annotations["images"]:
        here = [entry for entry in found if entry["image_id"] == image["id"]]
        there = [entry for entry in counted if entry["image_id"] == image["id"]]
        wrong = [entry["error"] for entry in here if not entry["hit"] and not entry["ignored"]]
        errors = wrong + ["Miss" for entry in there if not entry["used"] and not entry["pointed_at"]]
        rows[image["id"]] = {
            "ground_truths": len(there),
            "true_positives": sum(entry["hit"] for entry in here),
            "false_positives": len(wrong),
            "missed": sum(not entry["used"] for entry in there),
            "main_error": max(ERRORS, key=errors.count) if errors else None,
            "f1": _f1(here, there),
        }
    return threshold, rows


def _f1(found: list[Entry], counted: list[Entry]) -> float | None:
    hits = sum(entry["hit"] for entry in found)
    total = hits + sum(not entry["hit"] and not entry["ignored"] for entry in found) + len(counted)
    return 2 * hits / total if total else None


def _matched(
    annotations: Entry, predictions: list[Entry], protocol: str, iou_type: str, max_dets: int
) -> tuple[list[Entry], list[Entry]]:
    """The detections under the cap with what becomes of them, and the objects that count."""
    objects = _objects(annotations, protocol, iou_type)
    found = _evaluated(annotations, predictions, objects, protocol, iou_type, max_dets)
    for image in annotations["images"]:
        here = [entry for entry in found if entry["image_id"] == image["id"]]
        there = [entry for entry in objects if entry["image_id"] == image["id"]]
        _match([entry for entry in here if entry["judged"]], there, image, protocol)
        for detection in here:
            detection["ignored"] |= not detection["judged"]
            if not detection["hit"]:  # ignored detections too
                _explain(detection, [entry for entry in there if not entry["ignored"]])
    return found, [entry for entry in objects if not entry["ignored"]]


def _objects(annotations: Entry, protocol: str, iou_type: str) -> list[Entry]:
    """The evaluated objects in file order, with their shapes."""
    sizes = {image["id"]: (image["height"], image["width"]) for image in annotations["images"]}
    objects = []
    for annotation in annotations["annotations"]:
        if protocol == "lvis" and annotation["area"] <= 0:
            continue
        crowd = protocol == "coco" and bool(annotation.get("iscrowd"))
        ignored = crowd if protocol == "coco" else bool(annotation.get("ignore"))
        shape = annotation["bbox"] if iou_type == "bbox" else _mask(annotation, sizes[annotation["image_id"]])
        state = {"shape": shape, "crowd": crowd, "ignored": ignored or annotation["area"] > LARGEST}
        objects.append(annotation | state | {"used": False, "pointed_at": []})
    return objects


def _mask(annotation: Entry, size: tuple[int, int]) -> Entry:
    segmentation = annotation["segmentation"]
    if isinstance(segmentation, list):
        return coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    return _compressed(segmentation)


def _compressed(rle: Entry) -> Entry:
    return coco_mask.frPyObjects(rle, *rle["size"]) if isinstance(rle["counts"], list) else rle


def _evaluated(
    annotations: Entry, predictions: list[Entry], objects: list[Entry], protocol: str, iou_type: str, max_dets: int
) -> list[Entry]:
    """The detections under the cap in file order, and whether they are evaluated: with LVIS, of judged categories."""
    judged = {(entry["image_id"], entry["category_id"]) for entry in objects}
    for image in annotations["images"]:
        judged |= {(image["id"], category) for category in image.get("neg_category_ids", [])}
    kept, number = [], {}
    for index in sorted(range(len(predictions)), key=lambda index: -predictions[index]["score"]):
        detection = predictions[index]
        where = (detection["image_id"], detection["category_id"])
        slot = where[0] if protocol == "lvis" else where
        number[slot] = number.get(slot, 0) + 1
        shape, area = _shape(detection, iou_type)
        if number[slot] <= max_dets:
            state = {"shape": shape, "area": area, "index": index, "hit": False, "ignored": False, "error": None}
            kept.append(detection | state | {"judged": protocol == "coco" or (area > 0 and where in judged)})
    return sorted(kept, key=lambda detection: detection["index"])


def _shape(detection: Entry, iou_type: str) -> tuple[Any, float]:
    """Box or mask, and the area for the area ranges."""
    if iou_type == "bbox" and "bbox" in detection:
        return detection["bbox"], detection["bbox"][2] * detection["bbox"][3]
    mask = _compressed(detection["segmentation"])
    return (mask if iou_type == "segm" else coco_mask.toBbox(mask).tolist()), float(coco_mask.area(mask))


def _iou(detection: Entry, entry: Entry) -> float:
    return float(coco_mask.iou([detection["shape"]], [entry["shape"]], [int(entry["crowd"])])[0, 0])


def _match(found: list[Entry], objects: list[Entry], image: Entry, protocol: str) -> None:
    """The greedy matching of lvis and pycocotools (`evaluate_img`) at IoU 0.5, all sizes."""
    for detection in sorted(found, key=lambda entry: -entry["score"]):
        best, best_iou = None, 0.5
        same = [entry for entry in objects if entry["category_id"] == detection["category_id"]]
        for entry in sorted(same, key=lambda entry: entry["ignored"]):
            if entry["used"] and not entry["crowd"]:
                continue
            if best is not None and not best["ignored"] and entry["ignored"]:
                break
            if _iou(detection, entry) >= best_iou:
                best, best_iou = entry, _iou(detection, entry)
        if best is not None:
            best["used"] = True
            detection["hit"], detection["ignored"] = not best["ignored"], best["ignored"]
        else:
            partial = detection["category_id"] in image.get("not_exhaustive_category_ids", [])
            detection["ignored"] = detection["area"] > LARGEST or (protocol == "lvis" and partial)


def _explain(detection: Entry, objects: list[Entry]) -> None:
    """Name the error of a detection that is not a hit.

    A Loc or Cls error points to an object, the first among equal IoUs.
    """
    iou = [_iou(detection, entry) for entry in objects]
    same = [entry["category_id"] == detection["category_id"] for entry in objects]
    of_class, of_other = _first_best(iou, same), _first_best(iou, [not flag for flag in same])
    of_used = _first_best(iou, [flag and entry["used"] for flag, entry in zip(same, objects, strict=True)])
    if of_class is not None and 0.1 <= iou[of_class] <= 0.5:
        detection["error"] = "Loc"
        objects[of_class]["pointed_at"].append(detection)
    elif of_other is not None and iou[of_other] >= 0.5:
        detection["error"] = "Cls"
        objects[of_other]["pointed_at"].append(detection)
    elif of_used is not None and iou[of_used] >= 0.5:
        detection["error"] = "Dupe"
    elif max(iou, default=0.0) <= 0.1:
        detection["error"] = "Bkg"
    else:
        detection["error"] = "Both"


def _first_best(iou: list[float], candidate: list[bool]) -> int | None:
    indices = [index for index, flag in enumerate(candidate) if flag]
    return max(indices, key=lambda index: iou[index], default=None)


def _fixed(ranked: list[Entry], counted: list[Entry]) -> dict[str, Curves]:
    """The curves with nothing fixed (``""``) and with each kind of error fixed alone.

    An ignored detection is on a curve only if the fix makes it a hit.
    """

    def curves(
        keep: Callable[[Entry], bool] = lambda detection: True,
        moved: dict[int, int] | None = None,
        counts: Callable[[Entry], bool] = lambda entry: True,
    ) -> Curves:
        table: Curves = {}
        for entry in counted:
            hits, number = table.get(entry["category_id"], ([], 0))
            table[entry["category_id"]] = (hits, number + counts(entry))
        for detection in ranked:
            if detection["index"] in (moved or {}) or (not detection["ignored"] and keep(detection)):
                category = (moved or {}).get(detection["index"], detection["category_id"])
                hit = detection["hit"] or detection["index"] in (moved or {})
                table.setdefault(category, ([], 0))[0].append(hit)
        return table

    fixed = {"": curves()}
    for kind in ("Cls", "Loc", "Both", "Dupe", "Bkg"):
        moved = {}
        for entry in counted:
            if entry["pointed_at"] and not entry["used"]:
                best = min(entry["pointed_at"], key=lambda detection: (-detection["score"], detection["index"]))
                if best["error"] == kind:
                    moved[best["index"]] = entry["category_id"]
        fixed[kind] = curves(keep=lambda d, k=kind: d["error"] != k, moved=moved)
    fixed["Miss"] = curves(counts=lambda entry: entry["used"] or bool(entry["pointed_at"]))
    fixed["FalsePos"] = curves(keep=lambda detection: detection["hit"])
    fixed["FalseNeg"] = curves(counts=lambda entry: entry["used"])
    return fixed


def _differences(fixed: dict[str, Curves], categories: set[int]) -> Entry:
    members = {category for category, (_, number) in fixed[""].items() if category in categories and number > 0}
    ap = {name: _mean_ap(curves, members) for name, curves in fixed.items()}

    def gain(name: str) -> float | None:
        return None if ap[""] is None or ap[name] is None else ap[name] - ap[""]

    return {
        "AP50": ap[""],
        "main": {name: gain(name) for name in ("Cls", "Loc", "Both", "Dupe", "Bkg", "Miss")},
        "special": {name: gain(name) for name in ("FalsePos", "FalseNeg")},
    }


def _mean_ap(curves: Curves, members: set[int]) -> float | None:
    """The mean over the categories with objects before any fix, None without any.

    One whose objects were all removed by the fix is perfect unless a false positive is left.
    """
    values = [_ap(hits, number) if number else float(not hits) for hits, number in (curves[key] for key in members)]
    return sum(values) / len(values) if values else None


def _false_positives(ranked: list[Entry], counted: list[Entry], categories: set[int]) -> dict[str, int | None]:
    """The false positives at the highest score threshold at which 40 and 60 of 100 objects are found."""
    shown = [entry for entry in ranked if entry["category_id"] in categories and not entry["ignored"]]
    number = sum(entry["category_id"] in categories for entry in counted)

    def at(percent: int) -> int | None:
        for threshold in sorted({entry["score"] for entry in shown}, reverse=True):
            hits = [entry["hit"] for entry in shown if entry["score"] >= threshold]
            if number and 100 * sum(hits) >= percent * number:
                return len(hits) - sum(hits)
        return None

    return {f"FP@R{percent}": at(percent) for percent in (40, 60)}


def _ap(hits: list[bool], number: int) -> float:
    """101-point interpolated AP with the epsilon of lvis and pycocotools."""
    found = np.cumsum(hits)
    precision = [float(tp / (rank + np.spacing(1))) for rank, tp in enumerate(found, start=1)]
    for rank in range(len(precision) - 1, 0, -1):
        precision[rank - 1] = max(precision[rank - 1], precision[rank])
    first = np.searchsorted(found / number, np.linspace(0.0, 1.0, 101), side="left")
    return sum(precision[rank] for rank in first if rank < len(precision)) / 101
