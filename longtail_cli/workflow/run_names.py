"""The names of the runs of a report."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.paths import name_of_shards, paths_in
from longtail_cli.files.source import printable
from longtail_cli.methods.base import Method
from longtail_cli.reports.model import ORACLE


def run_names(
    predictions: Sequence[Any], methods: Sequence[Method], names: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """For each input a name for each method, or one name if there are no methods.

    names: one per run, ordered by input, then method. If empty, a run is named after its input or, with methods, after
    its method, preceded by the input if there are several. Raises UsageError unless there are as many names as runs,
    all different and none empty.
    """
    specs = [method.spec for method in methods]
    if len(set(specs)) < len(specs):
        problem = Problem("methods", "each of them once", ", ".join(specs))
        raise UsageError("`methods=`", [problem], "leave the repeated one out")
    each = max(len(specs), 1)
    if names:
        flat = list(map(printable, names))
        if len(flat) != len(predictions) * each or len(set(flat)) != len(flat) or not all(flat):
            expected = f"{len(predictions) * each}, all different and none empty"
            problem = Problem("names", expected, ", ".join(one or "''" for one in flat))
            raise UsageError("`names=`", [problem], "give one name for each input and method, or none")
    else:
        inputs = _short_names(predictions)
        flat = [f"{one}: {spec}" for one in inputs for spec in specs] if len(inputs) > 1 else specs
        flat = flat or inputs
    return tuple(tuple(flat[first : first + each]) for first in range(0, len(flat), each))


def number_of(reference: str, names_by_input: Sequence[Sequence[str]]) -> int:
    """The number of the run called `reference`, from 0, with or without the mark of oracle runs.

    Raises UsageError, with the nearest name, if there is none.
    """
    names = [name for own in names_by_input for name in own]
    for name in (reference, reference.removesuffix(ORACLE)):
        if name in names:
            return names.index(name)
    near = difflib.get_close_matches(reference, names, n=1, cutoff=0.4)
    problem = Problem("run", f"one of {', '.join(names)}", printable(reference))
    raise UsageError("`reference=`", [problem], f"pass the name of a run, such as {near[0] if near else names[0]}")


def _short_names(predictions: Sequence[Any]) -> list[str]:
    """The file names without suffixes; with them, then with folders if that repeats; ``predictions`` for other data."""
    paths = [paths_in(one) or (Path("predictions"),) for one in predictions]
    for name_of in (_stem, attrgetter("name")):
        short = [printable(name_of_shards([Path(name_of(path)) for path in own])) for own in paths]
        if len(set(short)) == len(short):
            return short
    long = [printable(name_of_shards(own)) for own in paths]
    return [f"{name} ({number})" if long.count(name) > 1 else name for number, name in enumerate(long, 1)]


def _stem(path: Path) -> str:
    """The name of a file without the suffix that says how it is written; that of a folder as it is."""
    return path.name if path.is_dir() else path.stem
