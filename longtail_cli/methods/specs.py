"""Specs: strings that name one of some classes with its parameters, ``name:parameter=value,...``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import TypeVar

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import FileName, Named, Value

Kind = TypeVar("Kind", bound=Named)

NO_DEFAULTS: Mapping[str, str] = MappingProxyType({})


def named_class(name: str, classes: Mapping[str, type[Kind]]) -> type[Kind]:
    """The one of the `classes`, at least one, called `name`. Raises UsageError if there is none."""
    if name not in classes:
        raise _unknown("method", "name", name, classes, next(iter(classes.values())).listed)
    return classes[name]


def parse_named(text: str, classes: Mapping[str, type[Kind]], defaults: Mapping[str, str] = NO_DEFAULTS) -> Kind:
    """What `text` names: one of the `classes` with the parameters stated.

    The name of the first parameter may be omitted if its value comes first (``norcal:0.6``).
    defaults: values of parameters that the text does not state, for the classes that have them.
    Raises UsageError for unknown names, unknown, repeated or missing parameters, and values out of range.
    """
    name, _, arguments = (part.strip() for part in text.partition(":"))
    named = named_class(name, classes)
    kinds = {parameter.name: parameter.kind for parameter in named.parameters()}
    given = _arguments(text, arguments, tuple(kinds), named.listed)
    chosen = {key: value for key, value in defaults.items() if key in kinds} | given
    missing = [p for p in named.parameters() if p.default is None and p.name not in chosen]
    if missing:
        problems = [Problem(p.name, p.kind.range, "no value") for p in missing]
        example = "learned.npz" if isinstance(missing[0].kind, FileName) else "1.5"
        raise UsageError(f"method {text!r}", problems, f"give it one, for example {name}:{missing[0].name}={example}")
    values: Mapping[str, Value] = {key: kinds[key].parse(value) for key, value in chosen.items()}
    return named(**values)


def _arguments(text: str, arguments: str, names: tuple[str, ...], listed: str) -> dict[str, str]:
    """``a,parameter=b`` as a mapping from parameter to value."""
    given: dict[str, str] = {}
    for position, argument in enumerate(arguments.split(",") if arguments else []):
        key, equals, value = (part.strip() for part in argument.partition("="))
        if not equals and position == 0 and names:
            key, value = names[0], key
        if key not in names:
            raise _unknown(f"method {text!r}", "parameter", key, names, listed)
        if key in given:
            problem = Problem("parameters", "each of them once", f"{key} twice")
            raise UsageError(f"method {text!r}", [problem], "keep one of the two")
        given[key] = value
    return given


def _unknown(source: str, where: str, found: str, valid: Iterable[str], listed: str) -> UsageError:
    names = list(valid)
    near = get_close_matches(found, names, 1, cutoff=0.5)
    expected = f"one of {', '.join(names)}" if names else "none (the method has no parameters)"
    hint = f"did you mean {near[0]}? " if near else ""
    return UsageError(source, [Problem(where, expected, repr(found))], f"{hint}{listed} lists them all")
