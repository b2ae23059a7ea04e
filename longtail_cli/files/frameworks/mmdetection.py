"""MMDetection's pickled results: of version 2, by class without ids of images, and of version 3, by image.

Sources, open-mmlab/mmdetection. Version 2 (v2.28.2: tools/test.py ``--out``, mmdet/core/bbox/transforms.py bbox2result,
mmdet/datasets/coco.py `_det2json` and `_segm2json`): a list of the images in the order of the data set; of each a list
of C arrays, float32 [n, 5], x1, y1, x2, y2, score; or with masks a tuple of this list and a list of C lists of n run
lengths, or of this list and a tuple of such lists and of C lists of scores of masks.

Version 3 (mmdet/evaluation/metrics/dump_det_results.py): a list of dicts with ``img_id`` and ``pred_instances``: a dict
of ``bboxes`` [n, 4], x1, y1, x2, y2; ``scores`` [n], ``labels`` [n], and perhaps ``masks``, n run lengths or bool [n,
height, width], and ``mask_scores`` [n].

Classes are 0 to C - 1, in the order of the ids of the data set. Where masks have scores of their own, these are the
scores of the detections if masks are read, as in the files ``*.segm.json`` that MMDetection writes; else the scores of
the boxes. These files, and ``*.bbox.json``, are plain COCO results.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import ImageKey
from longtail_cli.engine import pickled as engine
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import fault, raise_faults
from longtail_cli.files.frameworks.checks import coordinate_faults, score_faults, size_faults
from longtail_cli.files.frameworks.image_keys import image_keys
from longtail_cli.files.frameworks.loaded import Loaded
from longtail_cli.files.frameworks.run_lengths import masks_of
from longtail_cli.files.outline import HEAD_BYTES, Outline
from longtail_cli.files.pickles import load_content, pickled
from longtail_cli.files.source import Content, open_file
from longtail_cli.tables import Convention, Floats, Longs, Masks, Results

Version = Literal[2, 3]

_FIX = (
    "pass what MMDetection writes with `tools/test.py --out results.pkl`: of version 2 for each image a list of arrays "
    "[n, 5], one per class; of version 3 for each image a dict with `img_id` and `pred_instances`"
)
_FIX_MASKS = "test again with a model that gives every detection a mask, or evaluate boxes"


def matches(outline: Outline) -> bool:
    """Whether it is a pickled list of images with arrays [n, 5] for each class, or with `pred_instances`."""
    return outline.container in ("pickle", "torch") and (_is_version_3(outline) or _is_version_2(outline))


def open_entries(outline: Outline, content: Content) -> ResultEntries:
    """The detections of a file that `matches`."""
    return ResultEntries(content, 3 if _is_version_3(outline) else 2)


def _is_version_3(outline: Outline) -> bool:
    return outline.nesting[:2] == ("list", "dict") and "pred_instances" in outline.names


def _is_version_2(outline: Outline) -> bool:
    if outline.container != "pickle" or outline.nesting[:2] != ("list", "list"):
        return False
    with closing(open_file(outline.path)) as content, content.stream() as stream:
        shape = _first_pair(stream.read(HEAD_BYTES))
    return shape is not None and shape[1] == 5 and any(name.startswith("numpy.") for name in outline.globals)


def _first_pair(head: bytes) -> tuple[int, int] | None:
    """The first pair of integers in a pickle, in its arrays their shape; None without one."""
    before: list[Any] = []
    try:
        for opcode, argument, _ in pickletools.genops(head):
            if opcode.name == "TUPLE2" and all(isinstance(one, int) for one in before[-2:]):
                return before[-2], before[-1]
            before = [*before[-1:], argument]
    except (ValueError, IndexError):  # cut off
        pass
    return None


@dataclass(frozen=True, slots=True)
class _Columns:
    """The detections of I images, N in all, in file order."""

    keys: list[Any] | None
    """I ids or names of images; None if they are known by their order."""
    images: int
    """I."""
    image: Longs
    """int64 [N], index of the image."""
    label: Longs
    """int64 [N]."""
    score: Floats
    """float64 [N]."""
    bbox: Floats
    """float64 [N, 4], xyxy."""
    mask_score: Floats | None
    """float64 [N], if the masks have scores of their own."""
    segmentations: list[Any] | None
    """N run lengths or arrays of pixels; None without masks."""


class ResultEntries:
    """The detections of one file; see `formats.Entries`."""

    def __init__(self, content: Content, version: Version) -> None:
        self._content, self._version = content, version

    def fields(self) -> frozenset[str]:
        try:
            segmentations = self._columns.segmentations
        except InputError:  # `read` raises it
            return frozenset()
        return frozenset({"bbox"} if segmentations is None else {"bbox", "masks"})

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        columns, source = self._columns, self._content.source
        image_id, kind, names = _images(columns, source)
        with_masks = "masks" in fields and columns.segmentations is not None
        score = columns.mask_score if with_masks and columns.mask_score is not None else columns.score

        def name(row: int) -> str:
            return f"detection {row} (image {int(columns.image[row])} of the file)"

        faults = [
            *score_faults(score, name),
            *coordinate_faults(columns.bbox, name),
            *size_faults(columns.bbox, columns.bbox[:, 2:] - columns.bbox[:, :2], "x1 <= x2 and y1 <= y2", name),
        ]
        masks: Masks | None = None
        if with_masks and columns.segmentations is not None:
            masks, unread = masks_of(columns.segmentations, name)
            faults += unread
        raise_faults(source, faults)
        if advance is not None:
            advance(self._content.size)
        convention = Convention(
            f"MMDetection {self._version} results",
            images=kind,
            image_names=names,
            categories="index",
            boxes="xyxy" if "bbox" in fields else "xywh",  # those around masks
            listed=columns.images,
            notes=_notes(columns, with_masks),
        )
        return Results(
            image_id=image_id[columns.image],
            category_id=columns.label,
            score=score,
            bbox=columns.bbox if "bbox" in fields else None,
            masks=masks,
            source=source,
            convention=convention,
        )

    @cached_property
    def _columns(self) -> _Columns:
        with self._content.unchanged():
            scanned, loaded = (
                (_scanned_version_2, _of_version_2) if self._version == 2 else (_scanned_version_3, _of_version_3)
            )
            with pickled(self._content) as data:
                columns = scanned(data, self._content.source)
            return columns or loaded(load_content(self._content), Loaded(self._content.source, _FIX))


def _images(columns: _Columns, source: str) -> tuple[Longs, ImageKey, tuple[str, ...]]:
    if columns.keys is None:
        return np.arange(columns.images), "position", ()
    return image_keys(columns.keys, source)


def _notes(columns: _Columns, with_masks: bool) -> tuple[str, ...]:
    if columns.mask_score is None:
        return ()
    scores = "scores of the masks (mask_scores)" if with_masks else "scores of the boxes, not those of the masks,"
    return (f"the {scores} are the scores of the detections",)


def _scanned_version_2(data: npt.NDArray[np.uint8], source: str) -> _Columns | None:
    """The columns of version 2 as the kernel reads them; None for what it does not know, such as masks."""
    arrays = np.empty(len(data) // engine.SHORTEST_LIST + 1, np.int64)
    rows = np.empty(len(data) // engine.SHORTEST_ARRAY + 1, np.int64)
    values = np.empty(len(data), np.uint8)
    images, number, size, end = engine.scan_arrays(data, arrays, rows, values)
    if end < 0:
        return None
    numbers = values[:size].view("<f4").reshape(-1, 5)
    return _by_class(arrays[:images], rows[:number], numbers, source)


def _scanned_version_3(data: npt.NDArray[np.uint8], source: str) -> _Columns | None:
    """The columns of version 3 as the kernel reads them; None for what it does not know, such as masks."""
    keys, rows = (np.empty(len(data) // engine.SHORTEST_IMAGE + 1, np.int64) for _ in range(2))
    values = np.empty((3, len(data)), np.uint8)
    images, number, end = engine.scan_tensors(data, keys, rows, values.reshape(-1))
    if end < 0:
        return None
    return _Columns(
        keys=keys[:images].tolist(),
        images=images,
        image=np.repeat(np.arange(images), rows[:images]),
        label=values[0, : 8 * number].view("<i8").astype(np.int64),
        score=_numbers(values[1, : 4 * number]),
        bbox=_numbers(values[2, : 16 * number]).reshape(-1, 4),
        mask_score=None,
        segmentations=None,
    )


def _numbers(values: npt.NDArray[np.uint8]) -> Floats:
    """float64 of the bytes of float32; they may begin anywhere in memory."""
    return values.view(np.dtype("<f4")).astype(np.float64)


def _by_class(arrays: Longs, rows: Longs, values: npt.NDArray[np.floating[Any]], source: str) -> _Columns:
    """The columns of I images, each with C arrays.

    arrays: int64 [I], the number of arrays of each image, which should be C. rows: int64 [I * C], that of their rows.
    values: [N, 5], all rows.
    """
    classes = int(arrays[0]) if len(arrays) else 0
    different = np.flatnonzero(arrays != classes)
    if len(different):
        first = int(different[0])
        expected = f"{classes} arrays, one per class, as for image 0"
        raise InputError(source, [Problem(f"image {first}", expected, str(arrays[first]))], _FIX)
    filled = np.flatnonzero(rows)
    image, label = np.divmod(filled, max(classes, 1))
    return _Columns(
        keys=None,
        images=len(arrays),
        image=np.repeat(image, rows[filled]),
        label=np.repeat(label, rows[filled]),
        score=values[:, 4].astype(np.float64),
        bbox=values[:, :4].astype(np.float64),
        mask_score=None,
        segmentations=None,
    )


def _of_version_2(images: Any, loaded: Loaded) -> _Columns:
    """The columns of the loaded list of version 2."""
    arrays, rows, values = [], [], [np.empty((0, 5), np.float32)]
    segmentations: list[Any] = []
    mask_scores: list[float] = []
    masked = None
    for number, entry in enumerate(loaded.a(list, images, "content")):
        where = f"image {number}"
        boxes, masks, scores = _parts(entry, loaded, where)
        arrays.append(len(boxes))
        found = [loaded.array(one, "fiu", (None, 5), f"{where}, class {label}") for label, one in enumerate(boxes)]
        rows += [len(one) for one in found]
        values += [one for one in found if len(one)]
        held = (masks is not None, scores is not None)
        masked = held if masked is None else masked
        if held != masked:
            raise loaded.unlike(where, "masks, as for image 0" if masked[0] else "boxes alone, as for image 0", entry)
        for lists, gathered in ((masks, segmentations), (scores, mask_scores)):
            if lists is not None:
                gathered += _flat(lists, [len(one) for one in found], loaded, where)
    columns = _by_class(np.array(arrays, np.int64), np.array(rows, np.int64), np.concatenate(values), loaded.source)
    with_masks, with_scores = masked or (False, False)
    own_scores = np.array([loaded.number(one, "scores of the masks") for one in mask_scores])
    return _Columns(
        keys=None,
        images=columns.images,
        image=columns.image,
        label=columns.label,
        score=columns.score,
        bbox=columns.bbox,
        mask_score=own_scores if with_scores else None,
        segmentations=segmentations if with_masks else None,
    )


def _parts(entry: Any, loaded: Loaded, where: str) -> tuple[list[Any], list[Any] | None, list[Any] | None]:
    """The arrays, and perhaps masks and scores of masks of an image, each a list of one per class."""
    if not isinstance(entry, tuple):
        return loaded.a(list, entry, where), None, None
    if len(entry) != 2:
        raise loaded.unlike(where, "a pair of boxes and masks", entry)
    boxes, masks = entry
    if not isinstance(masks, tuple):
        return loaded.a(list, boxes, where), loaded.a(list, masks, f"{where}, masks"), None
    if len(masks) != 2:
        raise loaded.unlike(f"{where}, masks", "a pair of masks and scores", masks)
    lists = [loaded.a(list, one, f"{where}, masks and their scores") for one in masks]
    return loaded.a(list, boxes, where), lists[0], lists[1]


def _flat(lists: list[Any], rows: list[int], loaded: Loaded, where: str) -> list[Any]:
    """What is saved for each class, one after another; as much as there are rows of boxes."""
    lengths = [len(one) if isinstance(one, list | tuple | np.ndarray) and np.ndim(one) else -1 for one in lists]
    if lengths != rows:
        label = next((at for at, (has, should) in enumerate(zip(lengths, rows, strict=False)) if has != should), 0)
        problem = fault(f"{where}, class {label}", "a mask for each box", "another number of them", _FIX_MASKS)
        raise_faults(loaded.source, [problem])
    return [one for some in lists for one in some]


def _masks(masks: Any, number: int, loaded: Loaded, where: str) -> Sequence[Any]:
    """The masks of an image with so many boxes."""
    if not isinstance(masks, list | tuple) and (not isinstance(masks, np.ndarray) or masks.ndim != 3):
        raise loaded.unlike(where, "a list of run lengths, or an array [n, height, width]", masks)
    if len(masks) != number:
        raise loaded.unlike(where, f"{number} masks, one for each box", len(masks))
    return list(masks)


def _of_version_3(images: Any, loaded: Loaded) -> _Columns:
    """The columns of the loaded list of version 3."""
    keys, rows = [], []
    columns: dict[str, list[npt.NDArray[Any]]] = {"bboxes": [], "scores": [], "labels": [], "mask_scores": []}
    shapes: dict[str, tuple[str, tuple[int | None, ...]]] = {
        "bboxes": ("fiu", (None, 4)),
        "scores": ("fiu", (None,)),
        "labels": ("iu", (None,)),
        "mask_scores": ("fiu", (None,)),
    }
    segmentations: list[Any] = []
    optional: set[str] | None = None
    for number, entry in enumerate(loaded.a(list, images, "content")):
        where = f"image {number}"
        keys.append(loaded.field(entry, "img_id", where))
        held = loaded.field(entry, "pred_instances", where)
        rows.append(len(loaded.array(loaded.field(held, "bboxes", where), "fiu", (None, 4), f"{where}, bboxes")))
        present = {"masks", "mask_scores"} & set(held)
        optional = present if optional is None else optional
        if present != optional:
            expected = f"{' and '.join(sorted(optional)) or 'no masks'}, as for image 0"
            raise loaded.unlike(where, expected, " and ".join(sorted(present)) or "no masks")
        for name, (kinds, shape) in shapes.items():
            if name != "mask_scores" or name in present:
                value = loaded.field(held, name, where)
                columns[name].append(loaded.array(value, kinds, (rows[-1], *shape[1:]), f"{where}, {name}"))
        if "masks" in present:
            segmentations.extend(_masks(held["masks"], rows[-1], loaded, f"{where}, masks"))

    def joined(name: str, like: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([like, *columns[name]]).astype(like.dtype, copy=False)

    return _Columns(
        keys=keys,
        images=len(keys),
        image=np.repeat(np.arange(len(keys)), rows),
        label=joined("labels", np.empty(0, np.int64)),
        score=joined("scores", np.empty(0)),
        bbox=joined("bboxes", np.empty((0, 4))),
        mask_score=joined("mask_scores", np.empty(0)) if "mask_scores" in (optional or ()) else None,
        segmentations=segmentations if "masks" in (optional or ()) else None,
    )
