"""Some row groups of a Parquet file of detections, read and rewritten as a file of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from longtail_cli.files.frameworks.formats import detection_format
from longtail_cli.files.outline import outline_of
from longtail_cli.files.results.file import ResultFile
from longtail_cli.files.results.keys import is_text
from longtail_cli.files.results.roles import COCO
from longtail_cli.files.results.table_entries import ParquetEntries
from longtail_cli.files.source import Content, open_file
from longtail_cli.tables import Results

_KEYS = (COCO.image, COCO.category)


class RowGroups(ParquetEntries):
    """Consecutive row groups of a Parquet file; entries have their numbers in the file."""

    def __init__(self, content: Content, groups: range) -> None:
        super().__init__(content)
        self.used = groups
        self.first = sum(map(self.rows_of, range(groups.start)))
        self.rows = sum(map(self.rows_of, groups))

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        batches = partial(self.group_batches, self.used)
        columns, keys = self._gather(fields, batches, self.rows, lambda row: self.first + row)
        results = keys.resolved(columns.results(), self.format)
        return replace(results, entry=np.arange(self.first, self.first + self.rows))


def open_row_groups(path: Path, groups: range) -> ResultFile:
    """Row groups of a file, as `open_results` opens all of it."""
    file = open_file(path)
    return ResultFile(str(path), file, lambda: RowGroups(file, groups), columnar=True)


def rows_of_groups(path: Path) -> list[int] | None:
    """The number of rows of each row group; None for a file that cannot be read in row groups.

    These are files that are not Parquet or in the format of a framework, and those with names for ids: only the whole
    file tells whether all names are numbers. Raises InputError if the file is damaged.
    """
    outline = outline_of(path)
    if outline.container != "parquet" or detection_format(outline) is not None:
        return None
    with closing(open_file(path)) as content:
        entries = ParquetEntries(content)
        keys = [entries.schema.field(name).type for name in _KEYS if name in entries.schema.names]
        return None if any(map(is_text, keys)) else [entries.rows_of(group) for group in entries.used]
