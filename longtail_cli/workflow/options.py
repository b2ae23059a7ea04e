"""The options of a run, except those of the evaluation. Imports no array library."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING

from longtail_cli.choices import BOX_FORMATS, BackgroundName, BoxFormat, GateKind, HeadName, JudgedOn
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.errors import MissingExtraError, Problem, UsageError, check_choice

if TYPE_CHECKING:
    import torch

    from longtail_cli.tables import FrequencyTable, Longs

MAX_OFFSET = 1 << 53
"""Of ids; JSON has no larger integers in common."""


@dataclass(frozen=True, slots=True)
class ConventionOptions:
    """What ids and boxes mean, where the user says so; None and False leave it to the format of the file.

    Raises UsageError for offsets that are no integers or more than `MAX_OFFSET`, and for an unknown format.
    """

    category_offset: int | None = None
    """Added to the category ids of the predictions, it gives those of the annotations; 0 if they are the same."""
    contiguous: bool = False
    """Whether categories are numbered 0 to C - 1 in order of the ids of the annotations, after `category_offset` is
    added: with -1 they are numbered 1 to C."""
    image_offset: int | None = None
    """Added to the image ids of the predictions, it gives those of the annotations; 0 if they are the same."""
    box_format: BoxFormat | None = None
    """What the four numbers of a box are."""

    def __post_init__(self) -> None:
        for name in ("category_offset", "image_offset"):
            offset = getattr(self, name)
            whole = isinstance(offset, Integral) and not isinstance(offset, bool)
            if offset is not None and not (whole and abs(offset) <= MAX_OFFSET):
                problem = Problem("value", f"a whole number from -{MAX_OFFSET} to {MAX_OFFSET}", repr(offset))
                raise UsageError(f"`{name}=`", [problem], "state the id of the annotations less that of the file")
        if self.box_format is not None:
            check_choice("box_format", self.box_format, BOX_FORMATS)


@dataclass(frozen=True, slots=True)
class InputOptions:
    """How predictions are read; of logits also how they are decoded, and on which device."""

    head: HeadName | None = None
    """Only needed if the metadata does not state it, as are `background` and `category_ids`."""
    background: BackgroundName | None = None
    category_ids: Path | Longs | None = None
    """The category id of each class column, int64 [C], or a file with one id per column."""
    device: str = "auto"
    """``auto`` (a GPU if there is one), ``cpu``, ``cuda`` or ``cuda:N``."""
    decode: DecodeOptions = field(default_factory=DecodeOptions)
    convention: ConventionOptions = field(default_factory=ConventionOptions)
    keys: Mapping[str, str] = field(default_factory=dict)
    """The name in the file of a tensor, by what it is: ``{"logits": "cls_score"}``; for names that are not known."""


_ENGINE = re.compile(r"local|ray|auto|ray://[^\s/]+:\d+")
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?\s*", re.IGNORECASE)
_UNITS = "KMGT"


@dataclass(frozen=True, slots=True)
class ExecutionOptions:
    """Where the work runs, and in how much memory. Raises UsageError for another engine, and for no memory at all."""

    engine: str = "local"
    """``local`` (this process), ``ray`` (a Ray cluster of this machine, started and stopped with the command), ``auto``
    (the cluster that this machine belongs to), or ``ray://HOST:PORT``."""
    memory: int | None = None
    """Bytes, >= 1, that the process may use (with Ray, each worker); None for no bound."""

    def __post_init__(self) -> None:
        if not _ENGINE.fullmatch(self.engine):
            problem = Problem("value", "local, ray, auto or ray://HOST:PORT", repr(self.engine))
            raise UsageError("`engine=`", [problem], "choose one of these; port 10001 is that of Ray by default")
        if self.memory is not None and self.memory < 1:
            raise _no_size(str(self.memory))

    @property
    def in_parts(self) -> bool:
        """Whether the data is processed in parts."""
        return self.engine != "local" or self.memory is not None


def memory_of(size: int | str) -> int:
    """Bytes, from a number of them or a text such as ``4GB`` (10^9 bytes each) or ``512MiB`` (2^20).

    Raises UsageError for anything else.
    """
    if isinstance(size, int):
        return size
    found = _SIZE.fullmatch(size)
    if found is None:
        raise _no_size(repr(size))
    prefix = (found[2] or "").upper()
    power = _UNITS.index(prefix[0]) + 1 if prefix else 0
    return int(float(found[1]) * (1024 if prefix.endswith("I") else 1000) ** power)


def _no_size(found: str) -> UsageError:
    return UsageError("`memory=`", [Problem("value", "a size such as 4GB or 512MiB", found)], "state how many bytes")


@dataclass(frozen=True, slots=True)
class BootstrapOptions:
    """The number of resamples, >= 1, and their random seed, >= 0."""

    resamples: int = 1000
    seed: int = 0
    significance: bool = False
    """Whether differences to the reference get p-values, from as many exchanges of images by the same seed."""


@dataclass(frozen=True, slots=True)
class BootstrapRequest:
    """The requested bootstrap; None leaves the choice to the outputs, the gates and the baseline."""

    bootstrap: bool | None = None
    resamples: int | None = None
    seed: int | None = None
    significance: bool | None = None


@dataclass(frozen=True, slots=True)
class GateRequest:
    """The requested gates; None and empty leave the choice to ``ltcal.toml`` or ``pyproject.toml``."""

    fail_under: Sequence[str] = ()
    """``metric=limit`` texts, as for the other kinds of gates."""
    fail_over: Sequence[str] = ()
    max_drop: Sequence[str] = ()
    max_rise: Sequence[str] = ()
    baseline: Path | None = None
    gate_on: JudgedOn | None = None
    gate_runs: tuple[str, ...] = ()
    """Names of the runs to judge; empty means all."""
    allow_undefined: bool | None = None
    allow_oracle: bool | None = None
    gate: bool = True
    """False skips all gates; a baseline is then only used for differences."""

    @property
    def texts(self) -> Mapping[GateKind, Sequence[str]]:
        """The gates by kind."""
        return {
            "fail-under": self.fail_under,
            "fail-over": self.fail_over,
            "max-drop": self.max_drop,
            "max-rise": self.max_rise,
        }


def load_frequencies(frequencies: Path | FrequencyTable | None) -> tuple[FrequencyTable | None, str | None]:
    """The table, read if it is a path or a name, and the hex SHA-256 of its file, or of its CSV form."""
    if frequencies is None:
        return None, None
    from hashlib import sha256

    from longtail_cli.files.frequencies import frequencies_csv, frequencies_sha256, read_frequencies

    if isinstance(frequencies, Path):
        return read_frequencies(frequencies), frequencies_sha256(frequencies)
    return frequencies, sha256(frequencies_csv(frequencies, {}).encode()).hexdigest()


def require_torch() -> None:
    """Raise MissingExtraError if torch or safetensors is not installed."""
    missing = [package for package in ("torch", "safetensors") if find_spec(package) is None]
    if missing:
        problem = Problem("package", "torch and safetensors, for logits", f"no {' and no '.join(missing)}")
        raise MissingExtraError("logits", [problem], "install them: pip install 'ltcal[logits]'")


def gpus_of(name: str) -> int:
    """How many GPUs a worker needs to compute on the device called `name`, if there are any: 1, or 0 for the CPU."""
    return 0 if name.startswith("cpu") else 1


def device_of(name: str) -> torch.device:
    """The device called `name`. Raises UsageError if it is unknown or not available."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError("`device=`", [Problem("value", "auto, cpu, cuda or cuda:N", name)], "choose one of these")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        problem = Problem("GPU", f"one that CUDA and this torch ({torch.__version__}) can use", str(count or "none"))
        raise UsageError(f"`device='{name}'`", [problem], "choose `device='cpu'` or `device='auto'`")
    return device
