"""Annotations in memory as the JSON text of an annotation file, for the reader of files to check."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.memory import check_lengths, columns_in, json_text
from longtail_cli.files.source import TextContent

_PARTS = ("images", "categories", "annotations")
_LARGEST_EXACT = 2.0**53


def annotations_text(source: Any, name: str) -> TextContent:
    """The text of a document, or of annotations alone; see `open_annotations`."""
    if isinstance(source, Mapping) and not {"image_id", "category_id"} & source.keys():
        document = {part: _rows(source[part], name) for part in _PARTS if part in source}
    else:
        rows = _rows(source, name)
        if not isinstance(rows, Sequence):
            problem = Problem("annotations", "a path, a document, annotations or a DataFrame", type(source).__name__)
            raise UsageError(name, [problem], "pass one of these")
        document = {
            "images": _ids(rows, "image_id"),
            "categories": _ids(rows, "category_id"),
            "annotations": _completed(rows),
        }
    return json_text(document, name)


def _rows(part: Any, source: str) -> Any:
    """One dict for each row of columns or of a DataFrame, without missing values; all else as it is."""
    columns = columns_in(part)
    if columns is None:
        return part
    check_lengths(columns, source)
    rows: list[dict[str, Any]] = [{} for _ in range(max(map(len, columns.values()), default=0))]
    for name, values in columns.items():
        listed = values.tolist() if hasattr(values, "tolist") else values
        present = values.notna() if hasattr(values, "notna") else map(_is_present, listed)
        for row, value, kept in zip(rows, listed, present, strict=True):
            if kept:
                row[name] = int(value) if _is_upcast(value) else value
    return rows


def _is_present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float | np.floating) and np.isnan(value))


def _is_upcast(value: Any) -> bool:
    """Whether a number may be an integer that pandas made a float because others in its column are missing."""
    return isinstance(value, float) and value.is_integer() and abs(value) <= _LARGEST_EXACT


def _ids(rows: Sequence[Any], field: str) -> list[dict[str, Any]]:
    """An entry for each id that occurs."""
    found: Iterator[Any] = (row.get(field) for row in rows if isinstance(row, Mapping))
    values = (value.tolist() if hasattr(value, "tolist") else value for value in found)
    return [{"id": value} for value in dict.fromkeys(value for value in values if isinstance(value, int | float))]


def _completed(rows: Sequence[Any]) -> list[Any]:
    """The annotations with `id` numbered if none has one, and `area` from `bbox` if it is missing."""
    numbered = any(isinstance(row, Mapping) and "id" in row for row in rows)
    return [
        {**({} if numbered else {"id": number}), **_area(row), **row} if isinstance(row, Mapping) else row
        for number, row in enumerate(rows, 1)
    ]


def _area(row: Mapping[str, Any]) -> dict[str, float]:
    try:
        _, _, width, height = row["bbox"]
        return {"area": float(width) * float(height)}
    except (KeyError, TypeError, ValueError):  # the reader reports it
        return {}
