"""Train a detectron2 R-CNN with a long-tail loss.

    python detectron2_lvis.py CONFIG.yaml FREQUENCIES.csv

FREQUENCIES.csv is the output of `ltcal compute-freq` on the training annotations. detectron2's background is the last
column, or for the sigmoid losses no column but the last target.
"""

from __future__ import annotations

import sys
from typing import Any

import torch
from detectron2.modeling.roi_heads.fast_rcnn import FastRCNNOutputLayers

import longtail_cli as ltcal
from longtail_cli.losses import EqualizationLoss, LongTailLoss


class LongTailOutputLayers(FastRCNNOutputLayers):
    """detectron2's output layers with another loss of the classes; `set_classification_loss` makes them."""

    classification_loss: LongTailLoss

    def losses(self, predictions: Any, proposals: Any) -> dict[str, torch.Tensor]:
        logits, deltas = predictions
        theirs = super().losses((self._scores(logits.detach()), deltas), proposals)  # logs the accuracy of the scores
        target = torch.cat([one.gt_classes for one in proposals]) if len(proposals) else logits.new_zeros(0).long()
        value = self.classification_loss(logits, target)
        return {**theirs, "loss_cls": value * self.loss_weight.get("loss_cls", 1.0)}

    def predict_probs(self, predictions: Any, proposals: Any) -> Any:
        return self._scores(predictions[0]).split([len(one) for one in proposals])

    def _scores(self, logits: torch.Tensor) -> torch.Tensor:
        """Scores [N, C + 1]; that of the background, which detections do not have, is 1 - the largest of the others."""
        scores = self.classification_loss.decode(logits)
        return torch.cat([scores, 1 - scores.amax(dim=1, keepdim=True)], dim=1)


def set_classification_loss(layers: Any, loss: LongTailLoss) -> None:
    """Train and use the output `layers` with `loss`, which has background=last; its columns get a new layer."""
    layers.__class__ = LongTailOutputLayers  # of this one object; its settings stay
    layers.classification_loss = loss
    if layers.cls_score.out_features != loss.width:
        layers.cls_score = torch.nn.Linear(layers.cls_score.in_features, loss.width).to(layers.cls_score.weight.device)
        torch.nn.init.normal_(layers.cls_score.weight, std=0.01)
        # for a sigmoid, scores of 0.001 at the start (Lin et al., ICCV 2017, section 4.1), otherwise even ones
        torch.nn.init.constant_(layers.cls_score.bias, -6.9 if loss.width == loss.classes else 0.0)


def main(config: str, frequencies: str) -> None:
    from detectron2.config import get_cfg
    from detectron2.engine import DefaultTrainer

    class Trainer(DefaultTrainer):
        @classmethod
        def build_model(cls, cfg: Any) -> Any:
            model = super().build_model(cfg)
            loss = EqualizationLoss(ltcal.read_frequencies(frequencies), background="last", lambda_=1.76e-3)
            set_classification_loss(model.roi_heads.box_predictor, loss.to(cfg.MODEL.DEVICE))
            return model

    cfg = get_cfg()
    cfg.merge_from_file(config)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    trainer.train()


if __name__ == "__main__":
    main(*sys.argv[1:])
