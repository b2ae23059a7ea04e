"""Errors and warnings.

Every error names what was expected, what was found and where, and how to fix it. The core names
parameters, as in `` `max_dets=` `` or `` `tide='off'` ``; only `longtail_cli.cli` turns errors into text on stderr and
exit codes, and parameters into flags.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from importlib.util import find_spec
from typing import ClassVar

from longtail_cli.escapes import one_line

MAX_PROBLEMS = 10
"""The largest number of problems of one file that are listed."""

MAX_ALIKE = 3
"""The largest number of problems listed that differ only in where they are."""

MAX_LETTERS = 300
"""How much is shown of each part of a problem, which may hold text from files."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with an input."""

    where: str
    """The entry, id or column of the input, for example ``"entry 17 (image_id 42)"``."""
    expected: str
    """For example ``"a finite score"``."""
    found: str
    """For example ``"NaN"``."""

    def __str__(self) -> str:
        where, expected, found = map(_shortened, (self.where, self.expected, self.found))
        return one_line(f"{where}: expected {expected}, found {found}")


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_LETTERS else f"{text[: MAX_LETTERS - 3]}..."


def _few_alike(problems: Sequence[Problem]) -> list[Problem]:
    """The problems without those that repeat `MAX_ALIKE` earlier ones elsewhere in the input."""
    kinds: Counter[tuple[str, str]] = Counter()
    listed = []
    for problem in problems:
        kinds[problem.expected, problem.found] += 1
        if kinds[problem.expected, problem.found] <= MAX_ALIKE:
            listed.append(problem)
    return listed


class LtcalWarning(UserWarning):
    """A note on a result; issued by the Python API, printed on stderr by the command line."""


class LtcalError(Exception):
    """Base of all errors that the tool raises deliberately.

    source: the file or parameter at fault.
    problems: what is wrong with it, at least one; the first `MAX_PROBLEMS` are shown, at most `MAX_ALIKE` of a kind.
    fix: how to fix it, in one sentence.
    total: the number of problems, if there are more than those listed.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, source: str, problems: Sequence[Problem], fix: str, *, total: int | None = None) -> None:
        self.source = source
        self.problems = tuple(problems[:MAX_PROBLEMS])
        self.fix = fix
        self.total = len(problems) if total is None else total
        super().__init__(str(self))

    def __reduce__(self) -> tuple[object, ...]:
        """Errors travel between processes."""
        return partial(type(self), total=self.total), (self.source, self.problems, self.fix)

    def __str__(self) -> str:
        if self.total == 1:
            return "\n".join([one_line(f"{self.source}: {self.problems[0]}"), f"Fix: {self.fix}"])
        listed = _few_alike(self.problems)
        hidden = self.total - len(listed)
        head = [one_line(f"{self.source}: {self.total} problems"), *(f"  {problem}" for problem in listed)]
        more = [f"  ... and {hidden} more"] if hidden else []
        return "\n".join([*head, *more, f"Fix: {self.fix}"])


class InputError(LtcalError):
    """A file that cannot be used as it is: broken, incomplete, or in conflict with another file. Exit code 2."""


class UsageError(LtcalError):
    """Options that do not fit each other or the input: an unknown method, parameter or protocol. Exit code 2."""


class OutputError(LtcalError):
    """A location that cannot be written to. Exit code 2."""


class MissingExtraError(LtcalError):
    """A package that an optional feature needs is not installed. Exit code 2."""


def missing_package(package: str, purpose: str, extra: str) -> MissingExtraError:
    """The error of a package that is not installed; `extra` brings it."""
    problem = Problem("package", f"{package}, for {purpose}", "none")
    return MissingExtraError(package, [problem], f"install it: pip install 'ltcal[{extra}]'")


def require(package: str, purpose: str, extra: str) -> None:
    """Raise MissingExtraError if the package is not installed, before work that would be lost for want of it."""
    if find_spec(package) is None:
        raise missing_package(package, purpose, extra)


class VerificationError(LtcalError):
    """A metric differs from the official tool's (`verify=True` of `ltcal report`). Exit code 1."""

    exit_code = 1


class GateError(LtcalError):
    """A metric is beyond a limit that was set for it, or undefined. Exit code 1."""

    exit_code = 1


class NotComparableError(LtcalError):
    """A baseline that was made with other options or on other data. Exit code 3."""

    exit_code = 3


def check_choice(parameter: str, value: object, choices: Sequence[str]) -> None:
    """Raise UsageError unless the `value` of a parameter is one of its `choices`."""
    if value not in choices:
        near = get_close_matches(str(value), choices, 1)
        fix = f"did you mean {near[0]}?" if near else "choose one of these"
        raise UsageError(f"`{parameter}=`", [Problem("value", f"one of {', '.join(choices)}", repr(value))], fix)
