"""Which tensors a logits file has, and whether they fit together, from their headers alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from longtail_cli.errors import MAX_PROBLEMS
from longtail_cli.files.faults import Fault, fault, raise_faults
from longtail_cli.files.logits.checks import LOGIT_DTYPES
from longtail_cli.files.logits.shards import Shard, TensorInfo

FLOATS = (*LOGIT_DTYPES, "float64")
INTEGERS = ("int64", "int32", "int16", "int8", "uint32", "uint16", "uint8")

MOST_COLUMNS = 1_000_000
"""Of a tensor: classes, or features. More are refused by the header, as a batch has at least one row of them."""

_DTYPES: dict[str, tuple[str, ...]] = {
    "logits": tuple(LOGIT_DTYPES),
    "scores": tuple(LOGIT_DTYPES),
    "features": tuple(LOGIT_DTYPES),
    "weight": FLOATS,
    "image_id": INTEGERS,
    "labels": INTEGERS,
    "category_id": INTEGERS,
    "boxes": FLOATS,
    "objectness": FLOATS,
}
_FIX_TENSORS = "save `logits` [N, K], and for detection also `image_id` [N] and `boxes` [N, 4] or [N, C, 4]"
_FIX_MAIN = f"{_FIX_TENSORS}; or say what it is called: `keys='logits=NAME'`"
_FIX_FEATURES = "save the logits of the same rows with the features: features @ weight.T + bias of the last layer"
_FIX_DTYPE = "convert the tensor before saving it; bfloat16 needs a .safetensors or .pt file"
_FIX_SHARDS = "write all shards of a folder with the same tensors, or open them one by one"


@dataclass(frozen=True, slots=True)
class Layout:
    """The tensors of a logits file."""

    content: Literal["logits", "scores", "features"]
    """The name of the main tensor: features if a classifier saved nothing else."""
    width: int
    """K, the number of its columns, or D of features."""
    columns: tuple[str, ...]
    """The other tensors that have one entry per row."""
    per_class_boxes: bool
    """Whether `boxes` has one box per class."""

    @property
    def detection(self) -> bool:
        """Whether the rows are proposals in images."""
        return "image_id" in self.columns

    @property
    def names(self) -> tuple[str, ...]:
        """All tensors that have one entry per row."""
        return (self.content, *self.columns)


def checked_layout(shards: Sequence[Shard]) -> Layout:
    """The layout that all `shards` share; tensors that do not belong in a logits file are ignored.

    Raises InputError if a tensor is missing, has the wrong shape or type, or differs between shards.
    """
    first = shards[0]
    layout = _layout(first)
    _check_shapes(first, layout)
    for shard in shards[1:]:
        raise_faults(str(shard.path), _differences(shard.tensors, first, layout))
        _check_shapes(shard, layout)
    return layout


def _layout(shard: Shard) -> Layout:
    tensors = shard.tensors
    content: Literal["logits", "scores", "features"]
    if "scores" in tensors:
        content, columns = "scores", ["labels"]
    elif "features" in tensors and not {"logits", "image_id", "boxes"} & set(tensors):
        content, columns = "features", ["labels"]
    else:
        detection = "image_id" in tensors or "boxes" in tensors
        content, columns = "logits", ["image_id", "boxes", "objectness"] if detection else ["labels"]
        columns.append("features")
        missing = [name for name in ("logits", *(columns[:2] if detection else [])) if name not in tensors]
        found = ", ".join(ascii(name)[1:-1] for name in list(tensors)[:MAX_PROBLEMS]) or "none"
        raise_faults(str(shard.path), [_absent(name, found, features="features" in tensors) for name in missing])
    main = tensors[content].shape
    if len(main) != 2 or not main[1]:
        size = "D" if content == "features" else "K"
        wrong = fault(f"tensor `{content}`", f"shape [N, {size}], {size} at least 1", str(list(main)), _FIX_TENSORS)
        raise_faults(str(shard.path), [wrong])
    per_class = "boxes" in columns and len(tensors["boxes"].shape) == 3
    present = tuple(name for name in columns if name in tensors)
    return Layout(content, main[1], present, per_class)


def _absent(name: str, found: str, *, features: bool) -> Fault:
    fix = _FIX_FEATURES if features else _FIX_MAIN
    return fault("tensors", f"`{name}`", found, fix if name == "logits" else _FIX_TENSORS)


def _check_shapes(shard: Shard, layout: Layout) -> None:
    """Raise InputError if a tensor of `shard` has the wrong type, or a shape that does not fit the main one."""
    tensors = shard.tensors
    rows = tensors[layout.content].shape[0]
    shapes: dict[str, tuple[int | str, ...]] = {
        layout.content: (rows, layout.width),
        "boxes": (rows, "C", 4) if layout.per_class_boxes else (rows, 4),
        "features": (rows, "D"),
        "weight": (layout.width, "D"),
        "category_id": ("C",),
    }
    others = {"logits": ("weight",), "scores": ("category_id",), "features": ()}[layout.content]
    faults = []
    for name in (*layout.names, *(name for name in others if name in tensors)):
        info, shape = tensors[name], shapes.get(name, (rows,))
        if info.dtype not in _DTYPES[name]:
            faults.append(fault(f"tensor `{name}`", " or ".join(_DTYPES[name]), info.dtype, _FIX_DTYPE))
        if not _fits(info.shape, shape):
            expected = f"shape [{', '.join(map(str, shape))}]"
            faults.append(fault(f"tensor `{name}`", expected, str(list(info.shape)), _FIX_TENSORS))
        elif any(columns > MOST_COLUMNS for columns in info.shape[1:]):
            faults.append(fault(f"tensor `{name}`", f"at most {MOST_COLUMNS:,} columns", str(info), _FIX_TENSORS))
    raise_faults(str(shard.path), faults)


def _fits(shape: Sequence[int], expected: Sequence[int | str]) -> bool:
    """Whether the sizes are as expected; a letter means any size."""
    return len(shape) == len(expected) and all(
        isinstance(wanted, str) or size == wanted for size, wanted in zip(shape, expected, strict=True)
    )


def _differences(tensors: Mapping[str, TensorInfo], first: Shard, layout: Layout) -> list[Fault]:
    """Tensors that only one of a shard and the `first` has, or that differ in type or row shape."""
    faults = []
    for name in layout.names:
        wanted = first.tensors[name]
        expected = f"{_inner(wanted)}, as in {first.path.name}"
        if name not in tensors:
            faults.append(fault(f"tensor `{name}`", expected, "none", _FIX_SHARDS))
        elif (tensors[name].dtype, tensors[name].shape[1:]) != (wanted.dtype, wanted.shape[1:]):
            faults.append(fault(f"tensor `{name}`", expected, _inner(tensors[name]), _FIX_SHARDS))
    known = {"scores", "logits", "image_id", "boxes", "objectness", "labels", "features"}
    for name in sorted(known & tensors.keys() - first.tensors.keys()):
        expected = f"none, as in {first.path.name}"
        faults.append(fault(f"tensor `{name}`", expected, _inner(tensors[name]), _FIX_SHARDS))
    return faults


def _inner(info: TensorInfo) -> str:
    """Type and shape of a row."""
    return f"{info.dtype} [{', '.join(['N', *map(str, info.shape[1:])])}]"
