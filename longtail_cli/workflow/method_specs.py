"""The methods that specs name: in words, or as ``@FILE``, the choice of an earlier tuning or what was fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.urls import is_url
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import METHODS, parse_method
from longtail_cli.methods.specs import NO_DEFAULTS

if TYPE_CHECKING:
    from longtail_cli.tuning.spaces import Space

FILE = "@"
"""What a spec that names a file begins with."""


def method_of(spec: str, defaults: Mapping[str, str] = NO_DEFAULTS) -> Method:
    """The method that `spec` names: a spec of `parse_method`, or ``@PATH`` for what was tuned or fitted at PATH.

    defaults: values of parameters that the spec does not state; what a file holds states all of its own.
    Raises UsageError as `parse_method` does, and for a file as a part of a chain; InputError for a file that is neither
    a tuning nor a fit.
    """
    path = _path(spec)
    if path is None:
        _check_not_learned(spec)
        return parse_method(spec, defaults)
    from longtail_cli.workflow.saved_method import method_of_file  # few specs are files

    return method_of_file(path)


def _check_not_learned(spec: str) -> None:
    """Raise UsageError for the name of something that has to be fitted first."""
    name = spec.partition(":")[0].strip()
    if name in METHODS:
        return
    from longtail_cli.fitting.methods import FIT_METHODS  # for a name that is no method alone

    if name in FIT_METHODS:
        problem = Problem("name", "a method, or the file of a fit", f"{name}, which is learned from labelled data")
        raise UsageError("`method=`", [problem], "fit it with `ltcal fit`, and pass its file: @fitted.npz")


def spec_files(specs: Sequence[str], methods: Sequence[Method]) -> tuple[Path, ...]:
    """The files that the specs and their methods read: those after ``@``, and values of parameters."""
    saved = [path for path in map(_path, specs) if path is not None]
    return tuple(dict.fromkeys([*saved, *(Path(file) for method in methods for file in method.files)]))


def space_files(spaces: Sequence[str]) -> tuple[Path, ...]:
    """The files that the methods of spaces read. Raises UsageError for a space that is not valid."""
    methods = [space.method(next(space.coarse())) for space in map(space_of, spaces)]
    return tuple(Path(file) for method in methods for file in method.files)


def space_of(text: str) -> Space:
    """The space that `text` describes, as `parse_space` does; or ``@PATH`` as a space of one.

    Raises what `parse_space` and `method_of` raise.
    """
    from longtail_cli.tuning.spaces import parse_space, space_of_one

    return parse_space(text) if _path(text) is None else space_of_one(text.strip(), method_of(text))


def _path(spec: str) -> Path | None:
    """The path of a spec ``@PATH``; None for others. Raises UsageError for a chain with a file in it."""
    text = spec.strip()
    if is_url(text.removeprefix(FILE)):
        problem = Problem("spec", "a file of this machine", "a URL")
        raise UsageError("`method=`", [problem], "copy the file to this machine, and pass its path")
    path = Path(text.removeprefix(FILE)) if text.startswith(FILE) else None
    in_chain = f"+{FILE}" in text.replace(" ", "") or ("+" in text and path is not None and not path.exists())
    if in_chain:
        problem = Problem("spec", "a file alone, such as @tuned.json", text)
        fix = "tune a space of chains, such as temperature:t=0.5..4+norcal:gamma=0..1, to apply several methods"
        raise UsageError("`method=`", [problem], fix)
    return path
