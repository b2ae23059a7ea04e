"""`ltcal methods`: the methods for `--method`, and those that `ltcal fit` learns."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from longtail_cli.methods.base import Named, Parameter

WIDTH = 100


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--fit", "fitted", is_flag=True, help="What `ltcal fit` can learn instead.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list.")
def methods(names: tuple[str, ...], fitted: bool, as_json: bool) -> None:
    """Show the methods, or only those called NAME, with formula, source and parameters.

    z is a logit, n_c how often class c occurs in training. A SPEC is NAME or NAME:PARAMETER=VALUE,...; methods joined
    by + are applied from left to right, as in temperature:t=1.9+logit-adjust:tau=1.
    """
    from longtail_cli.methods.specs import named_class

    every = _every(fitted)
    known = [named_class(name, every) for name in names] or list(every.values())
    if as_json:
        click.echo(json.dumps([_entry(method) for method in known], indent=2, ensure_ascii=False))
    else:
        click.echo("\n\n".join(_text(method) for method in known))


def _every(fitted: bool) -> Mapping[str, type[Named]]:
    if fitted:
        from longtail_cli.fitting.methods import FIT_METHODS

        return FIT_METHODS
    from longtail_cli.methods.registry import METHODS

    return METHODS


def _entry(method: type[Named]) -> dict[str, object]:
    return {
        "name": method.name,
        "formula": method.formula(),
        "source": method.source(),
        "parameters": [
            {"name": p.name, "default": p.default, "range": p.kind.range, "meaning": p.kind.meaning}
            for p in method.parameters()
        ],
    }


def _text(method: type[Named]) -> str:
    heads = [f"{p.name}={'' if p.default is None else p.default}" for p in method.parameters()]
    column = max(map(len, heads), default=0) + 2
    lines = [method.name, *_block(method.formula())]
    for parameter, head in zip(method.parameters(), heads, strict=True):
        lines += _block(head.ljust(column) + _parameter(parameter), hang=column)
    return "\n".join([*lines, *_block(f"Source: {method.source()}")])


def _parameter(parameter: Parameter) -> str:
    required = "; must be given" if parameter.default is None else ""
    return f"{parameter.kind.meaning} ({parameter.kind.range}{required})"


def _block(text: str, hang: int = 0) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent=" " * (2 + hang))
