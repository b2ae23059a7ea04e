"""Watching a method of a live object, and nothing left behind."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

Method = Callable[..., Any]
See = Callable[[Method, Mapping[str, Any]], None]
"""Takes the unwatched method and the arguments of one call by name, defaults filled in."""


@contextmanager
def watched(owner: object, name: str, see: See) -> Iterator[None]:
    """Call `see` before each call of ``owner.name``, which then runs as ever with the same arguments.

    The method is replaced on this one object, not on its class, until the context ends. `see` runs without gradients;
    what it raises comes out of the call.
    """
    method: Method = getattr(owner, name)
    signature = inspect.signature(method)

    @functools.wraps(method)
    def watched_method(*args: Any, **kwargs: Any) -> Any:
        call = signature.bind(*args, **kwargs)
        call.apply_defaults()
        with torch.no_grad():
            see(method, call.arguments)
        return method(*args, **kwargs)

    own = name in vars(owner)
    setattr(owner, name, watched_method)
    try:
        yield
    finally:
        if own:
            setattr(owner, name, method)
        else:
            delattr(owner, name)
