"""What `ltcal inspect` says about detections."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from longtail_cli.files.results.file import open_results
from longtail_cli.methods.registry import METHODS
from longtail_cli.reports.inspection.model import Fact, Scalar, Section
from longtail_cli.tables import Convention, Floats, Longs, Results
from longtail_cli.workflow.conventions import is_plain
from longtail_cli.workflow.inspect_conventions import checked
from longtail_cli.workflow.inspect_words import counted, ids_fact, range_fact, rounded, share
from longtail_cli.workflow.inspected import Answer, Beside
from longtail_cli.workflow.methods_that_fit import score_only_methods
from longtail_cli.workflow.next_steps import Parameters, steps_for_results
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.progress import Progress, bytes_progress
from longtail_cli.workflow.rescore_results import LIMITS

_BOXES = {
    "xywh": "x, y, width, height", "xyxy": "two corners (xyxy)", "cxcywh": "centre, width, height (cxcywh)",
}  # fmt: skip
_NUMBERS = {
    "xywh": ("x", "y", "width", "height"), "xyxy": ("x1", "y1", "x2", "y2"), "cxcywh": ("cx", "cy", "width", "height"),
}  # fmt: skip
_RELATIVE = 1.5
"""The boxes of a file are hardly in pixels if no number is above this."""
_ENOUGH = 20
"""So many boxes do not all look like two corners by chance."""


def results_answer(path: Path, beside: Beside, options: ConventionOptions, progress: Progress) -> Answer:
    """What the detections are. Raises InputError if the file is not valid."""
    with open_results(path) as file:
        results = file.read(file.fields, bytes_progress(progress, "reading", file.size))
    progress("summing up", None)
    compared = None if beside.truth is None else checked(results, beside.truth, options)
    sections = [
        Section("Detections", tuple(_contents(results))),
        Section("Scores", tuple(_scores(results.score))),
        Section("Boxes", tuple(_geometry(results))),
        Section("Annotations", () if compared is None else compared.facts),
        Section("Methods", tuple(_methods(results, beside))),
    ]
    stated = (*stated_parameters(options), *(() if compared is None else compared.parameters))
    steps = steps_for_results(path, beside, stated, plain=is_plain(results.convention, options))
    notes = (*_notes(results, beside, options), *(() if compared is None else compared.notes))
    return Answer("results", _headline(results), sections, notes, steps)


def stated_parameters(options: ConventionOptions) -> Parameters:
    """The options that the user gave, for the commands."""
    stated = {
        "category_offset": options.category_offset,
        "contiguous": options.contiguous or None,
        "image_offset": options.image_offset,
        "box_format": options.box_format,
    }
    return tuple((name, str(value)) for name, value in stated.items() if value is not None)


def _headline(results: Results) -> str:
    convention = results.convention
    number = len(np.unique(results.image_id))
    images = (
        counted(number, "image") if convention.listed is None else f"{number:,} of {convention.listed:,} listed images"
    )
    classes = counted(len(np.unique(results.category_id)), "class", "classes")
    return f"{convention.format}, {counted(len(results), 'detection')} of {classes} in {images}"


def _contents(results: Results) -> Iterator[Fact]:
    convention = results.convention
    image_id, per_image = np.unique(results.image_id, return_counts=True)
    yield _keys("images", image_id, convention.images, convention.image_names)
    yield _keys("classes", np.unique(results.category_id), convention.categories, convention.category_names)
    if len(results):
        yield _per_image(per_image)


def _keys(name: str, ids: Longs, meaning: str, names: tuple[str, ...]) -> Fact:
    """Ids, or what stands for them."""
    if meaning == "name":
        shown = f", such as {names[int(ids[0])]}" if len(ids) else ""
        return Fact(name, f"{counted(len(ids), 'name')}{shown}", {"number": len(ids), "meaning": meaning})
    fact = ids_fact(name, ids)
    words = {"position": "; positions in the annotations", "index": "; positions in the list of categories"}
    return Fact(name, fact.text + words.get(meaning, ""), {**fact.values, "meaning": meaning})


def _per_image(counts: Longs) -> Fact:
    median, most = float(np.median(counts)), int(counts.max())
    reached = {limit: int((counts >= limit).sum()) for limit in LIMITS}
    limits = ", ".join(f"{number:,} with {limit} or more" for limit, number in reached.items())
    values: dict[str, Scalar] = {"median": median, "most": most}
    values |= {f"images_reaching_{limit}": number for limit, number in reached.items()}
    return Fact("per image", f"median {rounded(median)}, most {most:,}; images {limits}", values)


def _scores(score: Floats) -> Iterator[Fact]:
    if not len(score):
        return
    yield range_fact("range", score)
    distinct = len(np.unique(score))
    equal = 1 - distinct / len(score)
    yield Fact(
        "distinct",
        f"{distinct:,} values; {100 * equal:.1f}% of the scores repeat another",
        {"number": distinct, "repeated": equal},
    )
    below, above = int((score < 0).sum()), int((score > 1).sum())
    if below or above:
        text = f"not probabilities: {below:,} below 0, {above:,} above 1; they may be logits"
    else:
        text = "can be probabilities: all in [0, 1]"
    yield Fact("meaning", text, {"probabilities": not below and not above, "below_0": below, "above_1": above})


def _geometry(results: Results) -> Iterator[Fact]:
    boxes = results.bbox
    if boxes is not None and len(boxes):
        yield Fact("format", _box_words(results.convention), {"format": results.convention.boxes})
        least, greatest = boxes.min(axis=0).tolist(), boxes.max(axis=0).tolist()
        names = _NUMBERS[results.convention.boxes.removeprefix("relative-")]
        spans = [
            f"{name} {rounded(low)} to {rounded(high)}" for name, low, high in zip(names, least, greatest, strict=True)
        ]
        yield Fact("range", ", ".join(spans), {"least": min(least), "greatest": max(greatest)})
        sides = _sides(boxes, results.convention)
        empty = int((sides <= 0).any(axis=1).sum())
        text = f"largest {rounded(float(sides.max()))}"
        text += f"; {counted(empty, 'box', 'boxes')} with a side of 0 or less" if empty else ""
        yield Fact("sides", text, {"largest": float(sides.max()), "empty": empty})
    if results.masks is not None and len(results.masks):
        height, width = results.masks.size.max(axis=0).tolist()
        text = f"{counted(len(results.masks), 'mask')}, of images up to {width:,} x {height:,} pixels"
        yield Fact("masks", text, {"number": len(results.masks), "height": height, "width": width})


def _box_words(convention: Convention) -> str:
    relative = convention.boxes.startswith("relative-")
    return f"{_BOXES[convention.boxes.removeprefix('relative-')]} in {'shares of the image' if relative else 'pixels'}"


def _sides(boxes: Floats, convention: Convention) -> Floats:
    """float64 [N, 2], width and height."""
    return boxes[:, 2:] - boxes[:, :2] if convention.boxes.endswith("xyxy") else boxes[:, 2:]


def _methods(results: Results, beside: Beside) -> Iterator[Fact]:
    fitting = score_only_methods()
    yield Fact("that fit", ", ".join(fitting), {"number": len(fitting)})
    others = [name for name in METHODS if name not in fitting]
    yield Fact("that do not", f"{', '.join(others)}: they need the full logits", {"number": len(others)})
    if beside.table is not None and results.convention.categories == "id":
        found = np.unique(results.category_id)
        known = int(np.isin(found, beside.table.category_id).sum())
        text = f"{share(known, len(found))} classes with detections are in it; it has {len(beside.table):,}"
        yield Fact("counts", text, {"known": known, "of": len(found), "classes": len(beside.table)})


def _notes(results: Results, beside: Beside, options: ConventionOptions) -> Iterator[str]:
    yield from results.convention.notes
    if not len(results):
        yield "There are no detections, so there is nothing to evaluate."
        return
    if (results.score < 0).any() or (results.score > 1).any():
        yield "If the scores are logits, pass `score_space=logit` to adjust them."
    if beside.truth is not None:
        return
    yield from _suspicions(results, options)
    yield "Whether ids and boxes mean what they should is checked with `annotations=`."


def _suspicions(results: Results, options: ConventionOptions) -> Iterator[str]:
    """What the file alone lets one suspect."""
    convention, boxes = results.convention, results.bbox
    ids = np.unique(results.category_id)
    if convention.categories == "id" and ids[0] == 0 and options.category_offset is None and not options.contiguous:
        yield "A class has the id 0. Ids of COCO and LVIS begin at 1: this file may number the classes from 0."
    if boxes is None or options.box_format is not None:
        return
    if not convention.boxes.startswith("relative-") and float(np.abs(boxes).max()) <= _RELATIVE:
        yield (
            f"No number of a box is above {_RELATIVE:g}: boxes may be in shares of the size of the image "
            "(`box_format=relative-xywh`)."
        )
    corners = (boxes[:, 2] >= boxes[:, 0]) & (boxes[:, 3] >= boxes[:, 1])
    if convention.boxes == "xywh" and len(boxes) >= _ENOUGH and corners.all():
        yield (
            "In no box is the third number below the first, or the fourth below the second: boxes may be two corners "
            "(`box_format=xyxy`)."
        )
