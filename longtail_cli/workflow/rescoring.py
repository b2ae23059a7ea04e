"""`ltcal rescore`: a result file with its scores corrected for the long tail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from longtail_cli.adjust.base import Method
from longtail_cli.adjust.scores import ScoreSpace
from longtail_cli.errors import Problem, UsageError
from longtail_cli.files.rescored import write_rescored
from longtail_cli.files.results import read_results
from longtail_cli.files.source import check_readable
from longtail_cli.tables import FrequencyTable, Longs
from longtail_cli.workflow.telling import Say, bytes_done, nobody
from longtail_cli.workflow.two_way import Corrected, corrected

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
    say: Say = nobody,
) -> RescoreSummary:
    """Write the result file `path` to `out` with corrected scores; all else in it stays as it is.

    table: how often the classes occur in training; may be None for a method that uses no counts.
    score_space: ``prob`` where scores are probabilities, z = ln(s / (1 - s)), or ``logit`` where they are z itself.
    max_dets: the cap per image that the summary is about; it cuts nothing off.
    say: told what is being done, for a progress display.
    Raises InputError where the file is broken, a score is no probability, or a category is not in the table;
    UsageError where the method needs a table and there is none, or `out` is `path`; OutputError where `out` cannot be
    written to. Nothing is written then.
    """
    check_readable(path)
    refuse_overwriting(out, path, "input")
    results = read_results(path, fields=frozenset(), advance=bytes_done(say, "reading", [path]))
    say("correcting", None)
    found = corrected(results, table, method, score_space)
    write_rescored(path, found.results.score, out, advance=bytes_done(say, "writing", [path]))
    return _summary(found, method, max_dets)


def _summary(found: Corrected, method: Method, max_dets: int) -> RescoreSummary:
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
