"""What the columns of a logits file stand for, told by the file, a sidecar, or the flags that stand in for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_among, raise_faults
from longtail_cli.files.source import check_readable
from longtail_cli.tables import BACKGROUNDS, HEADS, BackgroundName, HeadName, LogitColumns, Longs

FORMAT = "ltcal-logits/1"

_LARGEST = 2**63 - 1
_Id = Annotated[int, msgspec.Meta(ge=-_LARGEST - 1, le=_LARGEST)]
_JSON_TEXTS = ("category_ids", "slices")  # safetensors metadata are strings: these hold JSON
_FIX_METADATA = (
    'write the metadata as {"format": "ltcal-logits/1", "head": ..., "background": ..., "category_ids": [...]}'
)
_FIX_IDS = "list the category id of every column that is a class once, in column order"
_FIX_SLICES = "list, for each slice after the first, the ids of its classes; every class belongs to one slice"
_FLAGS = {
    "head": ("softmax, sigmoid or bags", "--head softmax|sigmoid|bags"),
    "background": ("none, first or last", "--background none|first|last"),
    "category_ids": ("the category id of each column", "--category-ids FILE"),
}


@dataclass(frozen=True, slots=True)
class Declared:
    """The flags that stand in for metadata which a file lacks; None where a flag is not given.

    head: ``--head``. background: ``--background``.
    category_id: int64 [C], the content of the file that ``--category-ids`` names, in column order.
    """

    head: HeadName | None = None
    background: BackgroundName | None = None
    category_id: Longs | None = None


FLAGS = "the flags"
"""Where metadata stands that the flags state."""

NOTHING_DECLARED = Declared()


class Metadata(msgspec.Struct, frozen=True):
    """Metadata as one place states it; None for what it does not state."""

    format: str | None = None
    head: str | None = None
    background: str | None = None
    category_ids: tuple[_Id, ...] | None = None
    slices: tuple[tuple[_Id, ...], ...] | None = None


Stated = Sequence[tuple[str, Metadata]]
"""Metadata with the place that states it, as a person would name the place."""


def flags_as_metadata(declared: Declared) -> Metadata:
    """`declared` as metadata."""
    ids = None if declared.category_id is None else tuple(declared.category_id.tolist())
    return Metadata(None, declared.head, declared.background, ids)


def parsed_metadata(raw: dict[str, Any], source: str) -> Metadata:
    """Metadata that a file holds itself; unknown keys are passed over.

    raw: text to text as safetensors has it (``category_ids`` and ``slices`` are JSON), or plain values.
    Raises InputError where a value is of the wrong kind, or of another version of the format.
    """
    try:
        plain = {
            key: msgspec.json.decode(value) if key in _JSON_TEXTS and isinstance(value, str) else value
            for key, value in raw.items()
        }
        return _of_this_version(msgspec.convert(plain, Metadata), source)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _unfit(source, error) from error


def read_sidecar(path: Path) -> Metadata | None:
    """The metadata in the JSON file `path`; None where there is no such file. Raises as `parsed_metadata` does."""
    if not path.exists():
        return None
    check_readable(path)
    try:
        return _of_this_version(msgspec.json.decode(path.read_bytes(), type=Metadata), str(path))
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise _unfit(str(path), error) from error


def _unfit(source: str, error: Exception) -> InputError:
    return InputError(source, [Problem("metadata", f"metadata of {FORMAT}", str(error))], _FIX_METADATA)


def _of_this_version(metadata: Metadata, source: str) -> Metadata:
    """`metadata`, unless it states another version; other values of `format`, such as ``pt``, come from libraries."""
    stated = metadata.format or ""
    if stated.startswith("ltcal-") and stated != FORMAT:
        problem = Problem("metadata, `format`", FORMAT, ascii(stated)[1:-1])
        raise InputError(source, [problem], "write the logits with this version of ltcal, or update ltcal")
    return metadata


def merge_metadata(stated: Stated, source: str) -> Metadata:
    """What all places together state. Raises InputError where two of them contradict one another."""
    chosen: dict[str, Any] = {}
    faults = []
    for name in ("head", "background", "category_ids", "slices"):
        told = [(place, getattr(one, name)) for place, one in stated if getattr(one, name) is not None]
        chosen[name] = told[0][1] if told else None
        for place, value in told[1:]:
            if value != chosen[name]:
                where = _FLAGS[name][1].split()[0] if place == FLAGS else f"{place}, `{name}`"
                expected, found = _contrast(chosen[name], value)
                fix = "correct the one that is wrong, or leave it out"
                faults.append(fault(where, f"what {told[0][0]} says ({expected})", found, fix))
                break
    raise_faults(source, faults)
    return Metadata(**chosen)


def _contrast(expected: Any, found: Any) -> tuple[str, str]:
    """How two words or two lists differ, for a message."""
    if isinstance(expected, str) or len(expected) != len(found):
        return _short(expected), _short(found)
    place = next(place for place, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1])
    return f"{expected[place]} at position {place}", str(found[place])


def _short(value: Any) -> str:
    """Metadata for a message: words as they are, lists by their length and first members."""
    if isinstance(value, str):
        return ascii(value[:60])[1:-1]
    return f"{len(value)} of them: {str(list(value[:6]))[1:-1]}{', ...' if len(value) > 6 else ''}"


def resolved(
    metadata: Metadata, width: int, *, tensor: str, ids_default: bool, source: str, sidecar: str
) -> LogitColumns:
    """The columns that `metadata` describes.

    tensor, width: the name of the main tensor, and K, its columns.
    ids_default: whether missing category ids are 0 to C-1, as for classification.
    sidecar: the name of the JSON file that may hold what is missing.
    Raises InputError where something is missing (asking for it by its flag), unknown, or does not fit K.
    """
    background = metadata.background or ("none" if metadata.head == "bags" else None)
    ids = metadata.category_ids
    if ids is None and ids_default and metadata.head in HEADS and background in BACKGROUNDS:
        classes = _class_count(metadata, background, width)
        ids = None if classes is None else tuple(range(max(classes, 0)))
    values = {"head": metadata.head, "background": background, "category_ids": ids}
    missing = [_missing(name, sidecar) for name, value in values.items() if value is None]
    if missing and ids is None and (metadata.head is None or background is None) and ids_default:
        missing.pop()  # the default follows from the other two
    raise_faults(source, missing)
    columns = checked_columns(str(metadata.head), str(background), ids or (), metadata.slices, source)
    if columns.width not in (None, width):
        expected = f"K = {columns.width} columns: {_make_up(columns)}"
        fix = "check --category-ids and --background (or the metadata) against the last layer of the model"
        raise_faults(source, [fault(f"tensor `{tensor}`", expected, f"{width} columns", fix)])
    return columns


def _class_count(metadata: Metadata, background: str, width: int) -> int | None:
    """C by K and the rest; None where it cannot be told (a ``bags`` head without slices)."""
    if metadata.head == "bags":
        return None if metadata.slices is None else width - 2 - len(metadata.slices)
    return width - (background != "none")


def _missing(name: str, sidecar: str) -> Fault:
    expected, flag = _FLAGS[name]
    found = "none in the file or beside it"
    return fault(f"metadata, `{name}`", expected, found, f"pass {flag}, or write `{name}` to {sidecar}")


def _make_up(columns: LogitColumns) -> str:
    """How K comes about."""
    classes = f"{len(columns)} classes (category ids)"
    if columns.bags is not None:
        return f"{classes}, background and foreground, and `others` in each of {len(columns.bags)} slices"
    return classes if columns.background == "none" else f"{classes} and a background column ({columns.background})"


def checked_columns(
    head: str, background: str, ids: Sequence[int], slices: Sequence[Sequence[int]] | None, source: str
) -> LogitColumns:
    """The columns of a head. Raises InputError where a word is unknown, or ids or slices do not fit."""
    faults = []
    for name, value, known in (("head", head, HEADS), ("background", background, BACKGROUNDS)):
        if value not in known:
            expected, flag = _FLAGS[name]
            faults.append(fault(f"`{name}`", expected, _short(value), f"state it as {flag} does"))
    if head == "bags" and background in BACKGROUNDS and background != "none":
        fix = "leave the background out: slice 0 of a bags head has it"
        faults.append(fault("`background`", "none for a bags head", background, fix))
    faults += _id_faults(ids, head)
    if slices is not None:
        faults += _slice_faults(ids, slices, head)
    raise_faults(source, faults)
    bags = None if slices is None else tuple(tuple(one) for one in slices)
    return LogitColumns(
        cast(HeadName, head), cast(BackgroundName, background), np.array(ids, np.int64).reshape(-1), bags
    )


def _id_faults(ids: Sequence[int], head: str) -> list[Fault]:
    if not len(ids):
        return [fault("category ids", "at least one", "none", _FIX_IDS)]
    if head == "bags" and list(ids) != sorted(ids):
        return [fault("category ids", "ascending order for a bags head", _short(ids), "sort the category ids")]
    places = ((row, value) for row, value in enumerate(ids))
    return _repeated("category ids", places, _FIX_IDS)


def _slice_faults(ids: Sequence[int], slices: Sequence[Sequence[int]], head: str) -> list[Fault]:
    if head != "bags":
        return [fault("`slices`", "none, unless the head is bags", f"{len(slices)} slices", "leave the slices out")]
    members = [value for one in slices for value in one]
    known, there = set(ids), set(members)
    unknown = [Problem("slices", "category ids of the file", str(value)) for value in members if value not in known]
    lost = [Problem(f"category id {value}", "a slice that has it", "none") for value in ids if value not in there]
    return [
        *faults_among(unknown, _FIX_SLICES),
        *faults_among(lost, _FIX_SLICES),
        *_repeated("slices", enumerate(members), _FIX_SLICES),
    ]


def _repeated(where: str, places: Iterable[tuple[int, int]], fix: str) -> list[Fault]:
    """The fault of ids that stand in two places."""
    first: dict[int, int] = {}
    problems = []
    for row, value in places:
        if first.setdefault(value, row) != row:
            problems.append(
                Problem(f"{where}, position {row}", "each id once", f"{value}, as at position {first[value]}")
            )
    return faults_among(problems, fix)


_FIX_ID_FILE = "list the ids in column order, the background left out: a JSON list, or one id a line"


def read_category_ids(path: Path) -> Longs:
    """int64 [C], in the order of the file: a JSON list of integers, or text with one id a line.

    Raises InputError for anything else. That no id repeats is looked at where the logits are opened.
    """
    check_readable(path)
    content = path.read_bytes().strip()
    listed = content if content.startswith(b"[") else b"[" + b",".join(content.split()) + b"]"
    try:
        ids = msgspec.json.decode(listed, type=list[int])
        return np.array(ids, np.int64)
    except (msgspec.MsgspecError, OverflowError) as error:
        raise InputError(
            str(path), [Problem("content", "category ids, whole numbers", str(error))], _FIX_ID_FILE
        ) from error
