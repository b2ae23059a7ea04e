"""Long names, shortened in the middle so that they can still be told apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

from longtail_cli.reports.model import ORACLE
from longtail_cli.reports.widths import end_of, start_of, width_of

ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def short_names(names: Sequence[str], width: int) -> list[str]:
    """The names, each of at most `width` columns of a terminal; those that are wider have an ellipsis in the middle.

    Names that differ stay different: the ellipsis moves towards the start or the end until they do, and if all of them
    differ only in the middle, a number replaces the end. The mark of an oracle run stays whole where at least
    half of the width is left for its name. width: at least 6, and enough for the numbers.
    """
    different = list(dict.fromkeys(names))
    found = next((one for one in _divided(different, width) if len(set(one)) == len(one)), None)
    short = dict(zip(different, found or _numbered(different, width), strict=True))
    return [short[name] for name in names]


def _divided(names: Sequence[str], width: int) -> Iterator[list[str]]:
    """The names shortened with the ellipsis in the middle, then ever farther from it."""
    starts = sorted(range(width), key=lambda start: (abs(2 * start - width + 1), start))
    return ([_shortened(name, width, start) for name in names] for start in starts)


def _shortened(name: str, width: int, start: int) -> str:
    """start: columns before the ellipsis."""
    if width_of(name) <= width:
        return name
    if name.endswith(ORACLE) and width >= 2 * len(ORACLE):
        room = width - len(ORACLE)
        return _shortened(name.removesuffix(ORACLE), room, start * room // width) + ORACLE
    return f"{start_of(name, start).rstrip()}{ELLIPSIS}{end_of(name, width - 1 - start).lstrip()}"


def _numbered(names: Sequence[str], width: int) -> list[str]:
    """The names with a number instead of the end of those that are too wide."""
    taken = {name for name in names if width_of(name) <= width}
    found = []
    for name in names:
        if width_of(name) > width:
            numbered = (f"{start_of(name, width - 1 - len(str(n)))}{ELLIPSIS}{n}" for n in count(1))
            name = next(one for one in numbered if one not in taken)
            taken.add(name)
        found.append(name)
    return found
