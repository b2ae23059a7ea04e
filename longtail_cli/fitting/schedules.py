"""Schedules of stochastic gradient descent, with the authors' settings for a second stage as presets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from longtail_cli.errors import Problem, UsageError
from longtail_cli.fitting.methods import AUTO, Classifier, Loss, Sampler, Start

Decay = Literal["constant", "cosine", "steps"]


@dataclass(frozen=True, slots=True)
class Schedule:
    """How a head is trained by stochastic gradient descent, as torch.optim.SGD has it."""

    epochs: int
    lr: float
    """Learning rate of the first epoch."""
    momentum: float
    weight_decay: float
    """Of weights and biases."""
    batch: int
    """Rows."""
    sampler: Sampler
    start: Start
    decay: Decay = "cosine"
    steps: tuple[int, ...] = ()
    """For ``steps``: the epochs from which on the rate is a tenth of what it was."""

    def rate(self, epoch: int) -> float:
        """The learning rate of an epoch, counted from 0; a cosine would be 0 after the last epoch."""
        if self.decay == "cosine":
            return self.lr * (1 + math.cos(math.pi * epoch / self.epochs)) / 2
        return self.lr * 0.1 ** sum(epoch >= step for step in self.steps)


@dataclass(frozen=True, slots=True)
class PresetSchedule:
    """A schedule that authors state. Their first iterations with a smaller rate (warm-up) are left out."""

    loss: Loss
    """The loss that it is for."""
    schedule: Schedule


PRESETS: Mapping[str, PresetSchedule] = MappingProxyType(
    {
        # kostas1515/iif, classification/README.md: 4 GPUs with 16 rows or 64, variant=smooth
        "iif-cifar": PresetSchedule("iif", Schedule(20, 1e-4, 0.9, 1e-4, 64, "random", "given", "constant")),
        "iif-imagenet-lt": PresetSchedule("iif", Schedule(5, 2e-5, 0.9, 1e-4, 256, "random", "given", "constant")),
        # facebookresearch/classifier-balancing, config/{ImageNet_LT,Places_LT,iNaturalist18}/cls_crt.yaml
        "crt-imagenet-lt": PresetSchedule("ce", Schedule(10, 0.2, 0.9, 5e-4, 512, "class-balanced", "new")),
        "crt-places-lt": PresetSchedule("ce", Schedule(10, 0.1, 0.9, 5e-4, 256, "class-balanced", "new")),
        "crt-inaturalist18": PresetSchedule("ce", Schedule(30, 0.2, 0.9, 1e-4, 512, "class-balanced", "new")),
        # jiawei-ren/BalancedMetaSoftmax-Classification, config/Places_LT/decouple_balanced_softmax.yaml
        "balanced-softmax-places-lt": PresetSchedule(
            "balanced-softmax", Schedule(10, 0.02, 0.9, 5e-4, 256, "random", "new")
        ),
        # FishYuLi/BalancedGroupSoftmax, configs/bags/gs_faster_rcnn_r50_fpn_1x_lvis_with0_bg8.py: 8 GPUs with 2 images
        # of 512 proposals
        "bags-lvis": PresetSchedule("bags", Schedule(12, 0.01, 0.9, 1e-4, 8192, "random", "new", "steps", (8, 11))),
    }
)
"""By name, as in `preset`."""

OWN = Schedule(10, 0.1, 0.9, 5e-4, 512, "random", "new")
"""Without a preset."""


def schedule_of(method: Classifier) -> Schedule:
    """The schedule of a spec: what it states, otherwise what its preset states, otherwise `OWN`.

    Raises UsageError for the preset of another loss.
    """
    preset = PRESETS.get(method.preset)
    if preset is not None and preset.loss != method.loss:
        problem = Problem("loss", f"{preset.loss}, which preset={method.preset} is for", method.loss)
        raise UsageError(f"method {method.spec}", [problem], f"state loss={preset.loss}, or leave the preset out")
    base = OWN if preset is None else preset.schedule

    def stated(name: str) -> float:
        value = getattr(method, name)
        return float(getattr(base, name) if value == AUTO else value)

    return Schedule(
        round(stated("epochs")),
        stated("lr"),
        stated("momentum"),
        stated("weight_decay"),
        round(stated("batch")),
        base.sampler if method.sampler == "auto" else method.sampler,
        base.start if method.start == "auto" else method.start,
        base.decay,
        base.steps,
    )
