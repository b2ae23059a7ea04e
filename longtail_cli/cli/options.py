"""Options that belong together, handed to a command as one argument."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from longtail_cli.decode.options import ObjectnessName
    from longtail_cli.tables import BackgroundName, HeadName


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


def _iou(ctx: click.Context, param: click.Parameter, text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"expected an IoU such as 0.5, or none, found {text!r}") from error


OPTIONS = (
    click.option(
        "--head", type=click.Choice(["softmax", "sigmoid", "bags"]), help="Logits: the head, where they do not tell."
    ),
    click.option(
        "--background",
        type=click.Choice(["none", "first", "last"]),
        help="Logits: the background column, where they do not tell.",
    ),
    click.option(
        "--category-ids",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Logits: file with the category id of each column, where they do not tell.",
    ),
    click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Logits: where to work."
    ),
    click.option("--threshold", type=float, default=1e-4, show_default=True, help="Logits: keep scores above it."),
    click.option(
        "--nms",
        metavar="IOU|none",
        callback=_iou,
        default="0.5",
        show_default=True,
        help="Logits: of one class, drop boxes that overlap a better one by more.",
    ),
    click.option(
        "--cap", type=click.IntRange(min=1), default=300, show_default=True, help="Logits: detections kept of an image."
    ),
    click.option(
        "--objectness",
        type=click.Choice(["none", "product", "sqrt"]),
        default="none",
        show_default=True,
        help="Logits: score times objectness, or the root of that.",
    ),
)


def logit_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add `OPTIONS` to a command, which gets their values as one argument `options`, a `LogitOptions`.

    A value out of range raises UsageError when the command is called.
    """

    @wraps(command)
    def with_options(
        *,
        head: HeadName | None,
        background: BackgroundName | None,
        category_ids: Path | None,
        device: str,
        threshold: float,
        nms: float | None,
        cap: int,
        objectness: ObjectnessName,
        **others: Any,
    ) -> None:
        from longtail_cli.decode.options import DecodeOptions
        from longtail_cli.workflow.options import LogitOptions

        rules = DecodeOptions(threshold, nms, cap, objectness)
        command(options=LogitOptions(head, background, category_ids, device, rules), **others)

    for option in reversed(OPTIONS):
        with_options = option(with_options)
    return with_options
