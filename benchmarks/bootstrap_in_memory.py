"""Seconds of one evaluation of boxes in memory, LVIS rules and TIDE, and of 1,000 resamples of it.

python benchmarks/bootstrap_in_memory.py annotations.json predictions.json
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from longtail_cli.evaluate.bootstrap.resampling import Draws
from longtail_cli.evaluate.evaluation import Evaluation
from longtail_cli.evaluate.options import EvaluationOptions
from longtail_cli.evaluate.protocol import GROUPS, Protocol
from longtail_cli.files.annotations.reader import read_annotations
from longtail_cli.files.results.file import locate, read_results
from longtail_cli.tables import Detections


def main() -> None:
    truth = read_annotations(Path(sys.argv[1]), masks=False)
    found = locate(read_results(Path(sys.argv[2]), fields=frozenset(["bbox"])), truth)
    label = np.array(truth.categories.frequency)
    groups = {group: label == group for group in GROUPS}
    plain = EvaluationOptions(fixed_ap=False, pooled_ap=False, per_category=False, tide="aligned")
    images = len(truth.image_id)
    once, few, many = (
        Evaluation.prepare(truth, Protocol("lvis", 300), "bbox", groups, wanted)
        for wanted in (plain, *(replace(plain, draws=Draws(images, number, 0)) for number in (1, 1000)))
    )
    seconds(few, found)  # loads the kernels
    evaluation = min(seconds(once, found) for _ in range(3))
    print(evaluation, seconds(many, found) - evaluation)


def seconds(evaluation: Evaluation, found: Detections) -> float:
    begin = time.perf_counter()
    evaluation.figures(found, evaluation.geometry(found))
    return time.perf_counter() - begin


main()
