"""URLs as arguments of the Python API: copied to this machine for the time of a call, or uploaded when it ends."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from longtail_cli.errors import LtcalError
from longtail_cli.files.texts import renamed, texts_mapped
from longtail_cli.files.urls import is_url, local_path, parse_url

if TYPE_CHECKING:
    from longtail_cli.files.stores.mirror import Mirror

P = ParamSpec("P")
T = TypeVar("T")

_FILE = "@"
"""What a spec that names a file begins with."""
_WARNED_FRAMES = 3
"""From the caller of the API to `_as_given`."""


def takes_urls(
    *inputs: str, divided: str | None = None, output: str | None = None
) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Let arguments of a function be URLs where they may be paths: alone, after ``@``, in a list or in a mapping.

    inputs: the parameters that are read. divided: one more, which the function reads from the store itself if its
    parameters ``engine`` or ``memory`` ask for work in parts. output: the parameter that is written to.

    Results, errors and warnings of the function name the URLs, not the copies. A call without URLs is left as it is.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        signature = inspect.signature(function)

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            given = signature.bind(*args, **kwargs).arguments
            names = inputs if divided is None or _in_parts(given) else (*inputs, divided)
            read = [name for name in names if _holds_url(given.get(name))]
            target = given.get(output) if output is not None else None
            if not read and not is_url(target):
                return function(*args, **kwargs)
            from longtail_cli.files.stores import published
            from longtail_cli.files.stores.mirror import Mirror

            with ExitStack() as stack:
                mirror = Mirror(stack)
                changed = {name: _copied(given[name], mirror) for name in read}
                if output is not None and isinstance(target, str) and is_url(target):
                    changed[output] = local_path(target) or stack.enter_context(
                        published(parse_url(target), mirror.output(parse_url(target)))
                    )
                return _as_given(cast("Callable[..., T]", function), {**given, **changed}, mirror)

        return call

    return decorate


def _in_parts(given: Mapping[str, Any]) -> bool:
    return given.get("engine", "local") != "local" or given.get("memory") is not None


def _holds_url(value: Any) -> bool:
    if isinstance(value, str):
        return is_url(value.removeprefix(_FILE))
    if isinstance(value, Mapping):
        return any(map(_holds_url, value.values()))
    return isinstance(value, list | tuple) and any(map(_holds_url, value))


def _copied(value: Any, mirror: Mirror) -> Any:
    """`value` with the path of a copy in the stead of each URL."""
    if isinstance(value, list | tuple):
        return [_copied(one, mirror) for one in value]
    if isinstance(value, Mapping):
        return {name: _copied(one, mirror) for name, one in value.items()}
    if not _holds_url(value):
        return value
    text = value.removeprefix(_FILE)
    path = local_path(text)
    if path is None:
        path = mirror.path_of(parse_url(text))
        mirror.copy(path)
    return f"{_FILE}{path}" if value.startswith(_FILE) else str(path)


def _as_given(function: Callable[..., T], arguments: Mapping[str, Any], mirror: Mirror) -> T:
    """The result of the function. What it raises, warns of and returns names URLs."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = function(**arguments)
        except LtcalError as error:
            raise renamed(error, mirror.as_given) from error
    for one in warned:
        warnings.warn(mirror.as_given(str(one.message)), one.category, stacklevel=_WARNED_FRAMES)
    return cast(T, texts_mapped(result, mirror.as_given))
