"""Which categories the columns of a query model are, where its file does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.metadata import Metadata
from longtail_cli.tables import DataSet, Longs

_FIX = "pass `head=`, `background=` and `category_ids=`, the category id of each column"


@dataclass(frozen=True, slots=True)
class QueryColumns:
    """What the K columns of a file are."""

    head: HeadName
    background: BackgroundName
    category_id: Longs
    """int64 [C], in the order of the columns that are used."""
    classes: tuple[int, ...] | None
    """The columns of these categories, if there are further ones; None if all but the background are categories."""

    @property
    def words(self) -> str:
        """The meaning, for a note."""
        background = "without background" if self.background == "none" else f"with the background {self.background}"
        numbered = "in order of the category ids" if self.classes is None else "numbered by category id"
        return f"a {self.head} {background}, {len(self.category_id)} classes {numbered}"


def columns_of_ids(width: int, stated: Metadata) -> QueryColumns:
    """The meaning of `width` columns whose category ids are stated: a softmax if one more column is a background."""
    ids = np.array(stated.category_ids or (), np.int64)
    background = stated.background or ("last" if width == len(ids) + 1 else "none")
    head = stated.head or ("sigmoid" if background == "none" else "softmax")
    return QueryColumns(cast(HeadName, head), cast(BackgroundName, background), ids, None)


def columns_of_categories(
    width: int, stated: Metadata, data_set: DataSet, source: str, last_wins: Callable[[], bool]
) -> QueryColumns:
    """The first of these meanings that has `width` columns, for C categories with ids up to M:

    a softmax over C classes and the background; a sigmoid of C classes; a softmax over M + 1 classes, each in the
    column of its id, and the background (the 92 columns of DETR on COCO); a sigmoid of M + 1 such classes (the 91 of
    Deformable DETR). In the first two the classes are in order of id, as transformers numbers them in `id2label`.

    stated: `head` and `background`, where they are known. Columns may then also be numbered by more ids than there are.
    last_wins: whether the last column is the largest of most queries, as a background is. It is asked if C + 1 columns
    may be a softmax or, with ids from 1 to C, a sigmoid.
    Raises InputError if none fits.
    """
    found = list(_meanings(width, stated, data_set.category_id))
    if found:
        doubtful = len(found) > 1 and found[0].head != found[1].head
        return found[1] if doubtful and not last_wins() else found[0]
    count, most = len(data_set.category_id), int(data_set.category_id[-1])
    expected = f"{count + 1} or {count} columns (a softmax with background, or a sigmoid, of {count} categories)"
    if most >= count:
        expected += f", or {most + 2} or {most + 1}, if columns are numbered by category id"
    raise InputError(source, [Problem("logits", expected, f"{width} columns")], _FIX)


def _meanings(width: int, stated: Metadata, category_id: Longs) -> Iterator[QueryColumns]:
    defaults = (("softmax", "last"), ("sigmoid", "none"))
    kinds = [
        (cast(HeadName, head), cast(BackgroundName, stated.background or background))
        for head, background in defaults
        if stated.head in (None, head)
    ]
    for head, background in kinds:
        if width == len(category_id) + (background != "none"):
            yield QueryColumns(head, background, category_id, None)
    for head, background in kinds:
        unused = width - (background != "none") - int(category_id[-1]) - 1
        leaves_out = (head, background) != ("softmax", "none")  # without a background no column can be left out
        if category_id[0] >= 0 and leaves_out and (unused == 0 or (unused > 0 and stated.head is not None)):
            classes = category_id + int(background == "first")
            yield QueryColumns(head, background, category_id, tuple(classes.tolist()))
