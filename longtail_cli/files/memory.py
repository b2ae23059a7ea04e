"""Inputs in memory: columns, DataFrames, and lists of dicts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sized
from typing import Any

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.reading import reading
from longtail_cli.files.source import TextContent


def columns_in(source: Any) -> Mapping[str, Any] | None:
    """The columns of a mapping or a DataFrame; None for anything else."""
    if isinstance(source, Mapping):
        return source
    if hasattr(source, "to_dict") and hasattr(source, "columns"):
        return {name: source[name] for name in source.columns}
    return None


def check_lengths(columns: Mapping[str, Any], source: str) -> None:
    """Raise InputError unless all columns have the same number of values."""
    lengths = {name: len(values) if isinstance(values, Sized) else None for name, values in columns.items()}
    if len(set(lengths.values())) > 1 or None in lengths.values():
        found = ", ".join(f"{'one' if length is None else length} of `{name}`" for name, length in lengths.items())
        problem = Problem("columns", "the same number of values in each", found)
        raise InputError(source, [problem], "pass columns of one length, such as NumPy arrays")


def json_text(value: Any, source: str) -> TextContent:
    """The JSON text of lists and dicts with values of any type, for the reader of files to check.

    Raises InputError for values that hold themselves.
    """
    with reading(source, "lists and dicts that can be written as JSON", "pass plain values"):
        return TextContent(json.dumps(value, default=_json_value, skipkeys=True).encode(), source)


def _json_value(value: Any) -> Any:
    """A value that `json` cannot encode: an array as lists, all else as text, which readers refuse if it matters."""
    if isinstance(value, bytes):  # counts of masks
        return value.decode("latin-1")
    return value.tolist() if hasattr(value, "tolist") else str(value)
