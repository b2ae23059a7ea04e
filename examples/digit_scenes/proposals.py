"""Proposals: boxes that may contain a digit, found without the annotations, and the classifier's features of each."""

from __future__ import annotations

import numpy as np
from scenes import HEIGHT, WIDTH, Integers, draw
from scipy import ndimage

LEVELS = (20, 40, 70)  # grey values above the background at which ink is separated from it
SHORTEST, LONGEST = 6, 64  # longer side of a component that may be a digit, in pixels
JITTERS = 2  # shifted and scaled copies of each component's box
RANDOM_WINDOWS = 12
GRID = 8
FEATURE_LEVELS = 16  # a feature is an integer in 0..16, as in the digit images themselves
LEAST_CONTRAST = 48  # grey values; lower contrast is not stretched to the full range of features


def propose(canvas: Integers, rng: np.random.RandomState) -> Integers:
    """Boxes [N, 4] xyxy in whole pixels: components of the thresholded canvas, jittered copies, random windows."""
    components = connected_components(canvas)
    copies = [jitter(box, rng) for box in components for _ in range(JITTERS)]
    windows = [random_window(rng) for _ in range(RANDOM_WINDOWS)]
    return np.array(sorted({tuple(box) for box in [*components, *copies, *windows]}), np.int64)


def connected_components(canvas: Integers) -> list[tuple[int, int, int, int]]:
    """Boxes of the connected components of the smoothed canvas above each level."""
    smooth = ndimage.correlate(canvas, np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]), mode="nearest") // 16
    background = np.sort(smooth, axis=None)[smooth.size // 2]
    boxes = set()
    for level in LEVELS:
        labels, _ = ndimage.label(smooth > background + level, structure=np.ones((3, 3)))
        for rows, columns in ndimage.find_objects(labels):
            longer_side = max(rows.stop - rows.start, columns.stop - columns.start)
            if SHORTEST <= longer_side <= LONGEST:
                boxes.add((columns.start, rows.start, columns.stop, rows.stop))
    return sorted(boxes)


def jitter(box: tuple[int, int, int, int], rng: np.random.RandomState) -> tuple[int, int, int, int]:
    """The box with each edge moved by up to a fifth of its side."""
    x0, y0, x1, y1 = box
    reach_x, reach_y = max((x1 - x0) // 5, 1), max((y1 - y0) // 5, 1)
    dx0, dx1 = draw(rng, -reach_x, reach_x + 1), draw(rng, -reach_x, reach_x + 1)
    dy0, dy1 = draw(rng, -reach_y, reach_y + 1), draw(rng, -reach_y, reach_y + 1)
    left, top = max(x0 + dx0, 0), max(y0 + dy0, 0)
    return left, top, min(max(x1 + dx1, left + 2), WIDTH), min(max(y1 + dy1, top + 2), HEIGHT)


def random_window(rng: np.random.RandomState) -> tuple[int, int, int, int]:
    width, height = draw(rng, 10, 48), draw(rng, 10, 48)
    left, top = draw(rng, 0, WIDTH - width), draw(rng, 0, HEIGHT - height)
    return left, top, left + width, top + height


def features(canvas: Integers, boxes: Integers) -> Integers:
    """Mean grey value in each cell of an 8x8 grid over each box, stretched to 0..16: integers [N, 64]."""
    total = np.pad(canvas.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    x0, x1 = (edge[:, None, :] for edge in cells(boxes[:, 0], boxes[:, 2]))
    y0, y1 = (edge[:, :, None] for edge in cells(boxes[:, 1], boxes[:, 3]))
    mean = (total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]) // ((y1 - y0) * (x1 - x0))
    mean = mean.reshape(len(boxes), GRID * GRID)
    darkest = mean.min(axis=1, keepdims=True)
    contrast = np.maximum(mean.max(axis=1, keepdims=True) - darkest, LEAST_CONTRAST)
    stretched: Integers = (mean - darkest) * FEATURE_LEVELS // contrast
    return stretched


def cells(low: Integers, high: Integers) -> tuple[Integers, Integers]:
    """First and last (exclusive) pixel of each of the 8 cells [N, 8]; cells of a side under 8 pixels share pixels."""
    edge = low[:, None] + (high - low)[:, None] * np.arange(GRID + 1) // GRID
    return edge[:, :-1], np.maximum(edge[:, 1:], edge[:, :-1] + 1)
