"""Classes of classification data sets: of folders, labels, counts per class, and tables that are shipped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import TaskName
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.classes.count_files import read_counts
from longtail_cli.files.classes.counts import ClassCounts, counts_of
from longtail_cli.files.classes.folders import IMAGE_SUFFIXES, read_image_folder
from longtail_cli.files.classes.lists import read_image_list
from longtail_cli.files.classes.mistaken import may_be_counts, refuse_counts
from longtail_cli.files.classes.numbered import occurrences_of
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.label_names import known_names
from longtail_cli.files.labels import PICKLES, ClassLabels, class_labels_of, occurrences_of_labels, read_class_labels
from longtail_cli.files.outline import outline_of
from longtail_cli.files.shipped import shipped_source, shipped_table
from longtail_cli.frequency import count
from longtail_cli.tables import FrequencyTable, Occurrences
from longtail_cli.workflow.counted import Counted, grouping_of, summary

LABEL_SUFFIXES = (".txt", ".csv", ".npy", ".npz", ".parquet", *PICKLES)

_IN_ORDER_OF_NAMES = "the classes are numbered 0, 1, 2, ... in order of their names, as ImageFolder numbers them"
_NAMED_BY_FOLDER = f"the class of each image is the folder that it lies in; {_IN_ORDER_OF_NAMES}"
_COUNTS_FOR_LABELS = (
    "warning: read as labels, the array has {} classes, most of them without images; if its numbers are counts per "
    "class, pass `counts=`"
)
_IMAGES_ALONE = "the counts are taken as images and, as no others are given, as objects of each class"


def count_folder(folder: Path, task: TaskName | None, groups: tuple[int, int] | None) -> Counted:
    """The images of each class in a folder; see `read_image_folder`."""
    return _of_labels(read_image_folder(folder), task, groups, [_IN_ORDER_OF_NAMES])


def count_label_file(path: Path, task: TaskName | None, groups: tuple[int, int] | None, column: str | None) -> Counted:
    """The images of each class in a file of labels: an image list, or what `read_class_labels` reads.

    Numbers that are evidently counts per class raise InputError.
    """
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    listed = read_image_list(path) if suffix == ".txt" else None
    if listed is None:
        return _of_class_labels(read_class_labels(path, column), task, groups)
    labels, kind = listed
    return _of_labels(labels, task, groups, [_IN_ORDER_OF_NAMES if kind == "name" else _NAMED_BY_FOLDER])


def count_labels(labels: Any, task: TaskName | None, groups: tuple[int, int] | None) -> Counted:
    """As `count_label_file`, for labels [N] in memory, as `class_labels_of` takes them."""
    return _of_class_labels(class_labels_of(labels), task, groups)


def table_of_counts(
    counts: Any, groups: tuple[int, int] | None, task: TaskName | None = None, num_images: int | None = None
) -> Counted:
    """A table of counts per class: a path for `read_counts`, or data for `counts_of`.

    task: whose groups; if None, detection for counts by category id, else classification. num_images: for detection,
        how many images were counted, None if unknown; in classification it is the sum of the counts.
    Raises InputError as these functions do, and UsageError if `num_images` does not fit.
    """
    found = read_counts(counts) if isinstance(counts, Path) else counts_of(counts)
    chosen: TaskName = task or ("detection" if found.keys == "id" else "classification")
    grouping = grouping_of(chosen, groups)
    table = FrequencyTable(
        category_id=found.category_id,
        name=found.name,
        image_count=found.images,
        instance_count=found.images,
        group=grouping.of(found.images),
        num_images=_images_of(found, chosen, num_images),
    )
    ordered = [_IN_ORDER_OF_NAMES] if found.keys == "name" else []
    alone = [_IMAGES_ALONE] if chosen == "detection" else []
    return table, (*summary(table, grouping), *ordered, *alone)


def shipped_counts(name: str, task: TaskName | None, groups: tuple[int, int] | None) -> Counted:
    """A shipped table, and where its counts are from; `task` and `groups` for other groups than its own."""
    table = shipped_table(name)
    own: TaskName = "detection" if table.group[0] in ("r", "c", "f") else "classification"
    grouping = grouping_of(task or own, groups)
    grouped = replace(table, group=grouping.of(table.image_count))
    return grouped, (*summary(grouped, grouping), f"counts from {shipped_source(name)}")


def holds_labels(path: Path) -> bool:
    """Whether a JSON file holds class labels, as a list, under a usual key or by file name, and no annotations.

    Raises InputError if it cannot be read, and for numbers by class, which can only be counts.
    """
    outline = outline_of(path)
    names = outline.names
    if outline.container == "json list":
        return not names
    if known_names(names) and not {"images", "annotations", "categories"}.intersection(names):
        return True
    numbers = [value for value in outline.first.values() if isinstance(value, int) and not isinstance(value, bool)]
    if not 0 < len(numbers) == len(names):
        return False
    if not all("/" in name or name.lower().endswith(IMAGE_SUFFIXES) for name in names):
        problem = Problem("content", "annotations, or class labels as a list or by file name", "numbers by class")
        raise InputError(str(path), [problem], "if they are counts per class, pass them as `counts=`")
    return True


def _of_class_labels(labels: ClassLabels, task: TaskName | None, groups: tuple[int, int] | None) -> Counted:
    """Labels of any form; those without a class are not counted."""
    known = labels.index[labels.index != IGNORED]
    without = len(labels.index) - len(known)
    notes = [f"not counted: {without} labels of -1 or -100, which mean no class"] if without else []
    if labels.class_names:
        numbers = np.bincount(known, minlength=len(labels.class_names))
        named = dict(zip(labels.class_names, numbers.tolist(), strict=True))
        return _of_labels(occurrences_of(named, labels.source), task, groups, [_IN_ORDER_OF_NAMES, *notes])
    indices = occurrences_of_labels(replace(labels, index=known) if len(known) else labels)
    if labels.row_names:
        return _of_labels(indices, task, groups, notes)
    return _of_numbers(indices, task, groups, notes)


def _of_numbers(
    labels: Occurrences, task: TaskName | None, groups: tuple[int, int] | None, notes: list[str]
) -> Counted:
    """Labels that are bare numbers, which may be mistaken for counts."""
    refuse_counts(labels)
    suspicious = [_COUNTS_FOR_LABELS.format(len(labels.categories))] if may_be_counts(labels) else []
    return _of_labels(labels, task, groups, [*notes, *suspicious])


def _of_labels(labels: Occurrences, task: TaskName | None, groups: tuple[int, int] | None, notes: list[str]) -> Counted:
    grouping = grouping_of(task or "classification", groups)
    table = count(labels, grouping)
    return table, (*summary(table, grouping), *notes)


def _images_of(counts: ClassCounts, task: TaskName, stated: int | None) -> int | None:
    """The number of images that were counted; None if unknown, or 0."""
    largest, total = int(counts.images.max()), int(counts.images.sum())
    if task == "classification":
        if stated is not None:
            problem = Problem("counts", "those of a detection data set", f"one class for each of {total} images")
            raise UsageError("`num_images=`", [problem], "leave the option out, or pass `task='detection'`")
        return total or None
    if stated is not None and stated < largest:
        problem = Problem("number of images", f"at least the largest count, {largest}", str(stated))
        raise UsageError("`num_images=`", [problem], "state the number of images that were counted")
    return stated
