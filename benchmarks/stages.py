"""Where the time of one report goes: wall seconds, and how many cores are busy, of each stage.

python benchmarks/stages.py ANNOTATIONS.json PREDICTIONS.json...
"""

from __future__ import annotations

import importlib
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest import mock

from tabulate import tabulate

STAGES = {
    "read results": "longtail_cli.workflow.detection_inputs:_Prefetch.next",
    "adjust": "longtail_cli.workflow.detection_inputs:AdjustableResults.adjusted",
    "prepare the objects": "longtail_cli.evaluation.detections:Evaluation.prepare",
    "locate": "longtail_cli.workflow.detection_inputs:locate",
    "find what is judged": "longtail_cli.evaluation.detections:Evaluation.candidates",
    "compare boxes": "longtail_cli.workflow.locate_detections:same_geometry",
    "geometry": "longtail_cli.evaluation.detections:overlaps",
    "cap each image": "longtail_cli.evaluation.detections:within_limits",
    "sort": "longtail_cli.evaluation.detections:in_order",
    "compare the order": "longtail_cli.evaluation.detections:still_in_order",
    "match": "longtail_cli.evaluation.detections:match",
    "reduce": "longtail_cli.evaluation.detections:curves",
    "find the errors": "longtail_cli.evaluation.tide:outcomes",
    "errors of unjudged detections": "longtail_cli.evaluation.tide:unjudged",
    "choose what is fixed": "longtail_cli.evaluation.detections:Evaluation._aligned_points",
    "TIDE": "longtail_cli.evaluation.detections:Evaluation._tide",
    "reliability": "longtail_cli.evaluation.detections:reliability",
    "evaluate, the rest": "longtail_cli.workflow.detection_runs:evaluate_sources",
    "report, the rest": "longtail_cli.workflow.report_detection:evaluate",
}
"""Stages in the order of a report, as ``module:attribute``. The time of a stage excludes that of the stages in it."""


class Clock(threading.local):
    """Adds up wall and CPU seconds by stage, of the stages of one thread."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(("import", *STAGES), (0.0, 0.0))
        self._inner = [(0.0, 0.0)]

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **options: Any) -> Any:
            self._inner.append((0.0, 0.0))
            begin = time.perf_counter(), time.process_time()
            try:
                return function(*args, **options)
            finally:
                whole = time.perf_counter() - begin[0], time.process_time() - begin[1]
                inner = self._inner.pop()
                own = whole[0] - inner[0], whole[1] - inner[1]
                self.spent[stage] = self.spent[stage][0] + own[0], self.spent[stage][1] + own[1]
                self._inner[-1] = self._inner[-1][0] + whole[0], self._inner[-1][1] + whole[1]

        return run


def main() -> None:
    begin, clock = time.perf_counter(), Clock()
    with ExitStack() as stack:
        for stage, place in STAGES.items():
            module, _, attribute = place.partition(":")
            owner = importlib.import_module(module)
            *path, name = attribute.split(".")
            for one in path:
                owner = getattr(owner, one)
            own = vars(owner)[name]
            timed: Any = clock.timed(stage, own.__func__ if isinstance(own, classmethod) else own)
            stack.enter_context(
                mock.patch.object(owner, name, classmethod(timed) if isinstance(own, classmethod) else timed)
            )
        clock.spent["import"] = time.perf_counter() - begin, time.process_time()
        from longtail_cli.workflow import report_detection

        truth, *predictions = map(Path, sys.argv[1:])
        report_detection.evaluate(predictions, truth)
    rows = [(stage, wall, cpu / wall) for stage, (wall, cpu) in clock.spent.items() if wall > 0]
    rows.append(("all", sum(wall for _, wall, _ in rows), time.process_time() / (time.perf_counter() - begin)))
    print(tabulate(rows, ["stage", "seconds", "cores busy"], tablefmt="github", floatfmt=("", ".3f", ".1f")))


main()
