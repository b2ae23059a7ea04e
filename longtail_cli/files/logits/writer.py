"""Writes logits, one call per image or batch, to a folder of safetensors shards."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logits.checks import (
    LOGIT_DTYPES,
    all_finite,
    box_faults,
    first_not_finite,
    label_faults,
    objectness_faults,
)
from longtail_cli.files.logits.metadata import FORMAT, checked_columns
from longtail_cli.files.logits.ranks import check_free_for, rank_folder, rank_of
from longtail_cli.files.output import cannot_write, check_free, new_folder
from longtail_cli.tables import LogitColumns

_NAME = "LogitsWriter"


class LogitsWriter:
    """A context manager that writes logits to a folder, as `open_logits` reads them.

    The shards ``logits-00000.safetensors``, ... are built in a temporary folder beside it, which is renamed when the
    context ends; after an exception nothing is left. Memory: up to three shards.

    Several processes may write to one folder, each through its own writer, as `longtail_cli.files.logits.ranks`
    describes. The folder can be read when all of them are done.
    """

    def __init__(
        self,
        folder: Path,
        *,
        head: HeadName,
        background: BackgroundName,
        category_ids: Sequence[int],
        slices: Sequence[Sequence[int]] | None = None,
        dtype: Literal["float16", "bfloat16", "float32"] = "float16",
        shard_bytes: int = 512 * 2**20,
        weight: ArrayLike | None = None,
        rank: int | None = None,
        world_size: int | None = None,
    ) -> None:
        """
        folder: a new or empty folder; of several processes the same for all, and new for each.
        head: what turns logits into scores. background: the position of its column; of ``bags`` that of its slice.
        category_ids: C ids in column order; ascending for ``bags``.
        slices: for ``bags`` the category ids of each slice with classes, if they are known.
        dtype: the type that logits and features are stored in.
        shard_bytes: a shard is closed before it exceeds this size; the rows of one call stay in one shard.
        weight: [K, D], the weights of the last layer, which turned the features into logits.
        rank, world_size: the number of this process, from 0, and how many write to `folder`; by default those of
            `torch.distributed` if it is initialised, else 0 and 1.
        Raises InputError or UsageError if these do not fit together, OutputError if `folder` exists and is not empty.
        """
        self.columns: LogitColumns = checked_columns(head, background, list(category_ids), slices, source=_NAME)
        """What the K columns are."""
        if dtype not in LOGIT_DTYPES:
            raise_faults(_NAME, [fault("dtype", " or ".join(LOGIT_DTYPES), str(dtype), "choose one of these")])
        self._folder = Path(folder)
        self._rank = rank_of(rank, world_size)
        if self._rank is None:
            check_free(self._folder)
        else:
            check_free_for(self._folder, self._rank)
        self._dtype = dtype
        self._shard_bytes = shard_bytes
        self._weight = None if weight is None else stored_floats("weight", weight, "float32", _NAME)
        self._pending: list[TensorBlock] = []
        self._pending_bytes = 0
        self._first: TensorBlock | None = None  # without rows: only to compare the tensors of later calls
        self._shards = 0
        self._images: set[int] = set()
        self._temporary: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(self._new_folder())
        self._stack.push(self._finish)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._stack.__exit__(kind, error, trace)
        finally:
            self._temporary = None

    def append(
        self,
        logits: ArrayLike,
        *,
        image_id: int | None = None,
        boxes: ArrayLike | None = None,
        objectness: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        features: ArrayLike | None = None,
    ) -> None:
        """Add the rows of one image (detection: with `image_id` and `boxes`), or any rows of a classifier.

        logits: [n, K] before the activation; n = 0 for an image without proposals.
        image_id: the id of the image in the annotations; each image once.
        boxes: [n, 4], or [n, C, 4] with a box for each class, xyxy in pixels of the original image.
        objectness: [n] in [0, 1]. labels: [n], the true class as an index into the category ids (classification).
        features: [n, D], the input of the last layer.
        Every call must pass what the first call passes. The arrays are copied.
        Raises InputError, naming image or row, for what does not fit, is not finite, or overflows the dtype.
        """
        if self._temporary is None:
            raise ValueError("call append inside of `with LogitsWriter(...) as writer:`")
        given = {"logits": logits, "boxes": boxes, "objectness": objectness, "labels": labels, "features": features}
        block = image_block(given, image_id, self._dtype, self.columns)
        if image_id in self._images:
            again = fault("image_id", "each image once", f"{image_id} again", "append all rows of an image at once")
            raise_faults(_NAME, [again])
        raise_faults(_NAME, [] if self._weight is None else weight_faults(self._weight, block))
        raise_faults(_NAME, layout_faults(block, self._first or block))
        self._first = self._first or {name: value[:0].clone() for name, value in block.items()}
        size = sum(value.nbytes for value in block.values())
        if self._pending and self._pending_bytes + size > self._shard_bytes:
            self._write_shard(self._temporary)
        self._pending.append(block)
        self._pending_bytes += size
        if image_id is not None:
            self._images.add(image_id)

    def _new_folder(self) -> AbstractContextManager[Path]:
        if self._rank is None:
            return new_folder(self._folder)
        return rank_folder(self._folder, self._rank, _metadata(self.columns))

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the last shard, unless there was an exception."""
        if kind is not None or self._temporary is None:
            return
        if self._first is None and self._rank is not None:
            return
        if self._first is None:
            fix = "call append for every image, including those without proposals"
            raise InputError(_NAME, [Problem("calls of append", "at least one", "none")], fix)
        self._write_shard(self._temporary)

    def _write_shard(self, folder: Path) -> None:
        # removed from the blocks, or every tensor would be in memory twice while the shard is written
        tensors = {name: torch.cat([block.pop(name) for block in self._pending]) for name in tuple(self._pending[0])}
        if self._weight is not None and self._shards == 0:
            tensors["weight"] = self._weight
        name = f"logits-{self._shards:05d}.safetensors" if self._rank is None else self._rank.shard(self._shards)
        path = folder / name
        try:
            save_file(tensors, path, _as_texts(_metadata(self.columns)))
            path.chmod(folder.stat().st_mode & 0o666)  # the library makes it readable for the owner only
        except (SafetensorError, OSError) as error:
            raise cannot_write(self._folder, error) from error
        self._pending, self._pending_bytes = [], 0
        self._shards += 1


def _metadata(columns: LogitColumns) -> dict[str, Any]:
    """What the columns are, in plain values."""
    ids = columns.category_id.tolist()
    metadata = {"format": FORMAT, "head": columns.head, "background": columns.background, "category_ids": ids}
    return metadata if columns.bags is None else {**metadata, "slices": columns.bags}


def _as_texts(metadata: Mapping[str, Any]) -> dict[str, str]:
    """The metadata in the header: text to text, lists as JSON."""
    return {name: value if isinstance(value, str) else json.dumps(value) for name, value in metadata.items()}


ArrayLike = Any
"""A NumPy array, or a torch tensor on any device."""

TensorBlock = dict[str, torch.Tensor]
"""Tensors of the same number of rows, by their names in the file."""

_FIX_SHAPE = "pass what the model gives for one image (or one batch of a classifier), one row per proposal (or image)"
_FIX_ALIKE = "pass the same tensors, with rows of the same shape, in every call"


def image_block(
    given: dict[str, ArrayLike | None], image_id: int | None, dtype: str, columns: LogitColumns
) -> TensorBlock:
    """The tensors of one call, copies on the CPU.

    given: ``logits`` and other tensors, None for those that are absent.
    dtype: the type that logits and features are stored in.
    Raises InputError if shapes do not fit together or do not fit `columns`, and for invalid values.
    """
    source = "LogitsWriter.append" if image_id is None else f"LogitsWriter.append, image {image_id}"
    block: TensorBlock = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in ("logits", "features"):
            block[name] = stored_floats(name, value, dtype, source)
        elif name == "labels":
            block[name] = _copied(name, value, "iu", source).to(torch.int64)
        else:
            block[name] = _copied(name, value, "f", source).to(torch.float32)
    if image_id is not None:
        block["image_id"] = torch.full((len(block["logits"]),), image_id, dtype=torch.int64)
    raise_faults(source, _shape_faults(block, columns) or _value_faults(block, columns))
    return block


def layout_faults(block: TensorBlock, first: TensorBlock) -> list[Fault]:
    """The fault of a `block` whose tensors or row shapes differ from the `first`."""
    expected, found = _layout(first), _layout(block)
    return [] if expected == found else [fault("tensors", f"{expected}, as in the first call", found, _FIX_ALIKE)]


def weight_faults(weight: torch.Tensor, block: TensorBlock) -> list[Fault]:
    """The fault of a `weight` that cannot have turned the features of `block` into its logits."""
    features = block["features"].shape[1] if "features" in block else weight.shape[1]
    expected, found = [block["logits"].shape[1], features], list(weight.shape)
    fix = "pass the weight matrix of the last layer, one row per column of the logits"
    return [] if expected == found else [fault("`weight`", f"{expected}, as for logits and features", str(found), fix)]


def stored_floats(name: str, value: ArrayLike, dtype: str, source: str) -> torch.Tensor:
    """A matrix in `dtype`. Raises InputError if a number is not finite, or overflows."""
    given = _copied(name, value, "f", source)
    if given.ndim != 2:
        raise_faults(source, [fault(f"`{name}`", "2 dimensions", str(list(given.shape)), _FIX_SHAPE)])
    stored = given.to(LOGIT_DTYPES[dtype])
    if all_finite(stored):
        return stored
    where, _ = first_not_finite(stored)
    number = float(given[where])
    if np.isfinite(number):
        expected = f"a number within {torch.finfo(LOGIT_DTYPES[dtype]).max:g} of 0, the range of {dtype}"
        found, fix = f"{number:g}", 'pass dtype="bfloat16" or dtype="float32" to LogitsWriter'
    else:
        expected, found, fix = "a finite number", str(number), "find the step of the model that makes it"
    raise InputError(source, [Problem(f"`{name}`, row {where[0]}, column {where[1]}", expected, found)], fix)


def _copied(name: str, value: ArrayLike, kinds: str, source: str) -> torch.Tensor:
    """A copy of `value` on the CPU, of floats (`kinds` is ``f``) or integers (``iu``)."""
    if isinstance(value, torch.Tensor):
        fits = value.is_floating_point() if kinds == "f" else value.dtype in (torch.int64, torch.int32)
        found = str(value.dtype)
        tensor = value.detach().to("cpu", copy=True).contiguous()
    else:
        array = np.array(value)
        fits, found = array.dtype.kind in kinds, str(array.dtype)
        tensor = torch.from_numpy(array) if fits else torch.empty(0)
    if not fits:
        expected = "floating-point numbers" if kinds == "f" else "integers"
        raise_faults(source, [fault(f"`{name}`", expected, found, f"convert `{name}` first")])
    return tensor


def _shape_faults(block: TensorBlock, columns: LogitColumns) -> list[Fault]:
    """Tensors whose shape does not fit the logits, and tensors that do not belong together."""
    rows, width = block["logits"].shape
    shapes: dict[str, list[tuple[int, ...]]] = {
        "logits": [(rows, columns.width or width)],
        "boxes": [(rows, 4), (rows, len(columns), 4)],
        "objectness": [(rows,)],
        "labels": [(rows,)],
        "features": [(rows, block["features"].shape[1] if "features" in block else 0)],
        "image_id": [(rows,)],
    }
    faults = [
        fault(f"`{name}`", " or ".join(str(list(one)) for one in shapes[name]), str(list(value.shape)), _FIX_SHAPE)
        for name, value in block.items()
        if tuple(value.shape) not in shapes[name]
    ]
    if ("image_id" in block) != ("boxes" in block):
        given = "image_id" if "image_id" in block else "boxes"
        faults.append(fault("call", "`image_id` and `boxes` together, or neither", f"only `{given}`", _FIX_ALIKE))
    if "image_id" in block and "labels" in block:
        faults.append(fault("call", "`labels` for a classifier only", "both `labels` and `image_id`", _FIX_ALIKE))
    return faults


def _value_faults(block: TensorBlock, columns: LogitColumns) -> list[Fault]:
    faults: list[Fault] = []
    if "boxes" in block:
        faults += box_faults(block["boxes"].numpy(), 0)
    if "objectness" in block:
        faults += objectness_faults(block["objectness"].numpy(), 0)
    if "labels" in block:
        faults += label_faults(block["labels"].numpy(), len(columns), 0)
    return faults


def _layout(block: TensorBlock) -> str:
    """``boxes [n, 4], logits [n, 5]``."""
    return ", ".join(f"{name} [{', '.join(['n', *map(str, block[name].shape[1:])])}]" for name in sorted(block))
