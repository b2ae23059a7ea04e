"""The long-tail losses in MMDetection 3's registry, for the box heads of two-stage detectors.

In the config, with FREQUENCIES.csv from `ltcal compute-freq` on the training annotations::

    custom_imports = dict(imports=["mmdet_loss"])
    model = dict(roi_head=dict(bbox_head=dict(loss_cls=dict(
        type="LongTailLoss", name="GroupSoftmaxLoss", frequencies="FREQUENCIES.csv", beta=8.0))))

MMDetection's background is the last column, or for the sigmoid losses no column but the last target.
"""

from __future__ import annotations

from typing import Any

import torch
from mmdet.registry import MODELS

import longtail_cli as ltcal
from longtail_cli import losses


@MODELS.register_module()
class LongTailLoss(torch.nn.Module):
    """Any loss of `longtail_cli.losses`, called as MMDetection's own losses are.

    name: of the class. frequencies: a frequency table, .csv, .json or .parquet. parameters: of the loss.
    """

    custom_cls_channels = custom_activation = custom_accuracy = True
    use_sigmoid = False

    def __init__(self, name: str, frequencies: str, loss_weight: float = 1.0, **parameters: Any) -> None:
        super().__init__()
        table = ltcal.read_frequencies(frequencies)
        self.loss: losses.LongTailLoss = getattr(losses, name)(table, background="last", **parameters)
        self.loss_weight = loss_weight

    def forward(
        self,
        cls_score: torch.Tensor,
        label: torch.Tensor,
        weight: torch.Tensor | None = None,
        avg_factor: float | None = None,
        reduction_override: str | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """The mean over the rows; `avg_factor`, their number, is not needed."""
        if reduction_override not in (None, "mean"):
            raise NotImplementedError("the losses of rows, as OHEM needs them")
        return self.loss_weight * self.loss(cls_score, label, weight)

    def get_cls_channels(self, num_classes: int) -> int:
        """The width of the last layer."""
        return self.loss.width

    def get_activation(self, cls_score: torch.Tensor) -> torch.Tensor:
        """Scores [N, C + 1]; that of the background, which MMDetection drops, is 0."""
        return torch.nn.functional.pad(self.loss.decode(cls_score), (0, 1))

    def get_accuracy(self, cls_score: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        """The share of the foreground rows whose best class is the true one."""
        foreground = labels < self.loss.classes
        right = self.loss.decode(cls_score[foreground]).argmax(dim=1) == labels[foreground]
        return {"acc_classes": right.float().mean() if foreground.any() else cls_score.new_zeros(())}
