"""Detection results: files in JSON (plain or ``.gz``), Parquet and the formats of frameworks, and in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.folder import FolderContent
from longtail_cli.files.frameworks.formats import Entries, detection_format
from longtail_cli.files.memory import columns_in, json_text
from longtail_cli.files.outline import outline_of
from longtail_cli.files.paths import paths_in
from longtail_cli.files.recognise import holds_shards, shard_names
from longtail_cli.files.source import Content, FileContent, open_file
from longtail_cli.tables import Convention, Floats, Results


class _FileEntries(Entries, Protocol):
    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None) -> None: ...


class ResultFile:
    """Detection results that were opened once, by `open_results`.

    A file is read through one descriptor: if another file takes its name meanwhile, all methods go on with the one that
    was opened. If something writes to it, or to a file of a folder, they raise InputError. `sha256` may run in another
    thread meanwhile.
    """

    source: str
    """The path as the user gave it, or the name of results in memory."""
    size: int
    """Bytes of the file, or of all files of a folder; 0 for results in memory."""

    def __init__(
        self,
        source: str,
        file: FileContent | FolderContent | None,
        load: Callable[[], Entries],
        *,
        columnar: bool = False,
    ) -> None:
        """columnar: whether the file is Parquet."""
        self.source = source
        self._columnar = columnar
        self.size = 0 if file is None else file.size
        self._file = file
        self._load = load

    @cached_property
    def fields(self) -> frozenset[str]:
        """Which of `bbox` and `masks` the first entry has; neither if it cannot be read."""
        return self.entries.fields()

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None = None) -> Results:
        """The table: ids, scores, and `fields` of the geometry.

        fields: which of `bbox` and `masks` to read; the rest is only checked to be JSON. If boxes are to be read and no
            entry has one, the masks are read: `locate` takes the boxes from them.
        advance: called with the number of bytes (of the unpacked text) that were read since the last call.

        An empty list gives empty columns. Ids may be written as whole floats, such as 42.0.
        Raises InputError with up to ten problems: text that is not a JSON list or is cut off, fields that are missing
        or given twice, ids that are not integers, numbers that are not finite, boxes that are not four numbers or have
        negative sizes, segmentations that are not run lengths, geometry that only some entries have, or none at all.
        """
        return self.entries.read(fields, advance)

    def sha256(self) -> str | None:
        """Hex digest of the file, compressed if it is, or of a folder; None for results in memory."""
        return None if self._file is None else self._file.sha256()

    @property
    def columnar(self) -> bool:
        """Whether the file is Parquet."""
        return self._columnar

    def keeps_entries(self, convention: Convention, out: Path | None) -> bool:
        """Whether `write_rescored` can write what was read, with its convention, to `out`: then all else is kept."""
        return convention.format == Convention().format

    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None = None) -> None:
        """Write the file to the new file `out`, with `scores` in place of its scores.

        scores: float64 [N], finite, one for every entry in file order. In JSON a score that equals the old one in every
            bit keeps its spelling; others are written with the fewest digits that read back as the same float64.
        out: Parquet (``.parquet``) if the file is, else JSON, plain or ``.gz``.
        advance: called with the number of bytes (of the unpacked text) that were written since the last call.

        Raises UsageError if only one of the two is Parquet, or the results are in memory, InputError if the file is not
        a list of N detections, OutputError if `out` cannot be written to.
        """
        if not np.isfinite(scores).all():
            raise ValueError("scores must be finite")
        if self._file is None:
            problem = Problem("input", "a result file", "detections in memory")
            raise UsageError(self.source, [problem], "use `longtail_cli.rescore`, which returns a copy with new scores")
        if self._columnar != (out.suffix == ".parquet"):
            kind, ending = ("Parquet", "ends") if self._columnar else ("JSON", "does not end")
            problem = Problem("file name", f"one that {ending} in .parquet, since the input is {kind}", out.name)
            raise UsageError(str(out), [problem], "write JSON to JSON and Parquet to Parquet")
        cast(_FileEntries, self.entries).write_rescored(scores, out, advance)

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> ResultFile:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @cached_property
    def entries(self) -> Entries:
        """The reader of the format. Raises InputError if the file is not of it."""
        return self._load()


def open_results(source: Any, name: str = "predictions") -> ResultFile:
    """Open detection results: a file, or data in memory, which errors call `name`.

    source: the path of a result file, or of a folder, in a format that is recognised (see docs/inputs.md); a list of
        such paths, the shards of one run (see `MergedResults`); a list of COCO results (dicts whose values may be NumPy
        scalars and arrays); or columns, as a mapping of names to arrays or lists, or as a DataFrame: `image_id`,
        `category_id`, `score`, and `bbox` ([N, 4], xywh) or `segmentation` (run lengths). Other columns are ignored.

    Raises InputError if the file cannot be read or is empty, if a folder holds no detections, or if the columns differ
    in length or hold values of mixed types; UsageError for any other source.
    """
    if isinstance(source, str | os.PathLike):
        return _open_path(Path(source))
    shards = paths_in(source)
    if shards:
        from longtail_cli.files.results.merged import MergedResults

        return MergedResults(shards)
    columns = columns_in(source)
    if columns is not None:
        from longtail_cli.files.results.table_entries import ColumnEntries

        entries = ColumnEntries(columns, name)
        return ResultFile(name, None, lambda: entries)
    if isinstance(source, Sequence):
        named = any(isinstance(one, Mapping) and isinstance(one.get("image_id"), str) for one in source)
        return ResultFile(name, None, partial(_json, json_text(list(source), name), "image_id" if named else None))
    problem = Problem("results", "a path, a list of detections, columns or a DataFrame", type(source).__name__)
    raise UsageError(name, [problem], "pass one of these")


def _open_path(path: Path) -> ResultFile:
    outline = outline_of(path)
    known = detection_format(outline)
    if known is not None:
        content = FolderContent(path) if path.is_dir() else open_file(path)
        return ResultFile(str(path), content, partial(known.open_entries, outline, content))
    if holds_shards(outline):
        from longtail_cli.files.results.merged import MergedResults

        return MergedResults([path / name for name in shard_names(outline)])
    if path.is_dir():
        found = ", ".join(outline.names[:MAX_PROBLEMS]) or "an empty folder"
        problem = Problem("folder", "text files of detections, one per image (YOLO) or per class (Pascal VOC)", found)
        raise InputError(str(path), [problem], "pass the folder that holds these files, or a result file")
    file, unknown = open_file(path), not outline.container.startswith("json")
    columnar = outline.container == "parquet" or (unknown and path.suffix == ".parquet")
    return ResultFile(str(path), file, partial(_parquet if columnar else _json, file), columnar=columnar)


# The formats import the engine and pyarrow, which take their time: a file is opened, and may be digested, before that.


def _json(content: Content, names_in: str | None = None) -> Entries:
    from longtail_cli.files.results.json_entries import JsonEntries

    return JsonEntries(content, names_in)


def _parquet(content: Content) -> Entries:
    from longtail_cli.files.results.table_entries import ParquetEntries

    return ParquetEntries(content)
