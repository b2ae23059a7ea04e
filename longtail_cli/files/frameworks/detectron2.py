"""detectron2's ``instances_predictions.pth``: a list of images, each with a list of detections.

Source: facebookresearch/detectron2, detectron2/evaluation/coco_evaluation.py (`COCOEvaluator.process`, `evaluate` and
`instances_to_coco_json`) and lvis_evaluation.py: ``torch.save`` of

    [{"image_id": 1, "instances": [{"image_id": 1, "category_id": 0, "bbox": [x, y, w, h], "score": 0.5,
      "segmentation": {"size": [h, w], "counts": "..."}}, ...], "proposals": Instances}, ...]

It is saved before category ids are mapped back: they are 0 to C - 1, in ascending order of the ids of the data set.
Segmentations, keypoints and proposals may be missing; the latter two are not read. The other files of these evaluators,
``coco_instances_results.json`` and ``lvis_instances_results.json``, are plain COCO results.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.engine import pickled as engine
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, faults_at, raise_faults
from longtail_cli.files.frameworks.checks import coordinate_faults, score_faults, size_faults
from longtail_cli.files.frameworks.image_keys import image_keys
from longtail_cli.files.frameworks.loaded import Loaded
from longtail_cli.files.frameworks.run_lengths import masks_at, masks_of
from longtail_cli.files.outline import Outline
from longtail_cli.files.pickles import load_content, pickled
from longtail_cli.files.results.problems import FIX_FIELDS, entry_name
from longtail_cli.files.source import Content
from longtail_cli.tables import Bools, Convention, Floats, Longs, Masks, Results

_FIX = (
    "pass the file instances_predictions.pth as detectron2's evaluator writes it: "
    '[{"image_id": 1, "instances": [{"image_id": 1, "category_id": 0, "bbox": [...], "score": 0.9}, ...]}, ...]'
)


def matches(outline: Outline) -> bool:
    """Whether it is a list of dicts with an image and its instances, saved by torch or pickled."""
    saved = outline.container in ("torch", "pickle") and outline.nesting[:2] == ("list", "dict")
    return saved and {"image_id", "instances"} <= set(outline.names)


def open_entries(outline: Outline, content: Content) -> PredictionEntries:
    """The detections of a file that `matches`."""
    return PredictionEntries(content)


@dataclass(frozen=True, slots=True)
class _Columns:
    """The detections of I images, N in all, in file order."""

    keys: list[Any]
    """I ids or names of images."""
    image: Longs
    """int64 [N], index into `keys`."""
    category: Longs
    """int64 [N]."""
    score: Floats
    """float64 [N]."""
    bbox: Floats
    """float64 [N, 4], xywh."""
    has_mask: Bools
    """bool [N]."""
    masks: Callable[[Callable[[int], str]], tuple[Masks, list[Fault]]]
    """Reads the masks of the detections that have one; takes what messages call the i-th of these."""


class PredictionEntries:
    """The detections of one file; see `formats.Entries`."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def fields(self) -> frozenset[str]:
        try:
            has_mask = self._columns.has_mask
        except InputError:  # `read` raises it
            return frozenset()
        return frozenset({"bbox", "masks"} if has_mask.any() else {"bbox"})

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        columns, source = self._columns, self._content.source
        image_id, kind, names = image_keys(columns.keys, source)

        def name(row: int) -> str:
            return entry_name(row, columns.keys[int(columns.image[row])])

        faults = [
            *score_faults(columns.score, name),
            *coordinate_faults(columns.bbox, name),
            *size_faults(columns.bbox, columns.bbox[:, 2:], "a width and height of 0 or more", name),
        ]
        masks = None
        if "masks" in fields and columns.has_mask.any():
            rows = np.flatnonzero(columns.has_mask)
            masks, unread = columns.masks(lambda number: name(int(rows[number])))
            faults += [*unread, *_missing_masks(columns.has_mask, name)]
        raise_faults(source, faults)
        if advance is not None:
            advance(self._content.size)
        convention = Convention(
            "detectron2 predictions",
            images=kind,
            image_names=names,
            categories="index",
            listed=len(columns.keys),
        )
        return Results(
            image_id=image_id[columns.image],
            category_id=columns.category,
            score=columns.score,
            bbox=columns.bbox if "bbox" in fields else None,
            masks=masks,
            source=source,
            convention=convention,
        )

    @cached_property
    def _columns(self) -> _Columns:
        with self._content.unchanged():
            with pickled(self._content) as data:
                columns = _scanned(data)
            return columns or _gathered(load_content(self._content), self._content.source)


def _missing_masks(has_mask: Bools, name: Callable[[int], str]) -> list[Fault]:
    expected = "a field `segmentation`, which other entries have"
    return faults_at(~has_mask, lambda row: Problem(name(row), expected, "none"), FIX_FIELDS)


def _scanned(data: npt.NDArray[np.uint8]) -> _Columns | None:
    """The columns as the kernel reads them; None for what it does not know, such as texts shared between fields."""
    most_images, most = len(data) // engine.SHORTEST_IMAGE + 1, len(data) // engine.SHORTEST_DETECTION + 1
    image_id, name_span, rows = (
        np.empty(most_images, np.int64),
        np.empty((most_images, 2), np.int64),
        np.empty(most_images, np.int64),
    )
    category, score, bbox = np.empty(most, np.int64), np.empty(most, np.uint64), np.empty((most, 4), np.uint64)
    size, counts = np.empty((most, 2), np.int64), np.empty((most, 2), np.int64)
    images, number, end = engine.scan_detections(data, image_id, name_span, rows, category, score, bbox, size, counts)
    if end < 0:
        return None
    keys: list[Any] = image_id[:images].tolist()
    for image in np.flatnonzero(name_span[:images, 1]).tolist():
        begin, stop = name_span[image].tolist()
        keys[image] = data[begin:stop].tobytes().decode("utf-8", "surrogatepass")
    has_mask = counts[:number, 1] > 0
    spans, sizes = counts[:number][has_mask], size[:number][has_mask]
    least = int(spans[:, 0].min()) if len(spans) else 0
    text = data[least : int(spans[:, 1].max())].copy() if len(spans) else data[:0].copy()

    def masks(where: Callable[[int], str]) -> tuple[Masks, list[Fault]]:
        found = masks_at(text, spans - least, sizes)
        if found is not None:
            return found, []
        texts = [text[begin:stop].tobytes() for begin, stop in (spans - least).tolist()]
        return masks_of([{"size": one, "counts": raw} for one, raw in zip(sizes.tolist(), texts, strict=True)], where)

    return _Columns(
        keys=keys,
        image=np.repeat(np.arange(images), np.maximum(rows[:images], 0)),
        category=category[:number],
        score=score[:number].view(np.float64),
        bbox=bbox[:number].view(np.float64),
        has_mask=has_mask,
        masks=masks,
    )


def _gathered(images: Any, source: str) -> _Columns:
    """The columns of the loaded list."""
    loaded = Loaded(source, _FIX)
    keys: list[Any] = []
    image: list[int] = []
    category: list[int] = []
    score: list[float] = []
    bbox: list[list[float]] = []
    segmentations: list[Any] = []
    for number, entry in enumerate(loaded.a(list, images, "content")):
        where = f"image {number}"
        keys.append(loaded.field(entry, "image_id", where))
        for row, held in enumerate(loaded.a(list, entry.get("instances", []), f"{where}, `instances`")):
            where = f"image {number}, detection {row}"
            image.append(number)
            category.append(loaded.integer(loaded.field(held, "category_id", where), f"{where}, `category_id`"))
            score.append(loaded.number(loaded.field(held, "score", where), f"{where}, `score`"))
            bbox.append(_box(loaded.field(held, "bbox", where), loaded, f"{where}, `bbox`"))
            segmentations.append(held.get("segmentation"))
            if "image_id" in held and held["image_id"] != keys[-1]:
                raise loaded.unlike(f"{where}, `image_id`", "that of its image", held["image_id"])
    present = [one for one in segmentations if one is not None]
    return _Columns(
        keys=keys,
        image=np.array(image, np.int64),
        category=np.array(category, np.int64),
        score=np.array(score, np.float64),
        bbox=np.array(bbox, np.float64).reshape(-1, 4),
        has_mask=np.array([one is not None for one in segmentations], np.bool_),
        masks=lambda where: masks_of(present, where),
    )


def _box(sides: Any, loaded: Loaded, where: str) -> list[float]:
    if not isinstance(sides, list | tuple | np.ndarray) or len(sides) != 4:
        raise loaded.unlike(where, "four numbers", sides)
    return [loaded.number(side, where) for side in sides]
