"""What every execution does: apply a function to parts, shuffle the rows it returns by bucket, and reduce each bucket.

The functions are pure; retries, transport and memory are matters of the execution. What is reduced does not depend on
how many parts and workers there are, nor on the order in which rows arrive. A bucket with too many rows to be reduced
at once is put in order first, and reduced piece after piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

Part = TypeVar("Part", contravariant=True)
Found = TypeVar("Found", covariant=True)
Result = TypeVar("Result")
Reduced = TypeVar("Reduced", covariant=True)

BUCKET = "bucket"
"""The int32 column by which rows are shuffled."""

Progress = Callable[[str, float | None], None]
"""See `longtail_cli.workflow.progress`."""


@dataclass(frozen=True, slots=True)
class Produced(Generic[Found]):
    """What a part gives."""

    found: Found
    """A small object that goes to the driver."""
    rows: pa.Table | None
    """With a column `BUCKET`; None if nothing is shuffled."""


@dataclass(frozen=True, slots=True)
class NamedPart(Generic[Part]):
    """A part with what errors and progress need to know of it."""

    name: str
    """Its files, as the user knows them."""
    size: int
    """Bytes or rows, in the unit of the other parts."""
    content: Part


@dataclass(frozen=True, slots=True)
class Order:
    """What the pieces of a bucket are ordered by."""

    columns: tuple[str, ...]
    """Names of columns of numbers, the first decides first; their values are finite."""
    descending: tuple[bool, ...]
    """For each of the columns."""


class Reduction(Protocol[Reduced]):
    """Work on the rows of a bucket, which are numbers; a frozen dataclass that can be pickled."""

    @property
    def most_rows(self) -> int:
        """How many rows of a bucket fit in memory at once, with what is computed from them; > 0."""
        ...

    @property
    def order(self) -> Order:
        """That of the pieces of a larger bucket."""
        ...

    def __call__(self, bucket: int, rows: pa.Table) -> Reduced:
        """What all rows of a bucket give, in any order, without the column `BUCKET`."""
        ...

    def in_pieces(self, bucket: int, pieces: Iterable[pa.Table]) -> Reduced:
        """The same, of rows that come in pieces of about `most_rows` at most, each of which is needed only once.

        The rows of a piece come before those of the next in `order`, and are in any order themselves. Rows that are
        equal in `order` are in one piece.
        """
        ...


class Mapped(Protocol[Found]):
    """The rows of all parts, wherever they are kept."""

    @property
    def found(self) -> tuple[Found, ...]:
        """Of each part, in order."""
        ...

    def reduced(self, work: Reduction[Result], progress: Progress) -> Iterator[Result]:
        """What `work` gives for each bucket that has rows, in ascending order of bucket.

        Buckets of more than ``work.most_rows`` are given to it in pieces.
        """
        ...

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """``work(rows)`` for disjoint tables that hold all rows together, with these columns; in no defined order."""
        ...


class Execution(Protocol):
    """A place to run work. `work` is a module-level function or a frozen dataclass that can be pickled."""

    def mapped(
        self,
        work: Callable[[Part], Produced[Found]],
        parts: Sequence[NamedPart[Part]],
        task: str,
        progress: Progress,
        gpus: float = 0,
    ) -> AbstractContextManager[Mapped[Found]]:
        """Apply `work` to each part. The rows are released at the end of the block.

        task: the verb for progress, such as ``matching``. gpus: how many, or what share of one, a part can use; it gets
            them where there are any. Raises what `work` raises for any part.
        """
        ...
