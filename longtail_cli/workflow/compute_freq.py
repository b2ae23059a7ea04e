"""`ltcal compute-freq`: how often each class occurs in a training set, and the weights that follow."""

from __future__ import annotations

import dataclasses
from collections import Counter
from pathlib import Path

import numpy as np

from longtail_cli.adjust.counts import CountName, ZeroCountName, counts_of
from longtail_cli.adjust.iif import VARIANTS, NormalizerName, iif_weights, normalizing_total
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.annotations.reader import read_annotations, read_occurrences
from longtail_cli.files.labels import read_labels
from longtail_cli.fractal import MIN_BOXES
from longtail_cli.fractal import fractal_dimension as dimension_of_boxes
from longtail_cli.frequency import (
    Grouping,
    classification_groups,
    count,
    detection_groups,
    embedded_counts_differ,
    from_categories,
    named,
)
from longtail_cli.tables import Bools, Categories, Floats, FrequencyTable, GroundTruth, Occurrences

LABEL_SUFFIXES = (".txt", ".csv", ".npy", ".npz")

_UNKNOWN_IMAGES = (
    "image_rate is left empty: the counts that the categories state are not those of this file, so the number of "
    "images that they are of is not known; state it with --num-images N (LVIS v1 train: 100170)"
)


def compute_freq(
    source: Path,
    *,
    take_embedded: bool = False,
    num_images: int | None = None,
    groups: tuple[int, int] | None = None,
    label_column: str | None = None,
    fractal_dimension: bool = False,
) -> tuple[FrequencyTable, tuple[str, ...]]:
    """The frequency table of a data set, and what the user should know about it.

    source: by suffix (``.gz`` may follow) a COCO or LVIS annotation file (``.json``), or class labels: an image list
    (``.txt``), a CSV with the labels in `label_column` (``label`` where None), an array (``.npy``, ``.npz``).
    take_embedded: take the counts that LVIS files state for each category in place of counting. They are of
    `num_images` images; where that is None, of those of the file if it holds just what they state, else it stays open.
    groups: the two boundaries; None means 10,100 for annotations and 20,100 for labels.
    fractal_dimension: compute it for each class from the boxes; every image that has some needs its height and width.
    Raises InputError where `source` cannot be read, UsageError where options do not fit it.
    """
    suffix = Path(source.stem).suffix if source.suffix == ".gz" else source.suffix
    if suffix == ".json":
        _refuse("--label-column", label_column is not None, "a CSV file with labels", source)
        _refuse("--num-images", num_images is not None and not take_embedded, "--from-categories", source)
        grouping = detection_groups(*groups or ())
        if not take_embedded:
            return _of_annotations(source, grouping, fractal_dimension=fractal_dimension)
        _refuse_stated_counts(fractal_dimension)
        return _of_categories(source, grouping, num_images)
    if suffix in LABEL_SUFFIXES:
        _refuse("--label-column", label_column is not None and suffix != ".csv", "a CSV file with labels", source)
        _refuse("--from-categories", take_embedded, "an LVIS annotation file", source)
        _refuse("--num-images", num_images is not None, "--from-categories", source)
        _refuse("--fractal-dimension", fractal_dimension, "an annotation file (.json), which has boxes", source)
        grouping = classification_groups(*groups or ())
        table = count(read_labels(source, label_column), grouping)
        return table, _notes(table, grouping)
    expected = f"a name that ends in .json, {', '.join(LABEL_SUFFIXES)}, or one of them and .gz"
    raise UsageError(str(source), [Problem("kind of source", expected, source.name)], "rename or convert the file")


def weight_columns(
    table: FrequencyTable, *, normalizer: NormalizerName = "occurrences", zero_count: ZeroCountName = "max"
) -> tuple[dict[str, Floats], tuple[str, ...]]:
    """The seven IIF weights by image counts and by instance counts, and what had to be decided for some classes.

    Columns ``iif_raw`` to ``iif_gombit`` and ``iof_raw`` to ``iof_gombit``, float64 [C] each, finite; the formulas are
    in `longtail_cli.adjust.iif`. Raises InputError where the counts do not allow weights, UsageError where
    `normalizer` is ``images`` and the table does not know their number.
    """
    if normalizer == "images" and table.num_images is None:
        problem = Problem("images", "the number of images that the counts are of", "none stated")
        raise UsageError("--normalizer", [problem], "state it with --num-images N, or use occurrences")
    columns: dict[str, Floats] = {}
    told: dict[str, list[str]] = {}
    kinds: tuple[tuple[str, CountName], ...] = (("iif", "image"), ("iof", "instance"))
    for kind, counted in kinds:
        total = normalizing_total(table, counted, normalizer)
        for variant in VARIANTS:
            weights = iif_weights(counts_of(table, counted), total, variant, zero_count, table.category_id)
            columns[f"{kind}_{variant}"] = weights.value
            for note in weights.notes:
                told.setdefault(f"{named(table, note.rows)} {note.text}", []).append(f"{kind}_{variant}")
    return columns, tuple(f"{', '.join(names)}: {text}" for text, names in told.items())


def _refuse(option: str, given: bool, wanted: str, source: Path) -> None:
    if given:
        raise UsageError(option, [Problem("source", wanted, source.name)], "leave the option out")


def _refuse_stated_counts(fractal_dimension: bool) -> None:
    if fractal_dimension:
        problem = Problem("counts", "those of the boxes in the file", "those that its categories state")
        fix = "leave out one of the two; the fractal dimension needs the boxes of the training file"
        raise UsageError("--fractal-dimension with --from-categories", [problem], fix)


def _of_annotations(
    source: Path, grouping: Grouping, *, fractal_dimension: bool
) -> tuple[FrequencyTable, tuple[str, ...]]:
    truth = read_annotations(source) if fractal_dimension else None
    occurrences, left_out = read_occurrences(source) if truth is None else _occurrences_of(truth)
    counted = count(occurrences, grouping)
    skipped = [f"not counted: {left_out} annotations marked iscrowd or ignore"] if left_out else []
    differing = _differing(counted, embedded_counts_differ(occurrences.categories, counted))
    notes = (*_notes(counted, grouping), *skipped, *differing)
    if truth is None:
        return counted, notes
    table = dataclasses.replace(counted, fractal_dimension=dimension_of_boxes(truth))
    return table, (*notes, *_few_boxes(table))


def _occurrences_of(truth: GroundTruth) -> tuple[Occurrences, int]:
    """What `read_occurrences` gives, of a file that was read with its boxes."""
    left_out = truth.crowd | truth.ignore
    image, category = truth.image[~left_out], truth.category[~left_out]
    return Occurrences(truth.categories, len(truth.image_id), image, category, truth.source), int(left_out.sum())


def _of_categories(source: Path, grouping: Grouping, num_images: int | None) -> tuple[FrequencyTable, tuple[str, ...]]:
    occurrences, _ = read_occurrences(source)
    categories = occurrences.categories
    if num_images is None and not embedded_counts_differ(categories, count(occurrences, grouping)).any():
        num_images = occurrences.num_images
    table = from_categories(categories, grouping, num_images=num_images, source=str(source))
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
    """A warning about the classes (bool [C]) whose counts in the file are not those of its annotations."""
    if not differ.any():
        return []
    return [
        f"warning: the image_count or instance_count that the file states for {differ.sum()} of {len(counted)} "
        f"classes differs from its own annotations ({named(counted, differ, 3)}). LVIS states those of the training "
        "set in every file. --from-categories takes them; this table counts the annotations"
    ]


def _other_letters(categories: Categories, table: FrequencyTable, grouping: Grouping) -> list[str]:
    """A note on the classes whose letter in the file is another than their group by count."""
    if categories.frequency is None:
        return []
    other = np.array(categories.frequency) != np.array(table.group)
    if not other.any():
        return []
    return [
        f"the `frequency` that the file states for {other.sum()} of {len(table)} classes differs from the groups here, "
        f"which go by image_count (<= {grouping.first_max}, <= {grouping.second_max}): {named(table, other, 3)}"
    ]
