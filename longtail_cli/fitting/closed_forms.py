"""Heads that need no training: nearest class means, and weights divided by a power of their length.

Source: Kang et al., "Decoupling Representation and Classifier for Long-Tailed Recognition", ICLR 2020, section 4
"""

from __future__ import annotations

import numpy as np
import torch

from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.tables import Bools, Floats

TAUS = np.arange(21) / 10
"""The strengths that are tried, 0 to 2 as in the authors' code."""


def class_means(rows: FeatureRows, target: torch.Tensor, width: int) -> Floats:
    """The mean of the features of each of `width` targets, float64 [K, D]; 0 for one without rows."""
    total = torch.zeros(width, rows.dimensions, dtype=torch.float64)
    count = torch.bincount(target, minlength=width).double()
    for block, features in rows.blocks(width):
        total.index_add_(0, target[block], features)
    return (total / count.clamp(min=1)[:, None]).numpy()


def mean_of(rows: FeatureRows) -> Floats:
    """The mean of the features, float64 [D]; N >= 1."""
    total = torch.zeros(rows.dimensions, dtype=torch.float64)
    for _, features in rows.blocks(1):
        total += features.sum(dim=0)
    return (total / len(rows)).numpy()


def longest(rows: FeatureRows) -> float:
    """The length of the longest row; N >= 1."""
    return max(float(features.norm(dim=1).max()) for _, features in rows.blocks(1))


def nearest_mean_head(means: Floats, present: Bools, largest: float) -> LinearHead:
    """z_c = f · m_c - |m_c|² / 2, which is -|f - m_c|² / 2 up to a constant of the row.

    present: bool [K], the columns with a mean; the others get a logit that is below all others for features that are
    not longer than `largest`.
    """
    squares = (means**2).sum(axis=1) / 2
    return LinearHead(means, np.where(present, -squares, -2 * largest**2 - 1))


def cosine_head(means: Floats, present: Bools) -> LinearHead:
    """z_c = f · m_c / |m_c|, for features of unit length; a column without a mean gets -2, below any cosine."""
    length = np.linalg.norm(means, axis=1, keepdims=True)
    return LinearHead(means / np.where(length > 0, length, 1), np.where(present, 0.0, -2.0))


def normalized_weights(weight: Floats, tau: float, kept: Bools) -> Floats:
    """w_k / |w_k|^tau, float64 [K, D], except for the columns that are `kept`, bool [K]; weights 0 stay."""
    return weight * shrinkage(weight, tau, kept)[:, None]


def shrinkage(weight: Floats, tau: float, kept: Bools) -> Floats:
    """What `normalized_weights` multiplies each row by, float64 [K]."""
    length = np.linalg.norm(weight, axis=1)
    return np.where(kept | (length == 0), 1.0, np.where(length > 0, length, 1.0) ** -tau)


def balanced_accuracies(rows: FeatureRows, target: torch.Tensor, weight: Floats, kept: Bools) -> Floats:
    """The mean recall of the columns that have rows, for each of `TAUS`: float64 [21]. target: int64 [N], N >= 1."""
    width = len(weight)
    factors = torch.tensor(np.stack([shrinkage(weight, tau, kept) for tau in TAUS.tolist()]))
    right = torch.zeros(len(TAUS), width, dtype=torch.float64)
    for block, logits in rows.logits(LinearHead(weight, np.zeros(width))):
        for index, factor in enumerate(factors):
            hit = (logits * factor).argmax(dim=1) == target[block]
            right[index].index_add_(0, target[block], hit.double())
    count = torch.bincount(target, minlength=width)
    present = count > 0
    return (right[:, present] / count[present]).mean(dim=1).numpy()
