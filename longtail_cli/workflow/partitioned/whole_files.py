"""Result files that can only be read whole: how much memory they take, and a list in JSON as Parquet instead."""

from __future__ import annotations

from contextlib import ExitStack

from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Progress
from longtail_cli.files.results.json_entries import JsonEntries
from longtail_cli.files.results.manifest import opened
from longtail_cli.files.results.streamed import write_parquet
from longtail_cli.files.results.table_entries import ParquetEntries
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores import StoredFile, listed
from longtail_cli.files.temporary import writing_temporary
from longtail_cli.workflow.partitioned.memory import PROCESS, gigabytes

ENTRY_BYTES = 100
"""Of a file for a detection, at the least that is usual in JSON."""
PACKED = 10
"""How many times larger JSON is unpacked."""
ROW_BYTES = 250
"""Of memory for a detection that is read, adjusted and matched."""


def detections_in(file: StoredFile) -> int:
    """About how many detections a file that is not Parquet has, by its size."""
    return file.size * (PACKED if file.name.endswith(".gz") else 1) // ENTRY_BYTES


def streamed(file: StoredFile, rows: int, stack: ExitStack, progress: Progress) -> StoredFile:
    """The file, or if it is a list in JSON with more than about `rows` detections, a temporary Parquet file of it.

    stack: removes the temporary file when it is closed. Raises InputError for what is wrong with the list,
    OutputError on a full disk.
    """
    if _named_parquet(file) or detections_in(file) <= rows:
        return file
    with opened(file) as held:
        entries = held.entries
        if not isinstance(entries, JsonEntries) or entries.named:
            return file
        progress(f"converting {file.location}", None)
        with writing_temporary(temporary_folder()):
            path = stack.enter_context(private_folder(temporary_folder())) / "detections.parquet"
            write_parquet(entries, path)
    return listed(path)[0]


def check_memory(file: StoredFile, memory: int) -> None:
    """Raise UsageError if the file has to be read whole and does not fit into `memory` bytes."""
    needed = PROCESS + detections_in(file) * ROW_BYTES
    if _named_parquet(file) or needed <= memory:
        return
    with opened(file) as held:
        if isinstance(held.entries, ParquetEntries):
            return
    expected = f"about {needed / 1e9:.1f} GB, for a file that can only be read whole"
    fix = "allow more, or save the detections as Parquet or in more shards"
    raise UsageError(file.location, [Problem("`memory=`", expected, gigabytes(memory))], fix)


def _named_parquet(file: StoredFile) -> bool:
    """Whether the name says that it is Parquet, so that an object of a store is not copied to find out."""
    return file.name.endswith(".parquet")
