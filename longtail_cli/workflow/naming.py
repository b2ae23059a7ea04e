"""Names of the runs of a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from longtail_cli.adjust.base import Method
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.source import printable


def names_of_runs(
    predictions: Sequence[Path], methods: Sequence[Method], names: Sequence[str]
) -> tuple[tuple[str, ...], ...]:
    """For each file a name for each method, or one name where there are no methods.

    names: as given, file by file and for each file method by method. Without them a run is called by its file, by its
    method where there is one file, and by both where there are several. Raises UsageError unless names are as many as
    runs and all different.
    """
    specs = [method.spec for method in methods]
    if len(set(specs)) < len(specs):
        problem = Problem("methods", "each of them once", ", ".join(specs))
        raise UsageError("--method", [problem], "leave out the one that stands there twice")
    each = max(len(specs), 1)
    if names:
        flat = list(map(printable, names))
        if len(flat) != len(predictions) * each or len(set(flat)) != len(flat):
            problem = Problem("names", f"{len(predictions) * each} different ones", ", ".join(flat))
            raise UsageError("--name", [problem], "give one name for each file and method, or none")
    else:
        flat = _by_default(_short_names(predictions), specs)
    return tuple(tuple(flat[first : first + each]) for first in range(0, len(flat), each))


def _by_default(files: list[str], specs: list[str]) -> list[str]:
    if not specs:
        return files
    return specs if len(files) == 1 else [f"{file}: {spec}" for file in files for spec in specs]


def _short_names(predictions: Sequence[Path]) -> list[str]:
    """The file names, with their folders where file names repeat."""
    short = [printable(path.name) for path in predictions]
    if len(set(short)) == len(short):
        return short
    long = [printable(str(path)) for path in predictions]
    return [f"{name} ({number})" if long.count(name) > 1 else name for number, name in enumerate(long, 1)]
