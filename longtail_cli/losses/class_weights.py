"""Weights of classes that are larger for rarer ones."""

from __future__ import annotations

import math

import numpy as np

from longtail_cli.choices import CountName, ZeroCountName
from longtail_cli.methods.base import Note
from longtail_cli.methods.counts import class_shares, counts_of, shares
from longtail_cli.tables import Floats, FrequencyTable


def effective_number_weights(
    table: FrequencyTable, beta: float, count: CountName, zero_count: ZeroCountName
) -> tuple[Floats, tuple[Note, ...]]:
    """w_c ∝ (1 - beta) / (1 - beta^n_c), with mean 1: float64 [C]; and notes on classes that never occur.

    beta: 0 <= beta < 1; 0 makes all weights 1, and towards 1 they become those of 1 / n_c.
    Source: Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019, sections 3 and 4
    """
    counts = counts_of(table, count)
    given = shares(counts, float(counts.sum()), zero_count, table.category_id)
    if beta == 0:
        return np.ones(len(table)), given.notes
    return _with_mean_1(-1 / np.expm1(given.count * math.log(beta))), given.notes


def inverse_share_weights(
    table: FrequencyTable, exponent: float, count: CountName, zero_count: ZeroCountName
) -> tuple[Floats, tuple[Note, ...]]:
    """w_c ∝ (1 / p_c)^exponent with p_c = n_c / Σ n, with mean 1: float64 [C]; and notes on classes that never occur.

    Source: Zhang et al., "Distribution Alignment: A Unified Framework for Long-tail Visual Recognition", CVPR 2021,
    section 3.3
    """
    share, notes = class_shares(table, count, zero_count)
    return _with_mean_1((share / share.min()) ** -exponent), notes


def _with_mean_1(weight: Floats) -> Floats:
    return weight * (len(weight) / math.fsum(weight.tolist()))
