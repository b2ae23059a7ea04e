"""The fractal dimension of a class: box counting of the centres of its boxes."""

import dataclasses
from collections.abc import Iterable
from math import log

import numpy as np
import pytest
from builders import ground_truth

from longtail_cli.errors import InputError
from longtail_cli.fractal import fractal_dimension
from longtail_cli.tables import GroundTruth

SIDE = 100  # of the images that the builder makes
CORNERS = [(10.0, 10.0), (90.0, 10.0), (10.0, 90.0), (90.0, 90.0)]
Point = tuple[float, float]


def centred(*classes: Iterable[Point]) -> GroundTruth:
    """One image with boxes of size 2 about the centres (x, y) of each class, in pixels."""
    objects = [(0, c, [x - 1, y - 1, 2, 2]) for c, points in enumerate(classes) for x, y in points]
    return ground_truth(objects, categories=len(classes))


def lattice(side: int) -> list[Point]:
    """The centres of the cells of a side x side grid."""
    steps = [(i + 0.5) * SIDE / side for i in range(side)]
    return [(x, y) for x in steps for y in steps]


def twin(truth: GroundTruth, category: int) -> float:
    """Cells counted in sets, one grid and one box at a time; the line by numpy's polynomial fit."""
    rows = [i for i, c in enumerate(truth.category) if c == category and not truth.crowd[i] and not truth.ignore[i]]
    if len(rows) < 4:
        return 1.0
    grids = [grid for grid in range(1, 65) if grid * grid <= len(rows)]
    numbers = []
    for grid in grids:
        occupied = set()
        for i in rows:
            x, y, width, height = truth.bbox[i]
            image_height, image_width = truth.image_size[truth.image[i]].tolist()
            column = (x + width / 2) * grid / image_width
            row = (y + height / 2) * grid / image_height
            occupied.add((min(max(int(row), 0), grid - 1), min(max(int(column), 0), grid - 1)))
        numbers.append(len(occupied))
    return max(float(np.polyfit(np.log(grids), np.log(numbers), 1)[0]), 1.0)


def test_equals_a_plain_loop() -> None:
    rng = np.random.default_rng(0)
    sizes = [6000, 700, 40, 9, 8, 4, 3, 0, 1200]  # of the first, enough boxes are kept for the finest grid, 64 x 64
    category = rng.permutation(np.repeat(np.arange(len(sizes)), sizes))
    number = len(category)
    spread = np.array([1.0, 0.2, 0.5, 1.2, 1.0, 1.0, 1.0, 1.0, 0.01])[category]
    corner = rng.uniform(-0.1, 1.0, (number, 2)) * (SIDE * spread)[:, None]
    corner[:50] = SIDE  # outside
    box = np.hstack([corner, rng.uniform(0, 30, (number, 2))])
    image = rng.integers(20, size=number)
    made = ground_truth(
        list(zip(image.tolist(), category.tolist(), box.tolist(), strict=True)),
        images=20,
        categories=len(sizes),
        crowd=(rng.random(number) < 0.1).tolist(),
        ignore=(rng.random(number) < 0.1).tolist(),
    )
    truth = dataclasses.replace(made, image_size=rng.integers(30, 200, (20, 2)).astype(np.int32))
    expected = [twin(truth, category) for category in range(len(sizes))]
    np.testing.assert_allclose(fractal_dimension(truth), expected, rtol=0, atol=1e-12)
    assert len({round(value, 3) for value in expected}) >= 6


@pytest.mark.parametrize("side", [2, 8, 64, 70])
def test_a_full_lattice_has_dimension_2(side: int) -> None:
    assert fractal_dimension(centred(lattice(side))) == pytest.approx([2], abs=1e-12)


def test_a_diagonal_has_dimension_1() -> None:
    steps = [(i + 0.5) * SIDE / 400 for i in range(400)]
    assert fractal_dimension(centred(zip(steps, steps, strict=True))) == pytest.approx([1], abs=1e-12)


def test_a_point_gets_the_lower_bound_1() -> None:
    assert fractal_dimension(centred([(31, 77)] * 500)).tolist() == [1]


def test_classes_of_fewer_than_four_boxes() -> None:
    assert fractal_dimension(centred([], CORNERS[:1], CORNERS[:3], CORNERS)).tolist() == [1, 1, 1, 2]
    assert fractal_dimension(centred([], [])).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("quarters", "more", "released"),
    [
        (3, 1, 1.296651894503734),
        (3, 2, 1.4778941828368113),
        (3, 3, 1.6259799087155185),
        (4, 0, 1.341343985401205),
        (4, 1, 1.5225862686379052),
        (4, 2, 1.6706719966008698),
        (4, 3, 1.79587669559323),
        (4, 5, 1.9999999999999998),
    ],
)
def test_values_of_the_authors(quarters: int, more: int, released: float) -> None:
    """Values of the authors' released table for LVIS v1 train, whose fit is accurate to 1e-8.

    They are those of classes of 9 to 15 boxes, whose grids are 1 x 1, 2 x 2 (`quarters` occupied cells) and 3 x 3
    (`more` cells in addition).
    """
    others = [(40.0, 10.0), (10.0, 40.0), (40.0, 40.0), (60.0, 90.0), (90.0, 60.0)]
    points = [*CORNERS[:quarters], *others[:more]]
    assert fractal_dimension(centred((points * 12)[:12])) == pytest.approx([released], abs=1e-8)


def test_three_of_four_quarters() -> None:
    assert fractal_dimension(centred([*CORNERS[:3], CORNERS[0]])) == pytest.approx([log(3, 2)], abs=1e-12)


def test_centres_on_edges_and_outside() -> None:
    """On the right or bottom edge and outside: the nearest cell. On the line in the middle: to the right and below."""
    four = [(-5.0, -5.0), (100.0, 0.0), (0.0, 100.0), (140.0, 900.0)]
    assert fractal_dimension(centred(four)).tolist() == [2]
    assert fractal_dimension(centred([(49.9, 49.9), (50.0, 0.0), (0.0, 50.0), (50.0, 50.0)])).tolist() == [2]


def test_lines_between_cells_are_exact() -> None:
    """A centre at the upper left corner of every cell of the 49 x 49 grid; as floats 49 * (1 / 49) < 1."""
    corners = [(float(x), float(y)) for x in range(49) for y in range(49)]
    made = centred(corners)
    truth = dataclasses.replace(made, image_size=np.array([[49, 49]], np.int32))
    assert fractal_dimension(truth)[0] == pytest.approx(twin(truth, 0), abs=1e-12)
    assert fractal_dimension(truth) == pytest.approx([2], abs=1e-12)


def test_positions_are_relative_to_each_image() -> None:
    """The same relative position in images of different shapes is one position; height and width are not swapped."""
    sizes = np.array([[100, 100], [50, 400], [300, 20], [10, 10]], np.int32)
    objects = [(i, 0, [0.7 * width, 0.3 * height, 0.0, 0.0]) for i, (height, width) in enumerate(sizes.tolist())]
    truth = dataclasses.replace(ground_truth(objects, images=4), image_size=sizes)
    assert fractal_dimension(truth).tolist() == [1]


def test_crowds_and_ignored_boxes_are_left_out() -> None:
    last = np.array([False, False, False, True])
    assert fractal_dimension(dataclasses.replace(centred(CORNERS), crowd=last)).tolist() == [1]
    assert fractal_dimension(dataclasses.replace(centred(CORNERS), ignore=last)).tolist() == [1]


def test_images_without_a_size() -> None:
    made = ground_truth([(1, 0, [0, 0, 1, 1]), (1, 0, [0, 0, 1, 1]), (2, 0, [0, 0, 1, 1])], images=4)
    sizes = np.array([[0, 0], [0, 0], [100, 0], [100, 100]], np.int32)
    truth = dataclasses.replace(made, image_id=np.array([3, 50, 77, 80]), image_size=sizes)
    with pytest.raises(InputError) as error:
        fractal_dimension(truth)
    assert str(error.value) == (
        "made by the test: 2 problems\n"
        "  image 50: expected a height and a width above 0, found height 0, width 0 (0: not stated)\n"
        "  image 77: expected a height and a width above 0, found height 100, width 0 (0: not stated)\n"
        "Fix: state the height and width of every image in pixels: box positions are relative to them"
    )


def test_images_without_boxes_need_no_size() -> None:
    truth = dataclasses.replace(ground_truth([]), image_size=np.array([[0, 0]], np.int32))
    assert fractal_dimension(truth).tolist() == [1]
