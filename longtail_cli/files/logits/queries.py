"""The outputs of query models (DETR and its relatives) for B images with Q queries each, read as rows.

Logits are [B, Q, K] and boxes [B, Q, 4], cxcywh as fractions of the image. Image ids and the sizes of the original
images come from the file or from the annotations. Such arrays are what the object detection models of Hugging Face
transformers return (`DetrObjectDetectionOutput` in src/transformers/models/detr/modeling_detr.py and its likes), and
the boxes become what `post_process_object_detection` in image_processing_detr.py makes of them, in the same float32
arithmetic.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_at, raise_faults
from longtail_cli.files.logits.class_columns import of_classes
from longtail_cli.files.logits.layout import FLOATS, INTEGERS
from longtail_cli.files.logits.metadata import Declared, Metadata
from longtail_cli.files.logits.query_columns import QueryColumns, columns_of_categories, columns_of_ids
from longtail_cli.files.logits.shards import Allocate, Shard, TensorBlock, TensorInfo, empty
from longtail_cli.tables import Bools, DataSet, Longs, Singles

NAMES: Mapping[str, tuple[str, ...]] = {
    "logits": ("logits", "pred_logits", "predictions", "arr_0"),
    "boxes": ("pred_boxes", "boxes", "arr_1"),
    "image_id": ("image_id", "image_ids"),
    "size": ("orig_size", "orig_sizes", "orig_target_sizes", "target_sizes"),
}
"""What the arrays are called, by what they are. ``arr_0`` and ``arr_1`` are those of numpy.savez without names."""

LARGEST_FRACTION = 2.0
"""Of the four numbers of a box: some models predict boxes that reach beyond the image, but none in pixels."""

_LOOKED_AT = 50
"""Images."""

_FIX_SIZES = "save `orig_size` [B, 2], the height and width of each image, or pass `annotations=` that state them"
_FIX_BOXES = "save the boxes as the model returns them, before its post-processing"
_FIX_SHAPES = "save logits [B, Q, K] and boxes [B, Q, 4] as the model returns them, for all images together"
_WORDS = {"image_id": "image ids", "size": "image sizes"}
_FIX_IDS = "save `image_id` [B], the id of each image in the annotations"

_FIX_AGAIN = "save each image once; samplers of several processes repeat some, which `gather_for_metrics` drops"

ReadDataSet = Callable[[], DataSet]


class QueryRows(NamedTuple):
    """Files of queries as shards of rows."""

    shards: list[Shard]
    declared: Declared
    """What the columns are: as stated, and as was assumed where nothing was."""
    notes: list[str]


def holds_queries(shard: Shard, keys: Mapping[str, str]) -> bool:
    """Whether a file holds logits [B, Q, K]. keys: the name of a tensor in the file by what it is."""
    name = _names(shard, keys).get("logits")
    return name is not None and len(shard.tensors[name].shape) == 3


def query_rows(
    shards: Sequence[Shard], stated: Metadata, data_set: ReadDataSet | None, keys: Mapping[str, str], source: str
) -> QueryRows:
    """The outputs in `shards` as rows: `logits` [B * Q, K], `boxes` [B * Q, 4] xyxy in pixels, and `image_id` [B * Q].

    stated: the metadata that are known. data_set: reads the images and categories of the annotations; None without any.
    They are read if category ids, image ids or sizes are not in the files. Images without ids are those of the
    annotations, in their order. keys: the name of a tensor in the files by what it is.
    Raises InputError if the arrays do not fit together, if something is neither in the files nor in the annotations,
    and for sizes that are not above 0.
    """
    named = [_checked_names(shard, keys) for shard in shards]
    images = [shard.tensors[names["logits"]].shape[0] for shard, names in zip(shards, named, strict=True)]
    width = shards[0].tensors[named[0]["logits"]].shape[2]
    missing = [what for what in ("image_id", "size") if not all(what in names for names in named)]
    needed = [*(["category ids"] if stated.category_ids is None else []), *(_WORDS[what] for what in missing)]
    known = _read(data_set, needed, source) if needed else None
    if known is None or stated.category_ids is not None:
        columns = columns_of_ids(width, stated)
    else:
        first = partial(_last_wins, shards[0], named[0]["logits"])
        columns = columns_of_categories(width, stated, known, source, first)
    if known is not None and "image_id" in missing:
        ids = _ids_in_order(known, sum(images), source)
    else:
        ids = np.concatenate([_ids(shard, names["image_id"]) for shard, names in zip(shards, named, strict=True)])
    if known is not None and "size" in missing:
        sizes = _sizes_of(ids, known, source)
    else:
        sizes = np.concatenate([_sizes(shard, names["size"]) for shard, names in zip(shards, named, strict=True)])
    _check_images(sizes, ids, source)
    ends = np.cumsum(images)[:-1]
    parts = zip(shards, named, np.split(ids, ends), np.split(sizes, ends), strict=True)
    rows: list[Shard] = [_QueryShard.of(*part, columns) for part in parts]
    declared = Declared(columns.head, columns.background, columns.category_id)
    return QueryRows(rows, declared, _notes(columns, missing))


@dataclass(frozen=True, slots=True)
class _QueryShard:
    """The outputs for B images as B * Q rows."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    shard: Shard
    names: Mapping[str, str]
    """The names of logits and boxes in the shard."""
    image_id: Longs
    """int64 [B]."""
    size: Singles
    """float32 [B, 2], (height, width) in pixels."""
    queries: int
    """Q."""
    columns: QueryColumns

    @classmethod
    def of(
        cls, shard: Shard, names: Mapping[str, str], image_id: Longs, size: Singles, columns: QueryColumns
    ) -> _QueryShard:
        """The rows of a shard whose tensors fit together."""
        info = shard.tensors[names["logits"]]
        images, queries, width = info.shape
        dtype, rows = info.dtype, images * queries
        if columns.classes is not None:
            width, dtype = len(columns.classes) + (columns.background != "none"), "float32"
        tensors = {
            "logits": TensorInfo((rows, width), dtype),
            "boxes": TensorInfo((rows, 4), "float32"),
            "image_id": TensorInfo((rows,), "int64"),
        }
        stored = {name: names[name] for name in ("logits", "boxes")}
        return cls(shard.path, tensors, shard.metadata, shard, stored, image_id, size, queries, columns)

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. Whole images are read; what a block leaves of the last one is kept for the next."""
        stored = [self.names[name] for name in names if name in self.names]
        asked: deque[tuple[int, int]] = deque()

        def images() -> Iterator[int]:
            """How many images begin in each block."""
            rows = read = 0
            for size in sizes:
                rows += size
                begun = -(-rows // self.queries)
                asked.append((size, begun - read))
                yield begun - read
                read = begun

        blocks = self.shard.blocks(stored, images(), allocate) if stored else ({} for _ in images())
        first, rest = 0, dict[str, torch.Tensor]()
        for block in blocks:
            size, count = asked.popleft()
            rows = self._rows(names, block, slice(first, first + count))
            if rest:
                rows = {name: torch.cat([rest[name], one]) for name, one in rows.items()}
            yield {name: one[:size] for name, one in rows.items()}
            rest = {name: one[size:].clone() for name, one in rows.items() if len(one) > size}
            first += count

    def _rows(self, names: Sequence[str], block: TensorBlock, images: slice) -> dict[str, torch.Tensor]:
        """The rows of some images, from their outputs."""
        found = {}
        for name in names:
            if name == "image_id":
                found[name] = torch.from_numpy(np.repeat(self.image_id[images], self.queries))
            elif name == "boxes":
                found[name] = self._boxes(block[self.names[name]].float(), images).flatten(0, 1)
            else:
                found[name] = self._logits(block[self.names[name]].flatten(0, 1))
        return found

    def _logits(self, logits: torch.Tensor) -> torch.Tensor:
        """[n, K] of the classes and the background, from those of the model."""
        if self.columns.classes is None:
            return logits
        return of_classes(logits, self.columns.classes, self.columns.background)

    def _boxes(self, boxes: torch.Tensor, images: slice) -> torch.Tensor:
        """[n, Q, 4] xyxy in pixels, from cxcywh as fractions.

        Raises InputError for boxes in pixels, of a negative width or height, or with a NaN.
        """
        fits = (boxes.abs() <= LARGEST_FRACTION).all(dim=2) & (boxes[..., 2:] >= 0).all(dim=2)
        if not fits.all():
            image, query = torch.nonzero(~fits)[0].tolist()
            where = f"tensor `{self.names['boxes']}`, image {images.start + image}, query {query}"
            found = str(boxes[image, query].tolist())
            problem = Problem(where, "centre, width and height of the box as fractions of the image", found)
            raise InputError(str(self.path), [problem], _FIX_BOXES)
        cx, cy, width, height = boxes.unbind(-1)
        corners = torch.stack([cx - 0.5 * width, cy - 0.5 * height, cx + 0.5 * width, cy + 0.5 * height], dim=-1)
        size = torch.from_numpy(self.size[images])
        return corners * torch.cat([size.flip(1), size.flip(1)], dim=1)[:, None, :]


def _names(shard: Shard, keys: Mapping[str, str]) -> dict[str, str]:
    """The names in the file of what it has, by what it is."""
    candidates = {what: (keys[what],) if what in keys else names for what, names in NAMES.items()}
    present = {what: [name for name in names if name in shard.tensors] for what, names in candidates.items()}
    return {what: names[0] for what, names in present.items() if names}


def _checked_names(shard: Shard, keys: Mapping[str, str]) -> dict[str, str]:
    """As `_names`. Raises InputError unless the tensors fit together."""
    names = _names(shard, keys)
    if "boxes" not in names:
        found = ", ".join(ascii(name)[1:-1] for name in list(shard.tensors)[:MAX_PROBLEMS])
        raise_faults(
            str(shard.path), [fault("tensors", "`pred_boxes` [B, Q, 4] with logits [B, Q, K]", found, _FIX_BOXES)]
        )
    images, queries = shard.tensors[names["logits"]].shape[:2]
    shapes: dict[str, list[tuple[int, ...]]] = {
        "boxes": [(images, queries, 4)],
        "image_id": [(images,), (images, 1)],
        "size": [(images, 2), (images, 1, 2)],
    }
    dtypes = {"logits": FLOATS, "boxes": FLOATS, "image_id": INTEGERS, "size": (*INTEGERS, *FLOATS)}
    faults: list[Fault] = []
    if not queries:
        faults.append(fault(f"tensor `{names['logits']}`", "at least one query", "none", _FIX_SHAPES))
    for what, name in names.items():
        info = shard.tensors[name]
        if info.dtype not in dtypes[what]:
            faults.append(fault(f"tensor `{name}`", " or ".join(dtypes[what]), info.dtype, _FIX_SHAPES))
        if what in shapes and info.shape not in shapes[what]:
            expected = " or ".join(str(list(shape)) for shape in shapes[what])
            faults.append(fault(f"tensor `{name}`", f"shape {expected}", str(list(info.shape)), _FIX_SHAPES))
    raise_faults(str(shard.path), faults)
    return names


def _read(data_set: ReadDataSet | None, needed: Sequence[str], source: str) -> DataSet:
    if data_set is None:
        words = " and ".join(needed)
        fix = "pass `annotations=` that state them, or save `image_id` and `orig_size` and pass `category_ids=`"
        raise InputError(source, [Problem("content", f"{words}, in the file or in the annotations", "neither")], fix)
    return data_set()


def _last_wins(shard: Shard, name: str) -> bool:
    """Whether the last of the logits [B, Q, K] is the largest of at least half of the queries of the first images."""
    images = min(shard.tensors[name].shape[0], _LOOKED_AT)
    logits = next(shard.blocks([name], [images]))[name]
    return bool((logits.argmax(dim=2) == logits.shape[2] - 1).float().mean() >= 0.5)


def _ids(shard: Shard, name: str) -> Longs:
    """int64 [B]."""
    block = next(shard.blocks([name], [shard.tensors[name].shape[0]]))
    return block[name].reshape(-1).numpy().astype(np.int64)


def _sizes(shard: Shard, name: str) -> Singles:
    """float32 [B, 2]."""
    block = next(shard.blocks([name], [shard.tensors[name].shape[0]]))
    return block[name].reshape(-1, 2).float().numpy().astype(np.float32)


def _ids_in_order(data_set: DataSet, images: int, source: str) -> Longs:
    """The ids of the annotations in their order, int64 [B]. Raises InputError for another number of images."""
    if images != len(data_set.image_id):
        expected = f"{len(data_set.image_id)} images, as {data_set.source} has, as there are no image ids"
        raise InputError(source, [Problem("logits", expected, f"{images} images")], _FIX_IDS)
    return data_set.image_id


def _sizes_of(ids: Longs, data_set: DataSet, source: str) -> Singles:
    """float32 [B, 2]. Raises InputError for an image that the annotations lack."""
    order = np.argsort(data_set.image_id, kind="stable")
    at = order[np.searchsorted(data_set.image_id, ids, sorter=order).clip(max=len(order) - 1)]

    def describe(image: int) -> Problem:
        return Problem(f"image {image}", f"an image of {data_set.source}", f"id {ids[image]}")

    raise_faults(source, faults_at(data_set.image_id[at] != ids, describe, _FIX_IDS))
    sizes: Singles = data_set.image_size[at].astype(np.float32)
    return sizes


def _check_images(sizes: Singles, ids: Longs, source: str) -> None:
    """Raise InputError for an image without a size, and for one that comes twice."""

    def describe(image: int) -> Problem:
        return Problem(f"image {image} (id {ids[image]})", "a height and a width above 0", str(sizes[image].tolist()))

    def describe_again(image: int) -> Problem:
        found = f"id {ids[image]}, which image {np.flatnonzero(ids == ids[image])[0]} has too"
        return Problem(f"image {image}", "another image", found)

    height, width = sizes.T
    good: Bools = np.isfinite(height * width) & (height > 0) & (width > 0)
    first = np.zeros(len(ids), np.bool_)
    first[np.unique(ids, return_index=True)[1]] = True
    raise_faults(source, [*faults_at(~good, describe, _FIX_SIZES), *faults_at(~first, describe_again, _FIX_AGAIN)])


def _notes(columns: QueryColumns, missing: Sequence[str]) -> list[str]:
    notes = [f"read as the outputs of a query model, {columns.words}"]
    if "image_id" in missing:
        notes.append("no image ids; the images are taken to be those of the annotations, in their order")
    return notes
