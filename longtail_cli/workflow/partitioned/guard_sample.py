"""The guard of conventions on files that are never read whole: it sees the sample that it would take of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.files.masks import mask_boxes
from longtail_cli.files.results.rows import joined_results
from longtail_cli.tables import GroundTruth, Longs, Results
from longtail_cli.workflow.offset_guard import Examination, best_of_images, probes, sampled_images
from longtail_cli.workflow.partitioned.shards import Numbered
from longtail_cli.workflow.readings import PARTS, IdPart, Meaning

FEW = 8
"""Blocks that are looked at first, spread over the files."""

BlockNumber = tuple[int, int]
"""Of a shard, and of a block in it."""


def checked(numbered: Numbered, truth: GroundTruth, meaning: Meaning, fields: frozenset[str]) -> tuple[str, ...]:
    """The warnings of `offset_guard.check_meaning` about the shards; raises as it does.

    A few blocks decide if they leave no doubt that what is stated is right. Else the sample is that of all of them.
    fields: the geometry to read.
    """
    if meaning.settled == PARTS:
        return ()
    numbers: dict[IdPart, Longs] = {"images": _every(numbered.image), "categories": _every(numbered.category)}
    blocks = [(shard, block) for shard, one in enumerate(numbered.shards.each) for block in range(len(one.blocks))]
    if len(blocks) > FEW:
        few = [blocks[number] for number in np.linspace(0, len(blocks) - 1, FEW).astype(int)]
        if Examination(sample_of_blocks(numbered, few, fields), numbers, truth, meaning).surely_right:
            return ()
    return Examination(sample_of_blocks(numbered, blocks, fields), numbers, truth, meaning).warnings()


def sample_of_blocks(numbered: Numbered, blocks: Sequence[BlockNumber], fields: frozenset[str]) -> Results:
    """As `offset_guard.sample_of` of a file with these blocks alone."""
    images = sampled_images(_images_at(numbered, blocks))
    best = []
    for shard, block in blocks:
        keys = np.sort(numbered.shards.each[shard].blocks[block].image.key)
        keys = keys[np.isin(numbered.images_of(shard, keys), images)]
        if len(keys):
            best.append(best_of_images(numbered.read(shard, block, keys, fields), images))
    chosen = best_of_images(joined_results(best, numbered.shards.source, fields), images)
    if chosen.bbox is not None or chosen.masks is None:
        return chosen
    return replace(chosen, bbox=mask_boxes(chosen.masks))


def _images_at(numbered: Numbered, blocks: Sequence[BlockNumber]) -> Longs:
    """The image of each of the `probes` of a file with these blocks alone, int64."""
    each = [numbered.shards.each[shard].blocks[block] for shard, block in blocks]
    end = np.cumsum([0, *(block.rows for block in each)])
    rows = probes(int(end[-1]))
    found = [np.zeros(0, np.int64)]
    for (shard, number), block, first, last in zip(blocks, each, end[:-1], end[1:], strict=True):
        own = rows[(rows >= first) & (rows < last)] - first
        if block.together:
            keys = block.image.key[np.searchsorted(np.cumsum(block.image.rows), own, side="right")]
            found.append(numbered.images_of(shard, keys))
        elif len(own):
            found.append(numbered.read(shard, number, np.sort(block.image.key), frozenset()).image_id[own])
    return np.concatenate(found)


def _every(numbers: Sequence[Longs]) -> Longs:
    return np.unique(np.concatenate(numbers))
