"""Fixtures for the tests of `longtail_cli.capture`. Frameworks are optional: without one its tests are skipped."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from capture import torchvision_operators  # noqa: F401  (before anything imports torchvision, as timm does)
from safetensors.torch import load_file

from longtail_cli.choices import BackgroundName, HeadName
from longtail_cli.files.logits.writer import LogitsWriter


@pytest.fixture
def open_writer(tmp_path: Path) -> Callable[..., LogitsWriter]:
    """Opens a writer of float32 logits, by default in a folder called "logits"."""

    def open_new(
        category_ids: Sequence[int],
        head: HeadName,
        background: BackgroundName,
        name: str = "logits",
        weight: torch.Tensor | None = None,
    ) -> LogitsWriter:
        return LogitsWriter(
            tmp_path / name, head=head, background=background, category_ids=category_ids, dtype="float32", weight=weight
        )

    return open_new


@pytest.fixture
def captured(tmp_path: Path) -> Callable[..., dict[str, torch.Tensor]]:
    """Reads all tensors of the one shard that was written."""
    return lambda name="logits": load_file(tmp_path / name / "logits-00000.safetensors")


@pytest.fixture
def unchanged() -> Callable[..., object]:
    """A context that fails if a model has other attributes, hooks or weights after it than before."""

    @contextmanager
    def check(model: torch.nn.Module) -> Iterator[None]:
        before = _snapshot(model)
        yield
        assert _snapshot(model) == before

    return check


def _snapshot(model: torch.nn.Module) -> dict[str, object]:
    parts: dict[str, object] = {}
    for name, module in model.named_modules():
        own = {key: value for key, value in vars(module).items() if not key.startswith("_")}
        parts[name] = (sorted(own), [len(module._forward_hooks), len(module._forward_pre_hooks)])
    parts["weights"] = {name: value.sum().item() for name, value in model.state_dict().items()}
    return parts
