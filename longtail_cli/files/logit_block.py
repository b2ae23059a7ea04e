"""What one call of `LogitsWriter.append` hands over: converted to the tensors of a shard, and checked."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logit_values import (
    LOGIT_DTYPES,
    all_finite,
    box_faults,
    first_not_finite,
    label_faults,
    objectness_faults,
)
from longtail_cli.tables import LogitColumns

ArrayLike = Any
"""A numpy array, or a torch tensor on any device."""

Block = dict[str, torch.Tensor]
"""Tensors of as many rows each, by their names in the file."""

_FIX_SHAPE = "pass what the model gives for one image (or one batch of a classifier), a row a proposal (or image)"
_FIX_ALIKE = "pass the same tensors, of the same inner shape, in every call"


def image_block(given: dict[str, ArrayLike | None], image_id: int | None, dtype: str, columns: LogitColumns) -> Block:
    """The tensors of one call, copies on the CPU.

    given: ``logits`` and whatever else there is, None for what is not.
    dtype: the type that logits and features are stored in.
    Raises InputError where shapes do not fit one another or `columns`, or a value is not one that it may be.
    """
    source = "LogitsWriter.append" if image_id is None else f"LogitsWriter.append, image {image_id}"
    block: Block = {}
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


def layout_faults(block: Block, first: Block) -> list[Fault]:
    """Where `block` differs from the `first` in its tensors or their inner shapes."""
    expected, found = _layout(first), _layout(block)
    return [] if expected == found else [fault("tensors", f"{expected}, as in the first call", found, _FIX_ALIKE)]


def weight_faults(weight: torch.Tensor, block: Block) -> list[Fault]:
    """Whether `weight` can have made the logits of `block` out of its features."""
    features = block["features"].shape[1] if "features" in block else weight.shape[1]
    expected, found = [block["logits"].shape[1], features], list(weight.shape)
    fix = "pass the weight matrix of the last layer, a row a column of the logits"
    return [] if expected == found else [fault("`weight`", f"{expected}, as logits and features are", str(found), fix)]


def stored_floats(name: str, value: ArrayLike, dtype: str, source: str) -> torch.Tensor:
    """A matrix in `dtype`, every number finite there. Raises InputError where it cannot be."""
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


def _shape_faults(block: Block, columns: LogitColumns) -> list[Fault]:
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


def _value_faults(block: Block, columns: LogitColumns) -> list[Fault]:
    faults: list[Fault] = []
    if "boxes" in block:
        faults += box_faults(block["boxes"].numpy(), 0)
    if "objectness" in block:
        faults += objectness_faults(block["objectness"].numpy(), 0)
    if "labels" in block:
        faults += label_faults(block["labels"].numpy(), len(columns), 0)
    return faults


def _layout(block: Block) -> str:
    """``boxes [n, 4], logits [n, 5]``."""
    return ", ".join(f"{name} [{', '.join(['n', *map(str, block[name].shape[1:])])}]" for name in sorted(block))
