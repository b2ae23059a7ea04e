"""Objects that were loaded from a pickle, checked one by one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from longtail_cli.errors import InputError, Problem

Kind = TypeVar("Kind")

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """Takes values apart. Every method raises InputError for a value that it does not expect at `where`."""

    source: str
    """What errors call the file."""
    fix: str
    """How to write it."""

    def a(self, kind: type[Kind], value: Any, where: str) -> Kind:
        """The value, which has to be of a kind."""
        if not isinstance(value, kind):
            raise self.unlike(where, f"a {kind.__name__}", value)
        return value

    def field(self, entry: Any, name: str, where: str) -> Any:
        """The value of a key of a dict."""
        held = self.a(dict, entry, where)
        if name not in held:
            found = ", ".join(f"`{key}`" for key in list(held)[:10]) or "no field"
            raise InputError(self.source, [Problem(where, f"a field `{name}`", f"only {found}")], self.fix)
        return held[name]

    def integer(self, value: Any, where: str) -> int:
        """Of 64 bits."""
        if not isinstance(value, int | np.integer) or isinstance(value, bool) or not -(1 << 63) <= value < 1 << 63:
            raise self.unlike(where, "an integer", value)
        return int(value)

    def number(self, value: Any, where: str) -> float:
        """A number, finite or not."""
        real = isinstance(value, float | np.floating)
        whole = isinstance(value, int | np.integer) and not isinstance(value, bool) and abs(int(value)) < 1 << 64
        if not real and not whole:
            raise self.unlike(where, "a number", value)
        return float(value)

    def array(self, value: Any, kinds: str, shape: tuple[int | None, ...], where: str) -> np.ndarray[Any, Any]:
        """An array of one of the NumPy `kinds`, such as ``"f"``; None in `shape` stands for any length."""
        array = self.a(np.ndarray, value, where)
        fits = array.ndim == len(shape) and all(
            side in (None, is_) for side, is_ in zip(shape, array.shape, strict=True)
        )
        if not fits or (array.size and array.dtype.kind not in kinds):
            sides = ", ".join("n" if side is None else str(side) for side in shape)
            expected = f"{'integers' if kinds == 'iu' else 'numbers'} of shape [{sides}]"
            raise InputError(
                self.source, [Problem(where, expected, f"{array.dtype} of shape {list(array.shape)}")], self.fix
            )
        return array

    def unlike(self, where: str, expected: str, found: object) -> InputError:
        """The error of a value that is none of what was expected."""
        small = isinstance(found, str | float) or (isinstance(found, int) and abs(found) < 1 << 64)
        shown = repr(found)[:_SHOWN] if small else f"a value of type {type(found).__name__}"
        return InputError(self.source, [Problem(where, expected, shown)], self.fix)
