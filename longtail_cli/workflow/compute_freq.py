"""`ltcal compute-freq`: class counts of a training set, and the weights computed from them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from longtail_cli.choices import VARIANTS, CountName, NormalizerName, TaskName, ZeroCountName
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.frequencies import frequency_table_of
from longtail_cli.files.shipped import NAMES, misspelt, shipped_name, unknown_table
from longtail_cli.frequency import named
from longtail_cli.methods.counts import counts_of
from longtail_cli.methods.iif import iif_weights, normalizing_total
from longtail_cli.tables import Floats, FrequencyTable
from longtail_cli.workflow.count_annotations import count_annotations, stated_counts
from longtail_cli.workflow.count_classes import (
    LABEL_SUFFIXES,
    count_folder,
    count_label_file,
    count_labels,
    holds_labels,
    shipped_counts,
    table_of_counts,
)
from longtail_cli.workflow.counted import Counted


def compute_freq(
    source: Any = None,
    *,
    counts: Any = None,
    from_categories: bool = False,
    num_images: int | None = None,
    groups: tuple[int, int] | None = None,
    task: TaskName | None = None,
    label_column: str | None = None,
    fractal_dimension: bool = False,
) -> Counted:
    """The frequency table of a data set, and notes on it.

    source: a folder with a folder of images for each class; by suffix (``.gz`` may follow) a COCO or LVIS annotation
    file (``.json``), an image list (``.txt``, see `read_image_list`), or class labels in another form of
    `read_class_labels`, of a table those in `label_column`; or the name of a shipped table. In memory: an input of
    `open_annotations` or `class_labels_of`, or a data frame of labels or counts.
    counts: counts per class instead of a source; see `table_of_counts`.
    from_categories: use the counts that LVIS files state for each category instead of counting. They are counts of
    `num_images` images; if None, of those in the file if its annotations have the same counts, else unknown.
    groups: the largest counts of the first two groups; None means 10,100 for detection and 19,100 for classification.
    task: whose groups; None means detection for annotations with boxes, classification for labels, and for annotations
    without boxes of which no image has two, as in iNaturalist.
    fractal_dimension: compute it for each class from the boxes; every image with boxes needs its height and width.
    Raises InputError if `source` cannot be read, UsageError if options do not fit it.
    """
    if (source is None) == (counts is None):
        problem = Problem("arguments", "either a source or `counts=`", "both" if counts is not None else "neither")
        raise UsageError("count", [problem], "pass one of the two")
    if counts is not None:
        shown = counts if isinstance(counts, Path) else Path("counts")
        _refuse("`label_column=`", label_column is not None, "a CSV file with labels", shown)
        _refuse("`from_categories=True`", from_categories, "an LVIS annotation file", shown)
        _refuse("`fractal_dimension=True`", fractal_dimension, "an annotation file (.json), which has boxes", shown)
        return table_of_counts(counts, groups, task, num_images)
    if not isinstance(source, Path):
        return _of_memory(source, task, groups)
    suffix = Path(source.stem).suffix if source.suffix == ".gz" else source.suffix
    name = shipped_name(source)
    if suffix == ".json" and name is None and not source.is_dir() and not holds_labels(source):
        _refuse("`label_column=`", label_column is not None, "a CSV file with labels", source)
        _refuse("`num_images=`", num_images is not None and not from_categories, "`from_categories=True`", source)
        if not from_categories:
            return count_annotations(source, task, groups, fractal_dimension=fractal_dimension)
        _refuse_stated_counts(fractal_dimension)
        return stated_counts(source, task, groups, num_images)
    _refuse("`from_categories=True`", from_categories, "an LVIS annotation file", source)
    _refuse("`num_images=`", num_images is not None, "`from_categories=True`", source)
    _refuse("`fractal_dimension=True`", fractal_dimension, "an annotation file (.json), which has boxes", source)
    _refuse(
        "`label_column=`",
        label_column is not None and suffix not in (".csv", ".parquet"),
        "a CSV file with labels",
        source,
    )
    if name is not None:
        return shipped_counts(name, task, groups)
    if source.is_dir():
        return count_folder(source, task, groups)
    if suffix in (*LABEL_SUFFIXES, ".json"):
        return count_label_file(source, task, groups, label_column)
    if misspelt(source):
        raise unknown_table(source)
    kinds = f"a folder of images, a name that ends in .json, {', '.join(LABEL_SUFFIXES)}, or one of these and .gz"
    problem = Problem("kind of source", f"{kinds}; or one of {', '.join(NAMES)}", source.name)
    raise UsageError(str(source), [problem], "rename or convert the file")


def _of_memory(source: Any, task: TaskName | None, groups: tuple[int, int] | None) -> Counted:
    """`compute_freq` for data in memory."""
    columns = list(getattr(source, "columns", ()))
    if "image_count" in columns:
        return frequency_table_of(source, "data frame"), ()
    of_dicts = isinstance(source, Mapping) or (isinstance(source, list) and source and isinstance(source[0], Mapping))
    if of_dicts or ("category_id" in columns and "image_id" in columns):
        return count_annotations(source, task, groups)
    return count_labels(source["label"] if "label" in columns else source, task, groups)


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
