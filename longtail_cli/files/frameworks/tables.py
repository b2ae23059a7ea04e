"""Detections as tables with the field's column names: CSV, JSON Lines, Parquet and Arrow (Feather).

Which columns are known is in `longtail_cli.files.results.roles`. pyarrow parses the files, without a Python object for
each row; names are kept once each, with a number in every row.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from longtail_cli.files.faults import raise_faults
from longtail_cli.files.outline import Outline
from longtail_cli.files.reading import FIX_COPY
from longtail_cli.files.results.roles import COCO, looks_like_detections, roles_of

if TYPE_CHECKING:
    from longtail_cli.files.frameworks.formats import Entries
    from longtail_cli.files.source import FileContent

_FIXES = {
    "csv": "begin the file with the header, write as many cells in each row, and numbers with a decimal point",
    "json lines": "write one object in each line, and each key with values of one type",
    "arrow": FIX_COPY,
}
_TITLES = {"csv": "CSV", "json lines": "JSON Lines", "parquet": "Parquet", "arrow": "Arrow"}


def matches(outline: Outline) -> bool:
    """Whether the columns are those of detections; not for COCO results in Parquet, which are read as such."""
    if outline.container == "arrow":  # no other inputs are saved so
        return True
    return outline.container in _TITLES and looks_like_detections(outline.names) and not _is_coco(outline)


def open_entries(outline: Outline, content: FileContent) -> Entries:
    """The detections of a table. Raises InputError unless its columns say which is which."""
    from longtail_cli.files.frameworks.table_files import LoadedEntries, NamedParquet, read_arrow, read_csv, read_lines

    typed = outline.container in ("parquet", "arrow")
    roles, faults = roles_of(outline.names, _typical(outline.first) if typed else outline.first)
    raise_faults(content.source, faults)
    title = f"detections in {_TITLES[outline.container]}"
    if outline.container == "parquet":
        return NamedParquet(content, roles, title)
    load = {"csv": read_csv, "json lines": read_lines, "arrow": read_arrow}[outline.container]
    return LoadedEntries(content, roles, title, partial(load, content, outline, roles), _FIXES[outline.container])


def _is_coco(outline: Outline) -> bool:
    keys = (COCO.image, COCO.category)
    if outline.container != "parquet" or not {*keys, COCO.score} <= set(outline.names):
        return False
    return bool({*COCO.box, COCO.segmentation} & set(outline.names)) and not any(
        _holds_text(outline.first[key]) for key in keys
    )


def _typical(types: Mapping[str, str]) -> dict[str, Any]:
    """A value of each column, by its type."""
    return {name: "text" if _holds_text(kind) else 0 for name, kind in types.items()}


def _holds_text(kind: str) -> bool:
    return kind.startswith(("string", "large_string", "dictionary<values=string", "dictionary<values=large_string"))
