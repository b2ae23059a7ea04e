"""Names from files as text that an output can hold: a terminal or a CI log, a CSV cell, XML.

Category and run names may contain line breaks, control characters, formulas and commands to CI runners. Each function
is for the outputs that it names; Markdown, LaTeX, HTML and workflow commands have their own in their renderers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_REPLACED = "\N{REPLACEMENT CHARACTER}"
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOT_CSV = re.compile("[\0-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]|#(?=#\\[)")
_FORMULA = re.compile("'*[=+@\uff1d\uff0b\uff0d\uff20-]")


def one_line(text: str) -> str:
    """The text on one line, with U+FFFD for characters that a terminal or a CI log would interpret.

    ``::`` at the start of a line and ``##[`` anywhere start commands to GitHub's runners.
    """
    printable = "".join(letter if letter.isprintable() else _REPLACED for letter in text)
    return re.sub(r"^(\s*):(?=:)|#(?=#\[)", f"\\1{_REPLACED}", printable)


def xml_text(text: str) -> str:
    """The text with U+FFFD for characters that XML 1.0 and UTF-8 cannot hold: controls and lone surrogates.

    Tabs and line breaks stay.
    """
    return _NOT_XML.sub(_REPLACED, text)


def escaped(column: Sequence[str | None], escape: Callable[[str], str]) -> list[str | None]:
    """The texts of a column after one of these functions; None stays."""
    known: dict[str | None, str | None] = {text: None if text is None else escape(text) for text in set(column)}
    return [known[text] for text in column]


def csv_cell(text: str) -> str:
    """The text for a CSV cell, in a file or on a terminal; `csv_text` gets it back.

    Text that a spreadsheet would take for a formula gets a leading apostrophe, and so does such text that already has
    some. Characters that break the line or that a terminal interprets become U+FFFD and are lost.
    """
    cell = _NOT_CSV.sub(_REPLACED, text)
    return f"'{cell}" if _FORMULA.match(cell) else cell


def csv_text(cell: str) -> str:
    """The text of a cell that `csv_cell` made; any other cell stays as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
