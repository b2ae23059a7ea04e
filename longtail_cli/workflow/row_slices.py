"""Slices of a report on classifiers: their rows, metrics and sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.classification.resampled import (
    RowTally,
    resampled_rows,
    row_metrics,
    rows_at,
)
from longtail_cli.reports.model import GroupSize, Report
from longtail_cli.tables import Bools, Longs, Slices
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.slices import first_few


@dataclass(frozen=True, slots=True)
class RowSlices:
    """Slices whose rows were found among those that have a class."""

    rows: Mapping[str, Longs]
    """By name of the slice, the indices of its rows among those with a class: int64 [n], ascending, n >= 1."""
    number: Mapping[str, Longs]
    """By name of the slice, the numbers of the same rows in the file."""
    draws: Draws | None
    """Resamples of all rows, or None."""

    def added(self, outcome: Outcome, tally: RowTally) -> Outcome:
        """The outcome of a run with its metrics on each slice. tally: of all its rows.

        Each resample draws as many rows of the slice with replacement as it has, by the same seed.
        """
        slices = {}
        resampled = dict(outcome.resampled)
        for name, rows in self.rows.items():
            own = rows_at(tally, rows)
            slices[name] = {"classification": row_metrics(own)}
            if self.draws is not None:
                found = resampled_rows(own, replace(self.draws, images=len(rows)))
                resampled |= {f"slices/{name}/classification/{metric}": values for metric, values in found.items()}
        return replace(outcome, run=replace(outcome.run, slices=slices), resampled=resampled)

    def described(self, report: Report, sizes: Mapping[str, GroupSize]) -> Report:
        """The report with the size and the digest of each slice."""
        digests = {name: sha256(one.astype("<i8").tobytes()).hexdigest() for name, one in self.number.items()}
        return replace(report, slices=sizes, signature=replace(report.signature, slices_sha256=digests))


def row_slices(slices: Slices, labelled: Bools, draws: Draws | None) -> RowSlices:
    """The slices with the rows that have a class.

    labelled: bool [N], whether each row of the file has one. Raises InputError for slices that are not given by the
    numbers of rows from 0 to N - 1, or have no row with a class.
    """
    if slices.key not in ("number", "row"):
        problem = Problem("slices", "the numbers of rows, from 0", f"`{slices.key}`, which is for detections")
        raise InputError(slices.source, [problem], "write lists of rows in JSON, or a column `row`")
    total, position = len(labelled), np.cumsum(labelled) - 1
    rows, number, problems = {}, {}, []
    for name, part in zip(slices.name, np.split(slices.member, slices.start[1:-1]), strict=True):
        own = np.sort(part)
        outside = own[(own < 0) | (own >= total)]
        if len(outside):
            problems.append(Problem(f"slice {name}", f"rows from 0 to {total - 1}", first_few(outside)))
        elif not labelled[own].any():
            problems.append(Problem(f"slice {name}", "at least one row that has a class", "none"))
        else:
            number[name] = own[labelled[own]]
            rows[name] = position[number[name]]
    if problems:
        raise InputError(slices.source, problems, "count the rows of the logits from 0, with those that have no class")
    return RowSlices(rows, number, draws)
