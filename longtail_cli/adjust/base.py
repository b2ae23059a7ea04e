"""What a method is: a frozen dataclass whose fields are its parameters and whose docstring is its formula and source.

Most methods are an affine map of each class's logit, z'_c = a_c z_c + b_c, that follows from how often the classes
occur. These work on full logits and on the one score that a result file has left of each detection. The others need
the full logits. The logit of a background column stays as it is unless a method says otherwise.
"""

from __future__ import annotations

import dataclasses
import inspect
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol, get_type_hints

import numpy as np

from longtail_cli.adjust.steps import ColumnAffine, Step
from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Bools, Floats, FrequencyTable, LogitColumns, Longs, Singles

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


class DataAccess(Protocol):
    """What a method may look at beside the counts; `longtail_cli.workflow` reads it from files."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        """Saved parameters by name, ``alpha`` and perhaps ``beta``: float64 [C], or [K] with the background's."""
        ...

    def prior(self, path: str) -> FrequencyTable:
        """The counts of the target distribution."""
        ...

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        """The scores float32 [n, C] of the predictions in hand after `steps`, block by block."""
        ...

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        """Scores after `steps` and true classes (column indices, int64 [n]) of another logits file."""
        ...


@dataclass(frozen=True, slots=True)
class MethodContext:
    """What a correction goes by. A result file counts as a sigmoid head with a column for each row of the table.

    columns: what the columns are, after `steps`.
    table: how often the classes of `columns` occur, in order of id; None where there is none.
    classifier: float32 [K, D], the weights of the last layer, where the file holds them and features; else None.
    data_access: what else can be looked at. steps: what was done to the logits before this method.
    """

    columns: LogitColumns
    table: FrequencyTable | None
    classifier: Singles | None
    data_access: DataAccess
    steps: tuple[Step, ...] = ()

    def counts(self, spec: str) -> FrequencyTable:
        """The table, for the method `spec`. Raises UsageError where there is none."""
        if self.table is None:
            problem = Problem("frequency table", f"one, for the method {spec}", "none")
            raise UsageError("--freq", [problem], "pass one that `ltcal compute-freq` made, with --freq FILE")
        return self.table

    def width(self) -> int:
        """K. Raises UsageError for a ``bags`` head whose slices are not known."""
        if self.columns.width is None:
            problem = Problem("head", "the slices of the bags head", "none in the metadata")
            raise UsageError("--method", [problem], "state them in the metadata, or begin with bags and pass --freq")
        return self.columns.width

    def check_one_scale(self) -> None:
        """Raise UsageError for a ``bags`` head, whose slices have a scale each."""
        if self.columns.head == "bags":
            problem = Problem("head", "softmax or sigmoid", "bags, whose slices know no common scale")
            raise UsageError("--method", [problem], "decode the slices first: bags+METHOD")

    def on_columns(self, affine: ClassAffine) -> ColumnAffine:
        """The map of the classes, in order of id, put on the columns; the background's logit stays.

        Raises UsageError for a ``bags`` head.
        """
        self.check_one_scale()
        scale, shift = np.ones(self.width()), np.zeros(self.width())
        row = rank(self.columns.category_id)
        scale[self.columns.classes], shift[self.columns.classes] = affine.scale[row], affine.shift[row]
        return ColumnAffine(scale, shift)


def rank(ids: Longs) -> Longs:
    """The place of each id in ascending order, int64 [C]: where its class stands in a `FrequencyTable`."""
    return np.argsort(np.argsort(ids))


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a method does to full logits. steps: in order; none where nothing changes. columns: what they are after."""

    steps: tuple[Step, ...]
    columns: LogitColumns
    notes: tuple[Note, ...] = ()


def binary_columns(columns: LogitColumns) -> LogitColumns:
    """The columns after a step that leaves two-way logits."""
    return LogitColumns("sigmoid", "none", columns.category_id)


class Method(Protocol):
    """A correction of logits."""

    @property
    def spec(self) -> str:
        """The canonical string that `longtail_cli.adjust.registry.parse_method` reads back as an equal method."""
        ...

    @property
    def uses_counts(self) -> bool:
        """Whether the method needs a frequency table."""
        ...

    def adjustment(self, context: MethodContext) -> Adjustment:
        """What the method does in `context`. Raises InputError and UsageError where it cannot do anything."""
        ...


def needs_logits(spec: str) -> UsageError:
    problem = Problem("input", f"full logits, for the method {spec}", "one score a detection")
    return UsageError("--method", [problem], "save the logits (docs/logits.md), or choose another method")


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
class FileName:
    """A parameter that is the name of a file, so written that a spec parses back; empty for none. meaning: one line."""

    meaning: str

    @property
    def range(self) -> str:
        return "a file name without comma or plus sign"

    def accepts(self, value: Value) -> bool:
        return isinstance(value, str) and value == value.strip() and not set(value) & set(",+")

    def parse(self, text: str) -> Value:
        return text


@dataclass(frozen=True, slots=True)
class Parameter:
    """One field of a method: its name, what it takes, and its default, or None where it must be given."""

    name: str
    kind: Number | Choice | FileName
    default: Value | None

    def accepts(self, value: Value) -> bool:
        return self.kind.accepts(value) and (value != "" or self.default is not None)


@dataclass(frozen=True, slots=True)
class NamedMethod(ABC):
    """Base of the methods of the registry: reads the parameters off the fields, checks and prints them.

    A field is a parameter where its type is ``Annotated`` with a `Number`, a `Choice` or a `FileName`.
    """

    name: ClassVar[str]
    uses_counts: ClassVar[bool] = True

    def __post_init__(self) -> None:
        wrong = [p for p in self.parameters() if not p.accepts(getattr(self, p.name))]
        if wrong:
            problems = [Problem(p.name, p.kind.range, repr(getattr(self, p.name))) for p in wrong]
            raise UsageError(f"method {self.name}", problems, "`ltcal methods` lists the parameters and their ranges")

    @abstractmethod
    def adjustment(self, context: MethodContext) -> Adjustment: ...

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


@dataclass(frozen=True, slots=True)
class CountMethod(NamedMethod):
    """Base of the methods whose map of each class's logit follows from the counts."""

    @abstractmethod
    def coefficients(self, table: FrequencyTable) -> ClassAffine:
        """The map for the classes of `table`. Raises InputError where the counts do not allow one."""
        ...

    def adjustment(self, context: MethodContext) -> Adjustment:
        affine = self.coefficients(context.counts(self.spec))
        return Adjustment((context.on_columns(affine),), context.columns, affine.notes)


def _documentation(method: type[NamedMethod]) -> tuple[str, str]:
    """The two parts of a method's docstring, either of them on one line."""
    formula, _, source = (inspect.getdoc(method) or "").partition("Source: ")
    return " ".join(formula.split()), " ".join(source.split())
