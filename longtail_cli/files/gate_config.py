"""The table ``[tool.ltcal.gate]`` of ``ltcal.toml`` or ``pyproject.toml``: the gates of a repository."""

from __future__ import annotations

import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from longtail_cli.choices import GATE_KINDS, GateKind, JudgedOn
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.reading import reading

T = TypeVar("T")

OWN, SHARED = "ltcal.toml", "pyproject.toml"
TABLE = "[tool.ltcal.gate]"

_FIX = (
    f'write the table {TABLE} as in the documentation, names of metrics in quotes: "bbox/APr" = 0.18; '
    "or pass `gate=False` to do without this file"
)

_Text = Annotated[str, msgspec.Meta(min_length=1)]
_Limit = int | float | str
_Limits = dict[_Text, _Limit | Annotated[list[_Limit], msgspec.Meta(min_length=1)]]


class _Table(msgspec.Struct, rename="kebab", forbid_unknown_fields=True):
    baseline: _Text | None = None
    gate_on: JudgedOn | None = None
    allow_undefined: bool | None = None
    allow_oracle: bool | None = None
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
    """The gates that a file asks for; None for what it leaves open."""

    source: str
    """The file."""
    baseline: Path | None
    """A path, relative to the folder of the file."""
    gate_on: JudgedOn | None
    allow_undefined: bool | None
    runs: tuple[str, ...]
    """The names of the runs to judge; empty means all."""
    gates: tuple[tuple[GateKind, str], ...]
    """Kind and ``metric=limit`` of each gate, in the order of `GATE_KINDS`."""
    allow_oracle: bool | None = None

    def entry(self, key: str) -> str:
        """What errors call the entry `key` of the table: it after the names of the file and of the table."""
        return f"{self.source}: {TABLE} {key}"


def find_gate_config(folder: Path) -> GateConfig | None:
    """The gates of the first folder, from `folder` upwards, that has an ``ltcal.toml`` or a ``pyproject.toml`` with
    the table; None if there is neither.

    An ``ltcal.toml`` without the table ends the search without gates. A file that exists but cannot be read is an
    error, because its gates would be ignored silently; a folder that cannot be entered is skipped.
    Raises InputError for such a file, for one that is not TOML, and for unknown keys and values; UsageError if both
    files of a folder would be used.
    """
    start = folder.resolve()
    for current in (start, *start.parents):
        own, shared = _own(current / OWN), _shared(current / SHARED)
        if own is not None and shared is not None:
            problem = Problem(TABLE, f"{OWN} or the table in {SHARED}", "both")
            raise UsageError(str(current), [problem], "keep one of the two, or pass `gate=False`")
        if own is not None or shared is not None:
            return own or shared
    return None


def _own(path: Path) -> GateConfig | None:
    """The gates of an ``ltcal.toml``, which may be empty; None if there is no such file."""
    document = _document(path)
    if document is None:
        return None
    tool = _converted(document, _Own, path).tool
    table = tool.ltcal.gate if tool and tool.ltcal else None
    return _config(table or _Table(), path)


def _shared(path: Path) -> GateConfig | None:
    """The gates of a ``pyproject.toml``; None if there is no such file or table."""
    document = _document(path)
    if document is None:
        return None
    tool = _converted(document, _Shared, path).tool
    table = tool.ltcal.gate if tool and tool.ltcal else None
    return None if table is None else _config(table, path)


def _document(path: Path) -> Mapping[str, Any] | None:
    """The content of a TOML file, None if there is no such file."""
    if not _exists(path):
        return None
    try:
        text = path.read_bytes()
    except OSError as error:
        problem = Problem("file", "a file that can be read", error.strerror or str(error))
        fix = "check its permissions, as it may hold gates; or pass `gate=False`"
        raise InputError(str(path), [problem], fix) from error
    with reading(str(path), "TOML in UTF-8", _FIX):
        return tomllib.loads(text.decode())


def _exists(path: Path) -> bool:
    """Whether `path` is something other than a folder; False inside of a folder that cannot be entered."""
    try:
        return not stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def _converted(document: Mapping[str, Any], kind: type[T], path: Path) -> T:
    with reading(str(path), f"a table {TABLE}", _FIX):
        return msgspec.convert(document, kind)


def _config(table: _Table, path: Path) -> GateConfig:
    gates = [
        (kind, f"{metric}={limit}")
        for kind in GATE_KINDS
        for metric, given in getattr(table, kind.replace("-", "_")).items()
        for limit in (given if isinstance(given, list) else [given])
    ]
    baseline = None if table.baseline is None else path.parent / table.baseline
    return GateConfig(
        str(path), baseline, table.gate_on, table.allow_undefined, table.runs, tuple(gates), table.allow_oracle
    )
