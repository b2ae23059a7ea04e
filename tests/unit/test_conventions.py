"""Results in any convention become results with the ids of the annotations and boxes in pixels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from builders import ground_truth

from longtail_cli.choices import BoxFormat
from longtail_cli.errors import InputError, UsageError
from longtail_cli.tables import Categories, Convention, GroundTruth, Results
from longtail_cli.workflow.conventions import is_plain, resolved, resolved_alone
from longtail_cli.workflow.options import MAX_OFFSET, ConventionOptions

BOX = [[10.0, 20.0, 30.0, 40.0], [1.0, 2.0, 3.0, 4.0]]


def truth() -> GroundTruth:
    """Images 5, 7 and 9 of 200 x 100 pixels, which the file lists in the order 9, 5, 7; categories 2, 4, 8."""
    plain = ground_truth([], images=3, categories=3)
    return replace(
        plain,
        categories=Categories(np.array([2, 4, 8]), ("cat", "dog", "cow"), None, None, None),
        image_id=np.array([5, 7, 9]),
        image_position=np.array([1, 2, 0], np.int32),
        image_size=np.array([[100, 200]] * 3, np.int32),
        image_name=("a.png", "b.png", "c.png"),
    )


def results(image_id: list[int], category_id: list[int], bbox: Any = BOX, **convention: Any) -> Results:
    rows = np.array(bbox, np.float64).reshape(-1, 4)
    ids = np.array(image_id, np.int64), np.array(category_id, np.int64)
    return Results(*ids, np.full(len(rows), 0.5), rows, None, "file", Convention(**convention))


@pytest.mark.parametrize(
    ("given", "options"),
    [
        (results([9, 5], [4, 8]), {}),
        (results([0, 1], [4, 8], images="position", listed=3), {}),
        (results([1, 0], [4, 8], images="name", image_names=("a", "c")), {}),
        (results([9, 5], [1, 2], categories="index"), {}),
        (results([9, 5], [0, 1], categories="name", category_names=("dog", "cow")), {}),
        (results([10, 6], [3, 7]), {"image_offset": -1, "category_offset": 1}),
        (results([9, 5], [1, 2]), {"contiguous": True}),
        (results([9, 5], [2, 3]), {"contiguous": True, "category_offset": -1}),
        (results([9, 5], [4, 8], categories="index"), {"category_offset": 0}),
    ],
)
def test_ids(given: Results, options: dict[str, Any]) -> None:
    found = resolved(given, truth(), ConventionOptions(**options))
    assert (found.image_id.tolist(), found.category_id.tolist()) == ([9, 5], [4, 8])
    assert is_plain(found.convention, ConventionOptions())


@pytest.mark.parametrize(
    ("form", "boxes"),
    [
        ("xywh", BOX),
        ("xyxy", [[10, 20, 40, 60], [1, 2, 4, 6]]),
        ("cxcywh", [[25, 40, 30, 40], [2.5, 4, 3, 4]]),
        ("relative-xywh", [[0.05, 0.2, 0.15, 0.4], [0.005, 0.02, 0.015, 0.04]]),
        ("relative-xyxy", [[0.05, 0.2, 0.2, 0.6], [0.005, 0.02, 0.02, 0.06]]),
        ("relative-cxcywh", [[0.125, 0.4, 0.15, 0.4], [0.0125, 0.04, 0.015, 0.04]]),
    ],
)
def test_boxes(form: BoxFormat, boxes: list[list[float]]) -> None:
    stated = resolved(results([9, 5], [4, 8], boxes, boxes=form), truth())
    np.testing.assert_allclose(stated.bbox, BOX, atol=1e-12)
    by_option = resolved(results([9, 5], [4, 8], boxes), truth(), ConventionOptions(box_format=form))
    assert (by_option.bbox == stated.bbox).all()


def test_corners_are_subtracted_in_float64() -> None:
    corners = np.array([[0.1, 0.2, 33.3, 44.4], [1 / 3, 2 / 3, 5 / 3, 7 / 3]], np.float32).astype(np.float64)
    found = resolved(results([9, 5], [4, 8], corners, boxes="xyxy"), truth())
    assert found.bbox[:, 2:].tolist() == (corners[:, 2:] - corners[:, :2]).tolist()


def test_notes_stay() -> None:
    given = results([9, 5], [4, 8], notes=("two boxes were padded",), format="CSV")
    assert resolved(given, truth()).convention == Convention("CSV", notes=("two boxes were padded",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            results([0, 1], [4, 8], images="position", listed=2),
            r"expected 3, one for each image .* found 2\nFix: .*test_mode",
        ),
        (results([0, 3], [4, 8], images="position"), "image_id of entry 1: expected a number from 0 to 2, .* found 3"),
        (results([9, 5], [-1, 8], categories="index"), "category_id of entry 0: expected a number from 0 to 2"),
        (
            results([0, 1], [4, 8], images="name", image_names=("a", "x")),
            r"expected file names in .*'a\.png'.* found 'x'",
        ),
        (results([9, 5], [0, 0], categories="name", category_names=("bird",)), "found 'bird'"),
        (results([9, 5], [4, 8], [[5, 5, 4, 9]] * 2, boxes="xyxy"), "a box as xyxy of a size .*, found 5, 5, 4, 9"),
        (results([9, 6], [4, 8], boxes="relative-xywh"), "`image_id` of 1 of 2 entries"),
    ],
)
def test_what_is_not_in_the_annotations_is_refused(given: Results, message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolved(given, truth())


def test_relative_boxes_need_the_sizes_of_the_images() -> None:
    unsized = replace(truth(), image_size=np.array([[100, 200], [100, 200], [0, 0]], np.int32))
    with pytest.raises(InputError, match=r"image 9: expected `width` and `height` in made by the test"):
        resolved(results([9, 5], [4, 8], boxes="relative-xywh"), unsized)
    assert len(resolved(results([7, 5], [4, 8], boxes="relative-xywh"), unsized)) == 2


@pytest.mark.parametrize(
    ("given", "options", "parameter"),
    [
        (results([0, 1], [4, 8], images="name", image_names=("a", "b")), {"image_offset": 0}, "`image_offset=`"),
        (results([0, 1], [4, 8], images="position"), {"image_offset": 1}, "`image_offset=`"),
        (results([9, 5], [0, 0], categories="name", category_names=("cat",)), {"contiguous": True}, "`contiguous=`"),
        (
            results([9, 5], [0, 0], categories="name", category_names=("cat",)),
            {"category_offset": 1},
            "`category_offset=`",
        ),
    ],
)
def test_options_that_contradict_the_file_are_refused(given: Results, options: dict[str, Any], parameter: str) -> None:
    with pytest.raises(UsageError, match=f"{parameter}: expected none for a file that states its"):
        resolved(given, truth(), ConventionOptions(**options))


@pytest.mark.parametrize(
    "options",
    [
        {"category_offset": MAX_OFFSET + 1},
        {"image_offset": -(2**70)},
        {"category_offset": 0.5},
        {"category_offset": "1"},
        {"image_offset": True},
        {"box_format": "corners"},
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"`{next(iter(options))}=`"):
        ConventionOptions(**options)


def test_without_annotations() -> None:
    options = ConventionOptions(category_offset=1, image_offset=-2, box_format="xyxy")
    found = resolved_alone(results([9, 5], [4, 8], [[1, 2, 4, 6]] * 2), options)
    assert (found.image_id.tolist(), found.category_id.tolist()) == ([7, 3], [5, 9])
    assert found.bbox.tolist() == [[1, 2, 3, 4]] * 2


@pytest.mark.parametrize(
    ("convention", "options", "needed"),
    [
        ({"images": "name", "image_names": ("a", "b")}, {}, "ids of the images"),
        ({"images": "position"}, {}, "ids of the images"),
        ({"categories": "index"}, {}, "ids of the categories"),
        ({}, {"contiguous": True}, "ids of the categories"),
        ({"boxes": "relative-xywh"}, {}, "sizes of the images, for relative boxes"),
    ],
)
def test_what_needs_annotations(convention: dict[str, Any], options: dict[str, Any], needed: str) -> None:
    given = results([0, 1], [0, 1], format="the format", **convention)
    with pytest.raises(UsageError, match=rf"file \(the format\): `annotations=`: expected .*{needed}"):
        resolved_alone(given, ConventionOptions(**options))


@pytest.mark.parametrize(
    ("options", "name"),
    [({"category_offset": 1}, "category_id of entry 0"), ({"image_offset": 1}, "image_id of entry")],
)
def test_an_offset_that_leads_to_no_id_is_to_be_corrected(options: dict[str, int], name: str) -> None:
    with pytest.raises(
        InputError, match=f"{name}.*: expected a number that is an id in the annotations when 1 is added"
    ) as raised:
        resolved(results([9, 5], [4, 8]), truth(), ConventionOptions(**options))
    assert raised.value.fix.startswith("correct the offset")
