"""Losses for training on long-tailed data, as `torch.nn.Module`s. Importing this package imports torch.

Each takes a `FrequencyTable`, or the counts of classes 0 to C-1, and then logits and target columns::

    loss = BalancedSoftmaxLoss(frequencies)
    loss(logits, target).backward()

`background` says whether a background column is the ``first`` or the ``last`` of the logits, or whether there is
``none``. `LongTailLoss` says what all losses share.
"""

from longtail_cli.losses.adjusted import BalancedSoftmaxLoss, IIFCrossEntropy, LogitAdjustedLoss
from longtail_cli.losses.base import LongTailLoss
from longtail_cli.losses.equalization import EqualizationLoss, SoftmaxEqualizationLoss
from longtail_cli.losses.group_softmax import GroupSoftmaxLoss
from longtail_cli.losses.ldam import LDAMLoss
from longtail_cli.losses.reweighted import ClassBalancedCrossEntropy, DisAlignLoss

__all__ = [
    "BalancedSoftmaxLoss",
    "ClassBalancedCrossEntropy",
    "DisAlignLoss",
    "EqualizationLoss",
    "GroupSoftmaxLoss",
    "IIFCrossEntropy",
    "LDAMLoss",
    "LogitAdjustedLoss",
    "LongTailLoss",
    "SoftmaxEqualizationLoss",
]
