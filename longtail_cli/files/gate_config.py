"""The table ``[tool.ltcal.gate]`` of ``ltcal.toml`` or ``pyproject.toml``: gates that a repository keeps."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from longtail_cli.errors import InputError, Problem, UsageError

T = TypeVar("T")
GateKind = Literal["fail-under", "fail-over", "max-drop", "max-rise"]
JudgedOn = Literal["value", "interval"]

OWN, SHARED = "ltcal.toml", "pyproject.toml"
TABLE = "[tool.ltcal.gate]"

_FIX = f'write the table {TABLE} as in the documentation, names of figures in quotes: "bbox/APr" = 0.18'

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Limit = int | float | str
_Limits = dict[_Text, _Limit | Annotated[list[_Limit], msgspec.Meta(min_length=1)]]


class _Table(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    baseline: _Text | None = None
    gate_on: JudgedOn | None = None
    allow_undefined: bool | None = None
    runs: tuple[_Text, ...] = ()
    fail_under: _Limits = {}
    fail_over: _Limits = {}
    max_drop: _Limits = {}
    max_rise: _Limits = {}


class _Ltcal(msgspec.Struct, forbid_unknown_fields=True):
    gate: _Table | None = None


class _Tool(msgspec.Struct):
    ltcal: _Ltcal | None = None


class _Shared(msgspec.Struct):
    tool: _Tool | None = None


class _OwnTool(msgspec.Struct, forbid_unknown_fields=True):
    ltcal: _Ltcal | None = None


class _Own(msgspec.Struct, forbid_unknown_fields=True):
    tool: _OwnTool | None = None


@dataclass(frozen=True, slots=True)
class GateConfig:
    """What a file asks of gates. None stands for what it leaves open.

    source: the file. baseline: a path, taken from the folder of the file. gate_on: ``value`` or ``interval``.
    runs: names of those to judge; empty means all. gates: kind and ``metric=limit`` each, in the order of the file's
    kinds and as flags would be given.
    """

    source: str
    baseline: Path | None
    gate_on: JudgedOn | None
    allow_undefined: bool | None
    runs: tuple[str, ...]
    gates: tuple[tuple[GateKind, str], ...]


def find_gate_config(folder: Path) -> GateConfig | None:
    """What is asked in the first folder, from `folder` upwards, that has an ``ltcal.toml`` or a ``pyproject.toml`` with
    the table; None where there is neither.

    An ``ltcal.toml`` without the table asks for nothing, and ends the search. A file that is there but cannot be read
    is an error, for its gates would be passed over silently; a folder that cannot be entered is passed over.
    Raises InputError for such a file, one that is not TOML, and keys or values that are not known, UsageError where
    both files of a folder would be used.
    """
    start = folder.resolve()
    for place in (start, *start.parents):
        own, shared = _own(place / OWN), _shared(place / SHARED)
        if own is not None and shared is not None:
            problem = Problem(TABLE, f"{OWN} or the table in {SHARED}", "both")
            raise UsageError(str(place), [problem], "keep one of the two")
        if own is not None or shared is not None:
            return own or shared
    return None


def _own(path: Path) -> GateConfig | None:
    """What an ``ltcal.toml`` asks, nothing where it is empty; None where there is no such file."""
    document = _document(path)
    if document is None:
        return None
    tool = _converted(document, _Own, path).tool
    table = tool.ltcal.gate if tool and tool.ltcal else None
    return _config(table or _Table(), path)


def _shared(path: Path) -> GateConfig | None:
    """What the table in a ``pyproject.toml`` asks; None where there is no such file or table."""
    document = _document(path)
    if document is None:
        return None
    tool = _converted(document, _Shared, path).tool
    table = tool.ltcal.gate if tool and tool.ltcal else None
    return None if table is None else _config(table, path)


def _document(path: Path) -> Mapping[str, Any] | None:
    """The content of a TOML file, None where there is none to be seen."""
    if not _is_there(path):
        return None
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        problem = Problem("file", "a file that can be read", error.strerror or str(error))
        fix = "check its permissions, for it may hold gates; or pass --no-gate"
        raise InputError(str(path), [problem], fix) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(str(path), [Problem("content", "TOML in UTF-8", str(error))], _FIX) from error


def _is_there(path: Path) -> bool:
    """Whether there is something other than a folder at `path`; a folder that cannot be entered shows nothing."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _converted(document: Mapping[str, Any], kind: type[T], path: Path) -> T:
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        raise InputError(str(path), [Problem("content", f"a table {TABLE}", str(error))], _FIX) from error


def _config(table: _Table, path: Path) -> GateConfig:
    kinds: tuple[tuple[GateKind, _Limits], ...] = (
        ("fail-under", table.fail_under),
        ("fail-over", table.fail_over),
        ("max-drop", table.max_drop),
        ("max-rise", table.max_rise),
    )
    gates = [
        (kind, f"{metric}={limit}")
        for kind, limits in kinds
        for metric, given in limits.items()
        for limit in (given if isinstance(given, list) else [given])
    ]
    baseline = None if table.baseline is None else path.parent / table.baseline
    return GateConfig(str(path), baseline, table.gate_on, table.allow_undefined, table.runs, tuple(gates))
