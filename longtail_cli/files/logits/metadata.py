"""What the columns of a logits file are: stated by the file, by a JSON file beside it, or by parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import msgspec
import numpy as np

from longtail_cli.choices import BACKGROUNDS, HEADS, BackgroundName, HeadName
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_among, raise_faults
from longtail_cli.files.logits.layout import Layout
from longtail_cli.files.reading import reading
from longtail_cli.files.source import check_readable
from longtail_cli.tables import LogitColumns, Longs

FORMAT = "ltcal-logits/1"

LOGIT_HEADS: tuple[HeadName, ...] = tuple(head for head in HEADS if head != "none")
"""The heads that logits may have."""

_MAX_ID = 2**63 - 1
_Id = Annotated[int, msgspec.Meta(ge=-_MAX_ID - 1, le=_MAX_ID)]
_JSON_TEXTS = ("category_ids", "slices")  # safetensors metadata are strings: these hold JSON
_FIX_METADATA = (
    'write the metadata as {"format": "ltcal-logits/1", "head": ..., "background": ..., "category_ids": [...]}'
)
_FIX_IDS = "list the category id of every class once, in column order"
_FIX_SLICES = "list the ids of the classes of each slice that has classes; every class belongs to one slice"
_EXPECTED = {
    "head": "softmax, sigmoid or bags",
    "background": "none, first or last",
    "category_ids": "the category id of each column",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """Parameters that replace metadata which a file lacks; None for what is not declared."""

    head: HeadName | None = None
    background: BackgroundName | None = None
    category_id: Longs | None = None
    """int64 [C], in column order."""
    classes: Longs | None = None
    """int64 [C], the category ids of features alone, which have no column for each class; ignored for other files."""

    @property
    def metadata(self) -> Metadata:
        """The parameters as metadata."""
        ids = None if self.category_id is None else tuple(self.category_id.tolist())
        return Metadata(None, self.head, self.background, ids)


NOTHING_DECLARED = Declared()

PARAMETERS = "the parameters"
"""The source of metadata that a `Declared` states."""


class Metadata(msgspec.Struct, frozen=True):
    """Metadata as one source states them; None for what it does not state."""

    format: str | None = None
    head: str | None = None
    background: str | None = None
    category_ids: tuple[_Id, ...] | None = None
    slices: tuple[tuple[_Id, ...], ...] | None = None


Stated = Sequence[tuple[str, Metadata]]
"""Metadata with the source that states them, for messages."""


def parsed_metadata(raw: dict[str, Any], source: str) -> Metadata:
    """The metadata inside a file; unknown keys are ignored.

    raw: text to text as in safetensors (``category_ids`` and ``slices`` are JSON), or plain values.
    Raises InputError for a value of the wrong type and for another version of the format.
    """
    with _reading_metadata(source):
        plain = {
            key: msgspec.json.decode(value) if key in _JSON_TEXTS and isinstance(value, str) else value
            for key, value in raw.items()
        }
        metadata = msgspec.convert(plain, Metadata)
    return _of_this_version(metadata, source)


def read_sidecar(path: Path) -> Metadata:
    """The metadata in the JSON file `path`, empty if there is no such file. Raises as `parsed_metadata` does."""
    if not path.exists():
        return Metadata()
    check_readable(path)
    with _reading_metadata(str(path)):
        metadata = msgspec.json.decode(path.read_bytes(), type=Metadata)
    return _of_this_version(metadata, str(path))


def _reading_metadata(source: str) -> AbstractContextManager[None]:
    return reading(source, f"metadata of {FORMAT}", _FIX_METADATA, where="metadata")


def _of_this_version(metadata: Metadata, source: str) -> Metadata:
    """`metadata`, unless they are of another version; other values of `format`, such as ``pt``, come from libraries."""
    stated = metadata.format or ""
    if stated.startswith("ltcal-") and stated != FORMAT:
        problem = Problem("metadata, `format`", FORMAT, ascii(stated)[1:-1])
        raise InputError(source, [problem], "write the logits with this version of ltcal, or update ltcal")
    return metadata


def merge_metadata(stated: Stated, source: str) -> Metadata:
    """What all sources state together. Raises InputError if two of them contradict each other."""
    chosen: dict[str, Any] = {}
    faults = []
    for name in ("head", "background", "category_ids", "slices"):
        values = [(origin, getattr(one, name)) for origin, one in stated if getattr(one, name) is not None]
        chosen[name] = values[0][1] if values else None
        for origin, value in values[1:]:
            if value != chosen[name]:
                where = f"`{name}=`" if origin == PARAMETERS else f"{origin}, `{name}`"
                expected, found = _contrast(chosen[name], value)
                fix = "correct the one that is wrong, or leave it out"
                faults.append(fault(where, f"the value in {values[0][0]} ({expected})", found, fix))
                break
    raise_faults(source, faults)
    return Metadata(**chosen)


def _contrast(expected: Any, found: Any) -> tuple[str, str]:
    """How two words or two lists differ, for a message."""
    if isinstance(expected, str) or len(expected) != len(found):
        return _short(expected), _short(found)
    index = next(index for index, pair in enumerate(zip(expected, found, strict=True)) if pair[0] != pair[1])
    return f"{expected[index]} at position {index}", str(found[index])


def _short(value: Any) -> str:
    """A value for a message: words as they are, lists by their length and first members."""
    if isinstance(value, str):
        return ascii(value[:60])[1:-1]
    return f"{len(value)} of them: {str(list(value[:6]))[1:-1]}{', ...' if len(value) > 6 else ''}"


def resolved(metadata: Metadata, layout: Layout, *, source: str, sidecar: str | None) -> LogitColumns:
    """The columns that `metadata` describes.

    In a classification file the head defaults to ``softmax``, `background` to ``none``, the category ids to 0 to C-1.
    Of features alone they are the columns of the heads that can be fitted, and `metadata` has the category ids.
    sidecar: the name of the JSON file that may state what is missing; None for arrays in memory.
    Raises InputError if something is missing, unknown, or does not fit the K columns of the file.
    """
    head, background, ids = metadata.head, metadata.background, metadata.category_ids
    if head is None and not layout.detection:
        head = "softmax"
    if background is None and (metadata.head == "bags" or not layout.detection):
        background = "none"
    if ids is None and not layout.detection:
        ids = _default_ids(metadata, background, layout.width)
    values = {"head": head, "background": background, "category_ids": ids}
    raise_faults(source, [_missing(name, sidecar) for name, value in values.items() if value is None])
    heads: tuple[HeadName, ...] = ("none",) if layout.content == "scores" else LOGIT_HEADS
    columns = checked_columns(str(head), str(background), ids or (), metadata.slices, source=source, heads=heads)
    if layout.content != "features" and columns.width not in (None, layout.width):
        expected = f"K = {columns.width} columns: {_make_up(columns)}"
        fix = "check `category_ids=` and `background=` (or the metadata) against the last layer of the model"
        raise_faults(source, [fault(f"tensor `{layout.content}`", expected, f"{layout.width} columns", fix)])
    return columns


def _default_ids(metadata: Metadata, background: str | None, width: int) -> tuple[int, ...] | None:
    """0 to C-1; None if C is not known (a ``bags`` head without slices)."""
    if metadata.head == "bags":
        return None if metadata.slices is None else tuple(range(width - 2 - len(metadata.slices)))
    return tuple(range(width - (background != "none")))


def _missing(name: str, sidecar: str | None) -> Fault:
    found = "none" if sidecar is None else "none in the file or beside it"
    fix = f"pass `{name}=` ({_EXPECTED[name]})" + ("" if sidecar is None else f", or write `{name}` to {sidecar}")
    return fault(f"metadata, `{name}`", _EXPECTED[name], found, fix)


def _make_up(columns: LogitColumns) -> str:
    """What the K columns are."""
    classes = f"{len(columns)} classes (category ids)"
    if columns.bags is not None:
        return f"{classes}, background and foreground, and `others` in each of {len(columns.bags)} slices"
    return classes if columns.background == "none" else f"{classes} and a background column ({columns.background})"


def checked_columns(
    head: str,
    background: str,
    ids: Sequence[int],
    slices: Sequence[Sequence[int]] | None,
    *,
    source: str,
    heads: Sequence[HeadName] = LOGIT_HEADS,
) -> LogitColumns:
    """The columns of a head, one of `heads`. Raises InputError if a word is unknown, or ids or slices do not fit."""
    faults = []
    for name, value, known in (("head", head, heads), ("background", background, BACKGROUNDS)):
        if value not in known:
            faults.append(fault(f"`{name}`", _EXPECTED[name], _short(value), "choose one of these"))
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
    return _repeated("category ids", ids, _FIX_IDS)


def _slice_faults(ids: Sequence[int], slices: Sequence[Sequence[int]], head: str) -> list[Fault]:
    if head != "bags":
        return [fault("`slices`", "none, unless the head is bags", f"{len(slices)} slices", "leave the slices out")]
    members = [value for one in slices for value in one]
    known, present = set(ids), set(members)
    unknown = [Problem("slices", "category ids of the file", str(value)) for value in members if value not in known]
    missing = [Problem(f"category id {value}", "a slice that has it", "none") for value in ids if value not in present]
    return [
        *faults_among(unknown, _FIX_SLICES),
        *faults_among(missing, _FIX_SLICES),
        *_repeated("slices", members, _FIX_SLICES),
    ]


def _repeated(where: str, ids: Iterable[int], fix: str) -> list[Fault]:
    """The fault of ids that occur twice."""
    first: dict[int, int] = {}
    problems = [
        Problem(f"{where}, position {row}", "each id once", f"{value}, as at position {first[value]}")
        for row, value in enumerate(ids)
        if first.setdefault(value, row) != row
    ]
    return faults_among(problems, fix)


_FIX_ID_FILE = "list the ids in column order without the background: a JSON list, or one id per line"


def read_category_ids(path: Path) -> Longs:
    """int64 [C], in the order of the file: a JSON list of integers, or text with one id a line.

    Raises InputError for anything else. Repeated ids are refused later, when the logits are opened.
    """
    check_readable(path)
    content = path.read_bytes().strip()
    listed = content if content.startswith(b"[") else b"[" + b",".join(content.split()) + b"]"
    with reading(str(path), "category ids, whole numbers", _FIX_ID_FILE):
        ids = msgspec.json.decode(listed, type=list[int])
        return np.array(ids, np.int64)
