"""The execution that options name, and what runs in it. Imports no pyarrow."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.workflow.options import ExecutionOptions

if TYPE_CHECKING:
    from longtail_cli.execution.base import Execution
    from longtail_cli.reports.model import Report
    from longtail_cli.reports.tuning.model import Tuning


def evaluation_of(options: ExecutionOptions) -> Callable[..., Report]:
    """`report_detection.evaluate`, or its equal in parts."""
    if not options.in_parts:
        from longtail_cli.workflow.report_detection import evaluate

        return evaluate
    from longtail_cli.workflow.partitioned.report import evaluate_in_parts

    return partial(evaluate_in_parts, execution=options)


def tuning_of(options: ExecutionOptions) -> Callable[..., Tuning]:
    """`tune_detection.tune_detection`, or its equal in parts."""
    if not options.in_parts:
        from longtail_cli.workflow.tune_detection import tune_detection

        return tune_detection
    from longtail_cli.workflow.partitioned.tune import tune_in_parts

    return partial(tune_in_parts, execution=options)


@contextmanager
def execution_of(options: ExecutionOptions) -> Iterator[Execution]:
    """The execution, connected and checked; what it holds is released at the end of the block.

    Raises MissingExtraError without Ray, UsageError if a cluster cannot be reached or has other versions.
    """
    if options.engine == "local":
        from longtail_cli.execution.spilled import Spilled

        yield Spilled()
        return
    from longtail_cli.execution.ray.cluster import connected

    with connected(options.engine, options.memory) as cluster:
        yield cluster
