"""The scores that methods move, found piece after piece, are those of all detections at once."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtail_cli.choices import ScoreSpace
from longtail_cli.methods.scores import AdjustableScores, reversed_classes
from longtail_cli.methods.steps import ColumnAffine, ScoreBeta, ScoreStep
from longtail_cli.workflow.partitioned.kept_apart import KeepApart

LARGEST = float(np.finfo(np.float64).max)
CLASSES = 3


def neighbours(first: float) -> list[float]:
    """Twelve consecutive floats, from the lowest."""
    values = [first]
    while len(values) < 12:
        values.append(float(np.nextafter(values[-1], np.inf)))
    return values


SCORES: dict[ScoreSpace, list[float]] = {
    "prob": [*neighbours(0.0), *neighbours(0.5), *neighbours(1 - 11 * 2**-53)],
    "logit": [*neighbours(-LARGEST), *neighbours(0.0), -0.0, 3.5, 1e308, LARGEST],
}
SCALES, SHIFTS = [1.0, 0.0, -1.0, -10.0, 10.0, 0.1, 1e-300, 1e300], [0.0, 1.0, -50.0, -800.0, 800.0]


def any_map(rng: np.random.Generator) -> ScoreStep:
    shift = rng.choice(SHIFTS, CLASSES)
    if rng.random() < 0.5:
        return ColumnAffine(rng.choice(SCALES, CLASSES), shift)
    rise, fall = rng.choice([0.0, 1.0, 30.0], (2, CLASSES, 1))
    return ScoreBeta(np.empty((CLASSES, 0)), rise, fall, shift[:, None])


@pytest.mark.parametrize("space", ["prob", "logit"])
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(0, 60))
@settings(max_examples=60)
def test_moved_scores(space: ScoreSpace, seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    step, category = any_map(rng), rng.integers(0, CLASSES, number, np.int32)
    score = rng.choice(SCORES[space], number)
    scores = AdjustableScores(score, category, space)
    sent = np.where(reversed_classes([step])[category], -score, score)
    order = np.lexsort((-sent, category))
    own, value = category[order], sent[order]
    new = np.flatnonzero((own[1:] != own[:-1]) | (value[1:] != value[:-1])) + 1
    cuts = new[rng.random(len(new)) < rng.choice([0.1, 1.0])]
    pieces = [pa.table({"cell": category[row], "score": sent[row]}) for row in np.split(order, cuts)]
    ((method, moved),) = KeepApart((((7, (step,)),),), 1, space, 1).in_pieces(0, pieces)
    assert method == 7
    assert moved.applied(category, score, scores.mapped([step])).tobytes() == scores.adjusted(step).tobytes()
