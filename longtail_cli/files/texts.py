"""The texts in results and errors, changed to name what the user gave, such as the URL of a copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from longtail_cli.errors import LtcalError, Problem


def texts_mapped(value: Any, change: Callable[[str], str]) -> Any:
    """A tree of dataclasses, tuples and mappings with `change` applied to each text, also to keys of mappings."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, tuple):
        return tuple(texts_mapped(one, change) for one in value)
    if isinstance(value, Mapping):
        return {texts_mapped(key, change): texts_mapped(one, change) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: texts_mapped(getattr(value, field.name), change) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


@contextmanager
def named_as_given(names: Mapping[str, str]) -> Iterator[None]:
    """Let errors of the block say what the user knows. names: the name of each path that texts may hold."""

    def given(text: str) -> str:
        for path, name in names.items():
            text = text.replace(path, name)
        return text

    try:
        yield
    except LtcalError as error:
        raise renamed(error, given) from error


def renamed(error: LtcalError, given: Callable[[str], str]) -> LtcalError:
    """The error with each of its texts after the function `given`."""
    problems = [Problem(given(one.where), given(one.expected), given(one.found)) for one in error.problems]
    return type(error)(given(error.source), problems, given(error.fix), total=error.total)
