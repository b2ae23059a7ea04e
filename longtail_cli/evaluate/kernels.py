"""Loading the compiled kernels ahead of time, while files are being read.

numba loads a kernel from its cache (the first time ever: compiles it) at the first call with arguments of its types.
"""

from __future__ import annotations

import numpy as np

from longtail_cli.evaluate.evaluation import Evaluation, Wanted
from longtail_cli.evaluate.protocol import Protocol
from longtail_cli.tables import Categories, Detections, GroundTruth


def load_kernels(wanted: Wanted) -> None:
    """Evaluate nothing: no detections and no objects of one category in one image."""
    nothing, pairs = np.zeros(0, np.int32), np.zeros((0, 2), np.int32)
    truth = GroundTruth(
        categories=Categories(np.zeros(1, np.int64), ("",), None, None, None),
        image_id=np.zeros(1, np.int64),
        image_position=np.zeros(1, np.int32),
        image_size=np.zeros((1, 2), np.int32),
        id=np.zeros(0, np.int64),
        image=nothing,
        category=nothing,
        bbox=np.zeros((0, 4)),
        area=np.zeros(0),
        crowd=np.zeros(0, bool),
        ignore=np.zeros(0, bool),
        masks=None,
        negative=pairs,
        not_exhaustive=pairs,
        source="",
    )
    detections = Detections(nothing, nothing, np.zeros(0), np.zeros((0, 4)), np.zeros(0), None, "")
    evaluation = Evaluation.prepare(truth, Protocol("lvis", 1), "bbox", {}, wanted)
    evaluation.figures(detections, evaluation.geometry(detections))
