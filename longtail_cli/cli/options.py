"""Options that several commands share, passed to a command as one argument."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import wraps
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

import click

from longtail_cli.choices import BACKGROUNDS, BOX_FORMATS, HEADS, OBJECTNESS
from longtail_cli.cli.streams import InputPath, OutputPath, SpecText

if TYPE_CHECKING:
    from longtail_cli.choices import Automatic, BackgroundName, BoxFormat, HeadName, ObjectnessName
    from longtail_cli.workflow.options import InputOptions

Command = Callable[..., None]

INPUT, INPUT_OR_FOLDER = InputPath(dir_okay=False), InputPath()
PREDICTIONS = InputPath(deferred=True)
"""Of commands that may read them in parts."""
OUTPUT, OUTPUT_FOLDER = OutputPath(), OutputPath(file=False, folder=True)
OUTPUT_OR_FOLDER = OutputPath(folder=True)
SPEC = SpecText()


def bundled(kind: str, argument: str, options: Sequence[Callable[[Command], Command]]) -> Callable[..., Command]:
    """Add click `options` to a command, which gets their values as one `kind` in `argument`.

    kind: ``module:name`` of a dataclass whose fields are named like the parameters of the options; fields without an
        option keep their defaults. It is imported when the command runs, not for its help page.
    """

    def decorate(command: Command) -> Command:
        @wraps(command)
        def with_bundle(**values: Any) -> None:
            bundle = resolve_name(kind)
            names = [field.name for field in dataclasses.fields(bundle) if field.name in values]
            own = {name: values.pop(name) for name in names}
            command(**{argument: bundle(**own)}, **values)

        return _with_options(with_bundle, options)

    return decorate


def _with_options(command: Command, options: Sequence[Callable[[Command], Command]]) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def _iou(ctx: click.Context, param: click.Parameter, text: str) -> float | Automatic | None:
    if text == "none":
        return None
    if text == "auto":
        return "auto"
    try:
        return float(text)
    except ValueError as error:
        raise click.BadParameter(f"expected an IoU such as 0.5, none or auto, found {text!r}") from error


def _keys(ctx: click.Context, param: click.Parameter, texts: Sequence[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    wrong = [text for text, (key, _, name) in zip(texts, pairs, strict=True) if not key or not name]
    if wrong:
        raise click.BadParameter(
            f"expected what it is and its name in the file, such as logits=cls_score, found {wrong[0]!r}"
        )
    return {key: name for key, _, name in pairs}


CONVENTION_OPTIONS = (
    click.option(
        "--category-offset",
        type=int,
        metavar="N",
        help="Detections: add N to their category ids to get those of the annotations; 0 if they are the same.",
    ),
    click.option(
        "--contiguous",
        is_flag=True,
        help="Detections: their categories are numbered from 0 in order of the ids of the annotations.",
    ),
    click.option(
        "--image-offset",
        type=int,
        metavar="N",
        help="Detections: add N to their image ids to get those of the annotations; 0 if they are the same.",
    ),
    click.option(
        "--box-format", type=click.Choice(BOX_FORMATS), help="Detections: what the four numbers of a box are."
    ),
)

COLUMN_OPTIONS = (
    click.option(
        "--key",
        "keys",
        multiple=True,
        metavar="KEY=NAME",
        callback=_keys,
        help="Logits: the NAME that the file has for KEY: logits, scores, labels, features, ...; repeatable.",
    ),
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
        metavar="IOU|none|auto",
        callback=_iou,
        default="auto",
        help="Logits: drop a box that overlaps a better one of its class by more than this IoU. "
        "[auto: 0.5, or none for the outputs of query models such as DETR]",
    ),
    click.option(
        "--detections-per-image",
        type=click.IntRange(min=1),
        default=300,
        show_default=True,
        help="Logits: detections that decoding keeps per image, except for Fixed AP and pooled AP.",
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


def _size(ctx: click.Context, param: click.Parameter, text: str | None) -> int | None:
    from longtail_cli.workflow.options import memory_of

    return None if text is None else memory_of(text)


EXECUTION_OPTIONS = (
    click.option(
        "--engine",
        default="local",
        show_default=True,
        metavar="local|ray|auto|ray://HOST:PORT",
        help="Detections: run in this process, or on a Ray cluster: of this machine, the one it is in, or another.",
    ),
    click.option(
        "--memory",
        metavar="SIZE",
        callback=_size,
        help="Detections: process the images in parts, so that a process uses at most this much memory, such as 4GB.",
    ),
)


def execution_options(command: Command) -> Command:
    """Add `EXECUTION_OPTIONS` to a command, which gets them as `execution`."""
    return bundled("longtail_cli.workflow.options:ExecutionOptions", "execution", EXECUTION_OPTIONS)(command)


def column_options(command: Command) -> Command:
    """Add `CONVENTION_OPTIONS` and `COLUMN_OPTIONS` to a command, which gets them as `input_options`."""

    @wraps(command)
    def with_options(
        *,
        category_offset: int | None,
        contiguous: bool,
        image_offset: int | None,
        box_format: BoxFormat | None,
        keys: dict[str, str],
        head: HeadName | None,
        background: BackgroundName | None,
        category_ids: Path | None,
        **others: Any,
    ) -> None:
        from longtail_cli.workflow.options import ConventionOptions, InputOptions

        convention = ConventionOptions(category_offset, contiguous, image_offset, box_format)
        options = InputOptions(head, background, category_ids, convention=convention, keys=keys)
        command(input_options=options, **others)

    return _with_options(with_options, (*CONVENTION_OPTIONS, *COLUMN_OPTIONS))


def input_options(command: Command) -> Command:
    """Add the options of `column_options` and `DECODE_OPTIONS` to a command, which gets all as `input_options`.

    A value out of range raises UsageError when the command is called.
    """

    @wraps(command)
    def with_options(
        *,
        input_options: InputOptions,
        device: str,
        threshold: float,
        nms_iou: float | Automatic | None,
        detections_per_image: int,
        cap: int | None,
        objectness: ObjectnessName,
        **others: Any,
    ) -> None:
        from longtail_cli.decode.options import DecodeOptions

        decode = DecodeOptions(threshold, nms_iou, cap or detections_per_image, objectness)
        command(input_options=dataclasses.replace(input_options, device=device, decode=decode), **others)

    return column_options(_with_options(with_options, DECODE_OPTIONS))
