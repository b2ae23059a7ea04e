"""`ltcal compute-freq`: class counts of a training set, and the weights computed from them."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import VARIANTS, CountName, NormalizerName, ZeroCountName
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.frequencies import frequency_table_of
from longtail_cli.files.labels import labels_from_array, read_labels
from longtail_cli.fractal import MIN_BOXES
from longtail_cli.fractal import fractal_dimension as dimension_of_boxes
from longtail_cli.frequency import (
    Grouping,
    classification_groups,
    count,
    detection_groups,
    embedded_counts_differ,
    named,
)
from longtail_cli.frequency import from_categories as table_of_categories
from longtail_cli.methods.counts import counts_of
from longtail_cli.methods.iif import iif_weights, normalizing_total
from longtail_cli.tables import Bools, Categories, Floats, FrequencyTable, GroundTruth, Occurrences

LABEL_SUFFIXES = (".txt", ".csv", ".npy", ".npz")

_UNKNOWN_IMAGES = (
    "image_rate is left empty: the counts stated for the categories are not those of this file, so the number of "
    "images that were counted is unknown; state it with `num_images=` (LVIS v1 train: 100170)"
)


def compute_freq(
    source: Any,
    *,
    from_categories: bool = False,
    num_images: int | None = None,
    groups: tuple[int, int] | None = None,
    label_column: str | None = None,
    fractal_dimension: bool = False,
) -> tuple[FrequencyTable, tuple[str, ...]]:
    """The frequency table of a data set, and notes on it.

    source: by suffix (``.gz`` may follow) a COCO or LVIS annotation file (``.json``), or class labels: an image list
    (``.txt``), a CSV with the labels in `label_column` (``label`` if None), an array (``.npy``, ``.npz``). In memory:
    an input of `open_annotations` or `labels_from_array`, or a data frame of labels or counts.
    from_categories: use the counts that LVIS files state for each category instead of counting. They are counts of
    `num_images` images; if None, of those in the file if its annotations have the same counts, else unknown.
    groups: the largest counts of the first two groups; None means 10,100 for annotations and 19,100 for labels.
    fractal_dimension: compute it for each class from the boxes; every image with boxes needs its height and width.
    Raises InputError if `source` cannot be read, UsageError if options do not fit it.
    """
    if not isinstance(source, Path):
        return _of_memory(source, groups)
    suffix = Path(source.stem).suffix if source.suffix == ".gz" else source.suffix
    if suffix == ".json":
        _refuse("`label_column=`", label_column is not None, "a CSV file with labels", source)
        _refuse("`num_images=`", num_images is not None and not from_categories, "`from_categories=True`", source)
        grouping = detection_groups(*groups or ())
        if not from_categories:
            return _of_annotations(source, grouping, fractal_dimension=fractal_dimension)
        _refuse_stated_counts(fractal_dimension)
        return _of_categories(source, grouping, num_images)
    if suffix in LABEL_SUFFIXES:
        _refuse("`label_column=`", label_column is not None and suffix != ".csv", "a CSV file with labels", source)
        _refuse("`from_categories=True`", from_categories, "an LVIS annotation file", source)
        _refuse("`num_images=`", num_images is not None, "`from_categories=True`", source)
        _refuse("`fractal_dimension=True`", fractal_dimension, "an annotation file (.json), which has boxes", source)
        grouping = classification_groups(*groups or ())
        table = count(read_labels(source, label_column), grouping)
        return table, _notes(table, grouping)
    expected = f"a name that ends in .json, {', '.join(LABEL_SUFFIXES)}, or one of these and .gz"
    raise UsageError(str(source), [Problem("kind of source", expected, source.name)], "rename or convert the file")


def table_of_counts(counts: Sequence[int] | Mapping[int, int], groups: tuple[int, int] | None) -> FrequencyTable:
    """A table of per-class counts.

    counts: images of class 0, 1, ..., grouped as many, medium, few; or images by category id, grouped as r, c, f.
    """
    of_ids = isinstance(counts, Mapping)
    ids = np.array(list(counts) if of_ids else range(len(counts)), np.int64)
    images = np.array(list(counts.values() if isinstance(counts, Mapping) else counts))
    grouping = (detection_groups if of_ids else classification_groups)(*groups or ())
    columns = {"category_id": ids.tolist(), "image_count": images.tolist(), "instance_count": images.tolist()}
    table = frequency_table_of(columns, "counts")
    total = None if of_ids else int(table.image_count.sum()) or None
    return dataclasses.replace(table, group=grouping.of(table.image_count), num_images=total)


def _of_memory(source: Any, groups: tuple[int, int] | None) -> tuple[FrequencyTable, tuple[str, ...]]:
    """`compute_freq` for data in memory."""
    columns = list(getattr(source, "columns", ()))
    if "image_count" in columns:
        return frequency_table_of(source, "data frame"), ()
    labels = source["label"] if "label" in columns else source
    of_dicts = isinstance(source, Mapping) or (isinstance(source, list) and source and isinstance(source[0], Mapping))
    if of_dicts or ("category_id" in columns and "image_id" in columns):
        with open_annotations(source) as file:
            occurrences, _ = file.occurrences()
        grouping = detection_groups(*groups or ())
        table = count(occurrences, grouping)
        return table, _notes(table, grouping)
    grouping = classification_groups(*groups or ())
    table = count(labels_from_array(labels, "labels"), grouping)
    suspicious = len(table) > 2 * table.instance_count.sum()
    return table, (*_notes(table, grouping), *([_COUNTS_FOR_LABELS.format(len(table))] if suspicious else []))


_COUNTS_FOR_LABELS = (
    "warning: read as labels, the array has {} classes, most of them without images; if its numbers are counts per "
    "class, pass `counts=`"
)


def weight_columns(
    table: FrequencyTable, *, normalizer: NormalizerName = "occurrences", zero_count: ZeroCountName = "max"
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """The seven IIF weights by image counts and by instance counts, and notes on zero counts and negative weights.

    Columns ``iif_raw`` to ``iif_gombit`` and ``iof_raw`` to ``iof_gombit``, float64 [C] each, finite; the formulas are
    in `longtail_cli.methods.iif`. Raises InputError if the counts do not allow weights, UsageError if
    `normalizer` is ``images`` and the table does not state their number.
    """
    if normalizer == "images" and table.num_images is None:
        problem = Problem("images", "the number of images that were counted", "none stated")
        raise UsageError("`normalizer=`", [problem], "state it with `num_images=`, or use occurrences")
    columns: dict[str, Floats] = {}
    columns_of_note: dict[str, list[str]] = {}
    kinds: tuple[tuple[str, CountName], ...] = (("iif", "image"), ("iof", "instance"))
    for kind, counted in kinds:
        total = normalizing_total(table, counted, normalizer)
        for variant in VARIANTS:
            weights = iif_weights(counts_of(table, counted), total, variant, zero_count, table.category_id)
            columns[f"{kind}_{variant}"] = weights.value
            for note in weights.notes:
                columns_of_note.setdefault(f"{named(table, note.rows)} {note.text}", []).append(f"{kind}_{variant}")
    return columns, tuple(f"{', '.join(names)}: {text}" for text, names in columns_of_note.items())


def _refuse(option: str, given: bool, wanted: str, source: Path) -> None:
    if given:
        raise UsageError(option, [Problem("source", wanted, source.name)], "leave the option out")


def _refuse_stated_counts(fractal_dimension: bool) -> None:
    if fractal_dimension:
        problem = Problem("counts", "those of the boxes in the file", "those stated for its categories")
        fix = "leave out one of the two; the fractal dimension needs the boxes of the training file"
        raise UsageError("`fractal_dimension=True` with `from_categories=True`", [problem], fix)


def _of_annotations(
    source: Path, grouping: Grouping, *, fractal_dimension: bool
) -> tuple[FrequencyTable, tuple[str, ...]]:
    truth = _read_annotations(source) if fractal_dimension else None
    occurrences, left_out = _read_occurrences(source) if truth is None else _occurrences_of(truth)
    counted = count(occurrences, grouping)
    skipped = [f"not counted: {left_out} annotations marked iscrowd or ignore"] if left_out else []
    differing = _differing(counted, embedded_counts_differ(occurrences.categories, counted))
    notes = (*_notes(counted, grouping), *skipped, *differing)
    if truth is None:
        return counted, notes
    table = dataclasses.replace(counted, fractal_dimension=dimension_of_boxes(truth))
    return table, (*notes, *_few_boxes(table))


def _read_annotations(source: Path) -> GroundTruth:
    with open_annotations(source) as file:
        return file.read()


def _read_occurrences(source: Path) -> tuple[Occurrences, int]:
    with open_annotations(source) as file:
        return file.occurrences()


def _occurrences_of(truth: GroundTruth) -> tuple[Occurrences, int]:
    """`AnnotationFile.occurrences` for annotations that were read with their boxes."""
    left_out = truth.crowd | truth.ignore
    image, category = truth.image[~left_out], truth.category[~left_out]
    return Occurrences(truth.categories, len(truth.image_id), image, category, truth.source), int(left_out.sum())


def _of_categories(source: Path, grouping: Grouping, num_images: int | None) -> tuple[FrequencyTable, tuple[str, ...]]:
    occurrences, _ = _read_occurrences(source)
    categories = occurrences.categories
    if num_images is None and not embedded_counts_differ(categories, count(occurrences, grouping)).any():
        num_images = occurrences.num_images
    table = table_of_categories(categories, grouping, num_images=num_images, source=str(source))
    unknown = [] if num_images is not None else [_UNKNOWN_IMAGES]
    return table, (*_notes(table, grouping), *unknown, *_other_letters(categories, table, grouping))


def _notes(table: FrequencyTable, grouping: Grouping) -> tuple[str, ...]:
    sizes = Counter(table.group)
    groups = ", ".join(f"{name} {sizes[name]}" for name in grouping.names)
    images = "an unknown number of" if table.num_images is None else str(table.num_images)
    summary = (
        f"{len(table)} classes, {table.instance_count.sum()} objects in {images} images; classes by group: {groups}"
    )
    absent = table.image_count == 0
    never = [f"{absent.sum()} of {len(table)} classes never occur: {named(table, absent)}"] if absent.any() else []
    return summary, *never


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
