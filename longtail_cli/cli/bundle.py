"""Options that belong together, handed to a command as one argument."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

Command = Callable[..., None]


def bundled(kind: type[Any], argument: str, options: Sequence[Callable[[Command], Command]]) -> Callable[..., Command]:
    """Add click `options` to a command, which gets their values as one `kind` in `argument`.

    kind: a dataclass whose fields are called as the parameters of the options.
    """
    names = [field.name for field in dataclasses.fields(kind)]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_bundle(**values: Any) -> None:
            own = {name: values.pop(name) for name in names}
            command(**{argument: kind(**own)}, **values)

        decorated: Command = with_bundle
        for option in reversed(options):
            decorated = option(decorated)
        return decorated

    return decorate
