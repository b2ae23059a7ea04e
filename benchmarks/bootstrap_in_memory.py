"""Seconds of one evaluation of boxes in memory (LVIS protocol, TIDE), and of 1,000 resamples of it.

python benchmarks/bootstrap_in_memory.py annotations.json predictions.json
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import GROUPS, Protocol
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Detections
from longtail_cli.workflow.locate_detections import locate


def main() -> None:
    with open_annotations(Path(sys.argv[1])) as annotations, open_results(Path(sys.argv[2])) as predictions:
        truth = annotations.read()
        detections = locate(predictions.read(frozenset(["bbox"])), truth)
    label = np.array(truth.categories.frequency)
    groups = {group: label == group for group in GROUPS}
    images = len(truth.image_id)
    once, few, many = (
        Evaluation.prepare(truth, Protocol("lvis", 300), "bbox", groups, EvaluationOptions(), draws)
        for draws in (None, Draws(images, 1, 0), Draws(images, 1000, 0))
    )
    seconds(few, detections)  # loads the kernels
    evaluation = min(seconds(once, detections) for _ in range(3))
    print(evaluation, seconds(many, detections) - evaluation)


def seconds(evaluation: Evaluation, detections: Detections) -> float:
    begin = time.perf_counter()
    evaluation.metrics(detections, evaluation.candidates(detections))
    return time.perf_counter() - begin


main()
