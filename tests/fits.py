"""Small fits made by hand, for the tests of their files and outputs."""

from __future__ import annotations

from typing import Any

import numpy as np

from longtail_cli.methods.fitted import FittedStep, LearnedStep
from longtail_cli.methods.steps import Classify, ColumnAffine, ConfidenceAffine, ScoreBeta, ScoreKnots
from longtail_cli.reports.fitting.model import ClassNorms, FitRecord, RowCounts, Tried
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.tables import LogitColumns
from longtail_cli.workflow.saved_method import Fit

IDS = np.array([3, 7, 9])
COLUMNS = LogitColumns("softmax", "last", IDS)
"""What was fitted on: three classes and a background."""
BAGS = LogitColumns("bags", "last", IDS, ((3, 9), (7,)))
SCORES = LogitColumns("sigmoid", "none", IDS)

AFFINE = ColumnAffine(np.array([1.0, 2.0, 0.5, 1.0]), np.array([0.0, -1.0, 1.0, 0.25]))
CONFIDENT = ConfidenceAffine(AFFINE.scale, AFFINE.shift, np.array([0.5, -0.5]), 0.25, of_features=True)
HEAD = Classify(np.arange(8.0).reshape(4, 2), np.arange(4.0), np.array([1.0, -1.0]), False, COLUMNS)
SLICES = Classify(np.arange(14.0).reshape(7, 2), np.arange(7.0), np.zeros(2), True, BAGS)
BETA = ScoreBeta(
    np.array([[100.0], [np.inf], [50.0]]),
    np.array([[1.0, 2.0], [0.5, 0.5], [0.0, 1.0]]),
    np.ones((3, 2)),
    np.zeros((3, 2)),
)
KNOTS = ScoreKnots(
    np.empty((3, 0)),
    np.array([[0], [1], [1]]),
    np.array([0, 0, 3]),
    np.array([0.0, 0.5, 1.0]),
    np.array([0.1, 0.2, 0.9]),
)
STEPS: dict[str, tuple[LearnedStep, LogitColumns]] = {
    "affine": (AFFINE, COLUMNS),
    "confidence-affine": (CONFIDENT, COLUMNS),
    "classify": (HEAD, COLUMNS),
    "classify, bags": (SLICES, COLUMNS),
    "score-beta": (BETA, SCORES),
    "score-knots": (KNOTS, SCORES),
}
"""Each kind of step, with the columns that it was learned on."""


def record(**changes: Any) -> FitRecord:
    """A head that was fitted on proposals, with a penalty of three that were tried."""
    fields: dict[str, Any] = {
        "version": "0.1.0",
        "method": "classifier:loss=iif",
        "seed": 4,
        "target": None,
        "settings": {"l2": 0.01},
        "tried": (Tried(1.0, 2.25), Tried(0.1, 1.5), Tried(0.01, 1.125)),
        "curve": (2.5, 1.25, 1.0),
        "passes": 40,
        "converged": True,
        "rows": RowCounts(used=1200, held_out=240, images=90, background=900, left_out=3000, classes=3),
        "accuracy": None,
        "norms": ClassNorms((50, 8, 2), (1.5, 1.0, 0.5), (1.25, 1.25, 1.0)),
        "fitted_on": Origin(
            "logits",
            "softmax",
            "last",
            (3, 7, 9),
            (InputDigest("predictions", "train.npz", "00ff"),),
            {1: "a.jpg", 2: ""},
        ),
        "notes": (),
    }
    return FitRecord(**fields | changes)


def fit(kind: str = "classify") -> Fit:
    """One of `STEPS` with its record."""
    step, columns = STEPS[kind]
    scores = columns is SCORES
    origin = Origin("results" if scores else "logits", columns.head, columns.background, (3, 7, 9), (), {})
    return Fit(record(fitted_on=origin), FittedStep(step, columns))
