"""`ltcal rescore`: a result file with its scores corrected for the long tail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from longtail_cli.adjust.base import Method, needs_logits
from longtail_cli.adjust.registry import score_affine
from longtail_cli.adjust.scores import adjusted_scores
from longtail_cli.adjust.steps import ColumnAffine, Step
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.files.results.file import read_results
from longtail_cli.files.results.problems import entry_place
from longtail_cli.files.results.rescored import write_rescored
from longtail_cli.files.source import check_readable
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs, Results, ScoreSpace, Singles
from longtail_cli.workflow.progress import Progress, bytes_progress, no_progress, note_lines

DEFAULT_CAP = 300
"""Detections per image, over all categories, that LVIS evaluates."""


@dataclass(frozen=True, slots=True)
class RescoreSummary:
    """What a correction met and what it can change.

    method: the canonical spec. entries: detections in the file, >= 0. images: images with a detection.
    max_dets: the cap per image, over all categories, that the next figures are about.
    images_at_cap: images with at least so many detections. images_over_cap: images with more; only there does the
        order of scores decide which detections are evaluated.
    order_kept: whether every category keeps the order of its detections.
    notes: what the user should know about some classes.
    """

    method: str
    entries: int
    images: int
    max_dets: int
    images_at_cap: int
    images_over_cap: int
    order_kept: bool
    notes: tuple[str, ...]

    @property
    def ap_can_move(self) -> bool:
        """Whether the AP of a category can differ from that of the input, under a cap per image as LVIS has it."""
        return self.images_over_cap > 0 or not self.order_kept

    @property
    def outlook(self) -> str:
        """Which figures the correction can move, in two sentences."""
        cap = f"{self.max_dets} detections per image"
        reach = f"{self.images_at_cap} of {self.images} images reach the cap of {cap}, {self.images_over_cap} exceed it"
        if not self.order_kept:
            return f"{reach}. The order within some categories changes, and with it AP."
        if self.ap_can_move:
            return (
                f"{reach}. The order within each category is kept, so per-category AP (AP, APr, APc, APf) can move "
                "only by which detections of those images survive the cap; under COCO's cap, which is per category, it "
                "cannot."
            )
        return (
            f"{reach}. The order within each category is kept, so per-category AP (AP, APr, APc, APf) cannot move. "
            "Pooled AP, reliability and errors between classes can. Full logits are where IIF works."
        )


def rescore(
    path: Path,
    table: FrequencyTable | None,
    method: Method,
    out: Path,
    *,
    score_space: ScoreSpace = "prob",
    max_dets: int = DEFAULT_CAP,
    progress: Progress = no_progress,
) -> RescoreSummary:
    """Write the result file `path` to `out` with corrected scores; all else in it stays as it is.

    table: how often the classes occur in training; may be None for a method that uses no counts.
    score_space: ``prob`` where scores are probabilities, z = ln(s / (1 - s)), or ``logit`` where they are z itself.
    max_dets: the cap per image that the summary is about; it cuts nothing off.
    progress: told what is being done, for a progress display.
    Raises InputError where the file is broken, a score is no probability, or a category is not in the table;
    UsageError where the method needs a table and there is none, or `out` is `path`; OutputError where `out` cannot be
    written to. Nothing is written then.
    """
    check_readable(path)
    refuse_overwriting(out, path, "input")
    results = read_results(path, fields=frozenset(), advance=bytes_progress(progress, "reading", [path]))
    progress("correcting", None)
    found = adjust_results(results, table, method, score_space)
    write_rescored(path, found.results.score, out, advance=bytes_progress(progress, "writing", [path]))
    return _summary(found, method, max_dets)


def _summary(found: AdjustedResults, method: Method, max_dets: int) -> RescoreSummary:
    per_image = _run_lengths(np.sort(found.results.image_id, kind="stable"))  # fast where images lie together
    met = np.bincount(found.category, minlength=len(found.affine.scale)) > 0
    return RescoreSummary(
        method=method.spec,
        entries=len(found.results),
        images=len(per_image),
        max_dets=max_dets,
        images_at_cap=int((per_image >= max_dets).sum()),
        images_over_cap=int((per_image > max_dets).sum()),
        order_kept=bool((found.affine.scale[met] > 0).all()),
        notes=found.notes,
    )


def _run_lengths(ascending: Longs) -> Longs:
    """How often each value stands in `ascending`, int64."""
    edges = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
    return np.diff(edges, prepend=0, append=len(ascending)) if len(ascending) else np.zeros(0, np.int64)


def refuse_overwriting(out: Path, path: Path, content: str) -> None:
    """Raise UsageError where `out` is the file `path`, which holds `content` that is still needed."""
    if out.exists() and path.exists() and out.samefile(path):
        problem = Problem("output", f"another file than the {content}", f"the {content} itself")
        raise UsageError(str(out), [problem], "choose another name for the output")


@dataclass(frozen=True, slots=True)
class AdjustedResults:
    """Results with other scores.

    category: int64 [N], the row of each detection's class in the table. affine: what was done to the logits of each
    row. notes: what the user should know about some classes.
    """

    results: Results
    category: Longs
    affine: ColumnAffine
    notes: tuple[str, ...]


def adjust_results(
    results: Results, table: FrequencyTable | None, method: Method, score_space: ScoreSpace
) -> AdjustedResults:
    """`results` with the scores that `method` gives them.

    Raises InputError where a score is no probability or a category is not in the table, UsageError where the method
    needs a table and there is none, or needs the full logits.
    """
    if score_space == "prob":
        _check_probabilities(results)
    frequencies = _frequencies(table, method, results)
    category = _rows(results, frequencies)
    affine, notes = score_affine(method, frequencies, _ResultAccess(method.spec, classes_known=table is not None))
    scores = adjusted_scores(results.score, category, affine, score_space)
    return AdjustedResults(replace(results, score=scores), category, affine, note_lines(notes, frequencies))


class _ResultAccess:
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
