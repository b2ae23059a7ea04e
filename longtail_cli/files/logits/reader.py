"""Logits files: reading ``ltcal-logits/1`` batch by batch, however large they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from msgspec.structs import replace as replace_fields

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logits.checks import LOGIT_DTYPES, all_finite, box_faults, first_not_finite
from longtail_cli.files.logits.first_look import check_scores, look_of, narrowing_notes
from longtail_cli.files.logits.keys import NO_KEYS, naming_of
from longtail_cli.files.logits.layout import MOST_COLUMNS, Layout, checked_layout
from longtail_cli.files.logits.metadata import (
    NOTHING_DECLARED,
    PARAMETERS,
    Declared,
    Metadata,
    Stated,
    merge_metadata,
    parsed_metadata,
    resolved,
)
from longtail_cli.files.logits.opening import OpenedSource, opened_source
from longtail_cli.files.logits.queries import ReadDataSet, holds_queries, query_rows
from longtail_cli.files.logits.repeats import without_repeats
from longtail_cli.files.logits.rows import batch_sizes, count_images, pieces, read_rows, row_counts
from longtail_cli.files.logits.shards import Allocate, MemoryShard, SafetensorsShard, Shard, TensorBlock, empty
from longtail_cli.files.logits.views import KeptRows, ScoresAsLogits, named_shard
from longtail_cli.files.logits.writer import LogitsWriter
from longtail_cli.tables import Bools, LogitColumns, Logits, Longs, Singles

__all__ = ["Declared", "LogitsFile", "LogitsWriter", "open_logits"]

_FIX_FINITE = "find the step of the model that makes them; half precision overflows above 65504"


@dataclass(frozen=True, slots=True)
class LogitsFile:
    """A logits file or scores file, or arrays in memory: the form was checked, the rows were not yet read."""

    source: str
    """The file or folder as the user gave it, or the name of the arrays."""
    content: Literal["logits", "scores", "features"]
    """Whether the rows are logits, scores that a rescored file holds, or features of a classifier without either.

    Of features alone, `Logits.logits` is [n, 0]: nothing can be evaluated before a fitted head gives them logits."""
    columns: LogitColumns
    """What the K columns are; for scores with head ``none`` and without background. Of features alone, those of the
    heads that can be fitted: K is 1 more than the largest label, unless the classes are stated."""
    rows: int
    """N, in all shards."""
    images: int | None
    """The number of images that have rows; None for classification."""
    labels: Longs | None
    """int64 [N], indices into `LogitColumns.category_id`, or `IGNORED`; None for detection and without labels."""
    image_id: Longs | None
    """int64 [N], rows of one image together and in one shard; None for classification."""
    per_class_boxes: bool
    """Whether boxes are [N, C, 4]."""
    has_objectness: bool
    has_features: bool
    classifier: Singles | None
    """float32 [K, D], the weights of the last layer; or None."""
    parts: tuple[Shard, ...]
    """The shards, in name order."""
    class_names: tuple[str, ...] = ()
    """The name of each class, in column order; empty if the file has none."""
    row_names: tuple[str, ...] = ()
    """The file name of the image of each row; empty if the file has none."""
    log_scores: bool = False
    """Whether the logits are logarithms of scores, and so known up to a constant in each row."""
    notes: tuple[str, ...] = ()
    """How the file was understood where it does not say so itself, one sentence each."""
    queries: bool = False
    """Whether the rows are the outputs of a model such as DETR, which predicts each object once."""

    @property
    def width(self) -> int:
        """The number of columns of the tensor: K, or D of features alone."""
        return self.parts[0].tensors[self.content].shape[1]

    @property
    def features(self) -> int | None:
        """D, the number of features of a row; None if the file has none."""
        return self.parts[0].tensors["features"].shape[1] if self.has_features else None

    @property
    def shards(self) -> tuple[Path, ...]:
        """The files that hold the rows, in the order in which they are read."""
        return tuple(shard.path for shard in self.parts)

    def batches(self, rows: int) -> Iterator[Logits]:
        """All rows in order, at most `rows` (at least 1) at a time, in whole images and of one shard.

        An image with more rows is a batch of its own; a file without rows has no batch. Memory: the batches that are
        still in use, however large the file. A batch stays valid as long as it is kept.
        Raises InputError as `check` does, and if a file turns out to be damaged.
        """
        for batch in self.unchecked_batches(rows):
            self.check(batch)
            yield batch

    def unchecked_batches(self, rows: int, allocate: Allocate = empty) -> Iterator[Logits]:
        """As `batches`, for callers that `check` in other threads.

        allocate: gives the memory for the tensor `content`, for callers that reuse memory.
        """
        names = self.streamed
        first = 0
        for shard in self.parts:
            count = shard.tensors[self.content].shape[0]
            ids = None if self.image_id is None else self.image_id[first : first + count]
            start = first
            for block in shard.blocks(names, batch_sizes(ids, count, rows), allocate):
                yield self._batch(block, start)
                start += len(block[self.content])
            first += count

    def boxes(self, rows: int) -> Iterator[Singles]:
        """The boxes of all rows in order, at most `rows` (at least 1) at a time, without reading anything else.

        float32 [n, 4] of a file with one box for each row. Such boxes were checked when the file was opened.
        """
        for shard in self.parts:
            for block in shard.blocks(["boxes"], pieces(shard.tensors["boxes"].shape[0], rows)):
                yield block["boxes"].to(torch.float32).numpy()

    def check(self, batch: Logits) -> None:
        """Raise InputError for NaN and infinity, and for per-class boxes with x1 > x2 or y1 > y2.

        It names shard, row and column.
        """
        shard, _ = self._shard_of(batch.first)
        faults = []
        for name, values in ((self.content, batch.logits), ("features", batch.features)):
            if values is not None and not all_finite(values):
                (row, column), number = first_not_finite(values)
                _, index = self.location(batch.first + row)
                faults.append(_not_finite(name, index, column, number, self.columns))
        if self.per_class_boxes and batch.boxes is not None:
            faults += box_faults(batch.boxes, self.location(batch.first)[1])
        raise_faults(str(shard.path), faults)

    def location(self, row: int) -> tuple[Path, int]:
        """The file that holds the row, and the index of the row in it."""
        shard, index = self._shard_of(row)
        return shard.path, shard.index_of(index) if isinstance(shard, KeptRows | SafetensorsShard) else index

    def kept(self, rows: Bools) -> LogitsFile:
        """The file of a classifier with some of its rows alone, in order. rows: bool [N]."""
        if rows.all():
            return self
        ends = np.cumsum([shard.tensors[self.content].shape[0] for shard in self.parts])
        names = (*self.streamed, "labels")
        parts = [KeptRows.of(part, own, names) for part, own in zip(self.parts, np.split(rows, ends[:-1]), strict=True)]
        index = np.flatnonzero(rows)
        return replace(
            self,
            rows=len(index),
            labels=None if self.labels is None else self.labels[index],
            parts=tuple(parts),
            row_names=tuple(self.row_names[row] for row in index.tolist()) if self.row_names else (),
        )

    def as_logits(self) -> LogitsFile:
        """Scores as logits of a softmax, z = ln s: those that they were made from, up to a constant in each row.

        Reading raises InputError for rows that do not add up to 1.
        """
        parts = tuple(map(ScoresAsLogits.of, self.parts))
        columns = replace(self.columns, head="softmax")
        return replace(self, content="logits", columns=columns, parts=parts, log_scores=True)

    def _shard_of(self, row: int) -> tuple[Shard, int]:
        """The shard that holds the row, and the index of the row in it."""
        for shard in self.parts:
            count = shard.tensors[self.content].shape[0]
            if row < count:
                return shard, row
            row -= count
        raise IndexError("no such row")

    @property
    def streamed(self) -> list[str]:
        """The tensors that are read with each batch; labels and image ids were read before."""
        held = {"boxes": self.image_id is not None, "objectness": self.has_objectness, "features": self.has_features}
        return list(dict.fromkeys([self.content, *(name for name, present in held.items() if present)]))

    def _batch(self, block: TensorBlock, start: int) -> Logits:
        main = block[self.content]
        rows = slice(start, start + len(main))
        return Logits(
            main.new_empty((len(main), 0)) if self.content == "features" else main,
            start,
            None if self.labels is None else self.labels[rows],
            None if self.image_id is None else self.image_id[rows],
            _singles(block.get("boxes")),
            _singles(block.get("objectness")),
            block.get("features"),
        )


def open_logits(
    source: Path | str | Mapping[str, Any],
    declared: Declared = NOTHING_DECLARED,
    name: str = "logits",
    keys: Mapping[str, str] = NO_KEYS,
    data_set: ReadDataSet | None = None,
) -> LogitsFile:
    """A logits file or arrays in memory, checked except for the values of large tensors.

    source: a file in one of the forms of `opened_shards`, or a folder of shards of one kind, read in name order; a URL
    of one, see `opened_source`; or NumPy arrays and torch tensors by name: `logits` [N, K] or `scores` [N, C], and
    where they apply `labels`, `image_id`, `boxes`, `objectness`, `features`, `weight` and `category_id`; or by the
    names that others use for these, see `keys.NAMES`; or the outputs of a query model, see `query_rows`.
    declared: replaces metadata that the source does not have. name: of arrays in memory, for messages.
    keys: the names in the source by our names, where they are not known. data_set: reads the images and categories of
    the annotations, which are needed for outputs of query models alone; None without annotations.
    Metadata may be inside the file, in ``NAME.meta.json`` beside it, and for a folder in ``meta.json`` inside it.
    Classification defaults to a softmax without background and category ids 0 to C-1; everything else must be stated.
    A file of a classifier may have `features` alone; their classes are those declared, or 0 to the largest label.
    Raises InputError, naming shard and row, for what is missing, contradictory or damaged.
    """
    if isinstance(source, Path | str):
        found = opened_source(source, keys)
    else:
        found = OpenedSource(name, [MemoryShard.open(source, name)], [], None, False)
    opened, label, stated_beside = found.shards, found.name, found.beside
    notes = list[str]()
    queries = holds_queries(opened[0], keys)
    if queries:
        known = merge_metadata([*_inside(opened), *stated_beside, (PARAMETERS, declared.metadata)], label)
        opened, declared, notes = query_rows(opened, known, data_set, keys, label)
    shards, assumed = _named(opened, NO_KEYS if queries else keys, declared)
    layout = checked_layout(shards)
    if layout.content == "scores":
        check_scores(shards)
    stated = [*_stated(shards, layout), *stated_beside]
    metadata = _merged([*stated, (PARAMETERS, declared.metadata)], layout, label)
    if layout.content == "features":
        metadata, of_features = _with_classes(metadata, declared, shards, layout, label)
        assumed += of_features
    columns = resolved(metadata, layout, source=label, sidecar=found.sidecar)
    _check_box_classes(shards[0], layout, columns)
    image_id, labels = read_rows(shards, layout, len(columns))
    if image_id is not None and found.by_ranks:
        shards, image_id, repeated = without_repeats(shards, layout, image_id)
        notes += repeated
    counts = row_counts(shards, layout)
    return LogitsFile(
        label,
        layout.content,
        columns,
        sum(counts),
        None if image_id is None else count_images(image_id, shards, counts, label),
        labels,
        image_id,
        layout.per_class_boxes,
        "objectness" in layout.columns,
        "features" in layout.names,
        _classifier(shards, layout),
        tuple(shards),
        _texts(shards[0], "class_names", len(columns)),
        _texts(shards[0], "row_names", counts[0]) if len(shards) == 1 else (),
        notes=(*notes, *assumed, *_head_notes(metadata, layout), *narrowing_notes(shards, layout.content)),
        queries=queries,
    )


def _named(shards: Sequence[Shard], keys: Mapping[str, str], declared: Declared) -> tuple[list[Shard], list[str]]:
    """The shards under our names, and a note if their names do not say what their numbers do.

    Probabilities are scores, unless a name or a declared head says that they are logits.
    """
    namings = [naming_of(shard.tensors, keys, str(shard.path)) for shard in shards]
    found = [named_shard(shard, naming.names) for shard, naming in zip(shards, namings, strict=True)]
    main = [one.tensors["logits"] for one in found if "logits" in one.tensors]
    fit = len(main) == len(found) and all(len(one.shape) == 2 and one.dtype in LOGIT_DTYPES for one in main)
    if not fit or "boxes" in found[0].tensors:
        return found, []
    name, look = namings[0].names["logits"], look_of(found, "logits")
    certain = declared.head not in (None, "none") or all(naming.certain for naming in namings)
    if not certain and (look == "probabilities" or declared.head == "none"):
        scores = [
            {"scores" if ours == "logits" else ours: theirs for ours, theirs in naming.names.items()}
            for naming in namings
        ]
        note = f"`{name}`: the rows add up to 1, so they are read as probabilities; `keys='logits={name}'` reads logits"
        notes = [note] if look == "probabilities" else []
        return [named_shard(shard, names) for shard, names in zip(shards, scores, strict=True)], notes
    return found, [f"`{name}`: {_DOUBTS[look]}; `keys='scores={name}'` reads {look}"] if look in _DOUBTS else []


_DOUBTS = {
    "probabilities": "the rows add up to 1, as probabilities do, but are read as logits, as they are called",
    "scores": "all numbers are from 0 to 1, as the scores of a sigmoid are, but they are read as logits",
}
"""What is said of logits that look like something else."""


def _head_notes(metadata: Metadata, layout: Layout) -> list[str]:
    """What is assumed of a classifier whose head is not stated."""
    if layout.content != "logits" or layout.detection or metadata.head is not None:
        return []
    background = "" if metadata.background else " without a background column"
    return [f"read as a softmax{background}, as nothing else is stated; say otherwise by `head=` and `background=`"]


def _texts(shard: Shard, name: str, number: int) -> tuple[str, ...]:
    """Names that a shard states, if there are as many as they should be."""
    stated = shard.metadata.get(name)
    whole = isinstance(stated, tuple | list) and len(stated) == number and all(isinstance(one, str) for one in stated)
    return tuple(stated) if whole and stated is not None else ()


def _stated(shards: Sequence[Shard], layout: Layout) -> Stated:
    """The metadata inside the shards, and the ids of the columns of scores."""
    stated = _inside(shards)
    for shard in shards:
        if layout.content == "scores" and "category_id" in shard.tensors:
            ids = next(shard.blocks(["category_id"], [shard.tensors["category_id"].shape[0]]))["category_id"]
            stated.append((f"tensor `category_id` of {shard.path.name}", Metadata(category_ids=tuple(ids.tolist()))))
    return stated


def _inside(shards: Sequence[Shard]) -> list[tuple[str, Metadata]]:
    """The metadata inside the shards."""
    return [(f"metadata of {shard.path.name}", parsed_metadata(shard.metadata, str(shard.path))) for shard in shards]


def _merged(stated: Stated, layout: Layout, source: str) -> Metadata:
    if layout.content == "scores":  # what the columns were before the activation does not matter any more
        stated = [(origin, Metadata(None, "none", "none", one.category_ids)) for origin, one in stated]
    return merge_metadata(stated, source)


def _with_classes(
    metadata: Metadata, declared: Declared, shards: Sequence[Shard], layout: Layout, source: str
) -> tuple[Metadata, list[str]]:
    """The metadata of features alone with the category ids, and a note if the labels have to say how many there are.

    Raises InputError if neither a parameter nor a label says which classes there are.
    """
    if metadata.category_ids is not None:
        return metadata, []
    if declared.classes is not None:
        return replace_fields(metadata, category_ids=tuple(declared.classes.tolist())), []
    _, labels = read_rows(shards, layout, MOST_COLUMNS)
    classes = 0 if labels is None else int(labels.max(initial=-1)) + 1
    if not classes:
        problem = Problem("classes", "a label, or a parameter that says how many there are", "features alone")
        raise InputError(source, [problem], "pass a frequency table: `frequencies=`; or state `category_ids=`")
    note = f"features of {classes:,} classes, as the largest label is {classes - 1}; say otherwise by `category_ids=`"
    return replace_fields(metadata, category_ids=tuple(range(classes))), [note]


def _check_box_classes(shard: Shard, layout: Layout, columns: LogitColumns) -> None:
    """Raise InputError if `boxes` are per class but not C in each row."""
    found = shard.tensors["boxes"].shape if layout.per_class_boxes else ()
    if found and found[1] != len(columns):
        expected = f"shape [N, {len(columns)}, 4], a box for each class and none for the background"
        fix = "leave out the boxes of the background column, or save one box per row"
        raise_faults(str(shard.path), [fault("tensor `boxes`", expected, str(list(found)), fix)])


def _classifier(shards: Sequence[Shard], layout: Layout) -> Singles | None:
    """The tensor `weight` of the first shard that has one."""
    for shard in shards if layout.content == "logits" else ():
        if "weight" in shard.tensors:
            weight = next(shard.blocks(["weight"], [layout.width]))["weight"]
            features = shard.tensors.get("features")
            if features is not None and features.shape[1] != weight.shape[1]:
                expected = f"shape [{layout.width}, {features.shape[1]}], as `features` are"
                fix = "save the weights of the layer whose input the features are"
                raise_faults(str(shard.path), [fault("tensor `weight`", expected, str(list(weight.shape)), fix)])
            if not all_finite(weight):
                (row, column), number = first_not_finite(weight)
                raise_faults(str(shard.path), [_not_finite("weight", row, column, number, None)])
            return weight.to(torch.float32).numpy()
    return None


def _not_finite(name: str, row: int, column: int, number: float, columns: LogitColumns | None) -> Fault:
    """A NaN or infinity in a tensor."""
    category = ""
    if columns is not None and name in ("logits", "scores") and columns.head != "bags":
        index = column - columns.classes.start
        category = f" (category {columns.category_id[index]})" if 0 <= index < len(columns) else " (background)"
    where = f"tensor `{name}`, row {row}, column {column}{category}"
    return fault(where, "a finite number", str(number), _FIX_FINITE)


def _singles(tensor: torch.Tensor | None) -> Singles | None:
    return None if tensor is None else tensor.to(torch.float32).numpy()
