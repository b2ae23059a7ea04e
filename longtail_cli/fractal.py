"""The fractal dimension of each class: how evenly its boxes spread over the image."""

from __future__ import annotations

import numpy as np

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.tables import Floats, GroundTruth, Ints, Longs

MAX_GRID = 64
MIN_BOXES = 4
"""Only the grid of one cell is used for a class with fewer boxes."""


def fractal_dimension(ground_truth: GroundTruth) -> Floats:
    """Φ, the box-counting dimension of the centres of each class's boxes, float64 [C] in [1, 2].

    Φ is the slope of the least-squares line of ln N(G) over ln G. N(G) is the number of cells of a G x G grid over the
    image, 1 <= G <= 64, that contain at least one centre of the class, with all images superimposed. Only grids with no
    more cells than the class has boxes are used, G² <= n: with more cells than boxes most cells are empty for any
    distribution. Φ is 1 for classes of fewer than 4 boxes, and if the slope is below 1. A centre on the line between
    two cells belongs to the right or lower one; a centre on the right or bottom edge, or outside, to the nearest cell.

    Annotations marked `crowd` or `ignore` are left out, as in counting. Memory is proportional to the number of boxes.
    Raises InputError if the image of a box has no size.

    Source: Alexandridis et al., "Fractal Calibration for Long-tailed Object Detection", CVPR 2025, section 3
    """
    kept = ~(ground_truth.crowd | ground_truth.ignore)
    image, category = ground_truth.image[kept], ground_truth.category[kept]
    _check_sizes(ground_truth, image)
    boxes = np.bincount(category, minlength=len(ground_truth.categories))
    by_size = np.argsort(-boxes, kind="stable")  # so that the classes of a grid, and their boxes, come first
    rank = np.argsort(by_size)[category]
    order = np.argsort(rank, kind="stable")
    size = ground_truth.image_size[image[order]].T.astype(np.float64)
    bbox = ground_truth.bbox[kept][order].T
    centre = np.clip(bbox[[1, 0]] + bbox[[3, 2]] / 2, 0.0, size)
    dimension = np.empty(len(boxes))
    dimension[by_size] = _slope(_occupied_cells(centre, size, rank[order], boxes[by_size]), boxes[by_size])
    return dimension


def _occupied_cells(centre: Floats, size: Floats, rank: Longs, boxes: Longs) -> Longs:
    """N(G), int64 [C, 64] for G = 1..64; 1 for grids of more cells than the class has boxes.

    centre, size: float64 [2, N], (y, x) and (height, width). rank: int64 [N], the class, ascending.
    boxes: int64 [C], boxes of each class, descending.
    """
    cells = np.ones((len(boxes), MAX_GRID), np.int64)
    for grid in range(1, MAX_GRID + 1):
        classes = int(np.count_nonzero(boxes >= grid * grid))
        rows = int(boxes[:classes].sum())
        # G y / height, in this order: exact on the lines between cells, unlike G (y / height)
        row, column = np.minimum((centre[:, :rows] * grid / size[:, :rows]).astype(np.int64), grid - 1)
        occupied = np.zeros(classes * grid * grid, np.bool_)  # not larger than the number of boxes
        occupied[(rank[:rows] * grid + row) * grid + column] = True
        cells[:classes, grid - 1] = np.count_nonzero(occupied.reshape(classes, grid * grid), axis=1)
    return cells


def _slope(cells: Longs, boxes: Longs) -> Floats:
    """The slope of ln `cells` over ln G by least squares, over the grids with G² <= `boxes`; float64 [C] in [1, 2]."""
    grid = np.arange(1, MAX_GRID + 1)
    used = grid**2 <= np.maximum(boxes, MIN_BOXES)[:, None]
    mean = np.mean(np.broadcast_to(np.log(grid), used.shape), axis=1, where=used)
    offset = np.where(used, np.log(grid) - mean[:, None], 0.0)
    slope: Floats = (offset * np.log(cells)).sum(axis=1) / (offset**2).sum(axis=1)
    return slope.clip(1.0, 2.0)


def _check_sizes(ground_truth: GroundTruth, image: Ints) -> None:
    """Raise InputError if one of `image` (int32 [N]) has no size."""
    unknown = np.unique(image[(ground_truth.image_size[image] <= 0).any(axis=1)])
    if len(unknown):
        shown = unknown[:MAX_PROBLEMS]
        sizes = zip(ground_truth.image_id[shown].tolist(), ground_truth.image_size[shown].tolist(), strict=True)
        problems = [
            Problem(
                f"image {image_id}", "a height and a width above 0", f"height {height}, width {width} (0: not stated)"
            )
            for image_id, (height, width) in sizes
        ]
        fix = "state the height and width of every image in pixels: box positions are relative to them"
        raise InputError(ground_truth.source, problems, fix, total=len(unknown))
