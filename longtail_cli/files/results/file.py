"""Detection result files as tables: lists in JSON, plain or ``.gz``, and the same as Parquet."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.masks import mask_areas, mask_boxes
from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import EntryBlock, Refused, read_entries
from longtail_cli.files.results.parallel import gather_in_parts
from longtail_cli.files.source import check_readable, plain_file
from longtail_cli.tables import Detections, Floats, GroundTruth, Ints, Longs, Results

_SHOWN_IDS = 8
_TABLE = 1 << 22  # ids within such a range are looked up in a table, ten times faster than by bisection


def held_fields(path: Path) -> frozenset[str]:
    """Which of `bbox` and `masks` the first entry of a result file has; neither where it cannot be read.

    Raises InputError where `path` is no readable file.
    """
    check_readable(path)
    if path.suffix == ".parquet":
        from longtail_cli.files.results.parquet import parquet_fields  # pyarrow takes its time

        return parquet_fields(path)
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb", buffering=0) as file:
            first = next(read_entries(file, boxes=True), None)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return frozenset()
    if not isinstance(first, EntryBlock) or not len(first.score):
        return frozenset()
    held = {"bbox": not np.isnan(first.bbox[0, 0]), "masks": first.mask_span[0, 1] > 0}
    return frozenset(field for field, there in held.items() if there)


def read_results(path: Path, *, fields: frozenset[str], advance: Callable[[int], None] | None = None) -> Results:
    """A result file with its ids and scores, and what is asked for of the geometry.

    fields: which of `bbox` and `masks` to read; of the rest it is only checked that it is JSON. Where boxes are asked
        for and no entry has one, the masks are read: `locate` takes the boxes from them.
    advance: is told how many more bytes (of the unpacked text) are done.

    An empty list gives empty columns. Ids may be written as whole floats, such as 42.0.
    Raises InputError with up to ten problems: what is no JSON list or is cut off, fields that are missing or stand
    twice, ids that are no integers, numbers that are not finite, boxes that are not four numbers or have negative
    sizes, segmentations that are no run lengths, geometry that only some entries have, or none at all.
    """
    if path.suffix == ".parquet":
        from longtail_cli.files.results.parquet import read_parquet

        results = read_parquet(path, fields)
        if advance is not None:
            advance(path.stat().st_size)
        return results
    with plain_file(path) as plain:
        columns = _gather(plain, str(path), fields, advance)
        if "bbox" in fields and columns.masks_instead:
            columns = _gather(plain, str(path), fields | {"masks"}, None)
    return columns.results()


def _gather(plain: Path, source: str, fields: frozenset[str], advance: Callable[[int], None] | None) -> ResultColumns:
    columns = gather_in_parts(plain, source, fields, advance)
    if columns is not None:
        return columns
    columns = ResultColumns(source, plain.stat().st_size, fields)
    with plain.open("rb", buffering=0) as file:
        for part in read_entries(file, boxes="bbox" in fields):
            if isinstance(part, EntryBlock):
                columns.add(part)
                if advance is not None:
                    advance(len(part.content))
            elif isinstance(part, Refused):
                columns.refuse(part)
            else:
                columns.stop(part, plain)
            if columns.hopeless:
                break
    return columns


def locate(results: Results, ground_truth: GroundTruth) -> Detections:
    """The detections of `results` with their images and categories looked up in `ground_truth`.

    Boxes and areas come from the masks where the file has no `bbox` (the masks must have been read then).
    Raises InputError where an `image_id` or a `category_id` is not in the annotations.
    """
    image, unknown_images = _lookup("image_id", results.image_id, ground_truth.image_id, ground_truth.source)
    category, unknown = _lookup("category_id", results.category_id, ground_truth.categories.id, ground_truth.source)
    raise_faults(results.source, [*unknown_images, *unknown])
    bbox, area = _boxes_and_areas(results)
    return Detections(image, category, results.score, bbox, area, results.masks, results.source)


def _lookup(name: str, ids: Longs, known: Longs, source: str) -> tuple[Ints, list[Fault]]:
    """int32 [N], the place of each id in `known` (ascending), and the fault of those that are not there."""
    place = _nearest_places(ids, known)
    rows = np.flatnonzero(known[place] != ids)
    if not len(rows):
        return place, []
    strange = np.unique(ids[rows])
    shown = ", ".join(map(str, strange[:_SHOWN_IDS].tolist()))
    more = f", ... ({len(strange)} different ones)" if len(strange) > _SHOWN_IDS else ""
    where = f"`{name}` of {len(rows)} of {len(ids)} entries, first of entry {rows[0]}"
    mismatch = f"pass the annotations that belong to these detections, or map each `{name}` to the ids in them"
    fix = _shift(name, np.unique(ids), known) or mismatch
    return place, [fault(where, f"an id that {source} has", shown + more, fix)]


def _nearest_places(ids: Longs, known: Longs) -> Ints:
    """int32 [N], the place of each id in `known`, or any place for an id that is not there."""
    span = int(known[-1]) - int(known[0]) + 1
    if span > _TABLE:
        return np.minimum(np.searchsorted(known, ids), len(known) - 1).astype(np.int32)
    table = np.zeros(span, np.int32)
    table[known - known[0]] = np.arange(len(known))
    places: Ints = table.take(ids - known[0], mode="clip")
    return places


def _shift(name: str, ids: Longs, known: Longs) -> str | None:
    """How to mend ids that are all off by one."""
    for step, word in ((1, "add 1 to"), (-1, "subtract 1 from")):
        if np.isin(ids + step, known).all():
            return f"all ids are off by one: {word} every `{name}`"
    return None


def _boxes_and_areas(results: Results) -> tuple[Floats, Floats]:
    """float64 [N, 4] and [N]; see `Detections`."""
    if results.bbox is not None:
        with np.errstate(over="ignore"):
            return results.bbox, results.bbox[:, 2] * results.bbox[:, 3]
    if results.masks is None:
        problem = Problem("entries", "a field `segmentation`, or `bbox` where boxes are evaluated", "none")
        raise InputError(results.source, [problem], "evaluate what the file holds: choose another --iou-type")
    return mask_boxes(results.masks), mask_areas(results.masks)
