"""The sample of the rows of logits in parts. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.execution.base import Execution, Produced
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.apply import Adjuster
from longtail_cli.tables import LogitColumns
from longtail_cli.workflow.logit_batches import LOGITS_PER_BATCH
from longtail_cli.workflow.moved_scores import RowSample, SampledRows, sampled_rows, sampled_share
from longtail_cli.workflow.options import device_of
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.inputs import DividedInput, Planned
from longtail_cli.workflow.partitioned.logits import DividedLogits, LogitsLoader
from longtail_cli.workflow.progress import Progress


@dataclass(frozen=True, slots=True)
class LogitSample:
    """Some rows of all parts."""

    rows: RowSample

    def moved(self, planned: Planned, number: int) -> float:
        """See `RowSample.moved`. number: of a run of `planned`."""
        return self.rows.moved(_adjuster(planned, number))


@dataclass(frozen=True, slots=True)
class _TakeRows:
    """Called with a part of logits: some rows of each of its batches."""

    share: float
    """See `sampled_share`."""

    def __call__(self, part: ImagePart) -> Produced[list[SampledRows]]:
        file = _loader(part).file
        batches = file.batches(max(1, LOGITS_PER_BATCH["cpu"] // file.width))
        return Produced([sampled_rows(batch, self.share) for batch in batches], None)


def whole_file(divided: DividedInput) -> LogitsFile:
    """All shards of logits."""
    assert isinstance(divided, DividedLogits)
    return divided.file


def columns_of(planned: Planned) -> LogitColumns:
    """What the columns of planned logits are."""
    return _loader(planned.parts[0].content).file.columns


def sample_logits(divided: DividedInput, planned: Planned, execution: Execution, progress: Progress) -> LogitSample:
    """The sample of logits that were planned without adjustment."""
    file = whole_file(divided)
    sample = RowSample(file, _adjuster(planned, 0))
    with execution.mapped(_TakeRows(sampled_share(file)), planned.parts, "sampling", progress) as mapped:
        rows = [one for part in mapped.found for one in part]
    if rows:
        sample.fill(rows)
    return LogitSample(sample)


def _adjuster(planned: Planned, number: int) -> Adjuster:
    """That of the method of a run."""
    loader = _loader(planned.parts[0].content)
    return loader.methods[number].on(loader.file, device_of(loader.options.device)).adjuster


def _loader(part: ImagePart) -> LogitsLoader:
    assert isinstance(part.loader, LogitsLoader)
    return part.loader
