"""Classes that are known by name, numbered in order of their names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longtail_cli.files.source import printable
from longtail_cli.tables import Categories, Occurrences


def occurrences_of(images: Mapping[str, int], source: str) -> Occurrences:
    """One occurrence for each image of each class, the images of a class one after another.

    images: their number by the name of the class. The classes are 0 to C-1 in the order of `sorted`, as those of
        `ImageFolder` (torchvision/datasets/folder.py, `find_classes`).
    """
    names = sorted(images)
    counts = np.array([images[name] for name in names], np.int64)
    categories = Categories(np.arange(len(names)), tuple(map(printable, names)), None, None, None)
    total = int(counts.sum())
    category = np.repeat(np.arange(len(names), dtype=np.int32), counts)
    return Occurrences(categories, total, np.arange(total, dtype=np.int32), category, source)
