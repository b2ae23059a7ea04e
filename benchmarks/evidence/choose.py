"""Choosing an adjustment on held-out logits: what `tuned` and `oracle` stand for in the tables."""

from __future__ import annotations

from pathlib import Path

import longtail_cli as ltcal


def tuning_of(held_out: Path, freq: ltcal.FrequencyTable) -> ltcal.Tuning:
    """What `ltcal tune` finds on held-out logits with its defaults."""
    return ltcal.tune(held_out, frequencies=freq, bootstrap=None)


def best_of(tuning: ltcal.Tuning, method: str) -> str:
    """The choice among the candidates of one method."""
    return next(choice.spec for choice in tuning.best if choice.space.startswith(method))


def oracle_spec(test: Path, tuning: ltcal.Tuning, freq: ltcal.FrequencyTable) -> str:
    """The candidate with the highest top-1 on the test set: what no choice among them can exceed."""
    specs = list(dict.fromkeys(one.spec for one in tuning.candidates))
    runs = ltcal.evaluate_classification(test, frequencies=freq, methods=specs).runs
    return max(zip(specs, runs, strict=True), key=lambda pair: pair[1].classification.top1)[0]
