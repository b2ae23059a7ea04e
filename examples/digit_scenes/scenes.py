"""Scenes: real digits pasted onto noisy, cluttered canvases.

Pixels are integers throughout and random numbers come from numpy's `RandomState`, whose streams are frozen, so that
scenes are identical on every machine.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits

Integers = npt.NDArray[np.int64]

HEIGHT, WIDTH = 120, 160
SIDES = (12, 16, 20, 24, 32, 40, 48)  # heights of pasted digits in pixels: 1.5 to 6 times the original
FULL_INK = 16  # the largest value of a digit image
EDGE_INK = 4  # a pasted patch's box encloses its pixels with at least this much ink
NOISE = 14  # sensor noise lies in -NOISE..NOISE, triangular


@dataclass(frozen=True, slots=True)
class DigitImages:
    """Real digits. image: int64 [N, 8, 8], ink in 0..16. digit: int64 [N], 0..9."""

    image: Integers
    digit: Integers


@dataclass(frozen=True, slots=True)
class Scene:
    """A canvas and the digits on it.

    canvas: int64 [HEIGHT, WIDTH], grey values 0..255.
    boxes: int64 [G, 4], xyxy in pixels, right and bottom exclusive.
    digit: int64 [G], 0..9.
    """

    canvas: Integers
    boxes: Integers
    digit: Integers


def load_halves() -> tuple[DigitImages, DigitImages]:
    """The first and the second half of scikit-learn's digits."""
    bunch = load_digits()
    image, digit = bunch.images.astype(np.int64), bunch.target.astype(np.int64)
    middle = len(digit) // 2
    return DigitImages(image[:middle], digit[:middle]), DigitImages(image[middle:], digit[middle:])


def draw(rng: np.random.RandomState, low: int, high: int) -> int:
    """A random integer, low <= value < high."""
    return int(rng.randint(low, high, dtype=np.int64))


def draw_labels(scene_counts: Integers, num_scenes: int, rng: np.random.RandomState) -> list[list[int]]:
    """The digits of each scene, so that digit d occurs in exactly `scene_counts[d]` scenes, one to three times each."""
    labels: list[list[int]] = [[] for _ in range(num_scenes)]
    for digit, count in enumerate(scene_counts):
        for scene in rng.permutation(num_scenes)[:count]:
            copies = (1, 1, 1, 1, 1, 2, 2, 3)[draw(rng, 0, 8)]
            labels[scene].extend([digit] * copies)
    return labels


def draw_scene(labels: list[int], digits: DigitImages, rng: np.random.RandomState) -> Scene:
    """Paste a random image of each wanted digit, then clutter, at random positions and sizes, and add sensor noise."""
    ink = np.zeros((HEIGHT, WIDTH), np.int64)
    taken = np.zeros((0, 4), np.int64)
    for label in labels:
        ink, taken = paste(ink, taken, partial(whole_digit, digits, label, rng), rng)
    for _ in range(draw(rng, 2, 6)):
        ink, taken = paste(ink, taken, partial(clutter, digits, rng), rng)
    noise = rng.randint(0, NOISE + 1, (2, HEIGHT, WIDTH), dtype=np.int64)
    canvas = np.clip(ink + draw(rng, 20, 60) + noise[0] - noise[1], 0, 255)
    return Scene(canvas, taken[: len(labels)], np.array(labels, np.int64))


def whole_digit(digits: DigitImages, label: int, rng: np.random.RandomState) -> Integers:
    candidates = np.flatnonzero(digits.digit == label)
    return enlarge(digits.image[candidates[draw(rng, 0, len(candidates))]], rng)


def clutter(digits: DigitImages, rng: np.random.RandomState) -> Integers:
    """A patch of ink that is not a digit: strokes joined end to end, or one half of a digit."""
    return strokes(rng) if draw(rng, 0, 2) else half_digit(digits, rng)


def strokes(rng: np.random.RandomState) -> Integers:
    """Two or three straight strokes joined end to end, two pixels wide."""
    height, width = draw(rng, 8, 40), draw(rng, 8, 40)
    patch = np.zeros((height + 1, width + 1), np.int64)
    corners = [(draw(rng, 0, height), draw(rng, 0, width)) for _ in range(draw(rng, 3, 5))]
    step = np.arange(65)
    for (y0, x0), (y1, x1) in pairwise(corners):
        y, x = y0 + (y1 - y0) * step // 64, x0 + (x1 - x0) * step // 64
        for dy, dx in ((0, 0), (0, 1), (1, 0), (1, 1)):
            patch[y + dy, x + dx] = FULL_INK
    return patch


def half_digit(digits: DigitImages, rng: np.random.RandomState) -> Integers:
    """The upper, lower, left or right half of any digit."""
    patch = enlarge(digits.image[draw(rng, 0, len(digits.image))], rng)
    height, width = patch.shape
    halves = (patch[: height // 2], patch[height // 2 :], patch[:, : width // 2], patch[:, width // 2 :])
    return halves[draw(rng, 0, 4)]


def enlarge(image: Integers, rng: np.random.RandomState) -> Integers:
    """An 8x8 image at a random size and aspect, by bilinear interpolation in integers."""
    height = SIDES[draw(rng, 0, len(SIDES))]
    width = height * draw(rng, 7, 10) // 8
    return interpolation(height) @ image @ interpolation(width).T // (4 * height * width)


def interpolation(size: int) -> Integers:
    """Weights [size, 8] of a bilinear enlargement of 8 samples; each row sums to 2 * size."""
    position = 8 * (2 * np.arange(size) + 1) - size  # centre of each new sample, in 1 / (2 * size) of an old one
    low, part = np.divmod(position, 2 * size)
    weights = np.zeros((size, 8), np.int64)
    np.add.at(weights, (np.arange(size), np.clip(low, 0, 7)), 2 * size - part)
    np.add.at(weights, (np.arange(size), np.clip(low + 1, 0, 7)), part)
    return weights


def paste(
    ink: Integers, taken: Integers, make_patch: Callable[[], Integers], rng: np.random.RandomState
) -> tuple[Integers, Integers]:
    """Draws patches and positions until one fits; returns the ink with it pasted, and the taken boxes with its own."""
    while True:
        patch = make_patch()
        height, width = patch.shape
        top, left = draw(rng, 0, HEIGHT - height), draw(rng, 0, WIDTH - width)
        rows, columns = np.nonzero(patch >= EDGE_INK)
        if len(rows) == 0:
            continue
        box = np.array([left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1])
        if crowded(box, taken):
            continue
        strength = draw(rng, 60, 190)
        layer = np.zeros_like(ink)
        layer[top : top + height, left : left + width] = patch * strength // FULL_INK
        return np.maximum(ink, layer), np.vstack([taken, box])


def crowded(box: Integers, taken: Integers) -> bool:
    """Whether the box shares more than an eighth of the smaller area with an existing one."""
    if len(taken) == 0:
        return False
    shared, area, taken_area = overlap(box[None], taken)
    return bool((8 * shared > np.minimum(area, taken_area)).any())


def overlap(first: Integers, second: Integers) -> tuple[Integers, Integers, Integers]:
    """Areas of the intersections [N, M] and of the boxes themselves [N, 1], [M], boxes xyxy in whole pixels."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    size = np.maximum(high - low, 0)
    areas = [(boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) for boxes in (first, second)]
    return size[..., 0] * size[..., 1], areas[0][:, None], areas[1]
