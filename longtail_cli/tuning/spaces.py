"""Spaces of specs: a spec with alternatives, such as ``norcal:gamma=0..1.5`` or ``iif:variant=*,strength=0.5..1``.

An alternative of a number is a range ``low..high`` or a list ``a|b|c``, of a word a list or ``*`` for all words. A spec
without alternatives is a space of one. ``temperature:t=fit`` at the end of a chain is fitted for each candidate.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Choice, FileName, Method, Number, Parameter
from longtail_cli.methods.registry import method_class, parse_method

Setting = float | str
Point = tuple[Setting, ...]
"""A value for each axis of a space."""

FIT = "fit"
"""The word for a temperature that is fitted."""

_STEPS = {1: 7, 2: 5}
"""Points of a range in the coarse grid, by the number of ranges of the space."""
_STEPS_OF_MANY = 3
"""The same for three ranges and more."""
_STEPS_WITH_WORDS = 5
"""At most so many if the space also has lists."""


@dataclass(frozen=True, slots=True)
class Range:
    """All numbers from `low` to `high`."""

    name: str
    low: float
    high: float

    @property
    def geometric(self) -> bool:
        """Whether steps are equal factors: for a divisor such as the temperature."""
        return self.name.rpartition(".")[2] == "t"

    def grid(self, steps: int) -> tuple[float, ...]:
        return tuple(self.at(k / (steps - 1)) for k in range(steps))

    def at(self, share: float) -> float:
        """The number at a share of the range, in [0, 1], to six digits, so that specs stay readable."""
        if self.geometric:
            value = math.exp(math.log(self.low) * (1 - share) + math.log(self.high) * share)
        else:
            value = self.low * (1 - share) + self.high * share
        return self.rounded(value, 6)

    def rounded(self, value: float, digits: int) -> float:
        """The value to so many digits, not beyond the ends."""
        return min(max(float(f"{value:.{digits}g}"), self.low), self.high) + 0.0

    def share(self, value: float) -> float:
        """The inverse of `at`."""
        if self.geometric:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True, slots=True)
class Listed:
    """A few numbers or words."""

    name: str
    values: tuple[Setting, ...]


Axis = Range | Listed


@dataclass(frozen=True, slots=True)
class Space:
    """The methods that a text describes. axes: what varies. temperature_fitted: whether it ends in ``t=fit``."""

    text: str
    axes: tuple[Axis, ...]
    temperature_fitted: bool
    _template: tuple[str, ...]
    """The text around the axes: one piece more than there are axes."""
    _only: Method | None = None
    """The method of a space of one that is no spec of `parse_method`."""

    @property
    def ranges(self) -> tuple[int, ...]:
        """The positions of the ranges among the axes."""
        return tuple(index for index, axis in enumerate(self.axes) if isinstance(axis, Range))

    def method(self, point: Point) -> Method:
        """The method at a point, without the fitted temperature."""
        if self._only is not None:
            return self._only
        pieces = [self._template[0]]
        for setting, piece in zip(point, self._template[1:], strict=True):
            pieces += [setting if isinstance(setting, str) else repr(setting), piece]
        return parse_method("".join(pieces))

    def settings(self, point: Point) -> Mapping[str, Setting]:
        """The settings at a point by the name of the parameter."""
        return {axis.name: setting for axis, setting in zip(self.axes, point, strict=True)}

    def coarse(self) -> Iterator[Point]:
        """The points of a grid over the whole space; with three ranges and more, of their ends and centres."""
        grids = (axis.values if isinstance(axis, Listed) else axis.grid(self._steps) for axis in self.axes)
        return itertools.product(*grids)

    def around(self, point: Point, step: float) -> Iterator[Point]:
        """The neighbours of a point in its ranges, `step` of a range away in each direction, and in the corners."""
        choices: list[tuple[Setting, ...]] = []
        for axis, setting in zip(self.axes, point, strict=True):
            if isinstance(axis, Listed) or isinstance(setting, str):
                choices.append((setting,))
                continue
            place = round(axis.share(setting) / step)  # on a grid, so that equal neighbours have equal specs
            near = {min(max(place + sign, 0), round(1 / step)) for sign in (-1, 0, 1)}
            choices.append(tuple(setting if one == place else axis.at(one * step) for one in sorted(near)))
        return (one for one in itertools.product(*choices) if one != point)

    @property
    def step(self) -> float:
        """Half of the distance of two points of the coarse grid, as a share of a range."""
        return 0.5 / (self._steps - 1)

    @property
    def _steps(self) -> int:
        """Points of each range in the coarse grid."""
        steps = _STEPS.get(len(self.ranges), _STEPS_OF_MANY)
        return min(steps, _STEPS_WITH_WORDS) if len(self.ranges) < len(self.axes) else steps


def space_of_one(text: str, method: Method) -> Space:
    """The space called `text` that holds one method."""
    return Space(text, (), False, (text,), method)


def parse_space(text: str) -> Space:
    """The space that `text` describes; see the module.

    Raises UsageError for what `parse_method` refuses, ranges whose ends are no numbers or out of order, values that a
    parameter does not accept, and ``fit`` elsewhere than in the temperature at the end.
    """
    body, fitted = _without_fit(text.strip())
    pieces, axes = [""], []
    parts = re.split(r"\+(?![0-9])", body)
    single = _single_names(parts)
    for number, part in enumerate(parts):
        name, colon, arguments = part.strip().partition(":")
        kinds = {one.name: one for one in method_class(name.strip()).parameters()}
        pieces[-1] += ("+" if number else "") + name.strip() + colon
        for place, argument in enumerate(arguments.split(",") if arguments else []):
            key, equals, value = (one.strip() for one in argument.partition("="))
            if not equals and place == 0 and kinds:
                key, value = next(iter(kinds)), key
            pieces[-1] += ("," if place else "") + f"{key}="
            parameter = kinds.get(key)
            axis = None if parameter is None else _axis(text, _title(name, key, single), parameter, value)
            if axis is None:
                pieces[-1] += value
            else:
                axes.append(axis)
                pieces.append("")
    space = Space(text, tuple(axes), fitted, tuple(pieces))
    space.method(next(iter(space.coarse())))  # raises UsageError if the spec is not valid
    return space


def _without_fit(text: str) -> tuple[str, bool]:
    """The text without a fitted temperature at its end, and whether there was one."""
    body, plus, last = text.rpartition("+")
    if re.fullmatch(r"\s*temperature\s*:\s*(t\s*=\s*)?fit\s*", last):
        return (body if plus else "none"), True
    return text, False


def _single_names(parts: Sequence[str]) -> frozenset[str]:
    """The parameters that only one method of the chain has."""
    names = [one.name for part in parts for one in method_class(part.partition(":")[0].strip()).parameters()]
    return frozenset(name for name in names if names.count(name) == 1)


def _title(method: str, key: str, single: frozenset[str]) -> str:
    return key if key in single else f"{method.strip()}.{key}"


def _axis(text: str, title: str, parameter: Parameter, value: str) -> Axis | None:
    """The axis that the value of a parameter describes; None for a single value."""
    kind = parameter.kind
    if isinstance(kind, Choice) and value == "*":
        return Listed(title, kind.values)
    if isinstance(kind, FileName):
        return None
    if "|" in value:
        settings = tuple(kind.parse(one.strip()) for one in value.split("|"))
        _check(text, parameter, settings)
        return Listed(title, settings)
    if isinstance(kind, Number) and ".." in value:
        low, _, high = value.partition("..")
        ends = (kind.parse(low), kind.parse(high))
        _check(text, parameter, ends)
        first, last = float(ends[0]), float(ends[1])
        if not first < last:
            problem = Problem(parameter.name, "a range low..high with low < high", value)
            raise UsageError(f"space {text!r}", [problem], "give the lower end first, or a single number")
        return Range(title, first, last)
    if isinstance(kind, Number) and value == FIT:
        problem = Problem(parameter.name, "a number, a range low..high or a list a|b", FIT)
        raise UsageError(f"space {text!r}", [problem], "only +temperature:t=fit at the end of a chain is fitted")
    return None


def _check(text: str, parameter: Parameter, settings: Sequence[Setting]) -> None:
    wrong = [one for one in settings if not parameter.accepts(one)]
    if wrong or len(set(settings)) < len(settings):
        found = repr(wrong[0]) if wrong else "the same value twice"
        problem = Problem(parameter.name, f"values that are each {parameter.kind.range}", found)
        raise UsageError(f"space {text!r}", [problem], "`ltcal methods` lists the parameters and their ranges")
