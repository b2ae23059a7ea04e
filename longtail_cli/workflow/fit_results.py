"""`ltcal fit` on a result file: maps from the score of a detection to the probability that it is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import ResultFile, open_results
from longtail_cli.fitting.methods import ScoresFit
from longtail_cli.fitting.score_maps import fit_scores
from longtail_cli.reports.fitting.model import RowCounts
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.detection_inputs import held_iou_types
from longtail_cli.workflow.fit import FitOptions
from longtail_cli.workflow.fit_record import FitData, fit_of
from longtail_cli.workflow.input_digests import input_digests, sha256_of
from longtail_cli.workflow.matched_detections import fields_of, matched_detections
from longtail_cli.workflow.options import load_frequencies
from longtail_cli.workflow.progress import Progress, bytes_progress
from longtail_cli.workflow.saved_method import Fit


def fit_results(
    method: ScoresFit,
    predictions: Any,
    annotations: Any,
    frequencies: Path | FrequencyTable | None,
    options: FitOptions,
    progress: Progress,
) -> Fit:
    """Learn `method` on the detections of a result file. See `longtail_cli.workflow.fit.fit`."""
    table, frequencies_sha256 = load_frequencies(frequencies)
    if table is None:
        problem = Problem("frequency table", f"one, for the classes and groups of {method.name}", "none")
        raise UsageError("`frequencies=`", [problem], "pass one that `ltcal compute-freq` made")
    with open_results(predictions) as file, open_annotations(annotations) as truth_file:
        iou_type = _iou_type(file, options.iou_type)
        results = file.read(fields_of(iou_type), bytes_progress(progress, "reading", file.size))
        truth = truth_file.read(masks=iou_type == "segm")
        results = resolved(results, truth, options.inputs.convention)
        progress("matching", None)
        rows = matched_detections(
            results,
            truth,
            table,
            iou=method.iou,
            iou_type=iou_type,
            protocol=options.protocol,
            score_space=options.score_space,
        )
        if not len(rows):
            problem = Problem("detections", "at least one that the annotations judge", "none")
            raise InputError(file.source, [problem], "pass detections on the images of these annotations")
        progress("fitting", None)
        fitted = fit_scores(method, rows, table)
        names = truth_file.image_names()
        inputs = input_digests(file.source, sha256_of(file), frequencies, frequencies_sha256)
        inputs += (InputDigest("annotations", truth.source, truth_file.sha256()),)
    images = {id_: names[id_] for id_ in np.unique(results.image_id).tolist()}
    counts = RowCounts(
        used=len(rows),
        held_out=0,
        images=len(images),
        background=int((~rows.right).sum()),
        left_out=len(results) - len(rows),
        classes=len(np.unique(rows.category)),
    )
    origin = Origin("results", "sigmoid", "none", tuple(table.category_id.tolist()), inputs, images)
    data = FitData(counts, origin, notes=results.convention.notes + compared_names(table, truth))
    return fit_of(method, fitted, data, table, options.seed, None)


def _iou_type(file: ResultFile, wanted: IouType | None) -> IouType:
    held = held_iou_types(file)
    if wanted is not None and wanted not in held:
        raise UsageError(file.source, [Problem("`iou_type=`", " or ".join(held), wanted)], "match what the file holds")
    return wanted or held[0]
