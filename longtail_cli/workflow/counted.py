"""Counted classes: what every way of counting returns, and the notes that belong to it."""

from __future__ import annotations

from collections import Counter

from longtail_cli.choices import TaskName
from longtail_cli.frequency import Grouping, classification_groups, detection_groups, named
from longtail_cli.tables import FrequencyTable

Counted = tuple[FrequencyTable, tuple[str, ...]]
"""A table, and notes on it."""


def grouping_of(task: TaskName, groups: tuple[int, int] | None) -> Grouping:
    """The groups of a task; `groups`: the largest counts of the first two, None for its own. Raises UsageError."""
    return (classification_groups if task == "classification" else detection_groups)(*groups or ())


def summary(table: FrequencyTable, grouping: Grouping) -> tuple[str, ...]:
    """Classes, objects and images in words, and the classes that never occur."""
    sizes = Counter(table.group)
    groups = ", ".join(f"{name} {sizes[name]}" for name in grouping.names)
    images = "an unknown number of" if table.num_images is None else str(table.num_images)
    counted = (
        f"{len(table)} classes, {table.instance_count.sum()} objects in {images} images; classes by group: {groups}"
    )
    absent = table.image_count == 0
    never = [f"{absent.sum()} of {len(table)} classes never occur: {named(table, absent)}"] if absent.any() else []
    return counted, *never
