"""The methods that specs name: in words, or as ``@tuned.json``, the choice of an earlier tuning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import NO_DEFAULTS, parse_method

FILE = "@"


def method_of(spec: str, defaults: Mapping[str, str] = NO_DEFAULTS) -> Method:
    """The method that `spec` names: a spec of `parse_method`, or ``@PATH`` for what the tuning at PATH chose.

    defaults: values of parameters that the spec does not state; the choice of a tuning states all of its own.
    Raises UsageError as `parse_method` does, and for a file as a part of a chain; InputError for a file that is not a
    tuning.
    """
    path = _path(spec)
    if path is None:
        return parse_method(spec, defaults)
    from longtail_cli.workflow.tuned_method import tuned_method  # few specs are files

    return tuned_method(path)


def spec_files(specs: Sequence[str], methods: Sequence[Method]) -> tuple[Path, ...]:
    """The files that the specs and their methods read: tunings after ``@``, and values of parameters."""
    tunings = [path for path in map(_path, specs) if path is not None]
    return (*tunings, *(Path(file) for method in methods for file in method.files))


def space_files(spaces: Sequence[str]) -> tuple[Path, ...]:
    """The files that the methods of spaces read. Raises UsageError for a space that is not valid."""
    from longtail_cli.tuning.spaces import parse_space

    methods = [space.method(next(space.coarse())) for space in map(parse_space, spaces)]
    return tuple(Path(file) for method in methods for file in method.files)


def _path(spec: str) -> Path | None:
    """The path of a spec ``@PATH``; None for others. Raises UsageError for a chain with a file in it."""
    text = spec.strip()
    path = Path(text.removeprefix(FILE)) if text.startswith(FILE) else None
    in_chain = f"+{FILE}" in text.replace(" ", "") or ("+" in text and path is not None and not path.exists())
    if in_chain:
        problem = Problem("spec", "a tuning alone, such as @tuned.json", text)
        fix = "tune a space of chains, such as temperature:t=0.5..4+norcal:gamma=0..1, to apply several methods"
        raise UsageError("`method=`", [problem], fix)
    return path
