"""What a file is to be read as, and the options that only logits need."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from longtail_cli.decode.options import DecodeOptions
from longtail_cli.errors import MissingExtraError, Problem, UsageError
from longtail_cli.tables import BackgroundName, HeadName

if TYPE_CHECKING:
    import torch


InputKind = Literal["results", "logits"]
LOGIT_SUFFIXES = (".safetensors", ".npz", ".pt", ".pth")


@dataclass(frozen=True, slots=True)
class LogitOptions:
    """How logits are read, where the work is done, and how detections are made of them.

    head, background, category_ids: what the file does not tell itself; category_ids is a file with one id a column.
    device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or ``cuda:N``.
    """

    head: HeadName | None = None
    background: BackgroundName | None = None
    category_ids: Path | None = None
    device: str = "auto"
    rules: DecodeOptions = field(default_factory=DecodeOptions)


def kind_of(path: Path) -> InputKind:
    """``logits`` for a folder, ``.safetensors``, ``.npz``, ``.pt`` and ``.pth``; else ``results``."""
    return "logits" if path.is_dir() or path.suffix in LOGIT_SUFFIXES else "results"


def require_torch() -> None:
    """Raise MissingExtraError where torch or safetensors is not installed."""
    missing = [package for package in ("torch", "safetensors") if find_spec(package) is None]
    if missing:
        problem = Problem("package", "torch and safetensors, which work on logits", f"no {' and no '.join(missing)}")
        raise MissingExtraError("logits", [problem], "install them: pip install 'ltcal[logits]'")


def device_of(name: str) -> torch.device:
    """The device that `name` stands for. Raises UsageError where it is unknown or not there."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError("--device", [Problem("value", "auto, cpu, cuda or cuda:N", name)], "choose one of these")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        found = f"{count} of them" if count else "none"
        problem = Problem("GPU", f"one that CUDA and this torch ({torch.__version__}) can use", found)
        raise UsageError(f"--device {name}", [problem], "choose --device cpu, or auto")
    return device
