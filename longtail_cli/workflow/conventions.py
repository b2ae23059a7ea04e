"""Predictions in any convention, with the ids of the annotations and boxes as xywh in pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from longtail_cli.choices import BoxFormat
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.faults import raise_faults
from longtail_cli.files.results.problems import entry_name
from longtail_cli.tables import Convention, Floats, GroundTruth, Longs, Results
from longtail_cli.workflow.locate_detections import look_up
from longtail_cli.workflow.names import with_ids_for_names
from longtail_cli.workflow.offset_guard import check_meaning
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.readings import RELATIVE, IdReading, Listing, as_xywh, meaning_of

AS_STATED = ConventionOptions()
"""What the format of the file says."""

PLAIN = IdReading()
"""Numbers are ids of the annotations."""


def resolved(results: Results, truth: GroundTruth, options: ConventionOptions = AS_STATED) -> Results:
    """The results with ids of the annotations and with boxes as xywh in pixels; notes of the convention stay.

    Plain ids that are not in the annotations stay too: `locate` refuses them.
    Raises InputError for names, positions and ids with an offset that are not in the annotations, for boxes of
    negative size, and if another meaning than the stated one fits better by far (see `offset_guard`), unless `options`
    settle it; UsageError for options that contradict the file.
    """
    meaning = meaning_of(results.convention, options, results.source)
    check_listed(results, truth)
    results = with_ids_for_names(results, truth)
    warnings = check_meaning(results, truth, meaning)
    source = results.source
    image_id = ids_of("image_id of entry", results.image_id, meaning.images, Listing.of_images(truth), source)
    categories = Listing.of_categories(truth)
    category_id = ids_of("category_id of entry", results.category_id, meaning.categories, categories, source)
    convention = _plain(results.convention, warnings)
    results = replace(results, image_id=image_id, category_id=category_id, convention=convention)
    return with_pixel_boxes(results, meaning.boxes, truth)


def resolved_alone(results: Results, options: ConventionOptions = AS_STATED) -> Results:
    """As `resolved`, without annotations to look anything up in, and without the guard.

    Raises UsageError if the meaning of the results depends on annotations.
    """
    convention, meaning = results.convention, meaning_of(results.convention, options, results.source)
    needed = {
        "ids of the images": "name" in convention.images or meaning.images.position,
        "ids of the categories": "name" in convention.categories or meaning.categories.position,
        "sizes of the images, for relative boxes": results.bbox is not None and meaning.boxes.startswith(RELATIVE),
    }
    missing = [name for name, absent in needed.items() if absent]
    if missing:
        problem = Problem("`annotations=`", f"those of the detections, for the {' and the '.join(missing)}", "none")
        raise UsageError(f"{results.source} ({convention.format})", [problem], "pass the annotations")
    results = replace(
        results,
        image_id=results.image_id + meaning.images.offset,
        category_id=results.category_id + meaning.categories.offset,
        convention=_plain(convention),
    )
    return with_pixel_boxes(results, meaning.boxes, None)


def is_plain(convention: Convention, options: ConventionOptions) -> bool:
    """Whether ids and boxes need no change to be those of COCO results."""
    stated = (convention.images, convention.categories, options.box_format or convention.boxes)
    changed = options.contiguous or options.category_offset or options.image_offset
    return stated == ("id", "id", "xywh") and not changed


def _plain(convention: Convention, warnings: tuple[str, ...] = ()) -> Convention:
    return Convention(convention.format, listed=convention.listed, notes=(*convention.notes, *warnings))


def check_listed(results: Results, truth: GroundTruth) -> None:
    """Raise InputError unless a file that identifies images by their order lists as many as the annotations hold."""
    listed, images = results.convention.listed, len(truth.image_id)
    if results.convention.images != "position" or listed in (None, images):
        return
    problem = Problem("images", f"{images}, one for each image in {truth.source}", str(listed))
    fix = (
        "pass the annotations of the data set that was tested; MMDetection 2 leaves out images without objects unless "
        "the data set has test_mode=True or filter_empty_gt=False"
    )
    raise InputError(f"{results.source} ({results.convention.format})", [problem], fix)


def ids_of(name: str, numbers: Longs, reading: IdReading, listing: Listing, source: str) -> Longs:
    """The ids of the annotations that numbers stand for: int64 [N], the same array if they are ids.

    name: of a number, before its row. Raises InputError for positions that are out of range, and for ids
    with an offset that are not in the annotations.
    """
    if reading == PLAIN:
        return numbers
    index, known = reading.index(numbers, listing)
    if known:
        ids: Longs = listing.id[index]
        return ids
    rows = np.flatnonzero(index < 0)
    first = rows[:MAX_PROBLEMS]
    raise no_such_ids(
        name, zip(first.tolist(), numbers[first].tolist(), strict=True), len(rows), reading, listing, source
    )


def no_such_ids(
    name: str, found: Iterable[tuple[int, int]], total: int, reading: IdReading, listing: Listing, source: str
) -> InputError:
    """The error of numbers that stand for nothing in the annotations. found: rows and their numbers, the first ones."""
    first = -reading.offset
    expected = f"a number that is an id in the annotations when {reading.offset} is added"
    fix = "correct the offset, or pass the annotations that belong to these detections"
    if reading.position:
        expected = f"a number from {first} to {first + len(listing.id) - 1}, in the order of the annotations"
        fix = "pass the annotations of the data set that the model was tested on"
    problems = [Problem(f"{name} {row}", expected, str(number)) for row, number in found]
    return InputError(source, problems, fix, total=total)


def with_pixel_boxes(results: Results, form: BoxFormat, truth: GroundTruth | None) -> Results:
    """The results with boxes, which are as `form` says, as xywh in pixels.

    truth: for the sizes of the images; None if boxes are not relative. Raises InputError for boxes of negative size,
    and for relative boxes in images of unknown size.
    """
    boxes = results.bbox
    if boxes is None or form == "xywh":
        return results
    sizes = None
    if truth is not None and form.startswith(RELATIVE):
        image, unknown = look_up("image_id", results.image_id, truth.image_id, truth.source)
        raise_faults(results.source, unknown)
        sizes = truth.image_size[image]
        _check_sizes(truth, np.unique(image), results.source)
    boxes = as_xywh(boxes, form, sizes)
    _check_boxes(results, boxes, form)
    return replace(results, bbox=boxes)


def _check_sizes(truth: GroundTruth, used: Longs, source: str) -> None:
    """Raise InputError if an image that has relative boxes has no size. used: int32, indices of images."""
    unsized = used[(truth.image_size[used] <= 0).any(axis=1)]
    if len(unsized):
        expected = f"`width` and `height` in {truth.source}, for relative boxes"
        problems = [
            Problem(f"image {id_}", expected, "none") for id_ in truth.image_id[unsized[:MAX_PROBLEMS]].tolist()
        ]
        raise InputError(source, problems, "add the sizes of the images to the annotations", total=len(unsized))


def _check_boxes(results: Results, boxes: Floats, form: BoxFormat) -> None:
    """Raise InputError for negative sizes, which corners in the wrong order give. boxes: xywh of the results."""
    rows = np.flatnonzero((boxes[:, 2:] < 0).any(axis=1))
    if len(rows):
        assert results.bbox is not None
        problems = [
            Problem(
                entry_name(results.entry_of(row), int(results.image_id[row])),
                f"a box as {form} of a size that is not negative",
                ", ".join(f"{value:g}" for value in results.bbox[row]),
            )
            for row in rows[:MAX_PROBLEMS].tolist()
        ]
        raise InputError(results.source, problems, "state what the numbers are: `box_format=`", total=len(rows))
