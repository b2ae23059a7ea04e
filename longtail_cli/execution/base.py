"""What every execution does: apply a function to parts, shuffle the rows it returns by bucket, and reduce each bucket.

The functions are pure; retries, transport and memory are matters of the execution. What is reduced does not depend on
how many parts and workers there are, nor on the order in which rows arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import pyarrow as pa

Part = TypeVar("Part", contravariant=True)
Found = TypeVar("Found", covariant=True)
Result = TypeVar("Result")

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
    """A part with what messages and progress need to know of it."""

    name: str
    """Its files, as the user knows them."""
    size: int
    """Bytes or rows, in the unit of the other parts."""
    content: Part


class Mapped(Protocol[Found]):
    """The rows of all parts, wherever they are kept."""

    @property
    def found(self) -> tuple[Found, ...]:
        """Of each part, in order."""
        ...

    def reduced(self, work: Callable[[int, pa.Table], Result], progress: Progress) -> Iterator[Result]:
        """``work(bucket, rows)`` for all rows of each bucket that has any, in ascending order of bucket.

        The order of the rows of a bucket is not defined.
        """
        ...

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """``work(rows)`` for disjoint tables that hold all rows together, with these columns; in no defined order."""
        ...


class Execution(Protocol):
    """A place to run work. `work` is a module-level function or a frozen dataclass that can be pickled."""

    @property
    def at_once(self) -> int:
        """How many parts are in memory at once on one machine."""
        ...

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
