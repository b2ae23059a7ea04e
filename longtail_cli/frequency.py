"""Counting: how often each class occurs, and the frequency groups that metrics are reported for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.tables import Bools, Categories, FrequencyTable, Longs, Occurrences


@dataclass(frozen=True, slots=True)
class Grouping:
    """Three groups of classes by image count n."""

    names: tuple[str, str, str]
    """From rare to frequent."""
    first_max: int
    """The largest n of the first group."""
    second_max: int
    """The largest n of the second group."""

    def of(self, image_count: Longs) -> tuple[str, ...]:
        """The group of each class."""
        index = np.searchsorted([self.first_max, self.second_max], image_count, side="left")
        return tuple(self.names[group] for group in index.tolist())


def detection_groups(low: int = 10, high: int = 100) -> Grouping:
    """``r`` for n <= low, ``c`` for low < n <= high, ``f`` above (LVIS, Gupta et al. 2019). Raises UsageError."""
    return _grouping(("r", "c", "f"), low, high)


def classification_groups(low: int = 19, high: int = 100) -> Grouping:
    """``few`` for n <= low, ``medium`` for low < n <= high, ``many`` above; by default few are below 20 (Liu et al.
    2019). Raises UsageError.
    """
    return _grouping(("few", "medium", "many"), low, high)


def _grouping(names: tuple[str, str, str], low: int, high: int) -> Grouping:
    if not 0 < low < high:
        problem = Problem("boundaries", "two whole numbers, 0 < low < high", f"{low},{high}")
        raise UsageError("`groups=`", [problem], "give them in this order, for example `groups=10,100`")
    return Grouping(names, low, high)


def count(occurrences: Occurrences, grouping: Grouping) -> FrequencyTable:
    """Images and objects of each class; several objects of a class in one image count as one image."""
    categories = occurrences.categories
    size = len(categories)
    pairs = np.unique(occurrences.image.astype(np.int64) * size + occurrences.category)
    image_count = np.bincount(pairs % size, minlength=size)
    return FrequencyTable(
        category_id=categories.id,
        name=categories.name,
        image_count=image_count,
        instance_count=np.bincount(occurrences.category, minlength=size),
        group=grouping.of(image_count),
        num_images=occurrences.num_images,
    )


def from_categories(
    categories: Categories, grouping: Grouping, *, num_images: int | None, source: str
) -> FrequencyTable:
    """The counts that an LVIS file states for each category: those of the training set, even in the validation file.

    num_images: images in that training set, if known.
    Raises InputError if the categories of `source` have no counts, or one has more images than there are.
    """
    if categories.image_count is None or categories.instance_count is None:
        missing = "image_count" if categories.image_count is None else "instance_count"
        problem = Problem("categories", "`image_count` and `instance_count`, as LVIS has them", f"no `{missing}`")
        fix = "count the annotations of the training file instead (`from_categories=False`)"
        raise InputError(source, [problem], fix)
    largest = int(categories.image_count.max(initial=0))
    if num_images is not None and largest > num_images:
        problem = Problem("number of images", f"at least the largest `image_count`, {largest}", str(num_images))
        raise InputError(source, [problem], "state the number of images that were counted: `num_images=`")
    return FrequencyTable(
        category_id=categories.id,
        name=categories.name,
        image_count=categories.image_count,
        instance_count=categories.instance_count,
        group=grouping.of(categories.image_count),
        num_images=num_images,
    )


def embedded_counts_differ(categories: Categories, counted: FrequencyTable) -> Bools:
    """Whether the counts that the file states for a class differ from those `counted` in its annotations, bool [C].

    All False if the file states none.
    """
    differ = np.zeros(len(categories), np.bool_)
    for stated, actual in (
        (categories.image_count, counted.image_count),
        (categories.instance_count, counted.instance_count),
    ):
        if stated is not None:
            differ |= stated != actual
    return differ


def tail_ratio(table: FrequencyTable, threshold: float) -> float:
    """TR(λ), the share of the (image, class) pairs whose class occurs in less than the share λ of the images.

    TR(λ) = Σ_j n_j [f_j < λ] / Σ_j n_j, with n_j the image count and f_j the image rate of class j
    (Equalization Loss, Tan et al. 2020); in [0, 1], 0 if all counts are 0.
    Raises UsageError if the table does not state its number of images.
    """
    if table.num_images is None:
        problem = Problem("image rates", "the number of images that were counted", "none stated")
        raise UsageError("`tail_ratio=`", [problem], "state it with `num_images=`")
    total = int(table.image_count.sum())
    return float(table.image_count[table.image_rate < threshold].sum() / total) if total else 0.0


def uncounted_table(category_id: Longs) -> FrequencyTable:
    """A table of classes whose counts are not known, for notes and for methods that use none. Ids may repeat."""
    ids = np.unique(category_id)
    zeros = np.zeros(len(ids), np.int64)
    return FrequencyTable(ids, ("",) * len(ids), zeros, zeros, ("",) * len(ids), None)


def named(table: FrequencyTable, rows: Bools, limit: int = 5) -> str:
    """Classes as text for a note: ids and names of the first `limit` in `rows` (bool [C])."""
    chosen = np.flatnonzero(rows)
    shown = [_label(table, row) for row in chosen[:limit].tolist()]
    return ", ".join(shown) + (f" and {len(chosen) - limit} more" if len(chosen) > limit else "")


def _label(table: FrequencyTable, row: int) -> str:
    name = f" {table.name[row]}" if table.name[row] else ""
    return f"{table.category_id[row]}{name}"
