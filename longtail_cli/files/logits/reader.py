"""Logits files: reading ``ltcal-logits/1`` batch by batch, however large they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logits.checks import all_finite, box_faults, first_not_finite
from longtail_cli.files.logits.layout import Layout, checked_layout
from longtail_cli.files.logits.metadata import (
    FLAGS,
    NOTHING_DECLARED,
    Declared,
    Metadata,
    flags_as_metadata,
    merge_metadata,
    parsed_metadata,
    read_sidecar,
    resolved,
)
from longtail_cli.files.logits.rows import batch_sizes, count_images, read_rows, row_counts
from longtail_cli.files.logits.shards import Allocate, NpzShard, SafetensorsShard, Shard, TensorBlock, TorchShard, empty
from longtail_cli.files.logits.writer import LogitsWriter
from longtail_cli.files.source import check_readable
from longtail_cli.tables import LogitColumns, Logits, Longs, Singles

__all__ = ["SUFFIXES", "Declared", "LogitsFile", "LogitsWriter", "open_logits", "parts_of"]

_KINDS: dict[str, type[Shard]] = {
    ".safetensors": SafetensorsShard,
    ".npz": NpzShard,
    ".pt": TorchShard,
    ".pth": TorchShard,
}
SUFFIXES = tuple(_KINDS)
"""How the names of logits files may end."""

_FIX_SUFFIX = "pass a .safetensors, .npz or .pt file, or a folder of such shards"
_FIX_FINITE = "find the step of the model that makes them; half precision overflows beyond 65504"


@dataclass(frozen=True, slots=True)
class LogitsFile:
    """A logits file (or scores file) whose form was checked, its rows not yet read.

    source: the file or folder, as the user gave it.
    content: whether the rows are logits, or the scores that a rescored file holds.
    columns: what the K columns stand for; for scores ``sigmoid`` without background, as nothing more is to be done.
    rows: N, in all shards. images: how many images they belong to; None for classification.
    labels: int64 [N], indices into `LogitColumns.category_id`; None for detection, and where the file has none.
    image_id: int64 [N], rows of one image together and in one shard; None for classification.
    per_class_boxes: whether boxes are [N, C, 4]. has_objectness, has_features: whether the file has these tensors.
    classifier: float32 [K, D], the weights of the last layer; or None.
    parts: the shards, in name order.
    """

    source: str
    content: Literal["logits", "scores"]
    columns: LogitColumns
    rows: int
    images: int | None
    labels: Longs | None
    image_id: Longs | None
    per_class_boxes: bool
    has_objectness: bool
    has_features: bool
    classifier: Singles | None
    parts: tuple[Shard, ...]

    @property
    def width(self) -> int:
        """K, the number of columns of the tensor."""
        return self.parts[0].tensors[self.content].shape[1]

    @property
    def shards(self) -> tuple[Path, ...]:
        """The files that hold the rows, in the order they are read in."""
        return tuple(shard.path for shard in self.parts)

    def batches(self, rows: int) -> Iterator[Logits]:
        """All rows in order, at most `rows` (at least 1) at a time, but always whole images and one shard.

        An image of more rows than that is a batch by itself; a file without rows has no batch. Memory: the batches
        that are still in use, however large the file. A batch stays valid as long as it is kept.
        Raises InputError as `check` does, and where a file turns out to be damaged.
        """
        for batch in self.unchecked_batches(rows):
            self.check(batch)
            yield batch

    def unchecked_batches(self, rows: int, allocate: Allocate = empty) -> Iterator[Logits]:
        """As `batches`, for callers that leave `check` to other threads.

        allocate: where `Logits.logits` may be read to, for callers that use memory over again.
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

    def check(self, batch: Logits) -> None:
        """Raise InputError where a number is NaN or infinite or a box (one for each class) is turned over.

        It names shard, row and column.
        """
        shard, first = self._place(batch.first)
        faults = [
            _not_finite(name, values, first, self.columns)
            for name, values in ((self.content, batch.logits), ("features", batch.features))
            if values is not None and not all_finite(values)
        ]
        if self.per_class_boxes and batch.boxes is not None:
            faults += box_faults(batch.boxes, first)
        raise_faults(str(shard.path), faults)

    def _place(self, row: int) -> tuple[Shard, int]:
        """The shard that holds the row, and the number of the row in it."""
        for shard in self.parts:
            count = shard.tensors[self.content].shape[0]
            if row < count:
                return shard, row
            row -= count
        raise IndexError("no such row")

    def _streamed(self) -> list[str]:
        """The tensors that are read with each batch; labels and image ids were read before."""
        given = {"boxes": self.image_id is not None, "objectness": self.has_objectness, "features": self.has_features}
        return [self.content, *(name for name, there in given.items() if there)]

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


def open_logits(path: Path, declared: Declared = NOTHING_DECLARED) -> LogitsFile:
    """A logits file, its form and everything but the values of large tensors checked.

    path: ``.safetensors``, ``.npz``, ``.pt`` or ``.pth``, or a folder of such shards of one kind, read in name order.
    declared: the flags that stand in for metadata the file does not have.
    Metadata may stand in the file, in ``NAME.meta.json`` beside it, and for a folder in ``meta.json`` inside it.
    Classification files that state no category ids have 0 to C-1; nothing else is taken for granted.
    Raises InputError, naming shard and row, for what is missing, contradictory or damaged.
    """
    source = str(path)
    shards = [_KINDS[one.suffix].opened(one) for one in _shard_paths(path)]
    layout = checked_layout(shards)
    metadata = _metadata(path, shards, layout, declared)
    sidecar = "meta.json in the folder" if path.is_dir() else path.with_suffix(".meta.json").name
    columns = resolved(
        metadata, layout.width, tensor=layout.content, ids_default=not layout.detection, source=source, sidecar=sidecar
    )
    _check_box_classes(shards[0], layout, columns)
    image_id, labels = read_rows(shards, layout, len(columns))
    counts = row_counts(shards, layout)
    return LogitsFile(
        source,
        layout.content,
        columns,
        sum(counts),
        None if image_id is None else count_images(image_id, shards, counts, source),
        labels,
        image_id,
        layout.per_class_boxes,
        "objectness" in layout.columns,
        "features" in layout.columns,
        _classifier(shards, layout),
        tuple(shards),
    )


def _shard_paths(path: Path) -> list[Path]:
    """The file itself, or the shards in a folder; raises InputError unless they are of one known kind."""
    if not path.is_dir():
        check_readable(path)
        if path.suffix not in _KINDS:
            found = path.suffix or "a name without suffix"
            raise InputError(str(path), [Problem("file name", f"one of {', '.join(SUFFIXES)}", found)], _FIX_SUFFIX)
        return [path]
    try:
        shards = sorted(one for one in path.iterdir() if one.suffix in _KINDS and one.is_file())
    except OSError as error:
        problem = Problem("folder", "a folder that can be read", error.strerror or str(error))
        raise InputError(str(path), [problem], "check the path and its permissions") from error
    suffixes = sorted({one.suffix for one in shards})
    if len(suffixes) != 1:
        found = " and ".join(suffixes) or "none"
        raise InputError(str(path), [Problem("folder", "shards of one kind", found)], _FIX_SUFFIX)
    return shards


def _metadata(path: Path, shards: Sequence[Shard], layout: Layout, declared: Declared) -> Metadata:
    """What the shards, their sidecars and the flags state together."""
    stated: list[tuple[str, Metadata | None]] = []
    for shard in shards:
        sidecar = shard.path.with_suffix(".meta.json")
        stated.append((f"metadata of {shard.path.name}", parsed_metadata(shard.metadata, str(shard.path))))
        stated.append((sidecar.name, read_sidecar(sidecar)))
        if layout.content == "scores" and "category_id" in shard.tensors:
            ids = next(shard.blocks(["category_id"], [shard.tensors["category_id"].shape[0]]))["category_id"]
            stated.append((f"tensor `category_id` of {shard.path.name}", Metadata(category_ids=tuple(ids.tolist()))))
    if path.is_dir():
        stated.append(("meta.json", read_sidecar(path / "meta.json")))
    stated.append((FLAGS, flags_as_metadata(declared)))
    told = [(place, one) for place, one in stated if one is not None]
    if layout.content == "scores":
        # what the columns were before the activation does not matter any more
        told = [(place, Metadata(None, "sigmoid", "none", one.category_ids)) for place, one in told]
    return merge_metadata(told, str(path))


def _check_box_classes(shard: Shard, layout: Layout, columns: LogitColumns) -> None:
    """Raise InputError where `boxes` are per class, and are not C a row."""
    found = shard.tensors["boxes"].shape if layout.per_class_boxes else ()
    if found and found[1] != len(columns):
        expected = f"shape [N, {len(columns)}, 4], a box for each class and none for the background"
        fix = "leave out the boxes of the background column, or save one box a row"
        raise_faults(str(shard.path), [fault("tensor `boxes`", expected, str(list(found)), fix)])


def _classifier(shards: Sequence[Shard], layout: Layout) -> Singles | None:
    """The tensor `weight` of the first shard that has it."""
    for shard in shards if layout.content == "logits" else ():
        if "weight" in shard.tensors:
            weight = next(shard.blocks(["weight"], [layout.width]))["weight"]
            features = shard.tensors.get("features")
            if features is not None and features.shape[1] != weight.shape[1]:
                expected = f"shape [{layout.width}, {features.shape[1]}], as `features` are"
                fix = "save the weights of the layer that the features go into"
                raise_faults(str(shard.path), [fault("tensor `weight`", expected, str(list(weight.shape)), fix)])
            if not all_finite(weight):
                raise_faults(str(shard.path), [_not_finite("weight", weight, 0, None)])
            return weight.to(torch.float32).numpy()
    return None


def parts_of(batch: Logits, rows: int) -> Iterator[Logits]:
    """The rows of a batch, at most `rows` (at least 1) at a time but always whole images; views of its columns."""
    start = 0
    for size in batch_sizes(batch.image_id, len(batch), rows):
        own = slice(start, start + size)
        yield Logits(
            batch.logits[own],
            batch.first + start,
            None if batch.labels is None else batch.labels[own],
            None if batch.image_id is None else batch.image_id[own],
            None if batch.boxes is None else batch.boxes[own],
            None if batch.objectness is None else batch.objectness[own],
            None if batch.features is None else batch.features[own],
        )
        start += size


def _not_finite(name: str, values: torch.Tensor, first: int, columns: LogitColumns | None) -> Fault:
    """The first NaN or infinity of `values`, whose row 0 is row `first` of the shard."""
    (row, column), number = first_not_finite(values)
    category = ""
    if columns is not None and name in ("logits", "scores") and columns.head != "bags":
        place = column - columns.classes.start
        told = f"category {columns.category_id[place]}" if 0 <= place < len(columns) else "background"
        category = f" ({told})"
    where = f"tensor `{name}`, row {first + row}, column {column}{category}"
    return fault(where, "a finite number", str(number), _FIX_FINITE)


def _singles(tensor: torch.Tensor | None) -> Singles | None:
    return None if tensor is None else tensor.to(torch.float32).numpy()
