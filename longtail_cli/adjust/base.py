"""What a method is: a frozen dataclass whose fields are its parameters and whose docstring is its formula and source.

A method of this protocol is an affine map of each class's logit, z'_c = a_c z_c + b_c, that follows from how often the
classes occur. The logit of a background column, where there is one, stays as it is.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Protocol, get_type_hints

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Bools, Floats, FrequencyTable

Value = float | str


@dataclass(frozen=True, slots=True)
class Note:
    """Something to tell the user about some classes.

    rows: bool [C], the classes meant, at least one.
    text: what holds for them, to follow their names: ``"never occur; their weight is ..."``.
    """

    rows: Bools
    text: str


@dataclass(frozen=True, slots=True)
class ClassAffine:
    """z'_c = scale_c z_c + shift_c for the C classes of a `FrequencyTable`, in its order.

    scale, shift: float64 [C], finite.
    notes: what had to be decided on the way, and for which classes.
    """

    scale: Floats
    shift: Floats
    notes: tuple[Note, ...] = ()

    def then(self, after: ClassAffine) -> ClassAffine:
        """The map that applies `after` to the outcome of this one."""
        return ClassAffine(
            scale=after.scale * self.scale,
            shift=after.scale * self.shift + after.shift,
            notes=self.notes + after.notes,
        )


def identity(classes: int) -> ClassAffine:
    """z'_c = z_c."""
    return ClassAffine(np.ones(classes), np.zeros(classes))


class Method(Protocol):
    """A correction of logits, class by class."""

    @property
    def spec(self) -> str:
        """The canonical string that `longtail_cli.adjust.registry.parse_method` reads back as an equal method."""
        ...

    @property
    def uses_counts(self) -> bool:
        """Whether the coefficients depend on the counts of the table, or on its number of classes alone."""
        ...

    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        """The map for the classes of `table`. Raises InputError where the counts do not allow one."""
        ...


@dataclass(frozen=True, slots=True)
class Number:
    """A parameter that is a number, low <= value <= high. meaning: one line for the user."""

    meaning: str
    low: float = -1e6
    high: float = 1e6

    @property
    def range(self) -> str:
        return f"a number from {self.low:g} to {self.high:g}"

    def accepts(self, value: Value) -> bool:
        return isinstance(value, int | float) and self.low <= value <= self.high

    def parse(self, text: str) -> Value:
        try:
            return float(text)
        except ValueError:
            return text


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that is one of a few words. meaning: one line for the user. values: the words, the default first."""

    meaning: str
    values: tuple[str, ...]

    @property
    def range(self) -> str:
        return "one of " + ", ".join(self.values)

    def accepts(self, value: Value) -> bool:
        return value in self.values

    def parse(self, text: str) -> Value:
        return text


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a method: its name, what it takes, and its default, or None where it must be given."""

    name: str
    kind: Number | Choice
    default: Value | None


@dataclass(frozen=True, slots=True)
class NamedMethod(ABC):
    """Base of the methods of the registry: reads the parameters off the fields, checks and prints them.

    A field is a parameter where its type is ``Annotated`` with a `Number` or a `Choice`.
    """

    name: ClassVar[str]
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wrong = [p for p in self.parameters() if not p.kind.accepts(getattr(self, p.name))]
        if wrong:
            problems = [Problem(p.name, p.kind.range, repr(getattr(self, p.name))) for p in wrong]
            raise UsageError(f"method {self.name}", problems, "`ltcal methods` lists the parameters and their ranges")

    @abstractmethod
    def coefficients(self, table: FrequencyTable) -> ClassAffine: ...

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """The parameters, in the order of the fields; a bare value in a spec is the first."""
        hints = get_type_hints(cls, include_extras=True)
        return tuple(
            Parameter(field.name, kind, None if field.default is dataclasses.MISSING else field.default)
            for field in dataclasses.fields(cls)
            for kind in getattr(hints[field.name], "__metadata__", ())
        )

    @classmethod
    def formula(cls) -> str:
        return _documentation(cls)[0]

    @classmethod
    def source(cls) -> str:
        return _documentation(cls)[1]

    @property
    def spec(self) -> str:
        """``name:parameter=value,...``: numbers always, words where they are not the default."""
        shown = []
        for p in self.parameters():
            value = getattr(self, p.name)
            if isinstance(p.kind, Number):
                shown.append(f"{p.name}={float(value)!r}")
            elif value != p.default:
                shown.append(f"{p.name}={value}")
        return ":".join([self.name, ",".join(shown)] if shown else [self.name])


def _documentation(method: type[NamedMethod]) -> tuple[str, str]:
    """The two parts of a method's docstring, either of them on one line."""
    formula, _, source = (inspect.getdoc(method) or "").partition("Source: ")
    return " ".join(formula.split()), " ".join(source.split())
