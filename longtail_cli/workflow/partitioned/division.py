"""Images divided into parts of about equally many detections that lie side by side in the files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from longtail_cli.files.results.manifest import Selected, Shard, selected
from longtail_cli.tables import Ints, Longs
from longtail_cli.workflow.locate_detections import index_of
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.partitioned.shards import Shards


@dataclass(frozen=True, slots=True)
class Piece:
    """What a part reads of a shard."""

    shard: int
    """Its number."""
    selected: Selected
    image: Ints
    """int32, the index in the annotations of each of `Selected.image`."""


def parts_of_images(shards: Shards, index: Sequence[Ints], images: int, sizes: Sizes) -> tuple[Ints, int]:
    """The part of each image, int32 [images], and the number of parts, at least 1.

    Images follow one another in the order in which they are first met in the files. A part ends where a block ends,
    before it would have more than ``sizes.part`` detections; a larger block is divided by images into about equal
    parts, if it can be. Images without detections are dealt to all parts, and to more if these are too few for so many.

    index: see `LocatedShards.image`.
    """
    rows, total = sizes.part, np.full(images, sizes.image)
    for tally, own in zip(shards.images, index, strict=True):
        total[own] += tally.rows
    part, number, filled = np.full(images, -1, np.int32), 0, 0
    for shard, tally, own in zip(shards.each, shards.images, index, strict=True):
        for block in shard.blocks:
            image = own[index_of(block.image.key, tally.key)[0]]
            image = image[part[image] < 0]
            size = total[image]
            if filled and filled + size.sum() > rows:
                number, filled = number + 1, 0
            if size.sum() > rows and shard.divisible:
                of_block = _shares(size, rows)
                part[image] = number + of_block
                number += int(of_block[-1])
                filled = int(size[of_block == of_block[-1]].sum())
            else:
                part[image] = number
                filled += int(size.sum())
    empty = np.flatnonzero(part < 0)
    parts = max(number + 1, -(-len(empty) * sizes.image // rows))
    part[empty] = np.arange(len(empty)) * parts // max(len(empty), 1)
    return part, parts


def _shares(size: Longs, rows: int) -> Ints:
    """Consecutive images in as few parts of about equal size as can have `rows` detections: the part of each, from 0.

    size: int64 [n], the detections of each image, at least one. Returns int32 [n].
    """
    end = np.cumsum(size)
    parts = -(-int(end[-1]) // rows)
    return np.unique((end - size) * parts // end[-1], return_inverse=True)[1].astype(np.int32)


def pieces_of_parts(shards: Shards, index: Sequence[Ints], part: Ints, parts: int) -> list[list[Piece]]:
    """What each part reads, in the order of the shards."""
    pieces: list[list[Piece]] = [[] for _ in range(parts)]
    for number, (shard, tally, own) in enumerate(zip(shards.each, shards.images, index, strict=True)):
        if not len(own):
            continue
        of_image = part[own]
        order = np.argsort(of_image, kind="stable")
        wanted, start = np.unique(of_image[order], return_index=True)
        blocks = _blocks(shard, tally.key, of_image, parts)
        for one, image in zip(wanted.tolist(), np.split(order, start[1:]), strict=True):
            piece = Piece(number, selected(shard, blocks[one], tally.key[image]), own[image])
            pieces[one].append(piece)
    return pieces


def _blocks(shard: Shard, keys: Longs, part: Ints, parts: int) -> dict[int, dict[int, int]]:
    """For each part that has rows of the shard, how many are in each block. part: int32 [n], that of each image."""
    found: dict[int, dict[int, int]] = {}
    for number, block in enumerate(shard.blocks):
        own = part[index_of(block.image.key, keys)[0]]
        rows = np.bincount(own, block.image.rows, minlength=1)
        for one in np.flatnonzero(rows).tolist():
            found.setdefault(one, {})[number] = int(rows[one])
    return found


def times_read(shards: Shards, pieces: Sequence[Sequence[Piece]]) -> float:
    """How often all parts together read each row at most, on average; 1 if no block is read twice, 0 without rows."""
    read = sum(
        shards.each[piece.shard].blocks[block].rows
        for own in pieces
        for piece in own
        for block in piece.selected.blocks
    )
    return read / max(sum(one.rows for one in shards.each), 1)
