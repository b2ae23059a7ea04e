"""Shards seen otherwise: under other names, without some rows, or scores as logits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail_cli.errors import Problem
from longtail_cli.files.faults import faults_at, raise_faults
from longtail_cli.files.label_arrays import class_indices
from longtail_cli.files.logits.layout import FLOATS, INTEGERS
from longtail_cli.files.logits.shards import Allocate, Shard, TensorBlock, TensorInfo, empty
from longtail_cli.tables import Bools, Longs

NARROWED = ("logits", "scores", "features")
"""What becomes float32 if it is float64."""

SMALLEST = float(np.finfo(np.float32).smallest_subnormal)
"""The score that a score of 0 counts as, whose logarithm is finite."""

SUM_TOLERANCE = 1e-2
"""By how much the scores of a row may differ from 1 in sum: they may be written in half precision, or to few digits."""

_FIX_LABELS = "save `labels` as one class index for each row"
_FIX_SUM = "adjust the logits that the scores were made from; methods are for the scores of a softmax"

Convert = Callable[[torch.Tensor, int], torch.Tensor]
"""Makes of the rows of a tensor what is declared; called with them and the number of the first."""


@dataclass(frozen=True, slots=True)
class NamedShard:
    """A shard under our names, with logits, scores and features of float64 as float32, and labels as int64 [N]."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    shard: Shard
    names: Mapping[str, str]
    """The name in the shard by our name."""

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. Raises InputError for labels that are no classes."""
        converted = {name: self._conversion(name) for name in names}
        direct = allocate if names and converted[names[0]] is None else empty
        start = 0
        for block in self.shard.blocks([self.names[name] for name in names], sizes, direct):
            found = {}
            for name, convert in converted.items():
                rows = block[self.names[name]]
                found[name] = rows if convert is None else convert(rows, start)
            yield found
            start += len(next(iter(found.values())))

    def _conversion(self, name: str) -> Convert | None:
        if self.shard.tensors[self.names[name]] == self.tensors[name]:
            return None
        if name in NARROWED:
            return lambda rows, _: rows.to(torch.float32)
        return self._class_indices

    def _class_indices(self, rows: torch.Tensor, start: int) -> torch.Tensor:
        plain = rows.float() if rows.dtype == torch.bfloat16 else rows  # NumPy has no bfloat16
        where = "tensor `labels`, row"
        return torch.from_numpy(class_indices(plain.numpy(), str(self.path), _FIX_LABELS, where=where, first=start))


def named_shard(shard: Shard, names: Mapping[str, str]) -> Shard:
    """The shard under our names; itself if nothing changes. names: the name in the shard by our name."""
    tensors = {name: _declared(name, shard.tensors[theirs]) for name, theirs in names.items()}
    if tensors == shard.tensors:
        return shard
    return NamedShard(shard.path, tensors, shard.metadata, shard, names)


def _declared(name: str, info: TensorInfo) -> TensorInfo:
    """What a tensor called `name` becomes; a form that it cannot have stays for the layout to refuse."""
    if name in NARROWED and info.dtype == "float64":
        return TensorInfo(info.shape, "float32")
    if name == "labels" and len(info.shape) in (1, 2) and info.dtype in (*FLOATS, *INTEGERS, "bool"):
        return info if info.dtype == "bool" and len(info.shape) == 1 else TensorInfo(info.shape[:1], "int64")
    return info


@dataclass(frozen=True, slots=True)
class KeptRows:
    """Some rows of a shard, in order."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    shard: Shard
    kept: Bools
    """bool [N], the rows of the shard that are kept."""

    @classmethod
    def of(cls, shard: Shard, kept: Bools, names: Iterable[str]) -> KeptRows:
        """The kept rows of the tensors `names`, all of which have one entry for each row; others stay whole."""
        rows = int(kept.sum())
        tensors = {
            name: TensorInfo((rows, *info.shape[1:]), info.dtype) if name in set(names) else info
            for name, info in shard.tensors.items()
        }
        return cls(shard.path, tensors, shard.metadata, shard, kept)

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`; the rows between those that are kept are read too."""
        index: Longs = np.append(np.flatnonzero(self.kept), len(self.kept))
        ends: list[int] = []
        start = done = 0

        def spans() -> Iterator[int]:
            nonlocal start, done
            for size in sizes:
                done += size
                end = int(index[done])
                ends.append(end)
                yield end - start
                start = end

        begin = 0
        for block in self.shard.blocks(names, spans()):
            end = ends.pop(0)
            chosen = torch.from_numpy(self.kept[begin:end].copy())
            yield {name: rows[chosen] for name, rows in block.items()}
            begin = end

    def index_of(self, row: int) -> int:
        """The row of the shard that is row `row` of those kept."""
        return int(np.flatnonzero(self.kept)[row])


@dataclass(frozen=True, slots=True)
class ScoresAsLogits:
    """Scores of a softmax as logits, z = ln s: the logits that they were made from, up to a constant in each row."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    shard: Shard

    @classmethod
    def of(cls, shard: Shard) -> ScoresAsLogits:
        """The shard with `logits` in place of `scores`."""
        scores = shard.tensors["scores"]
        others = {name: info for name, info in shard.tensors.items() if name not in ("scores", "logits")}
        logits = {"logits": TensorInfo(scores.shape, "float32")}
        return cls(shard.path, logits | others, shard.metadata, shard)

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. Raises InputError for rows that do not sum to 1. A score of 0 counts as `SMALLEST`."""
        theirs = ["scores" if name == "logits" else name for name in names]
        start = 0
        for block in self.shard.blocks(theirs, sizes):
            found = dict(block)
            if "scores" in found:
                scores = found.pop("scores").to(torch.float32)
                _check_sums(scores, str(self.path), start)
                found["logits"] = scores.clamp(min=SMALLEST).log()
                start += len(scores)
            yield found


def _check_sums(scores: torch.Tensor, source: str, first: int) -> None:
    sums = scores.sum(dim=1)
    bad = ((sums - 1).abs() > SUM_TOLERANCE) | (scores < 0).any(dim=1)  # false for NaN, which the reader names

    def describe(row: int) -> Problem:
        found = f"{float(sums[row]):.6g}, the least {float(scores[row].min()):.6g}"
        return Problem(f"tensor `scores`, row {first + row}", "scores from 0 to 1 that add up to 1", found)

    raise_faults(source, faults_at(bad.numpy(), describe, _FIX_SUM))
