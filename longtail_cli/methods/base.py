"""What a method is: a frozen dataclass whose fields are its parameters and whose docstring is its formula and source.

Most methods are an affine map of each class's logit, z'_c = a_c z_c + b_c, computed from how often the classes occur.
These work on full logits and on the one score per detection of a result file. The others need the full logits. The
logit of a background column stays as it is unless a method says otherwise.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_type_hints

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.steps import ColumnAffine, Step
from longtail_cli.tables import Bools, Floats, FrequencyTable, LogitColumns, Longs, Singles

Value = float | str
RowKind = Literal["scores", "logits"]


@dataclass(frozen=True, slots=True)
class Note:
    """Something that the user should know about some classes."""

    rows: Bools
    """bool [C], the classes, at least one."""
    text: str
    """What is said about them, with "classes" as its subject: ``"never occur; counted as ..."``."""


@dataclass(frozen=True, slots=True)
class ClassAffine:
    """z'_c = scale_c z_c + shift_c for the C classes of a `FrequencyTable`, in its order.

    scale, shift: float64 [C], finite. notes: the classes that are special cases.
    """

    scale: Floats
    shift: Floats
    notes: tuple[Note, ...] = ()


class DataAccess(Protocol):
    """The data that a method can read besides the counts; `longtail_cli.workflow` gets it from files."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        """Saved parameters by name, ``alpha`` and maybe ``beta``: float64 [C], or [K] with the background's."""
        ...

    def prior(self, path: str) -> FrequencyTable:
        """The counts of the target distribution."""
        ...

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        """The scores of the input after `steps`, in blocks of float32 [n, C]."""
        ...

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        """Scores after `steps` and true classes (column indices, int64 [n]) of another logits file."""
        ...

    def rows(self, path: str, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles | Floats]:
        """The scores or the logits of the classes after `steps`, in blocks [n, C] in file order.

        path: another logits file of the same model, or empty for the input itself.
        """
        ...


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a method is applied to. A result file counts as a sigmoid head with one column per row of the table."""

    columns: LogitColumns
    """What the columns are, after `steps`."""
    table: FrequencyTable | None
    """How often the classes of `columns` occur, in order of id, if known."""
    classifier: Singles | None
    """float32 [K, D], the weights of the last layer, if the file has them and features."""
    data_access: DataAccess
    steps: tuple[Step, ...] = ()
    """The steps of the methods before this one."""
    score_only: bool = False
    """Whether there is only one score per detection, as in a result file, and not the full logits."""
    features: int | None = None
    """D, the number of features of a row, if the file has them."""

    def counts(self, spec: str) -> FrequencyTable:
        """The table, for the method `spec`. Raises UsageError if there is none."""
        if self.table is None:
            problem = Problem("frequency table", f"one, for the method {spec}", "none")
            fix = "pass a frequency table: `frequencies=`; `ltcal compute-freq` makes one"
            raise UsageError("`frequencies=`", [problem], fix)
        return self.table

    def table_rows(self) -> Longs:
        """The row of each class in the table, which is in order of id: int64 [C], in column order."""
        return np.argsort(np.argsort(self.columns.category_id))

    def by_row(self, values: Floats) -> Floats:
        """Values of the classes in column order, [C], in the order of the table."""
        return values[np.argsort(self.columns.category_id)]

    def width(self) -> int:
        """K. Raises UsageError for a ``bags`` head with unknown slices."""
        if self.columns.width is None:
            problem = Problem("head", "the slices of the bags head", "none in the metadata")
            fix = "state them in the metadata, or apply bags first and pass `frequencies=`"
            raise UsageError("`methods=`", [problem], fix)
        return self.columns.width

    def check_one_scale(self) -> None:
        """Raise UsageError for a ``bags`` head, whose slices are on different scales."""
        if self.columns.head == "bags":
            problem = Problem("head", "softmax or sigmoid", "bags, whose slices have no common scale")
            raise UsageError("`methods=`", [problem], "decode the slices first: bags+METHOD")

    def on_columns(self, affine: ClassAffine) -> ColumnAffine:
        """The map of the classes, in order of id, for the columns; the background's logit stays as it is.

        Raises UsageError for a ``bags`` head.
        """
        self.check_one_scale()
        scale, shift = np.ones(self.width()), np.zeros(self.width())
        row = self.table_rows()
        scale[self.columns.classes], shift[self.columns.classes] = affine.scale[row], affine.shift[row]
        return ColumnAffine(scale, shift)


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a method does to full logits."""

    steps: tuple[Step, ...]
    """In the order of application; none if nothing changes."""
    columns: LogitColumns
    """What the columns are after the steps."""
    notes: tuple[Note, ...] = ()


def binary_columns(columns: LogitColumns) -> LogitColumns:
    """The columns after a step whose result is binary logits."""
    return LogitColumns("sigmoid", "none", columns.category_id)


class Method(Protocol):
    """A way to adjust logits."""

    @property
    def spec(self) -> str:
        """The canonical string that `longtail_cli.methods.registry.parse_method` reads back as an equal method."""
        ...

    @property
    def uses_counts(self) -> bool:
        """Whether the method needs a frequency table."""
        ...

    @property
    def files(self) -> tuple[str, ...]:
        """The files that the method reads."""
        ...

    def adjustment(self, context: MethodContext) -> Adjustment:
        """What the method does in `context`. Raises InputError or UsageError if it cannot be applied there."""
        ...


def needs_logits(spec: str) -> UsageError:
    """The error for a method that cannot adjust the scores of a result file."""
    problem = Problem("input", f"full logits, for the method {spec}", "one score per detection")
    return UsageError("`methods=`", [problem], "save the logits (docs/logits.md), or choose another method")


@dataclass(frozen=True, slots=True)
class Number:
    """A parameter that is a number, low <= value <= high. meaning: one line for the user."""

    meaning: str
    low: float = -1e6
    high: float = 1e6
    default_shown: bool = True
    """Whether the canonical spec states the default. It does not for a parameter that was added to a method later, so
    that the spec of a run, which is its name, stays what it was."""
    whole: bool = False
    """Whether it has to be a whole number."""

    @property
    def range(self) -> str:
        return f"a {'whole ' if self.whole else ''}number from {self.low:g} to {self.high:g}"

    def accepts(self, value: Value) -> bool:
        if not isinstance(value, int | float) or not self.low <= value <= self.high:
            return False
        return not self.whole or value % 1 == 0

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
class NumberOrWord:
    """A parameter that is a number, low <= value <= high, or one word. meaning: one line for the user."""

    meaning: str
    word: str
    low: float = 0.0
    high: float = 1e6
    whole: bool = False
    """Whether a number has to be a whole one."""

    @property
    def range(self) -> str:
        return f"{self._number.range}, or {self.word}"

    def accepts(self, value: Value) -> bool:
        return value == self.word or self._number.accepts(value)

    def parse(self, text: str) -> Value:
        return self._number.parse(text)

    @property
    def _number(self) -> Number:
        return Number(self.meaning, self.low, self.high, whole=self.whole)


@dataclass(frozen=True, slots=True)
class FileName:
    """A parameter that is a file name without the characters that separate the parts of a spec; empty for none."""

    meaning: str

    @property
    def range(self) -> str:
        return "a file name without comma or plus sign"

    def accepts(self, value: Value) -> bool:
        return isinstance(value, str) and value == value.strip() and not set(value) & set(",+\0")

    def parse(self, text: str) -> Value:
        return text


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a method: its name, what it accepts, and its default, or None if it is required."""

    name: str
    kind: Number | NumberOrWord | Choice | FileName
    default: Value | None

    def accepts(self, value: Value) -> bool:
        return self.kind.accepts(value) and (value != "" or self.default is not None)


@dataclass(frozen=True, slots=True)
class Named:
    """Something that a spec names: derives its parameters from the fields, checks and formats them.

    A field is a parameter if its type is ``Annotated`` with a `Number`, a `NumberOrWord`, a `Choice` or a `FileName`.
    """

    name: ClassVar[str]
    listed: ClassVar[str] = "`ltcal methods`"
    """What lists the names with their parameters, for errors."""

    def __post_init__(self) -> None:
        wrong = [p for p in self.parameters() if not p.accepts(getattr(self, p.name))]
        if wrong:
            problems = [Problem(p.name, p.kind.range, repr(getattr(self, p.name))) for p in wrong]
            raise UsageError(f"method {self.name}", problems, f"{self.listed} lists the parameters and their ranges")

    @property
    def files(self) -> tuple[str, ...]:
        named = (getattr(self, p.name) for p in self.parameters() if isinstance(p.kind, FileName))
        return tuple(filter(None, named))

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """The parameters, in the order of the fields; a value without a name in a spec is for the first."""
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
        """``name:parameter=value,...``: the numbers, and the words that are not the default.

        A number that is the default is left out if its `Number` says so.
        """
        shown = []
        for p in self.parameters():
            value = getattr(self, p.name)
            if isinstance(p.kind, Number) and (p.kind.default_shown or value != p.default):
                shown.append(f"{p.name}={float(value)!r}")
            elif value != p.default:
                shown.append(f"{p.name}={value}")
        return ":".join([self.name, ",".join(shown)] if shown else [self.name])


@dataclass(frozen=True, slots=True)
class NamedMethod(Named, ABC):
    """Base of the methods of the registry."""

    @property
    def uses_counts(self) -> bool:
        return True

    @abstractmethod
    def adjustment(self, context: MethodContext) -> Adjustment: ...


@dataclass(frozen=True, slots=True)
class CountMethod(NamedMethod):
    """Base of the methods that map each class's logit by its count."""

    @abstractmethod
    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        """The map for the classes of `table`. Raises InputError if the counts do not allow one."""
        ...

    def adjustment(self, context: MethodContext) -> Adjustment:
        affine = self.coefficients(context.counts(self.spec))
        return Adjustment((context.on_columns(affine),), context.columns, affine.notes)


def _documentation(method: type[Named]) -> tuple[str, str]:
    """Formula and source from a method's docstring, each on one line."""
    formula, _, source = (inspect.getdoc(method) or "").partition("Source: ")
    return " ".join(formula.split()), " ".join(source.split())
