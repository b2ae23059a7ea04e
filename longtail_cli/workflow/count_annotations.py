"""Classes of annotations, of detection data sets and of classification ones such as iNaturalist."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from longtail_cli.choices import TaskName
from longtail_cli.files.annotations.reader import AnnotationFile, open_annotations
from longtail_cli.fractal import MIN_BOXES
from longtail_cli.fractal import fractal_dimension as dimension_of_boxes
from longtail_cli.frequency import Grouping, count, embedded_counts_differ, named
from longtail_cli.frequency import from_categories as table_of_categories
from longtail_cli.tables import Bools, Categories, FrequencyTable, GroundTruth, Occurrences
from longtail_cli.workflow.counted import Counted, grouping_of, summary

_UNKNOWN_IMAGES = (
    "image_rate is left empty: the counts stated for the categories are not those of this file, so the number of "
    "images that were counted is unknown; state it with `num_images=` (LVIS v1 train: 100170)"
)
_CLASS_LABELS = (
    "annotations without boxes, at most one for each image: counted as class labels, in the groups many, medium and "
    "few; `task='detection'` for r, c and f"
)
_SEVERAL_LABELS = "warning: {} of {} images have more than one label; an image counts once for each of its classes"


def count_annotations(
    source: Any, task: TaskName | None, groups: tuple[int, int] | None, *, fractal_dimension: bool = False
) -> Counted:
    """The objects and images of each class in annotations: a path or data in memory, as for `open_annotations`.

    task: whose groups; if None, classification for annotations without boxes of which no image has two, else detection.
    fractal_dimension: as for `compute_freq`. Raises InputError as `open_annotations` and the reading do.
    """
    with open_annotations(source) as file:
        truth = file.read() if fractal_dimension else None
        occurrences, left_out = file.occurrences() if truth is None else _occurrences_of(truth)
        chosen = task or _task_of(file, occurrences)
    grouping = grouping_of(chosen, groups)
    counted = count(occurrences, grouping)
    skipped = [f"not counted: {left_out} annotations marked iscrowd or ignore"] if left_out else []
    differing = _differing(counted, embedded_counts_differ(occurrences.categories, counted))
    labels = _label_notes(occurrences, assumed=task is None) if chosen == "classification" else []
    notes = (*summary(counted, grouping), *skipped, *labels, *differing)
    if truth is None:
        return counted, notes
    table = dataclasses.replace(counted, fractal_dimension=dimension_of_boxes(truth))
    return table, (*notes, *_few_boxes(table))


def stated_counts(
    source: Any, task: TaskName | None, groups: tuple[int, int] | None, num_images: int | None
) -> Counted:
    """The counts that an LVIS file states for its categories; see `compute_freq`. task: None for detection."""
    grouping = grouping_of(task or "detection", groups)
    with open_annotations(source) as file:
        occurrences, _ = file.occurrences()
    categories = occurrences.categories
    if num_images is None and not embedded_counts_differ(categories, count(occurrences, grouping)).any():
        num_images = occurrences.num_images
    table = table_of_categories(categories, grouping, num_images=num_images, source=str(source))
    unknown = [] if num_images is not None else [_UNKNOWN_IMAGES]
    return table, (*summary(table, grouping), *unknown, *_other_letters(categories, table, grouping))


def _task_of(file: AnnotationFile, occurrences: Occurrences) -> TaskName:
    """Classification if no image has two annotations and none has a box, as in iNaturalist 2018 (visipedia/inat_comp,
    2018/README.md); else detection.
    """
    labels = 0 < len(occurrences.image) == len(np.unique(occurrences.image))
    letters = occurrences.categories.frequency is not None
    return "classification" if labels and not letters and not file.has_boxes() else "detection"


def _label_notes(occurrences: Occurrences, *, assumed: bool) -> list[str]:
    _, labels = np.unique(occurrences.image, return_counts=True)
    several = int((labels > 1).sum())
    return [
        *([_CLASS_LABELS] if assumed else []),
        *([_SEVERAL_LABELS.format(several, len(labels))] if several else []),
    ]


def _occurrences_of(truth: GroundTruth) -> tuple[Occurrences, int]:
    """`AnnotationFile.occurrences` for annotations that were read with their boxes."""
    left_out = truth.crowd | truth.ignore
    image, category = truth.image[~left_out], truth.category[~left_out]
    return Occurrences(truth.categories, len(truth.image_id), image, category, truth.source), int(left_out.sum())


def _few_boxes(table: FrequencyTable) -> list[str]:
    """A note on the classes that have too few boxes for a fractal dimension."""
    few = table.instance_count < MIN_BOXES
    if not few.any():
        return []
    return [f"fractal_dimension is 1 for {few.sum()} of {len(table)} classes, which have fewer than {MIN_BOXES} boxes"]


def _differing(counted: FrequencyTable, differ: Bools) -> list[str]:
    """A warning about the classes (bool [C]) whose stated counts differ from the annotations of the file."""
    if not differ.any():
        return []
    return [
        f"warning: the image_count or instance_count that the file states for {differ.sum()} of {len(counted)} "
        f"classes differs from its own annotations ({named(counted, differ, 3)}). LVIS states those of the training "
        "set in every file. `from_categories=True` uses them; this table counts the annotations"
    ]


def _other_letters(categories: Categories, table: FrequencyTable, grouping: Grouping) -> list[str]:
    """A note on the classes whose letter in the file differs from their group by count."""
    if categories.frequency is None:
        return []
    other = np.array(categories.frequency) != np.array(table.group)
    if not other.any():
        return []
    return [
        f"the `frequency` that the file states for {other.sum()} of {len(table)} classes differs from the groups here, "
        f"which depend on image_count (<= {grouping.first_max}, <= {grouping.second_max}): {named(table, other, 3)}"
    ]
