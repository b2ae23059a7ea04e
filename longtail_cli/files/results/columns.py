"""The columns of a result file, collected block by block together with its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.faults import Fault, fault, faults_among, faults_at, raise_faults
from longtail_cli.files.masks import GrowingMasks, read_segmentations
from longtail_cli.files.results.entries import SHORTEST_ENTRY, START, Broken, EntryBlock, Refused
from longtail_cli.files.results.image_names import ImageNames
from longtail_cli.files.results.problems import (
    FIX_FIELDS,
    EntryProblem,
    broken_list,
    entry_name,
    entry_problems,
    name_field,
    not_a_list,
)
from longtail_cli.files.source import Content
from longtail_cli.tables import Bools, Floats, Longs, Masks, Results

MAX_BAD_ENTRIES = 1000
"""After so many entries with problems the rest of a file is not read."""

_SNIPPET_BYTES = 60


class ResultColumns:
    """Columns that grow by blocks; row i is entry i of the file.

    They have room for a text of `size` bytes; pages that are never written take no memory.
    """

    def __init__(
        self,
        source: str,
        size: int,
        fields: frozenset[str],
        image_names: Callable[[], Sequence[str]] = tuple,
        images: ImageNames | None = None,
        entry: Callable[[int], int] = int,
    ) -> None:
        """image_names: gives the names that the image ids are indices of; none if they are ids. images: in place of
        `image_names`, with what is wrong with the names. entry: the number in the file of a row, if not the same.
        """
        rows = size // SHORTEST_ENTRY + 1 + MAX_BAD_ENTRIES
        self.source = source
        self.fields = fields
        self._images = images
        self._entry = entry
        self._image_names = image_names if images is None else images.names
        self.rows = 0
        self.image_id: Longs = np.empty(rows, np.int64)
        self.category_id: Longs = np.empty(rows, np.int64)
        self.score: Floats = np.empty(rows)
        self.bbox: Floats = np.empty((rows if "bbox" in fields else 0, 4))
        self.has_mask: Bools = np.empty(rows, np.bool_)
        self.masks = GrowingMasks(rows if "masks" in fields else 0, size if "masks" in fields else 0)
        self.named_in: str | None = None
        """The field in which a refused entry names its image, where ids were expected."""
        self.refused: list[int] = []
        self.problems: dict[str, list[Problem]] = {}
        self.faults: list[Fault] = []

    def add(self, block: EntryBlock) -> None:
        """Append the entries of `block`."""
        self.place(block, block.first)
        self.rows = block.first + len(block.score)
        if "masks" in self.fields:
            self._add_masks(block, np.flatnonzero(self.has_mask[block.first : self.rows]))

    def place(self, block: EntryBlock, first: int) -> None:
        """Write the entries of `block`, except for their masks, from row `first` on."""
        rows = slice(first, first + len(block.score))
        if rows.stop > len(self.score):
            problem = Problem("file", "a file that does not change", "more entries than its size has room for")
            raise InputError(self.source, [problem], "run again when nothing writes to the file")
        self.image_id[rows] = block.image_id
        self.category_id[rows] = block.category_id
        self.score[rows] = block.score
        self.has_mask[rows] = block.mask_span[:, 1] > block.mask_span[:, 0]
        if "bbox" in self.fields:
            self.bbox[rows] = block.bbox

    def masks_of(self, block: EntryBlock) -> Masks | None:
        """The masks of `block`, none if they are not read; or None if they have to be read one by one."""
        spans = block.mask_span if "masks" in self.fields else np.zeros((0, 2), np.int64)
        found = GrowingMasks(len(spans), 0)
        return found.masks() if found.read(block.content, spans[spans[:, 1] > spans[:, 0]]) else None

    def refuse(self, entry: Refused) -> None:
        """Note what is wrong with an entry; its row is undefined."""
        boxes = "bbox" in self.fields
        self.named_in = name_field(entry.content) if self._images is None else None
        found_in = entry_problems(entry.number, entry.content, boxes=boxes, images=self._images)
        for found in found_in or _unknown(entry):
            self.problems.setdefault(found.fix, []).append(found.problem)
        self.refused.append(entry.number)
        self.rows = max(self.rows, entry.number + 1)
        if self.hopeless:
            expected = f"fewer than {MAX_BAD_ENTRIES} entries with problems before them"
            where, fix = f"entries from {self.rows} on", "fix those before; they may all have one cause"
            self.faults.append(fault(where, expected, "more; these were not read", fix))

    def stop(self, end: Broken, content: Content) -> None:
        """Note why the rest of the list in `content` cannot be read."""
        begun = end.after != START or not end.content
        self.faults.append(broken_list(end.position, end.number, end.content) if begun else not_a_list(content))

    def image_names(self) -> tuple[str, ...]:
        """The names that the image ids are indices of; none if they are ids."""
        return tuple(self._image_names())

    @property
    def hopeless(self) -> bool:
        """Whether the rest of the file need not be read."""
        return len(self.refused) >= MAX_BAD_ENTRIES

    @property
    def masks_instead(self) -> bool:
        """Whether boxes are to be read, and have to come from masks that were not read."""
        valid = self._valid()
        missing = self._missing_boxes() & valid
        return "masks" not in self.fields and bool((missing == valid).all() and (self._has_mask() & valid).any())

    def results(self) -> Results:
        """The finished table. Raises InputError with all faults."""
        raise_faults(self.source, [*self.faults_of_entries(), *self._missing()])
        rows = slice(self.rows)
        boxes = "bbox" in self.fields and not (self.rows and self._missing_boxes().all())
        masks = "masks" in self.fields and (not self.rows or self._has_mask().all())
        return Results(
            image_id=self.image_id[rows],
            category_id=self.category_id[rows],
            score=self.score[rows],
            bbox=self.bbox[rows] if boxes else None,
            masks=self.masks.masks() if masks else None,
            source=self.source,
        )

    def faults_of_entries(self) -> list[Fault]:
        """What is wrong with single entries, and with the list."""
        listed = [fault for fix, problems in self.problems.items() for fault in faults_among(problems, fix)]
        return [*self.faults, *(self._images.faults() if self._images else []), *listed]

    def _add_masks(self, block: EntryBlock, rows: Longs) -> None:
        if self.masks.read(block.content, block.mask_span[rows]):
            return
        text = block.content.tobytes()
        segmentations = [msgspec.Raw(text[begin:end]) for begin, end in block.mask_span[rows].tolist()]
        masks, faults = read_segmentations(segmentations, None, lambda row: self._name(block.first + int(rows[row])))
        self.masks.append(masks)
        self.faults += faults

    def _missing(self) -> Iterator[Fault]:
        """Geometry to be read that only some entries have, or that no entry has."""
        valid = self._valid()
        boxes, masks = valid & ~self._missing_boxes(), valid & self._has_mask()
        if "bbox" in self.fields and not boxes.any() and not masks.any():
            yield from self._missing_in(valid, "a field `bbox` or `segmentation`")
        if "bbox" in self.fields and boxes.any():
            yield from self._missing_in(valid & ~boxes, "a field `bbox`, which other entries have")
        if "masks" in self.fields and masks.any():
            yield from self._missing_in(valid & ~masks, "a field `segmentation`, which other entries have")

    def _missing_in(self, rows: Bools, expected: str) -> list[Fault]:
        return faults_at(rows, lambda row: Problem(self._name(row), expected, "none"), FIX_FIELDS)

    def _valid(self) -> Bools:
        """Which entries (bool [rows]) were not refused."""
        valid = np.ones(self.rows, np.bool_)
        valid[self.refused] = False
        return valid

    def _missing_boxes(self) -> Bools:
        """Which entries (bool [rows]) have no box; all if boxes are not read."""
        return np.isnan(self.bbox[: self.rows, 0]) if "bbox" in self.fields else np.ones(self.rows, np.bool_)

    def _has_mask(self) -> Bools:
        return self.has_mask[: self.rows]

    def _name(self, row: int) -> str:
        names, image = self._image_names(), int(self.image_id[row])
        return entry_name(self._entry(row), names[image] if names else image)


def _unknown(entry: Refused) -> list[EntryProblem]:
    """An entry that the fast reader refuses must not pass, even if nothing is found wrong with it."""
    found = entry.content[:_SNIPPET_BYTES].decode(errors="replace")
    return [EntryProblem(Problem(f"entry {entry.number}", "a detection", found), FIX_FIELDS)]
