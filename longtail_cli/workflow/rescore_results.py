"""`ltcal rescore` of a result file: adjusts the score of each detection."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from longtail_cli.choices import ScoreSpace
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.files.output import check_free_space
from longtail_cli.files.results.converted import write_results
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.files.results.merged import MergedResults
from longtail_cli.files.results.problems import entry_name
from longtail_cli.frequency import uncounted_table
from longtail_cli.methods.base import Method, Note, RowKind, needs_logits
from longtail_cli.methods.registry import score_steps
from longtail_cli.methods.scores import AdjustableScores, MovedScores, direction
from longtail_cli.methods.steps import ScoreStep, Step
from longtail_cli.tables import (
    Convention,
    Floats,
    FrequencyTable,
    GroundTruth,
    Ints,
    LogitColumns,
    Longs,
    Results,
    Singles,
)
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.conventions import AS_STATED, is_plain, resolved, resolved_alone
from longtail_cli.workflow.locate_detections import areas_in, check_known, index_of
from longtail_cli.workflow.options import ConventionOptions
from longtail_cli.workflow.progress import Progress, bytes_progress, no_progress, note_lines

LIMITS = (100, 300)
"""Detections per image that COCO and LVIS evaluate."""


@dataclass(frozen=True, slots=True)
class RescoreSummary:
    """The size of a rescored result file, and which metrics the adjustment can change."""

    method: str
    """The canonical spec."""
    entries: int
    """Detections in the file, >= 0."""
    images: int
    """Images with a detection."""
    images_over: Mapping[int, int]
    """For each of `LIMITS`, how many images hold more detections; only in these do scores decide which count."""
    order_kept: bool
    """Whether every category keeps the order of its detections."""
    notes: tuple[str, ...]
    """Notes on the file and on some classes."""

    @property
    def ap_can_change(self) -> bool:
        """Whether the AP of a category can differ from that of the input under LVIS, which limits each image to 300."""
        return self.images_over[300] > 0 or not self.order_kept

    @property
    def outlook(self) -> str:
        """Which metrics the adjustment can change."""
        over, far_over = self.images_over.values()
        sizes = f"{over} of {self.images} images hold more than 100 detections, {far_over} more than 300"
        if not self.order_kept:
            return f"{sizes}. The order within some categories changes, and AP with it."
        if self.ap_can_change:
            return (
                f"{sizes}. The order within each category is kept, so per-category AP (AP, APr, APc, APf) can change "
                "only through the limit per image; under COCO, which limits each category, it cannot."
            )
        return (
            f"{sizes}. The order within each category is kept, so per-category AP (AP, APr, APc, APf) cannot change at "
            "300 detections per image. Pooled AP, reliability and errors between classes can; to change AP, "
            "adjust full logits."
        )


@dataclass(frozen=True, slots=True)
class AdjustedResults:
    """Results with adjusted scores."""

    results: Results
    category: Ints
    """int32 [N], the row of each detection's class in the table."""
    direction: Floats
    """float64 [C], for each row of the table: above 0 if its detections keep their order."""
    notes: tuple[str, ...]

    @property
    def order_kept(self) -> bool:
        """Whether every category keeps the order of its detections."""
        present = np.bincount(self.category, minlength=len(self.direction)) > 0
        return bool((self.direction[present] > 0).all())


def rescore(
    path: Path | tuple[Path, ...],
    table: FrequencyTable | None,
    method: Method,
    out: Path,
    *,
    annotations: Path | None = None,
    convention: ConventionOptions = AS_STATED,
    score_space: ScoreSpace = "prob",
    progress: Progress = no_progress,
) -> RescoreSummary:
    """Write the result file `path` to the new file `out` with adjusted scores.

    Everything else in COCO results stays the same, unless `convention` says that ids or boxes mean something else. Of
    several shards this is so from Parquet to Parquet. Else COCO results are written, with ids of the annotations and
    boxes in pixels, and without other fields.

    table: training counts of the classes; may be None for a method that uses no counts.
    annotations: those of the detections, to look ids and names up in, and to check them; None if they need none.
    score_space: ``prob`` if scores are probabilities, z = ln(s / (1 - s)), or ``logit`` if they are z itself.
    Raises InputError if the file is broken, a score is not a probability, a category is not in the table, or the
    annotations refuse the detections (see `resolved`); UsageError if the method needs a table, or the format needs
    annotations, and there are none; OutputError if `out` cannot be written to, or a plain JSON file is certain not to
    fit on the disk: scores never make up half of it, and all else stays.
    """
    truth = read_truth(annotations)
    with open_results(path) as file:
        if isinstance(path, Path) and path.suffix == out.suffix == ".json":
            check_free_space({out: file.size // 2})
        adjusted, _ = rescore_file(file, table, method, out, truth, convention, score_space, progress)
    per_image = run_lengths(np.sort(adjusted.results.image_id, kind="stable"))  # fast if images are contiguous
    return summary_of(method, per_image, adjusted.order_kept, adjusted.results.convention.notes + adjusted.notes)


def rescore_file(
    file: ResultFile,
    table: FrequencyTable | None,
    method: Method,
    out: Path,
    truth: GroundTruth | None,
    convention: ConventionOptions,
    score_space: ScoreSpace,
    progress: Progress,
) -> tuple[AdjustedResults, Convention]:
    """Write a result file that was opened to the new file `out` with adjusted scores, as `rescore`.

    Returns the results, and how the file was written.
    """
    advance = bytes_progress(progress, "reading", file.size)
    results, stated, as_they_are = _read(file, truth, table, convention, advance, out)
    progress("adjusting", None)
    adjusted = AdjustableResults(results, table, score_space, areas_in(file, results)).adjusted(method)
    if as_they_are and isinstance(file, MergedResults):
        file.write_rescored_rows(adjusted.results, out, bytes_progress(progress, "writing", file.size))
    elif as_they_are:
        file.write_rescored(adjusted.results.score, out, bytes_progress(progress, "writing", file.size))
    else:
        write_results(adjusted.results, out, bytes_progress(progress, "writing", len(results)))
    return adjusted, stated


def read_truth(annotations: Any) -> GroundTruth | None:
    """The annotations of the detections, without their masks; None if there are none."""
    if annotations is None:
        return None
    with open_annotations(annotations) as file:
        return file.read(masks=False)


def rescore_in_memory(
    predictions: Any,
    table: FrequencyTable | None,
    method: Method,
    score_space: ScoreSpace,
    *,
    annotations: Any = None,
    convention: ConventionOptions = AS_STATED,
) -> tuple[Any, tuple[str, ...]]:
    """A copy of a list of result dicts, a data frame or columns with adjusted scores, and notes on some classes.

    It has the ids of the annotations and xywh boxes if `convention` says that its own are others. Raises as `rescore`.
    """
    with open_results(predictions) as file:
        results, _, as_they_are = _read(file, read_truth(annotations), table, convention, None)
        adjusted = AdjustableResults(results, table, score_space, areas_in(file, results)).adjusted(method)
    columns: dict[str, Any] = {"score": adjusted.results.score.copy()}  # not those of `predictions`
    if not as_they_are:
        columns |= {"image_id": results.image_id, "category_id": results.category_id}
        columns |= {} if results.bbox is None else {"bbox": results.bbox}
    notes = results.convention.notes + adjusted.notes
    if isinstance(predictions, Mapping):
        return {**predictions, **columns}, notes
    if hasattr(predictions, "assign"):
        return predictions.assign(**{name: list(values) for name, values in columns.items()}), notes
    rows = zip(*(values.tolist() for values in columns.values()), strict=True)
    entries = zip(predictions, rows, strict=True)
    return [{**entry, **dict(zip(columns, row, strict=True))} for entry, row in entries], notes


def _read(
    file: ResultFile,
    truth: GroundTruth | None,
    table: FrequencyTable | None,
    convention: ConventionOptions,
    advance: Callable[[int], None] | None,
    out: Path | None = None,
) -> tuple[Results, Convention, bool]:
    """The results with the ids of the annotations, how the file was written, and whether its ids and boxes are theirs,
    so that `out` can be the file with other scores.

    If they are, only the geometry is read that checking them needs.
    """
    fields = frozenset() if truth is None else frozenset({"bbox"})
    results = file.read(fields, advance)
    as_they_are = file.keeps_entries(results.convention, out) and is_plain(results.convention, convention)
    if not as_they_are and fields != file.fields:
        results = file.read(file.fields)
    if truth is None:
        return resolved_alone(results, convention), results.convention, as_they_are
    found = resolved(results, truth, convention)
    check_known(found, truth)
    notes = found.convention.notes + compared_names(table, truth)
    return replace(found, convention=replace(found.convention, notes=notes)), results.convention, as_they_are


def summary_of(method: Method, per_image: Longs, order_kept: bool, notes: tuple[str, ...]) -> RescoreSummary:
    """per_image: int64 [I], the number of detections of each image that has any."""
    return RescoreSummary(
        method=method.spec,
        entries=int(per_image.sum()),
        images=len(per_image),
        images_over={limit: int((per_image > limit).sum()) for limit in LIMITS},
        order_kept=order_kept,
        notes=notes,
    )


def run_lengths(ascending: Longs) -> Longs:
    """How often each value occurs in `ascending`, int64."""
    edges = np.flatnonzero(ascending[1:] != ascending[:-1]) + 1
    return np.diff(edges, prepend=0, append=len(ascending)) if len(ascending) else np.zeros(0, np.int64)


class AdjustableResults:
    """Results to be adjusted by any number of methods, which share their classes and the order of their scores."""

    def __init__(
        self,
        results: Results,
        table: FrequencyTable | None,
        score_space: ScoreSpace,
        areas: Callable[[], Floats],
        category_id: Longs | None = None,
    ) -> None:
        """areas: called for `Detections.area`, once, and only if a method depends on it.

        category_id: int64 [c], the categories of the whole file; None for those of the results.

        Raises InputError if a score is not a probability.
        """
        if score_space == "prob":
            check_probabilities(results)
        self._results, self._table, self._space, self._areas = results, table, score_space, cache(areas)
        self._category_id = results.category_id if category_id is None else category_id

    def adjusted(self, method: Method, moved: MovedScores | None = None) -> AdjustedResults:
        """The results with the scores that `method` gives them.

        moved: the scores that it moves among all detections of the file; None if the results are all of them.

        Raises InputError if a category is not in the table, UsageError if the method needs a table and there is none,
        or needs the full logits.
        """
        table, category, scores = self._classes
        steps, notes = self._steps(method)
        score = scores.adjusted(*steps) if moved is None else scores.adjusted_among(moved, *steps)
        adjusted = replace(self._results, score=score)
        _check_finite(adjusted, method.spec)
        return AdjustedResults(adjusted, category, direction(steps, len(table)), note_lines(notes, table))

    def in_cells(self, method: Method) -> tuple[AdjustableScores, list[ScoreStep]] | None:
        """The scores by cell, and the steps of the method, see `AdjustableScores.in_cells`; None if it changes nothing.

        Raises as `adjusted`.
        """
        steps, _ = self._steps(method)
        return self._classes[2].in_cells(*steps) if steps else None

    def keeps_order(self, method: Method) -> bool:
        """Whether no class of the table has its detections reordered. Raises as `adjusted`."""
        return bool((direction(self._steps(method)[0], len(self._classes[0])) > 0).all())

    def _steps(self, method: Method) -> tuple[tuple[ScoreStep, ...], tuple[Note, ...]]:
        """The maps of the scores for each row of the table, and notes on the classes."""
        if self._table is None and method.uses_counts:
            problem = Problem("frequency table", f"one, for the method {method.spec}", "none")
            raise UsageError("`frequencies=`", [problem], "pass one that `ltcal compute-freq` made")
        return score_steps(method, self._classes[0], _ResultAccess(method.spec, classes_known=self._table is not None))

    @cached_property
    def _classes(self) -> tuple[FrequencyTable, Ints, AdjustableScores]:
        """The table, or one of the categories that the file holds; the row of each detection in it; their scores."""
        table = uncounted_table(self._category_id) if self._table is None else self._table
        category = table_rows(self._results, table)
        return table, category, AdjustableScores(self._results.score, category, self._space, self._areas)


class _ResultAccess:
    """The data that methods may use besides the counts, with only one score per detection."""

    def __init__(self, spec: str, *, classes_known: bool) -> None:
        self._spec, self._classes_known = spec, classes_known

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        if not self._classes_known:
            problem = Problem("frequency table", f"one, for the classes of {self._spec}", "none")
            fix = "a result file may lack some classes: pass a table of all of them"
            raise UsageError("`frequencies=`", [problem], fix)
        return read_learned(Path(path), columns)

    def prior(self, path: str) -> FrequencyTable:
        return read_frequencies(Path(path))

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        self._refuse()

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        self._refuse()

    def rows(self, path: str, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles]:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise needs_logits(self._spec)


def _check_finite(results: Results, spec: str) -> None:
    """Raise InputError if a score is not finite after the method `spec`."""
    bad = np.flatnonzero(~np.isfinite(results.score))
    if len(bad):
        problems = [
            Problem(
                entry_name(results.entry_of(entry), int(results.image_id[entry])),
                f"a score that {spec} keeps finite",
                "an overflow",
            )
            for entry in bad[:MAX_PROBLEMS].tolist()
        ]
        raise InputError(results.source, problems, "give the method smaller parameters", total=len(bad))


def check_probabilities(results: Results) -> None:
    """Raise InputError if a score is not in [0, 1]."""
    outside = np.flatnonzero((results.score < 0) | (results.score > 1))
    if len(outside):
        problems = [
            Problem(
                entry_name(results.entry_of(entry), int(results.image_id[entry])),
                "a score in [0, 1]",
                f"{float(results.score[entry])}",
            )
            for entry in outside[:MAX_PROBLEMS].tolist()
        ]
        fix = "if the scores are logits, pass `score_space='logit'`"
        raise InputError(results.source, problems, fix, total=len(outside))


def table_rows(results: Results, table: FrequencyTable) -> Ints:
    """The row of the table for each detection, int32 [N]. Raises InputError if a category is not in it."""
    row, complete = index_of(results.category_id, table.category_id)
    if complete:
        return row
    known = row >= 0
    ids, first = np.unique(results.category_id[~known], return_index=True)
    entries = np.flatnonzero(~known)[first]
    problems = [
        Problem(f"category_id {id_} (first in entry {results.entry_of(entry)})", "a row in the frequency table", "none")
        for id_, entry in zip(ids[:MAX_PROBLEMS].tolist(), entries.tolist(), strict=False)
    ]
    fix = "count the training set that the model's categories belong to, with `ltcal compute-freq`"
    raise InputError(results.source, problems, fix, total=len(ids))
