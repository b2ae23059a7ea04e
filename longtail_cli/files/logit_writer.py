"""Writes logits as they come, a call an image or a batch, to a folder of safetensors shards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import fault, raise_faults
from longtail_cli.files.logit_block import ArrayLike, Block, image_block, layout_faults, stored_floats, weight_faults
from longtail_cli.files.logit_metadata import FORMAT, checked_columns
from longtail_cli.files.logit_values import LOGIT_DTYPES
from longtail_cli.files.new_folder import cannot_write, check_free, new_folder
from longtail_cli.tables import BackgroundName, HeadName, LogitColumns

_NAME = "LogitsWriter"


class LogitsWriter:
    """A context manager that writes logits to a folder, as `open_logits` reads them.

    The shards ``logits-00000.safetensors``, ... are built in a temporary folder beside it, which takes its name when
    the block ends well; after an exception nothing is left. Memory: up to three shards.

    columns: what the K columns stand for.
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
    ) -> None:
        """
        folder: a new or empty folder.
        head: what turns logits into scores. background: where its column stands; ``none`` for ``bags``.
        category_ids: C ids in column order; ascending for ``bags``.
        slices: for ``bags`` the category ids of each slice after the first, where they are known.
        dtype: the type that logits and features are stored in.
        shard_bytes: a shard is closed before it would grow beyond this; the rows of one call stay in one shard.
        weight: [K, D], the weights of the last layer, which made the logits out of the features.
        Raises InputError where these do not fit one another, OutputError where `folder` exists and is not empty.
        """
        self.columns: LogitColumns = checked_columns(head, background, list(category_ids), slices, _NAME)
        if dtype not in LOGIT_DTYPES:
            raise_faults(_NAME, [fault("dtype", " or ".join(LOGIT_DTYPES), str(dtype), "choose one of them")])
        self._folder = Path(folder)
        check_free(self._folder)
        self._dtype = dtype
        self._shard_bytes = shard_bytes
        self._weight = None if weight is None else stored_floats("weight", weight, "float32", _NAME)
        self._pending: list[Block] = []
        self._pending_bytes = 0
        self._first: Block | None = None  # without rows: shows which tensors there are
        self._shards = 0
        self._images: set[int] = set()
        self._temporary: Path | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(new_folder(self._folder))
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
        What the first call passes, every call must pass. The arrays are copied and stay as they are.
        Raises InputError, naming image or row, where something does not fit, is not finite, or overflows the dtype.
        """
        if self._temporary is None:
            raise ValueError("append is for the inside of `with LogitsWriter(...) as writer:`")
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

    def _finish(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write the last shard, where the block ended well."""
        if kind is not None or self._temporary is None:
            return
        if self._first is None:
            fix = "call append for every image, for those without proposals too"
            raise InputError(_NAME, [Problem("calls of append", "at least one", "none")], fix)
        self._write_shard(self._temporary)

    def _write_shard(self, folder: Path) -> None:
        # taken out of the blocks, so that a tensor is not held twice while the shard is written
        tensors = {name: torch.cat([block.pop(name) for block in self._pending]) for name in tuple(self._pending[0])}
        if self._weight is not None and self._shards == 0:
            tensors["weight"] = self._weight
        path = folder / f"logits-{self._shards:05d}.safetensors"
        try:
            save_file(tensors, path, _metadata(self.columns))
            path.chmod(folder.stat().st_mode & 0o666)  # the library lets only the owner read it
        except (SafetensorError, OSError) as error:
            raise cannot_write(self._folder, error) from error
        self._pending, self._pending_bytes = [], 0
        self._shards += 1


def _metadata(columns: LogitColumns) -> dict[str, str]:
    """What safetensors keeps beside the tensors: text to text, JSON where it is a list."""
    told = {"format": FORMAT, "head": columns.head, "background": columns.background}
    told["category_ids"] = json.dumps(columns.category_id.tolist())
    if columns.bags is not None:
        told["slices"] = json.dumps(columns.bags)
    return told
