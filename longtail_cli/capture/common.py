"""What the adapters share: their errors, the conversion of boxes, and watching a live object."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from longtail_cli.errors import Problem, UsageError


def mismatch(source: str, where: str, expected: str, found: str, fix: str) -> UsageError:
    """The error of something that does not fit the model, its outputs or the writer."""
    return UsageError(source, [Problem(where, expected, found)], fix)


def wrong_model(source: str, expected: str, found: object, fix: str) -> UsageError:
    """The error of an object that is not the kind of model that `source` watches."""
    return mismatch(source, "the model", expected, type(found).__name__, fix)


def check_evaluating(source: str, model: Any) -> None:
    """Raise `UsageError` if `model` is in training mode, in which it makes no detections."""
    if model.training:
        raise mismatch(source, "the model", "eval mode", "training mode", "call model.eval() first")


Size = tuple[int, int]
"""(height, width) in pixels."""


def cxcywh_to_xyxy(boxes: torch.Tensor) -> torch.Tensor:
    """Corners (x1, y1, x2, y2) of boxes [..., 4] given by centre and size (cx, cy, w, h)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def per_class(boxes: torch.Tensor, classes: int) -> torch.Tensor:
    """[N, 4] unchanged, or [N, C, 4] from the flat [N, C * 4] of C `classes`. Raises `UsageError` for other widths."""
    width = boxes.shape[1]
    if width == 4:
        return boxes
    if width != 4 * classes:
        expected = f"4 or {4 * classes} numbers per proposal (xyxy)"
        raise mismatch("capture", "boxes", expected, str(width), "a logits file cannot hold rotated boxes")
    return boxes.reshape(len(boxes), classes, 4)


def clipped(boxes: torch.Tensor, size: Size) -> torch.Tensor:
    """Xyxy boxes [..., 4] clipped to an image of `size`; a box outside of it gets area 0."""
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    corners = [x1.clamp(0, width), y1.clamp(0, height), x2.clamp(0, width), y2.clamp(0, height)]
    return torch.stack(corners, dim=-1)


def resized(boxes: torch.Tensor, size: Size, original: Size) -> torch.Tensor:
    """Boxes [..., 4] of an image of `size`, scaled to its `original` size; float32."""
    return boxes.float() * torch.tensor(_ratios(size, original), device=boxes.device)


def _ratios(size: Size, original: Size) -> list[float]:
    y, x = original[0] / size[0], original[1] / size[1]
    return [x, y, x, y]


Method = Callable[..., Any]
See = Callable[[Method, Mapping[str, Any]], None]
"""Takes the original method and the arguments of one call by name, with defaults."""


@contextmanager
def watched(owner: object, name: str, see: See) -> Iterator[None]:
    """Call `see` before each call of ``owner.name``, which then runs as usual with the same arguments.

    The method is replaced on this one object, not on its class, until the context ends. `see` runs without gradients;
    its exceptions propagate from the call.
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


SplitFeatures = Callable[[Sequence[int]], Sequence[torch.Tensor | None]]
"""Takes the number of rows of each image. Returns their features, [N, D] each, or None for each if none are saved."""


@contextmanager
def watched_features(source: str, head: object, layer: str, features: bool) -> Iterator[SplitFeatures]:
    """Hold the input of ``head.layer``, the last layer of a classifier, in its last call, if `features` is True.

    Raises `UsageError` if `head` has no such layer, and when the rows are split if that call was not given all of them.
    """
    if not features:
        yield lambda counts: [None] * len(counts)
        return
    last = getattr(head, layer, None)
    if not isinstance(last, torch.nn.Module):
        raise wrong_model(source, f"a classifier whose last layer is `{layer}`", head, "leave `features=` out")
    given: list[torch.Tensor] = []

    def see(_: Method, call: Mapping[str, Any]) -> None:
        given[:] = [next(iter(call.values()))]

    def split(counts: Sequence[int]) -> Sequence[torch.Tensor | None]:
        rows = given.pop() if given else torch.empty(0, 0)
        if len(rows) != sum(counts):
            expected = f"{sum(counts)} rows in one call, as there are logits"
            raise mismatch(source, f"the input of `{layer}`", expected, f"{len(rows)}", "leave `features=` out")
        return torch.split(rows, list(counts))

    with watched(last, "forward", see):
        yield split
