"""Tables as plain text of a given width, which tabulate does not have: it pads headers, and counts letters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from longtail_cli.escapes import one_line
from longtail_cli.reports.format import Table
from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.widths import WIDTH, padded, width_of, wrapped

GAP = "  "
LEAST = 12
"""Columns of the terminal that texts are never shortened below."""

_Lines = Sequence[str]
"""The header and the cells of a column, all of the same width."""


def table_text(table: Table, width: int | None = WIDTH) -> str:
    """The title and the table below it, without a newline at the end.

    width: at most so many columns; None for as many as needed. Texts are shortened first. Numbers for which that leaves
    no room follow in another table below; only a table with one row per category becomes wider instead.
    """
    texts = {index: _text_column(table, index) for index in table.text_columns}
    numbers = _number_columns(table)
    if width is None:
        parts = [_fitted(texts, None) | numbers]
    elif _taken(numbers.values()) + _needed(texts.values(), LEAST) <= width + len(GAP):
        parts = [_fitted(texts, width + len(GAP) - _taken(numbers.values())) | numbers]
    elif table.weights:
        numbers = _number_columns(table, LEAST)
        parts = [_fitted(texts, width + len(GAP) - _taken(numbers.values())) | numbers]
    else:
        shown = _fitted(texts, width // 2)
        parts = [shown | part for part in _divided(numbers, width + len(GAP) - _taken(shown.values()))]
    title = one_line(table.title)
    titles = [title, *(f"{title} (continued)" for _ in parts[1:])]
    return "\n\n".join(f"{wrapped(title)}\n{_joined(part)}" for title, part in zip(titles, parts, strict=True))


@dataclass(frozen=True, slots=True)
class _Texts:
    """The header and the cells of a column of texts."""

    header: str
    cells: Sequence[str]
    width: int
    """Columns of the terminal that the widest of them takes."""

    def fitted(self, width: int) -> _Lines:
        """The column, `width` wide; longer cells are shortened."""
        return [padded(one, width, "left") for one in (self.header, *short_names(self.cells, width))]


def _text_column(table: Table, index: int) -> _Texts:
    header, cells = one_line(table.header[index]), [one_line(row[index]) for row in table.rows]
    return _Texts(header, cells, max(map(width_of, (header, *cells))))


def _number_columns(table: Table, name_width: int | None = None) -> dict[int, _Lines]:
    """The columns of numbers by index. name_width: of the names of runs in headers; None for whole names."""
    headers = list(map(one_line, table.header))
    if name_width is not None:
        for index, name in zip(
            table.name_columns, short_names([headers[index] for index in table.name_columns], name_width), strict=True
        ):
            headers[index] = name
    changes = table.changes or [[""] * len(headers) for _ in table.rows]
    return {
        index: _number_column(header, [row[index] for row in table.rows], [row[index] for row in changes])
        for index, header in enumerate(headers)
        if index not in table.text_columns
    }


def _number_column(header: str, values: Sequence[str], changes: Sequence[str]) -> _Lines:
    """Numbers aligned on the right and, if there are any, their differences beside them, under one header."""
    left, right = (max(map(len, column), default=0) for column in (values, changes))
    cells = [
        f"{value:>{left}} {change:>{right}}" if right else value for value, change in zip(values, changes, strict=True)
    ]
    width = max(left + right + 1 if right else left, width_of(header))
    above = padded(header, max(left, width_of(header)), "right") if right else header
    return [padded(above, width, "left" if right else "right"), *(padded(cell, width, "right") for cell in cells)]


def _taken(columns: Iterable[_Lines]) -> int:
    """The columns of the terminal that these take, with a gap after each."""
    return sum(width_of(column[0]) + len(GAP) for column in columns)


def _needed(texts: Iterable[_Texts], width: int) -> int:
    """What the columns of texts take if none is wider than `width`, with a gap after each."""
    return sum(min(text.width, width) + len(GAP) for text in texts)


def _fitted(texts: Mapping[int, _Texts], room: int | None) -> dict[int, _Lines]:
    """The columns of texts; if they take more than `room` with a gap after each, the widest are made equally narrow."""
    widest = max((text.width for text in texts.values()), default=LEAST)
    widths = range(widest, LEAST, -1)
    width = next((one for one in widths if room is None or _needed(texts.values(), one) <= room), LEAST)
    return {index: text.fitted(min(text.width, width)) for index, text in texts.items()}


def _divided(numbers: Mapping[int, _Lines], room: int) -> list[dict[int, _Lines]]:
    """The columns in parts, in order, each of at most `room` with a gap after each column, and of at least one."""
    parts: list[dict[int, _Lines]] = [{}]
    for index, column in numbers.items():
        if parts[-1] and _taken([*parts[-1].values(), column]) > room:
            parts.append({})
        parts[-1][index] = column
    return parts


def _joined(columns: Mapping[int, _Lines]) -> str:
    """The columns in order of their index, with dashes below the headers."""
    ordered = [columns[index] for index in sorted(columns)]
    ruled = [(header, "-" * width_of(header), *cells) for header, *cells in ordered]
    return "\n".join(GAP.join(cells).rstrip() for cells in zip(*ruled, strict=True))
