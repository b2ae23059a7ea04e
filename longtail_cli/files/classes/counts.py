"""Counts per class, as training code states them: how many images each class has.

A list holds the counts of classes 0, 1, 2, ... (`cls_num_list` of kaidic/LDAM-DRW, imbalance_cifar.py); a mapping, or
lines of two columns, holds them by category id or by name.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import fault, faults_among, input_error, raise_faults
from longtail_cli.files.reading import reading
from longtail_cli.tables import Longs

Keys = Literal["order", "id", "name"]
"""What tells which class a count is of: its position in a list, a category id, or a name."""

LARGEST_COUNT = 2**53
MOST_CLASSES = 10_000_000

FIX_COUNTS = "give one count for each class: a list, or counts by category id or by name"

_EXPECTED = f"a whole number of images from 0 to {LARGEST_COUNT}"


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """The images of each class."""

    category_id: Longs
    """int64 [C], ascending and unique."""
    name: tuple[str, ...]
    """C names; empty if the counts have none."""
    images: Longs
    """int64 [C], 0 or more; their sum is below 2^63."""
    keys: Keys


def counts_of(counts: Any, source: str = "counts") -> ClassCounts:
    """Counts per class from data in memory.

    counts: those of classes 0 to C-1 as a sequence, an array or a tensor, [C] or [C, 1]; or a mapping from category ids
        (integers, also as text) or from names, whose classes are 0 to C-1 in order of the names.
    source: names the counts in errors.
    Raises InputError if there are none, or one is not a whole number from 0 to 2^53.
    """
    if isinstance(counts, Mapping):
        return counts_by_class([str(key) for key in counts], list(counts.values()), source)
    with reading(source, "counts per class", FIX_COUNTS):  # lists of different lengths; a tensor on a GPU
        array = np.asarray(counts)
    values = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if values.ndim != 1 or values.dtype.kind not in "iuf":
        found = f"an array of {array.dtype} of shape {list(array.shape)}"
        raise input_error(source, [fault("content", "one number for each class, of shape [C]", found, FIX_COUNTS)])
    return counts_in_order(values.tolist(), source)


def counts_in_order(values: Sequence[Any], source: str) -> ClassCounts:
    """The counts of classes 0 to C-1, as numbers or text. Raises InputError as `counts_of` does."""
    images = _checked([f"class {row}" for row in range(len(values))], values, source)
    return ClassCounts(np.arange(len(images)), ("",) * len(images), images, "order")


def counts_by_class(
    keys: Sequence[str], values: Sequence[Any], source: str, names: Sequence[str] | None = None
) -> ClassCounts:
    """The counts of the classes with the ids, or else the names, in `keys`. names: those of classes with ids.

    Raises InputError as `counts_of` does, and for a class with two counts.
    """
    images = _checked([f"class {_readable(key)}" for key in keys], values, source)
    ids = [category_id_of(key) for key in keys]
    of_ids = [one for one in ids if one is not None]
    by_id = len(of_ids) == len(keys)
    classes: Sequence[Any] = of_ids if by_id else keys
    repeated = [
        Problem(f"class {_readable(str(key))}", "one count", str(n)) for key, n in Counter(classes).items() if n > 1
    ]
    raise_faults(source, faults_among(repeated, FIX_COUNTS))
    order = sorted(range(len(classes)), key=classes.__getitem__)
    if not by_id:
        return ClassCounts(np.arange(len(keys)), tuple(keys[row] for row in order), images[order], "name")
    shown = ("",) * len(keys) if names is None else tuple(names[row] for row in order)
    return ClassCounts(np.array([of_ids[row] for row in order], np.int64), shown, images[order], "id")


def category_id_of(text: str) -> int | None:
    """A category id of at most 18 digits in decimal; None for any other text."""
    digits = text.strip().removeprefix("-")
    return int(text) if digits.isascii() and digits.isdecimal() and len(digits) <= 18 else None


def count_of(value: Any) -> int | None:
    """A count, as a number or as text, from 0 to `LARGEST_COUNT`; None for anything else."""
    if hasattr(value, "item") and getattr(value, "ndim", None) == 0:
        value = value.item()
    if isinstance(value, str):
        whole, _, decimals = value.strip().partition(".")
        digits = whole.isascii() and whole.isdecimal() and len(whole) <= 16 and not decimals.strip("0")
        value = int(whole) if digits else None
    elif isinstance(value, float):
        value = int(value) if value.is_integer() else None
    counts = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST_COUNT
    return value if counts else None


def _checked(where: Sequence[str], values: Sequence[Any], source: str) -> Longs:
    """The counts, int64 [C]."""
    if not 0 < len(values) <= MOST_CLASSES:
        expected = f"the counts of 1 to {MOST_CLASSES:,} classes"
        raise input_error(source, [fault("content", expected, f"{len(values):,}", FIX_COUNTS)])
    counts = [count_of(value) for value in values]
    wrong = [
        Problem(place, _EXPECTED, _readable(str(value)) or "nothing")
        for place, value, count in zip(where, values, counts, strict=True)
        if count is None
    ]
    raise_faults(source, faults_among(wrong, FIX_COUNTS))
    images = [count or 0 for count in counts]
    if sum(images) >= 2**63:
        raise input_error(source, [fault("content", "fewer than 2^63 images in all", str(sum(images)), FIX_COUNTS)])
    return np.array(images, np.int64)


def _readable(text: str) -> str:
    return ascii(text[:40])[1:-1]
