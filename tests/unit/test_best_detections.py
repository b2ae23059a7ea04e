"""What is kept of decoded detections for Fixed AP, against a plain selection from all of them at the end."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.decode.decoding import Decoded
from longtail_cli.workflow import best_detections
from longtail_cli.workflow.best_detections import BestDetections, by_class

CATEGORIES = np.array([30, 10, 20])

detection = st.tuples(st.sampled_from(CATEGORIES.tolist()), st.sampled_from([0.1, 0.2, 0.3]), st.booleans())
batches = st.lists(st.lists(detection, max_size=12), max_size=8)


def decoded(found: list[tuple[int, float, bool]], first: int) -> Decoded:
    """Detections numbered from `first` in `box_index`."""
    number = np.arange(first, first + len(found))
    category, score, within = (np.array([one[column] for one in found]) for column in range(3))
    return Decoded(
        number // 4, category.astype(np.int64), score.astype(np.float32), np.zeros((len(found), 4), np.float32), number,
        within.astype(bool),
    )  # fmt: skip


def kept_plainly(found: list[tuple[int, float, bool]], per_category: int) -> list[int]:
    """The numbers of the detections within the limit, and of the best of each category, the first ones in a tie."""
    kept = {number for number, (_, _, within) in enumerate(found) if within}
    for category in CATEGORIES.tolist():
        own = [number for number, one in enumerate(found) if one[0] == category]
        kept.update(sorted(own, key=lambda number: (-found[number][1], number))[:per_category])
    return sorted(kept)


@settings(max_examples=40)
@given(batches, st.integers(1, 5), st.integers(0, 10))
def test_what_is_dropped_early_is_not_among_the_best(batches, per_category, room):
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(best_detections, "FIRST_ROOM", room)
        best, first = BestDetections(by_class(CATEGORIES), 3, per_category), 0
        for batch in batches:
            best.add(decoded(batch, first))
            first += len(batch)
    found = best.found()
    every = [one for batch in batches for one in batch]
    expected = kept_plainly(every, per_category)
    assert found.box_index.tolist() == expected
    assert found.within_limit.tolist() == [every[number][2] for number in expected]


def test_memory_is_bounded(monkeypatch):
    """With 3 categories of 5 detections and none within the limit, 40 are never exceeded by more than a batch."""
    monkeypatch.setattr(best_detections, "FIRST_ROOM", 40)
    best, rng, most = BestDetections(by_class(CATEGORIES), 3, 5), np.random.default_rng(0), 0
    for number in range(50):
        scores = rng.random(10)
        best.add(decoded([(int(rng.choice(CATEGORIES)), float(score), False) for score in scores], 10 * number))
        most = max(most, sum(map(len, best._parts)))
    assert most <= 50
    assert len(best.found()) == 15
