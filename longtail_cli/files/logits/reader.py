"""Logits files: reading ``ltcal-logits/1`` batch by batch, however large they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logits.checks import all_finite, box_faults, first_not_finite
from longtail_cli.files.logits.layout import Layout, checked_layout
from longtail_cli.files.logits.metadata import (
    NOTHING_DECLARED,
    PARAMETERS,
    Declared,
    Metadata,
    Stated,
    merge_metadata,
    parsed_metadata,
    read_sidecar,
    resolved,
)
from longtail_cli.files.logits.rows import batch_sizes, count_images, pieces, read_rows, row_counts
from longtail_cli.files.logits.shards import (
    Allocate,
    MemoryShard,
    NpzShard,
    SafetensorsShard,
    Shard,
    TensorBlock,
    TorchShard,
    empty,
)
from longtail_cli.files.logits.writer import LogitsWriter
from longtail_cli.files.paths import sidecars
from longtail_cli.files.source import check_readable
from longtail_cli.tables import LogitColumns, Logits, Longs, Singles

__all__ = ["SUFFIXES", "Declared", "LogitsFile", "LogitsWriter", "open_logits"]

_OPEN: dict[str, Callable[[Path], Shard]] = {
    ".safetensors": SafetensorsShard.open,
    ".npz": NpzShard.open,
    ".pt": TorchShard.open,
    ".pth": TorchShard.open,
}
SUFFIXES = tuple(_OPEN)
"""The suffixes of logits files."""

_FIX_SUFFIX = "pass a .safetensors, .npz or .pt file, or a folder of such shards"
_FIX_FINITE = "find the step of the model that makes them; half precision overflows above 65504"


@dataclass(frozen=True, slots=True)
class LogitsFile:
    """A logits file or scores file, or arrays in memory: the form was checked, the rows were not yet read."""

    source: str
    """The file or folder as the user gave it, or the name of the arrays."""
    content: Literal["logits", "scores"]
    """Whether the rows are logits, or scores that a rescored file holds."""
    columns: LogitColumns
    """What the K columns are; for scores with head ``none`` and without background."""
    rows: int
    """N, in all shards."""
    images: int | None
    """The number of images that have rows; None for classification."""
    labels: Longs | None
    """int64 [N], indices into `LogitColumns.category_id`; None for detection and for files without labels."""
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

    @property
    def width(self) -> int:
        """K, the number of columns of the tensor."""
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

        allocate: gives the memory for `Logits.logits`, for callers that reuse memory.
        """
        names = self._streamed()
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
        shard, first = self._shard_of(batch.first)
        faults = [
            _not_finite(name, values, first, self.columns)
            for name, values in ((self.content, batch.logits), ("features", batch.features))
            if values is not None and not all_finite(values)
        ]
        if self.per_class_boxes and batch.boxes is not None:
            faults += box_faults(batch.boxes, first)
        raise_faults(str(shard.path), faults)

    def location(self, row: int) -> tuple[Path, int]:
        """The file that holds the row, and the index of the row in it."""
        shard, index = self._shard_of(row)
        return shard.path, index

    def _shard_of(self, row: int) -> tuple[Shard, int]:
        """The shard that holds the row, and the index of the row in it."""
        for shard in self.parts:
            count = shard.tensors[self.content].shape[0]
            if row < count:
                return shard, row
            row -= count
        raise IndexError("no such row")

    def _streamed(self) -> list[str]:
        """The tensors that are read with each batch; labels and image ids were read before."""
        held = {"boxes": self.image_id is not None, "objectness": self.has_objectness, "features": self.has_features}
        return [self.content, *(name for name, present in held.items() if present)]

    def _batch(self, block: TensorBlock, start: int) -> Logits:
        rows = slice(start, start + len(block[self.content]))
        return Logits(
            block[self.content],
            start,
            None if self.labels is None else self.labels[rows],
            None if self.image_id is None else self.image_id[rows],
            _singles(block.get("boxes")),
            _singles(block.get("objectness")),
            block.get("features"),
        )


def open_logits(
    source: Path | Mapping[str, Any], declared: Declared = NOTHING_DECLARED, name: str = "logits"
) -> LogitsFile:
    """A logits file or arrays in memory, checked except for the values of large tensors.

    source: a ``.safetensors``, ``.npz``, ``.pt`` or ``.pth`` file, or a folder of such shards of one kind, read in
    name order; or NumPy arrays and torch tensors by name: `logits` [N, K] or `scores` [N, C], and where they apply
    `labels`, `image_id`, `boxes`, `objectness`, `features`, `weight` and `category_id`.
    declared: replaces metadata that the source does not have. name: of arrays in memory, for messages.
    Metadata may be inside the file, in ``NAME.meta.json`` beside it, and for a folder in ``meta.json`` inside it.
    Classification defaults to no background and category ids 0 to C-1; everything else must be stated.
    Raises InputError, naming shard and row, for what is missing, contradictory or damaged.
    """
    if isinstance(source, Path):
        paths, label = _shard_paths(source), str(source)
        shards = [_OPEN[path.suffix](path) for path in paths]
        beside = sidecars(source)
        sidecar = "meta.json in the folder" if source.is_dir() else beside[0].name
    else:
        shards, label, beside, sidecar = [MemoryShard.open(source, name)], name, (), None
    layout = checked_layout(shards)
    stated = [*_stated(shards, layout), *((path.name, read_sidecar(path)) for path in beside)]
    metadata = _merged([*stated, (PARAMETERS, declared.metadata)], layout, label)
    columns = resolved(metadata, layout, source=label, sidecar=sidecar)
    _check_box_classes(shards[0], layout, columns)
    image_id, labels = read_rows(shards, layout, len(columns))
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
        "features" in layout.columns,
        _classifier(shards, layout),
        tuple(shards),
    )


def _shard_paths(path: Path) -> list[Path]:
    """The file itself, or the shards in a folder. Raises InputError unless they are of one known kind."""
    if not path.is_dir():
        check_readable(path)
        if path.suffix not in _OPEN:
            found = path.suffix or "a name without suffix"
            raise InputError(str(path), [Problem("file name", f"one of {', '.join(SUFFIXES)}", found)], _FIX_SUFFIX)
        return [path]
    try:
        shards = sorted(one for one in path.iterdir() if one.suffix in _OPEN and one.is_file())
    except OSError as error:
        problem = Problem("folder", "a folder that can be read", error.strerror or str(error))
        raise InputError(str(path), [problem], "check the path and its permissions") from error
    suffixes = sorted({one.suffix for one in shards})
    if len(suffixes) != 1:
        found = " and ".join(suffixes) or "none"
        raise InputError(str(path), [Problem("folder", "shards of one kind", found)], _FIX_SUFFIX)
    return shards


def _stated(shards: Sequence[Shard], layout: Layout) -> Stated:
    """The metadata inside the shards."""
    stated = []
    for shard in shards:
        stated.append((f"metadata of {shard.path.name}", parsed_metadata(shard.metadata, str(shard.path))))
        if layout.content == "scores" and "category_id" in shard.tensors:
            ids = next(shard.blocks(["category_id"], [shard.tensors["category_id"].shape[0]]))["category_id"]
            stated.append((f"tensor `category_id` of {shard.path.name}", Metadata(category_ids=tuple(ids.tolist()))))
    return stated


def _merged(stated: Stated, layout: Layout, source: str) -> Metadata:
    if layout.content == "scores":  # what the columns were before the activation does not matter any more
        stated = [(origin, Metadata(None, "none", "none", one.category_ids)) for origin, one in stated]
    return merge_metadata(stated, source)


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
                raise_faults(str(shard.path), [_not_finite("weight", weight, 0, None)])
            return weight.to(torch.float32).numpy()
    return None


def _not_finite(name: str, values: torch.Tensor, first: int, columns: LogitColumns | None) -> Fault:
    """The first NaN or infinity of `values`, whose row 0 is row `first` of the shard."""
    (row, column), number = first_not_finite(values)
    category = ""
    if columns is not None and name in ("logits", "scores") and columns.head != "bags":
        index = column - columns.classes.start
        category = f" (category {columns.category_id[index]})" if 0 <= index < len(columns) else " (background)"
    where = f"tensor `{name}`, row {first + row}, column {column}{category}"
    return fault(where, "a finite number", str(number), _FIX_FINITE)


def _singles(tensor: torch.Tensor | None) -> Singles | None:
    return None if tensor is None else tensor.to(torch.float32).numpy()
