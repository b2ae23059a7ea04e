"""Versioned JSON documents: how one is read, and what is said of a text that is none."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem

T = TypeVar("T")

_NOT_A_NUMBER = re.compile(r"[:\[,]\s*-?(?:NaN|Infinity)\b")


class _Head(msgspec.Struct):
    format: str


@dataclass(frozen=True, slots=True)
class Schema:
    """A kind of document, in its current version."""

    kind: str
    """``ltcal-report``."""
    version: int
    noun: str
    """What the document is: ``report``."""
    command: str
    """The command that writes it: ``ltcal report``."""

    @property
    def format(self) -> str:
        """The value of the field ``format``: ``ltcal-report/1``."""
        return f"{self.kind}/{self.version}"

    @property
    def fix(self) -> str:
        """What to do about a text that is something else."""
        return f"pass a JSON file that `{self.command}` wrote"

    def decode(self, text: str, document: type[T], source: str) -> T:
        """The `document` that `text` holds.

        source: what `text` was read from, for errors. Raises InputError for anything but a complete document of this
        schema.
        """
        fix = self.fix
        try:
            found = msgspec.json.decode(text, type=_Head).format
            if found.startswith(f"{self.kind}/") and found != self.format:
                again = f"write the {self.noun} again"
                fix = f"the file has another schema: update ltcal (this is {__version__}), or {again}"
            if found != self.format:
                raise InputError(source, [Problem("format", self.format, found)], fix)
            return msgspec.json.decode(text, type=document)
        except (msgspec.MsgspecError, RecursionError) as error:
            problem = Problem("content", f"a {self.noun} ({self.format})", str(error))
            raise InputError(source, [problem], self._fix(text, str(error)) or fix) from error

    def _fix(self, text: str, reason: str) -> str | None:
        """How to fix a text that does not decode; None if the reason does not say."""
        if "truncated" in reason:
            return f"the file is truncated: write the {self.noun} again"
        if "malformed" in reason and _NOT_A_NUMBER.search(text):
            writes = f"`{self.command}` writes null for undefined metrics"
            return f"the file contains NaN or Infinity, which are not JSON: {writes}"
        if text.lstrip().startswith("["):
            return f"this is a list, like a result file: {self.fix}"
        return None


def indented(document: msgspec.Struct) -> str:
    """The document as indented JSON with one trailing newline; None is ``null``."""
    return msgspec.json.format(msgspec.json.encode(document), indent=1).decode() + "\n"
