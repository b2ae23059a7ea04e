"""The candidates of each space as curves: along its first numeric setting, one for each value of the others."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.metrics import Value
from longtail_cli.reports.tuning.model import Candidate, Tuning

GROUPS = {"classification": ("many", "few")}
"""The metrics of frequent and of rare classes, by kind."""


@dataclass(frozen=True, slots=True)
class Curve:
    """Candidates of a space that differ in one setting only."""

    label: str
    """The other settings: ``variant=raw``; empty if there are none."""
    candidates: tuple[Candidate, ...]
    """In ascending order of the setting, or as tried if it is a word."""


@dataclass(frozen=True, slots=True)
class SpaceCurves:
    """A space with its curves."""

    space: str
    setting: str | None
    """The first setting with numbers, or else the first; None if the space varies none."""
    numeric: bool
    """Whether the values of `setting` are numbers."""
    curves: tuple[Curve, ...]


def curves_of(tuning: Tuning) -> tuple[SpaceCurves, ...]:
    """The spaces in the order of their best candidates, then those of which none is known; without no adjustment."""
    members: dict[str, list[Candidate]] = {choice.space: [] for choice in tuning.best}
    for one in tuning.candidates:
        if one.space != "none":
            members.setdefault(one.space, []).append(one)
    return tuple(_space_curves(space, own) for space, own in members.items() if own)


def _space_curves(space: str, own: list[Candidate]) -> SpaceCurves:
    names = list(own[0].settings)
    numbers = [name for name in names if all(isinstance(one.settings.get(name), float | int) for one in own)]
    setting = next(iter(numbers or names), None)
    found: dict[str, list[Candidate]] = {}
    for one in own:
        others = (f"{name}={_shown(value)}" for name, value in one.settings.items() if name != setting)
        found.setdefault(", ".join(others), []).append(one)
    curves = (Curve(label, tuple(_ordered(part, setting if numbers else None))) for label, part in found.items())
    return SpaceCurves(space, setting, bool(numbers), tuple(curves))


def _ordered(part: list[Candidate], setting: str | None) -> list[Candidate]:
    return part if setting is None else sorted(part, key=lambda one: float(one.settings[setting]))


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def tradeoff_metrics(tuning: Tuning) -> tuple[str, str] | None:
    """The names of the metrics of frequent and of rare classes, of what the objective measures; None if undefined."""
    kinds = [kind for kind in ("bbox", "segm", "classification") if kind in tuning.objective.split("/")]
    for kind in (*kinds, "bbox", "segm", "classification"):
        frequent, rare = (f"{kind}/{name}" for name in GROUPS.get(kind, ("APf", "APr")))
        if any(both_defined(one, frequent, rare) for one in tuning.candidates):
            return frequent, rare
    return None


def both_defined(one: Candidate, first: str, second: str) -> bool:
    """Whether a candidate has both metrics."""
    return one.metrics.get(first) is not None and one.metrics.get(second) is not None


def front(points: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """The points that no other one beats in one coordinate without being beaten in the other, from left to right."""
    best: list[tuple[float, float]] = []
    highest: Value = None
    for point in sorted(set(points), key=lambda one: (-one[0], -one[1])):
        if highest is None or point[1] > highest:
            best.append(point)
            highest = point[1]
    return best[::-1]
