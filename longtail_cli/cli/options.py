"""Options that several commands share, passed to a command as one argument."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from longtail_cli.choices import BACKGROUNDS, HEADS, OBJECTNESS
from longtail_cli.cli.streams import InputPath

if TYPE_CHECKING:
    from longtail_cli.choices import BackgroundName, HeadName, ObjectnessName

Command = Callable[..., None]

INPUT, INPUT_OR_FOLDER = InputPath(dir_okay=False), InputPath()
OUTPUT = click.Path(path_type=Path, dir_okay=False)


def bundled(kind: str, argument: str, options: Sequence[Callable[[Command], Command]]) -> Callable[..., Command]:
    """Add click `options` to a command, which gets their values as one `kind` in `argument`.

    kind: ``module:name`` of a dataclass whose fields are named like the parameters of the options. It is imported when
        the command runs, not for its help page.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_bundle(**values: Any) -> None:
            bundle = resolve_name(kind)
            own = {field.name: values.pop(field.name) for field in dataclasses.fields(bundle)}
            command(**{argument: bundle(**own)}, **values)

        return _with_options(with_bundle, options)

    return decorate


def _with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _iou(ctx: click.Context, param: click.Parameter, text: str) -> float | None:
    if text == "none":
        return None
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"expected an IoU such as 0.5, or none, found {text!r}") from error


COLUMN_OPTIONS = (
    click.option(
        "--head", type=click.Choice(HEADS), help="Logits: type of the head, if the metadata does not state it."
    ),
    click.option(
        "--background",
        type=click.Choice(BACKGROUNDS),
        help="Logits: position of the background column, if the metadata does not state it.",
    ),
    click.option(
        "--category-ids",
        type=INPUT,
        help="Logits: file with the category id of each column, if the metadata does not state them.",
    ),
)

DECODE_OPTIONS = (
    click.option(
        "--device", default="auto", show_default=True, metavar="auto|cpu|cuda[:N]", help="Logits: compute device."
    ),
    click.option("--threshold", type=float, default=1e-4, show_default=True, help="Logits: keep scores above this."),
    click.option(
        "--nms",
        "nms_iou",
        metavar="IOU|none",
        callback=_iou,
        default="0.5",
        show_default=True,
        help="Logits: drop a box that overlaps a better one of its class by more than this IoU.",
    ),
    click.option(
        "--detections-per-image",
        type=click.IntRange(min=1),
        default=300,
        show_default=True,
        help="Logits: detections that decoding keeps per image.",
    ),
    click.option("--cap", type=click.IntRange(min=1), hidden=True, deprecated="Use --detections-per-image."),
    click.option(
        "--objectness",
        type=click.Choice(OBJECTNESS),
        default="none",
        show_default=True,
        help="Logits: multiply the score by the objectness (product), or take the square root of that (sqrt).",
    ),
)


def column_options(command: Command) -> Command:
    """Add `COLUMN_OPTIONS` to a command, which gets their values as one argument `logit_options`, a `LogitOptions`."""

    @wraps(command)
    def with_options(
        *, head: HeadName | None, background: BackgroundName | None, category_ids: Path | None, **others: Any
    ) -> None:
        from longtail_cli.workflow.options import LogitOptions

        command(logit_options=LogitOptions(head, background, category_ids), **others)

    return _with_options(with_options, COLUMN_OPTIONS)


def logit_options(command: Command) -> Command:
    """Add `COLUMN_OPTIONS` and `DECODE_OPTIONS` to a command, which gets them as `logit_options`, a `LogitOptions`.

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
        nms_iou: float | None,
        detections_per_image: int,
        cap: int | None,
        objectness: ObjectnessName,
        **others: Any,
    ) -> None:
        from longtail_cli.decode.options import DecodeOptions
        from longtail_cli.workflow.options import LogitOptions

        decode = DecodeOptions(threshold, nms_iou, cap or detections_per_image, objectness)
        command(logit_options=LogitOptions(head, background, category_ids, device, decode), **others)

    return _with_options(with_options, (*COLUMN_OPTIONS, *DECODE_OPTIONS))
