"""Result files corrected in memory: one score a detection, and what follows from its logit alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from longtail_cli.adjust.base import Method, needs_logits
from longtail_cli.adjust.registry import two_way
from longtail_cli.adjust.scores import ScoreSpace, corrected_scores
from longtail_cli.adjust.steps import ColumnAffine, Step
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.learned import read_learned
from longtail_cli.files.result_problems import entry_place
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Results, Singles
from longtail_cli.workflow.telling import note_lines


@dataclass(frozen=True, slots=True)
class Corrected:
    """Results with other scores.

    category: int64 [N], the row of each detection's class in the table. affine: what was done to the logits of each
    row. notes: what the user should know about some classes.
    """

    results: Results
    category: Longs
    affine: ColumnAffine
    notes: tuple[str, ...]


def corrected(results: Results, table: FrequencyTable | None, method: Method, score_space: ScoreSpace) -> Corrected:
    """`results` with the scores that `method` gives them.

    Raises InputError where a score is no probability or a category is not in the table, UsageError where the method
    needs a table and there is none, or needs the full logits.
    """
    if score_space == "prob":
        _check_probabilities(results)
    frequencies = _frequencies(table, method, results)
    category = _rows(results, frequencies)
    affine, notes = two_way(method, frequencies, _Files(method.spec, classes_known=table is not None))
    scores = corrected_scores(results.score, category, affine, score_space)
    return Corrected(replace(results, score=scores), category, affine, note_lines(notes, frequencies))


class _Files:
    """What a method may look at beside the counts, where one score a detection is all there is."""

    def __init__(self, spec: str, *, classes_known: bool) -> None:
        self._spec, self._classes_known = spec, classes_known

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        if not self._classes_known:
            problem = Problem("frequency table", f"one, for the classes of {self._spec}", "none")
            raise UsageError("--freq", [problem], "a result file need not hold every class: pass the table of all")
        return read_learned(Path(path), columns)

    def prior(self, path: str) -> FrequencyTable:
        return read_frequencies(Path(path))

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        self._refuse()

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise needs_logits(self._spec)


def _check_probabilities(results: Results) -> None:
    outside = np.flatnonzero((results.score < 0) | (results.score > 1))
    if len(outside):
        problems = [
            Problem(entry_place(entry, int(results.image_id[entry])), "a score in [0, 1]", f"{results.score[entry]:g}")
            for entry in outside[:MAX_PROBLEMS].tolist()
        ]
        fix = "if the scores are logits, say so with --score-space logit"
        raise InputError(results.source, problems, fix, total=len(outside))


def _frequencies(table: FrequencyTable | None, method: Method, results: Results) -> FrequencyTable:
    """The table, or without one, for a method that uses no counts, one of the categories that the file holds."""
    if table is not None:
        return table
    if method.uses_counts:
        problem = Problem("frequency table", f"one, for the method {method.spec}", "none")
        raise UsageError("--freq", [problem], "pass one that `ltcal compute-freq` made, with --freq FILE")
    ids = np.unique(results.category_id)
    zeros = np.zeros(len(ids), np.int64)
    return FrequencyTable(ids, ("",) * len(ids), zeros, zeros, ("",) * len(ids), None)


def _rows(results: Results, table: FrequencyTable) -> Longs:
    """The row of the table for each detection, int64 [N]."""
    row = np.searchsorted(table.category_id, results.category_id)
    known = row < len(table)
    known[known] = table.category_id[row[known]] == results.category_id[known]
    if known.all():
        return row
    ids, first = np.unique(results.category_id[~known], return_index=True)
    entries = np.flatnonzero(~known)[first]
    problems = [
        Problem(f"category_id {id_} (first in entry {entry})", "a row in the frequency table", "none")
        for id_, entry in zip(ids[:MAX_PROBLEMS].tolist(), entries.tolist(), strict=False)
    ]
    fix = "count the training set that the model's categories belong to, with `ltcal compute-freq`"
    raise InputError(results.source, problems, fix, total=len(ids))
