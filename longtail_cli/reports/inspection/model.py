"""What is known about one input, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "results", "logits", "scores", "features", "annotations", "frequencies", "labels", "counts", "metadata", "report",
    "tuning", "fit", "unknown",
]  # fmt: skip
Scalar = bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Fact:
    """One line about the input."""

    name: str
    """What the line is about: ``images``."""
    text: str
    """For a reader: ``178 ids, 5 to 1,203``."""
    values: Mapping[str, Scalar]
    """The same for a program, at full precision: ``{"number": 178, "least": 5, "greatest": 1203}``; may be empty."""


@dataclass(frozen=True, slots=True)
class Section:
    """Facts that belong together."""

    title: str
    facts: tuple[Fact, ...]
    """At least one."""


@dataclass(frozen=True, slots=True)
class Command:
    """A call of the command line."""

    name: str
    """``report``."""
    inputs: tuple[str, ...]
    """The arguments, in order."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Name and value of each option, by the name that messages use: ``("annotations", "val.json")``."""

    @property
    def words(self) -> list[str]:
        """The parts of the command, its parameters as messages write them."""
        return ["ltcal", self.name, *self.inputs, *(f"`{name}={value}`" for name, value in self.parameters)]


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do with the input."""

    purpose: str
    """What for, in one line."""
    command: Command
    missing: str = ""
    """What the names in capitals stand for; empty if the command can be called as it is."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What is known about one input."""

    version: str
    """Version of the tool."""
    source: str
    """The file or folder as the user gave it."""
    kind: Kind
    headline: str
    """What the input is and how much it holds, without its name."""
    sections: tuple[Section, ...]
    notes: tuple[str, ...]
    """What the user should know, one or two sentences each."""
    steps: tuple[Step, ...]
    problem: str | None = None
    """The error of the command that would read the input; None if one can read it with the given options."""

    def fact(self, name: str) -> Fact:
        """The first fact called `name`. Raises KeyError if there is none."""
        for section in self.sections:
            for fact in section.facts:
                if fact.name == name:
                    return fact
        raise KeyError(name)

    def to_text(self) -> str:
        """For a terminal; commands have their parameters as messages write them."""
        from longtail_cli.reports.inspection.text import to_text

        return to_text(self)
