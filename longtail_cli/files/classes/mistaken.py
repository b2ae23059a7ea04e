"""Numbers that are counts per class, and not class labels."""

from __future__ import annotations

import numpy as np

from longtail_cli.files.faults import fault, input_error
from longtail_cli.tables import Occurrences


def refuse_counts(labels: Occurrences) -> None:
    """Raise InputError if numbers that were read as labels are evidently the images of each class.

    That is so if they would mean classes 0 to the largest number of which more than half never occur, and in addition
    the largest number is at least how many numbers there are, or the numbers fall from the first to the last and never
    rise, as in the arrays that long-tailed data sets state (`cls_num_list` of kaidic/LDAM-DRW, imbalance_cifar.py).
    """
    numbers, classes = labels.category, len(labels.categories)
    if not _most_absent(labels):
        return
    falling = numbers[0] > numbers[-1] and bool((np.diff(numbers) <= 0).all())
    if classes <= len(numbers) and not falling:
        return
    absent = classes - len(np.unique(numbers))
    order = ", which fall from the first to the last" if falling else ""
    found = f"{len(numbers)} numbers from {numbers.min()} to {numbers.max()}{order}"
    expected = f"one class index for each image; as labels, {absent} of {classes} classes would never occur"
    fix = "if they are counts per class, pass them as `counts=`; if they are labels, number the classes that occur"
    raise input_error(labels.source, [fault("content", expected, found, f"{fix} 0, 1, 2, ...")])


def may_be_counts(labels: Occurrences) -> bool:
    """Whether numbers may be counts: more than half of the classes never occur, and class 0 is one of them."""
    return _most_absent(labels) and not bool((labels.category == 0).any())


def _most_absent(labels: Occurrences) -> bool:
    return 2 * len(np.unique(labels.category)) < len(labels.categories)
