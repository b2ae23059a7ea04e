"""Frequency tables from a few plain counts, and what a method computes from them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from longtail_cli.methods.base import ClassAffine, Method, RowKind
from longtail_cli.methods.registry import score_steps
from longtail_cli.methods.steps import ColumnAffine, Step
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Singles


def table(
    image_count: Sequence[int],
    instance_count: Sequence[int] | None = None,
    *,
    num_images: int | None = None,
    ids: Sequence[int] | None = None,
) -> FrequencyTable:
    """Classes 1, 2, 3, ... unless `ids` are given, with as many objects as images unless stated."""
    classes = len(image_count)
    category_id = np.arange(1, classes + 1) if ids is None else np.array(ids, np.int64)
    return FrequencyTable(
        category_id=category_id,
        name=tuple(f"class {c}" for c in category_id),
        image_count=np.array(image_count, np.int64),
        instance_count=np.array(image_count if instance_count is None else instance_count, np.int64),
        group=("f",) * classes,
        num_images=num_images,
    )


def coefficients(method: Method, frequencies: FrequencyTable) -> ClassAffine:
    """The map of each class in a score-only adjustment."""
    steps, notes = score_steps(method, frequencies, NoData())
    affine = steps[0] if steps else ColumnAffine(np.ones(len(frequencies)), np.zeros(len(frequencies)))
    assert isinstance(affine, ColumnAffine)
    return ClassAffine(affine.scale, affine.shift, notes)


class NoData:
    """No data besides the counts."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        raise FileNotFoundError(path)

    def prior(self, path: str) -> FrequencyTable:
        raise FileNotFoundError(path)

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        return iter(())

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        return iter(())

    def rows(self, path: str, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles | Floats]:
        return iter(())
