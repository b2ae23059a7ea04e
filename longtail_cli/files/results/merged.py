"""Several result files as one run: shards that the processes of an evaluation wrote, one each.

A `DistributedSampler` repeats images to give every process as many (torch/utils/data/distributed.py), so an image may
be in several shards with the same detections. It is taken from the first of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.paths import name_of_shards
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.files.results.rows import joined_masks, results_at
from longtail_cli.tables import Bools, Convention, Floats, Longs, Results

_FIX_POSITIONS = (
    "the number of an image begins anew in each shard: collect the results before they are saved, in the order of the "
    "data set, or save image ids with them"
)
_FIX_ALIKE = "pass shards that were written in the same way"
_FIX_DIFFERENT = "pass the shards of one run: of one model, on one data set, each image in one shard"
_FIX_RESCORE = "pass all shards to `longtail_cli.rescore`, which writes one file"


class MergedResults(ResultFile):
    """Result files that are read as one, in the order in which they are given."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """paths: at least one. Raises InputError if one cannot be opened."""
        with ExitStack() as opened:
            self._shards = tuple(opened.enter_context(open_results(path)) for path in paths)
            opened.pop_all()
        super().__init__(name_of_shards(paths), None, self._not_one_file)
        self.size = sum(shard.size for shard in self._shards)

    @cached_property
    def fields(self) -> frozenset[str]:
        """Which of `bbox` and `masks` the first shard with detections has."""
        return next(filter(None, (shard.fields for shard in self._shards)), frozenset())

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None = None) -> Results:
        """As `ResultFile.read`. Repeated images are told by their boxes, so these are read, or else the masks.

        Raises InputError for shards that were written in different ways, that tell images by their positions, or that
        have different detections of an image.
        """
        compared = frozenset({"bbox"} if "bbox" in self.fields else self.fields)
        parts = [shard.read(fields | compared, advance) for shard in self._shards]
        results = merged(parts, self.source)
        return replace(
            results,
            bbox=results.bbox if "bbox" in fields else None,
            masks=results.masks if "masks" in fields or ("bbox" in fields and results.bbox is None) else None,
        )

    def sha256(self) -> str | None:
        """Hex digest of the digests of the shards, in their order."""
        digests = [shard.sha256() for shard in self._shards]
        return hashlib.sha256("".join(digest for digest in digests if digest is not None).encode()).hexdigest()

    def keeps_entries(self, convention: Convention, out: Path | None) -> bool:
        """Whether all shards are Parquet in the format of COCO, and `out` is Parquet."""
        columnar = all(shard.columnar for shard in self._shards) and out is not None and out.suffix == ".parquet"
        return columnar and convention.format in (Convention().format, _format_of(len(self._shards), Convention()))

    def write_rescored_rows(self, results: Results, out: Path, advance: Callable[[int], None] | None = None) -> None:
        """Write the shards to the new Parquet file `out`, in their order, with other scores and without the rows of
        repeated images. All other columns stay.

        results: what `read` gave, with the scores to write.
        Raises UsageError unless all shards that have rows have the same columns, else as `ResultFile.write_rescored`.
        """
        from longtail_cli.files.results.rescored_tables import write_rescored
        from longtail_cli.files.results.table_entries import ParquetEntries

        entries = [shard.entries for shard in self._shards]
        tables = [one for one in entries if isinstance(one, ParquetEntries)]
        assert len(tables) == len(entries)
        write_rescored(tables, results.score, out, advance, results.entry)

    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None = None) -> None:
        """Raises UsageError: there is no file whose scores could be replaced."""
        problem = Problem("input", "one result file", f"{len(self._shards)} shards")
        raise UsageError(self.source, [problem], _FIX_RESCORE)

    def close(self) -> None:
        for shard in self._shards:
            shard.close()

    def _not_one_file(self) -> Any:
        raise AssertionError("shards are read by `read`")


def merged(parts: Sequence[Results], source: str) -> Results:
    """The results of shards as one table, in their order, without the images that an earlier shard has.

    source: what errors about the whole call it. Raises InputError as `MergedResults.read`.
    """
    if len(parts) == 1:
        return parts[0]
    convention = common_convention(parts, source)
    image_id, image_names = _joined([(one.image_id, one.convention.image_names) for one in parts])
    category_id, category_names = _joined([(one.category_id, one.convention.category_names) for one in parts])
    boxes = [one.bbox for one in parts if one.bbox is not None]
    masks = [one.masks for one in parts if one.masks is not None]
    whole = Results(
        image_id=image_id,
        category_id=category_id,
        score=np.concatenate([one.score for one in parts]),
        bbox=np.concatenate(boxes) if len(boxes) == len(parts) else None,
        masks=joined_masks(masks) if len(masks) == len(parts) else None,
        source=source,
        convention=replace(convention, image_names=image_names, category_names=category_names),
    )
    shard = np.repeat(np.arange(len(parts)), [len(one) for one in parts])
    repeated, images = repeated_images(whole, shard, [one.source for one in parts])
    if not images:
        return whole
    note = (
        f"{images:,} {'image is' if images == 1 else 'images are'} in several shards with the same detections (padding "
        f"of a sampler); {int(repeated.sum()):,} repeated detections were dropped"
    )
    noted = replace(whole.convention, notes=(*convention.notes, note))
    kept = np.flatnonzero(~repeated)
    return replace(results_at(whole, kept), convention=noted, entry=kept)


def common_convention(parts: Sequence[Results], source: str) -> Convention:
    """How all shards were written, with the names of the first.

    Raises InputError if they differ, or tell images by their positions.

    A shard without detections fits every other.
    """
    held = [one for one in parts if len(one)] or [parts[0]]
    first = held[0]
    for other in held[1:]:
        if _way(other) != _way(first):
            problem = Problem("shard", f"{_way(first)}, as in {first.source}", _way(other))
            raise InputError(other.source, [problem], _FIX_ALIKE)
    if first.convention.images == "position":
        problem = Problem("images", "ids or file names, by which those of several shards are told apart", "positions")
        raise InputError(f"{source} ({first.convention.format})", [problem], _FIX_POSITIONS)
    notes = tuple(dict.fromkeys(note for one in held for note in one.convention.notes))
    return replace(first.convention, format=_format_of(len(parts), first.convention), listed=None, notes=notes)


def _format_of(shards: int, convention: Convention) -> str:
    return f"{shards} shards of {convention.format}"


def _way(results: Results) -> str:
    """How a shard was written, in words that differ where it matters."""
    convention = results.convention
    geometry = f"{convention.boxes} boxes" if results.bbox is not None else "masks without boxes"
    return f"{convention.format} with {geometry}, images by {convention.images}, categories by {convention.categories}"


def _joined(columns: Sequence[tuple[Longs, tuple[str, ...]]]) -> tuple[Longs, tuple[str, ...]]:
    """Columns of ids, or of indices into names of their own, as one column with one list of names."""
    number: dict[str, int] = {}
    joined = []
    for keys, names in columns:
        of_names = np.array([number.setdefault(name, len(number)) for name in names], np.int64)
        joined.append(of_names[keys] if names else keys)
    return np.concatenate(joined), tuple(number)


def repeated_images(results: Results, shard: Longs, sources: Sequence[str]) -> tuple[Bools, int]:
    """Which rows (bool [N]) an earlier shard has too, and of how many images.

    shard: int64 [N], ascending, the index of the shard of each row. sources: their names.
    Raises InputError if two shards have different detections of an image, whatever their order.
    """
    repeated = np.zeros(len(results), np.bool_)
    each = [np.unique(results.image_id[shard == one]) for one in range(len(sources))]
    images, count = np.unique(np.concatenate(each), return_counts=True)
    shared = images[count > 1]
    rows = np.flatnonzero(np.isin(results.image_id, shared))
    if not len(rows):
        return repeated, 0
    columns = [results.image_id[rows], shard[rows], results.category_id[rows], results.score[rows]]
    columns += [*results.bbox[rows].T] if results.bbox is not None else [_mask_keys(results, rows)]
    order = np.lexsort(columns[::-1])
    columns = [column[order] for column in columns]
    _check_same(results, columns, sources)
    image, of_shard = columns[:2]
    new_image = np.append(True, image[1:] != image[:-1])
    first = of_shard[np.maximum.accumulate(np.where(new_image, np.arange(len(image)), 0))]
    repeated[rows[order[of_shard != first]]] = True
    return repeated, len(shared)


def _check_same(results: Results, columns: Sequence[npt.NDArray[Any]], sources: Sequence[str]) -> None:
    """Raise InputError unless all shards with an image have the same rows of it.

    columns: image, shard, and what makes up a detection, sorted in this order.
    """
    image, shard = columns[:2]
    begins = np.append(True, (image[1:] != image[:-1]) | (shard[1:] != shard[:-1]))
    start = np.flatnonzero(begins)
    length = np.diff(start, append=len(image))
    new_image = np.append(True, image[start[1:]] != image[start[:-1]])
    first = np.maximum.accumulate(np.where(new_image, np.arange(len(start)), 0))  # the first shard with the image
    group = np.cumsum(begins) - 1
    twin = np.minimum(start[first[group]] + np.arange(len(image)) - start[group], len(image) - 1)
    unlike = np.any([column != column[twin] for column in columns[2:]], axis=0)
    different = (length != length[first]) | (np.bincount(group, unlike, minlength=len(start)) > 0)
    found = np.flatnonzero(different)
    if len(found):
        names = results.convention.image_names
        problems = [
            Problem(
                f"image {names[image[start[one]]] if names else image[start[one]]}",
                f"the detections that {sources[shard[start[first[one]]]]} has of it, or none",
                f"others in {sources[shard[start[one]]]}",
            )
            for one in found[:MAX_PROBLEMS].tolist()
        ]
        raise InputError(results.source, problems, _FIX_DIFFERENT, total=len(found))


def _mask_keys(results: Results, rows: Longs) -> Longs:
    """A number for each mask, equal for equal ones."""
    masks = results.masks
    assert masks is not None
    spans = zip(masks.size[rows].tolist(), masks.start[rows].tolist(), masks.start[rows + 1].tolist(), strict=True)
    texts = [(*size, masks.counts[begin:end].tobytes()) for size, begin, end in spans]
    number: dict[tuple[Any, ...], int] = {}
    return np.array([number.setdefault(text, len(number)) for text in texts], np.int64)
