"""The Python API: arrays, tables, data frames or paths in; objects, data frames and plots out.

Paths may be URLs of shared stores, as text; see docs/formats.md. The functions are exported by `longtail_cli` itself.
They raise the errors of `longtail_cli.errors`, and issue notes on a result as an `LtcalWarning`. pandas, torch and
matplotlib are imported when they are needed.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar, cast

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import (
    GATE_KINDS,
    TASKS,
    Automatic,
    BackgroundName,
    BoxFormat,
    HeadName,
    IouType,
    JudgedOn,
    ObjectnessName,
    ProtocolChoice,
    ScoreSpace,
    TaskName,
    TideMode,
)
from longtail_cli.decode.options import DecodeOptions
from longtail_cli.errors import LtcalWarning, Problem, UsageError, check_choice
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.files.frequencies import read_frequencies as _read_frequencies
from longtail_cli.files.output import outputs_of
from longtail_cli.files.paths import expanded, paths_in
from longtail_cli.files.recognise import kind_of
from longtail_cli.files.urls import is_url
from longtail_cli.methods.base import Method
from longtail_cli.reports.gates.limits import parse_gate
from longtail_cli.reports.model import Report
from longtail_cli.reports.tuning.model import Tuning
from longtail_cli.tables import FrequencyTable
from longtail_cli.workflow.method_specs import method_of, spec_files
from longtail_cli.workflow.options import (
    BootstrapOptions,
    ConventionOptions,
    ExecutionOptions,
    InputOptions,
    memory_of,
    require_torch,
)
from longtail_cli.workflow.url_arguments import takes_urls

if TYPE_CHECKING:
    import torch

    from longtail_cli.reports.inspection.model import Inspection
    from longtail_cli.workflow.rescore_results import RescoreSummary
    from longtail_cli.workflow.saved_method import Fit

Array = TypeVar("Array", "npt.NDArray[Any]", "torch.Tensor")
Frequencies = FrequencyTable | str | os.PathLike[str] | Sequence[int] | Mapping[int, int]
"""A frequency table, the path of one, the name of a shipped one such as ``"lvis-v1"``, or per-class counts."""
Counts: TypeAlias = "Sequence[int] | Mapping[int, int] | Mapping[str, int] | str | os.PathLike[str]"
"""Per-class counts: of class 0, 1, ..., by category id, by name, or the path of a file with them."""
Detections = Any
"""A path, a list of COCO result dicts, a data frame, columns by name, or a mapping of detection logits."""
MethodLike: TypeAlias = "str | Method | Tuning | Fit"
"""A spec, ``"@tuned.json"``, ``"@fitted.npz"``, a method, a tuning, whose choice is applied, or a fit."""


@takes_urls("source", "counts")
def count(
    source: Any = None,
    *,
    counts: Counts | None = None,
    groups: tuple[int, int] | None = None,
    task: TaskName | None = None,
) -> FrequencyTable:
    """How often each class occurs.

    source: a path (annotations, an image list, a CSV, a label array, a folder of images), the name of a shipped table,
        an array of class labels [N], a list of COCO annotation dicts or a whole COCO document, or a data frame (of
        annotations, of labels in a column ``label``, or of counts).
    counts: per-class counts instead: images of class 0, 1, ..., a mapping from category ids or names to images, or the
        path of a file with them.
    groups: the largest image counts of the first two frequency groups; None means those of the task.
    task: ``detection`` for the groups r, c, f (10, 100), ``classification`` for few, medium, many (19, 100); None means
        detection for annotations with boxes and for counts by category id, else classification.
    Raises InputError if the source is not valid, UsageError unless exactly one of `source` and `counts` is given.
    """
    from longtail_cli.workflow.compute_freq import compute_freq

    if task is not None:
        check_choice("task", task, TASKS)
    table, notes = compute_freq(_path_or(source), counts=_path_or(counts), groups=groups, task=task)
    _warn(note for note in notes if note.startswith("warning: "))
    return table


@takes_urls("source", "annotations", "labels", "frequencies")
def inspect(
    source: str | os.PathLike[str],
    annotations: str | os.PathLike[str] | None = None,
    *,
    labels: str | os.PathLike[str] | None = None,
    frequencies: str | os.PathLike[str] | None = None,
    head: HeadName | None = None,
    background: BackgroundName | None = None,
    category_ids: Sequence[int] | None = None,
    category_offset: int | None = None,
    contiguous: bool = False,
    image_offset: int | None = None,
    box_format: BoxFormat | None = None,
    keys: Mapping[str, str] | None = None,
) -> Inspection:
    """What a file is, what it holds, and which commands fit. See docs/inputs.md.

    source: the path of a file or folder of any kind. annotations: the path of COCO or LVIS annotations that ids and
        boxes of detections are checked against. labels: the path of the true classes of a classifier's logits.
    frequencies: the path of a frequency table, or the name of a shipped one. The other parameters are those of
        `evaluate`.

    Of a file that nothing reads, `Inspection.problem` says why, and the rest is what can be seen of it.
    Raises InputError if there is nothing to see: the file is missing, empty, or damaged from the start.
    """
    from longtail_cli.workflow.inspect import inspect as inspect_file
    from longtail_cli.workflow.inspected import read_beside

    beside = read_beside(_path_or(annotations), _path_or(labels), _path_or(frequencies))
    convention = ConventionOptions(category_offset, contiguous, image_offset, box_format)
    options = InputOptions(head, background, _ids(category_ids), convention=convention, keys=keys or {})
    return inspect_file(Path(source), beside, options)


@takes_urls("frequencies", "method")
def adjust(
    logits: Array,
    frequencies: Frequencies | None,
    method: MethodLike,
    *,
    background: BackgroundName = "none",
    head: HeadName = "softmax",
    category_ids: Sequence[int] | None = None,
) -> Array:
    """Logits adjusted for the long tail.

    logits: NumPy array or torch tensor [..., K] of any float type, on any device; never changed.
    frequencies: a table, its path, or counts of the C classes; None for methods that use no counts.
    method: a spec such as ``"iif"`` or ``"temperature:t=1.5+logit-adjust"``, or a method.
    background: position of the background column: K = C + 1 with one, else C. head: ``softmax`` or ``sigmoid``.
    category_ids: the id of each class column; None means the order of the table.

    Returns the same type, dtype and device, [..., K], or [..., C] after a method whose result is C binary logits.
     Gradients flow through it. Half precision is computed in float32.
    Raises UsageError if the method does not fit, InputError if the table has other classes.
    """
    require_torch()
    from longtail_cli.workflow.adjust_array import adjust_array

    table = _table(frequencies)
    adjusted, notes = adjust_array(logits, table, _method(method), head, background, category_ids)
    _warn(notes)
    return cast(Array, adjusted)


@takes_urls("predictions", "frequencies", "method", "annotations", output="output")
def rescore(
    predictions: Detections,
    frequencies: Frequencies | None,
    method: MethodLike,
    output: str | os.PathLike[str] | None = None,
    *,
    score_space: ScoreSpace = "prob",
    merge: bool = False,
    annotations: Any = None,
    category_offset: int | None = None,
    contiguous: bool = False,
    image_offset: int | None = None,
    box_format: BoxFormat | None = None,
    engine: str = "local",
    memory: int | str | None = None,
) -> Any:
    """Detections with adjusted scores.

    predictions: the path of a result file, which is written to `output` with other scores; or in memory a list of COCO
    result dicts, a data frame or columns, of which a copy with other scores is returned and `output` is left out.
    score_space: ``prob`` if scores are probabilities, ``logit`` if they are logits.
    merge: whether `predictions` are the paths of shards, or a pattern for them, which become one file; see `evaluate`.
    annotations: those of the detections as for `evaluate`: ids, names and boxes are checked against them. Needed for
        formats without ids or with relative boxes, of which COCO results are written.
    category_offset, contiguous, image_offset, box_format: as for `evaluate`; the output has the ids of the annotations.
    engine, memory: as for `evaluate`; `output` is then a new folder with a file for each part, or a Parquet file.
    Returns a `RescoreSummary` for a path, else the same kind as `predictions`.
    Raises InputError if scores, categories or annotations do not fit, UsageError if the method needs the full logits,
    the file holds logits or `output` is a file that is read, OutputError if it cannot be written to.
    """
    from longtail_cli.workflow import rescore_results

    execution = ExecutionOptions(engine, None if memory is None else memory_of(memory))
    convention = ConventionOptions(category_offset, contiguous, image_offset, box_format)
    source, truth = _shards(predictions) if merge else _path_or(predictions), _path_or(annotations)
    paths = paths_in(source)
    if bool(paths) != (output is not None):
        problem = Problem("`output=`", "a path if predictions are a path, and only then", repr(output))
        raise UsageError("rescore", [problem], "pass `output=` for a file, and leave it out for data in memory")
    if execution.in_parts and not paths:
        problem = Problem("predictions", "paths, of which `engine=` and `memory=` read parts", "data in memory")
        raise UsageError("rescore", [problem], "save the data, or leave out `engine=` and `memory=`")
    if isinstance(source, Path) and kind_of(source) == "logits":
        problem = Problem("content", "detections, with one score each", "logits")
        raise UsageError(str(source), [problem], "run `ltcal rescore`, or adjust arrays with `longtail_cli.adjust`")
    if output is not None:
        chosen, out = _method(method), Path(output)
        read = [*paths, *spec_files([method] if isinstance(method, str) else [], [chosen])]
        read += [Path(frequencies)] if isinstance(frequencies, str | os.PathLike) else []
        read += [truth] if isinstance(truth, Path) else []
        if execution.in_parts:
            from longtail_cli.workflow.partitioned.inputs import result_files
            from longtail_cli.workflow.partitioned.rescore import rescore_in_parts

            shards = [file for path in paths for file in result_files(str(path))]
            summary: RescoreSummary = rescore_in_parts(
                shards, _table(frequencies), chosen, out, execution, inputs=read, annotations=truth,
                convention=convention, score_space=score_space,
            )  # fmt: skip
            _warn(summary.notes)
            return summary
        with outputs_of([out], inputs=read, stream_suffix=".json") as staged:
            summary = rescore_results.rescore(
                source, _table(frequencies), chosen, staged[out], annotations=truth, convention=convention,
                score_space=score_space,
            )  # fmt: skip
        _warn(summary.notes)
        return summary
    rescored, notes = rescore_results.rescore_in_memory(
        source, _table(frequencies), _method(method), score_space, annotations=truth, convention=convention
    )
    _warn(notes)
    return rescored


@takes_urls("annotations", "methods", "frequencies", "slices", divided="predictions")
def evaluate(
    predictions: Detections | Sequence[Detections] | Mapping[str, Detections],
    annotations: Any,
    *,
    methods: MethodLike | Sequence[MethodLike] = (),
    frequencies: Frequencies | None = None,
    names: Sequence[str] = (),
    reference: str | None = None,
    protocol: ProtocolChoice = "auto",
    iou_types: IouType | Sequence[IouType] = (),
    max_dets: int | None = None,
    fixed_ap: bool = False,
    pooled_ap: bool = False,
    tide: TideMode = "aligned",
    reliability: bool = False,
    per_category: bool = False,
    thresholds: bool = False,
    per_image: bool = False,
    score_space: ScoreSpace = "prob",
    slices: Any = None,
    merge: bool = False,
    bootstrap: int | None = None,
    seed: int = 0,
    significance: bool = False,
    head: HeadName | None = None,
    background: BackgroundName | None = None,
    category_ids: Sequence[int] | None = None,
    device: str = "auto",
    threshold: float = 1e-4,
    nms_iou: float | Automatic | None = "auto",
    detections_per_image: int = 300,
    objectness: ObjectnessName = "none",
    category_offset: int | None = None,
    contiguous: bool = False,
    image_offset: int | None = None,
    box_format: BoxFormat | None = None,
    keys: Mapping[str, str] | None = None,
    engine: str = "local",
    memory: int | str | None = None,
) -> Report:
    """Evaluate detections, side by side if there are several: AP by frequency group, TIDE, and further metrics.

    predictions: one or several of: the path of a result file or of logits; a list of COCO result dicts; a data frame or
        columns (`image_id`, `category_id`, `score`, and `bbox` [N, 4] or `segmentation`); detection logits as a mapping
        of arrays (`logits`, `image_id`, `boxes`). A mapping from names to any of these names the runs.
    annotations: the path of a COCO or LVIS file, or such a document, whose lists may be data frames.
    merge: whether `predictions` are the result files of one run, of which every process wrote a shard: a list of paths,
        or a pattern such as ``"rank_*.json"``; in a mapping one or the other for each name. Detections of an image that
        a sampler repeated are taken once.
    methods: one run per input and method; if empty, scores and logits are used unchanged.
    frequencies: a table, its path or counts, for the methods and for the groups r, c, f.
    thresholds: whether to compute the score thresholds with the greatest F1 and the least LRP, overall and by category;
        see `Report.thresholds_frame`.
    per_image: whether to compute ground truths, true and false positives, missed objects, F1 and the main error of each
        image, see `Report.images_frame`.
    reference: the name of the run that differences are to; None for the first.
    bootstrap: number of resamples for 95% intervals; None for none. significance: whether differences to the reference
        get p-values from as many exchanges of images, 1,000 if `bootstrap` is None, and intervals.
    slices: parts of the images to have metrics of their own, in `Report.to_frame` as ``slices/NAME/bbox/AP``: image ids
        or file names by name, a data frame of attributes, or the path of a JSON, CSV or Parquet file with either; see
        docs/report.md.
    `protocol` to `score_space` are those of `longtail_cli.evaluation.options.EvaluationOptions`; `head` to `objectness`
    are for logits, see docs/logits.md.
    category_offset, contiguous, image_offset, box_format: what ids and boxes mean, where a file or a format says
        something else or nothing, see `longtail_cli.workflow.options.ConventionOptions` and docs/inputs.md.
    keys: the name in the file of `logits`, `labels` and so on, for names that are not known.
    engine: ``local`` for this process, or a Ray cluster: ``ray``, ``auto`` or ``ray://HOST:PORT``; see docs/scale.md.
    memory: bytes that the process may use, or with Ray each worker, as a number or a text such as ``"4GB"``: then files
        are read and matched in parts, with the same result. None for no bound.
    Raises InputError for data that is not valid and UsageError for options that do not fit it.
    """
    from longtail_cli.workflow.partitioned.executions import evaluation_of

    execution = ExecutionOptions(engine, None if memory is None else memory_of(memory))
    inputs, titles = _several_shards(predictions) if merge else _several(predictions)
    chosen = _methods(methods)
    options = EvaluationOptions(
        protocol=protocol,
        iou_types=(iou_types,) if isinstance(iou_types, str) else tuple(iou_types),
        max_dets=max_dets,
        fixed_ap=fixed_ap,
        pooled_ap=pooled_ap,
        tide=tide,
        reliability=reliability,
        per_category=per_category,
        thresholds=thresholds,
        per_image=per_image,
        score_space=score_space,
    )
    decode = DecodeOptions(threshold, nms_iou, detections_per_image, objectness)
    convention = ConventionOptions(category_offset, contiguous, image_offset, box_format)
    return evaluation_of(execution)(
        inputs,
        _path_or(annotations),
        frequencies=_table_or_path(frequencies),
        methods=chosen,
        input_options=InputOptions(head, background, _ids(category_ids), device, decode, convention, keys or {}),
        options=options,
        bootstrap=_resampling(bootstrap, seed, significance),
        names=names or _run_names(titles, chosen),
        slices=_path_or(slices),
        reference=reference,
    )


@takes_urls("predictions", "labels", "methods", "frequencies", "slices")
def evaluate_classification(
    predictions: Any,
    labels: Any = None,
    *,
    methods: MethodLike | Sequence[MethodLike] = (),
    frequencies: Frequencies | None = None,
    names: Sequence[str] = (),
    reference: str | None = None,
    head: HeadName | None = None,
    background: BackgroundName | None = None,
    category_ids: Sequence[int] | None = None,
    per_category: bool = False,
    per_image: bool = False,
    slices: Any = None,
    bootstrap: int | None = None,
    seed: int = 0,
    significance: bool = False,
    device: str = "auto",
    keys: Mapping[str, str] | None = None,
) -> Report:
    """Evaluate classifiers, side by side if there are several: accuracy by frequency group, and calibration.

    predictions: one or several of: the path of logits or scores, an array or tensor [N, C]. A mapping from names to any
        of these names the runs. Arrays are logits of a softmax without background unless `head` and `background` say
        otherwise; ``head="none"`` is for scores.
    labels: the true classes as indices of the class columns, an int array [N] or a path; None if the file holds them.
    per_image: whether to keep the prediction for each row, see `Report.images_frame`.
    slices: as for `evaluate`, with the numbers of rows, from 0, in the part of image ids.
    Other parameters are those of `evaluate`.
    """
    require_torch()
    from longtail_cli.workflow import report_classification

    inputs, titles = _several(predictions)
    chosen = _methods(methods)
    arrays = [not isinstance(one, Path) for one in inputs]
    if any(arrays):
        inputs = [one if isinstance(one, Path) else _classifier_tensors(one, head) for one in inputs]
        head, background = head or "softmax", background or "none"
    return report_classification.evaluate_classification(
        inputs,
        _path_or(labels),
        frequencies=_table_or_path(frequencies),
        methods=chosen,
        input_options=InputOptions(
            None if head == "none" else head, background, _ids(category_ids), device, keys=keys or {}
        ),
        per_category=per_category,
        per_image=per_image,
        bootstrap=_resampling(bootstrap, seed, significance),
        slices=_path_or(slices),
        names=names or _run_names(titles, chosen),
        reference=reference,
    )


@takes_urls("annotations", "labels", "frequencies", "target", divided="predictions")
def tune(
    predictions: Detections,
    annotations: Any = None,
    *,
    labels: Any = None,
    frequencies: Frequencies | None = None,
    spaces: str | Sequence[str] = (),
    objective: str | None = None,
    keep: Mapping[str, float] | Sequence[str] = (),
    folds: int = 5,
    seed: int = 0,
    target: str = "balanced",
    split: str | None = None,
    bootstrap: int | None = 1000,
    protocol: ProtocolChoice = "auto",
    iou_types: IouType | Sequence[IouType] = (),
    max_dets: int | None = None,
    score_space: ScoreSpace = "prob",
    merge: bool = False,
    head: HeadName | None = None,
    background: BackgroundName | None = None,
    category_ids: Sequence[int] | None = None,
    device: str = "auto",
    threshold: float = 1e-4,
    nms_iou: float | Automatic | None = "auto",
    detections_per_image: int = 300,
    objectness: ObjectnessName = "none",
    category_offset: int | None = None,
    contiguous: bool = False,
    image_offset: int | None = None,
    box_format: BoxFormat | None = None,
    keys: Mapping[str, str] | None = None,
    engine: str = "local",
    memory: int | str | None = None,
) -> Tuning:
    """The best adjustment for a model, chosen on these predictions, with cross-fitted figures. See docs/tune.md.

    predictions, annotations: one input and its annotations as for `evaluate`; without annotations the logits of a
        classifier as for `evaluate_classification`, with `labels` unless the file holds them.
    spaces: specs with alternatives, such as ``"norcal:gamma=0..1.5"``; if empty, every method that the input allows.
    objective: the metric to optimise; None for AP, of classifiers for the likelihood after a fitted temperature.
    keep: how much worse metrics may become than without adjustment: ``{"bbox/APf": -0.005}``.
    target: classifiers: ``balanced``, ``as-is``, or the path of a frequency table to weight the rows to.
    split: ``half:SEED`` to tune on half of the images and to report on the other half too.
    bootstrap: number of resamples for 95% intervals; None for none. Other parameters are those of `evaluate`.

    Apply it with ``methods=[tuning]`` to other data of the same model.
    Raises InputError for data that is not valid and UsageError for options that do not fit it.
    """
    from longtail_cli.workflow.tune import TuneOptions

    kept = [f"{name}={float(change)!r}" for name, change in keep.items()] if isinstance(keep, Mapping) else list(keep)
    searched = (spaces,) if isinstance(spaces, str) else tuple(spaces)
    options = TuneOptions(searched, objective, kept, folds, seed, _target(target), split)
    decode = DecodeOptions(threshold, nms_iou, detections_per_image, objectness)
    convention = ConventionOptions(category_offset, contiguous, image_offset, box_format)
    input_options = InputOptions(head, background, _ids(category_ids), device, decode, convention, keys or {})
    resampling = None if bootstrap is None else BootstrapOptions(bootstrap)
    execution = ExecutionOptions(engine, None if memory is None else memory_of(memory))
    if annotations is not None:
        from longtail_cli.workflow.partitioned.executions import tuning_of

        types = (iou_types,) if isinstance(iou_types, str) else tuple(iou_types)
        return tuning_of(execution)(
            _shards(predictions) if merge else _path_or(predictions),
            _path_or(annotations),
            frequencies=_table_or_path(frequencies),
            options=options,
            evaluation=EvaluationOptions(protocol, types, max_dets, score_space=score_space),
            input_options=input_options,
            bootstrap=resampling,
        )
    if execution.in_parts:
        problem = Problem("predictions", "detections, with `annotations=`", "logits of a classifier")
        raise UsageError("`engine=` and `memory=`", [problem], "leave these out: classifiers are tuned in one process")
    require_torch()
    from longtail_cli.workflow.tune_classification import tune_classification

    source = _path_or(predictions)
    if not isinstance(source, Path):
        source = _classifier_tensors(source, head)
        stated = (head or "softmax", background or "none")
        input_options = InputOptions(*stated, _ids(category_ids), device, decode, keys=keys or {})
    return tune_classification(
        source,
        _path_or(labels),
        frequencies=_table_or_path(frequencies),
        options=options,
        input_options=input_options,
        bootstrap=resampling,
    )


@takes_urls("predictions", "annotations", "labels", "frequencies", "target", "held_out")
def fit(
    predictions: Detections,
    annotations: Any = None,
    *,
    method: str,
    labels: Any = None,
    frequencies: Frequencies | None = None,
    seed: int = 0,
    target: str = "balanced",
    held_out: Any = None,
    foreground_iou: float = 0.5,
    background_iou: float = 0.5,
    negatives: float = 3.0,
    protocol: ProtocolChoice = "auto",
    iou_type: IouType | None = None,
    score_space: ScoreSpace = "prob",
    merge: bool = False,
    head: HeadName | None = None,
    background: BackgroundName | None = None,
    category_ids: Sequence[int] | None = None,
    category_offset: int | None = None,
    contiguous: bool = False,
    image_offset: int | None = None,
    box_format: BoxFormat | None = None,
    keys: Mapping[str, str] | None = None,
) -> Fit:
    """A correction or a classifier head that is learned on these predictions. See docs/fit.md.

    predictions, annotations: one input and its annotations as for `evaluate`; without annotations the logits of a
        classifier as for `evaluate_classification`, with `labels` unless the file holds them. A head needs `features`
        beside the logits; a new one, for a classifier, `features` alone.
    method: what to fit, such as ``"bcts"`` or ``"classifier:loss=balanced-softmax"``.
    target: corrections of logits: ``balanced``, ``as-is``, or the path of a frequency table to weight the rows to.
    held_out: other logits of a classifier, to choose settings on: the path of a file with labels, or a mapping with
        `logits`, `labels` and for a head `features`, or features alone again; None for a fifth of the rows.
    foreground_iou, background_iou: at least, and below, which overlap with an object a proposal has its class, or is
        background. negatives: background rows for each row with a class; infinity for all.
    Other parameters are those of `evaluate`; iou_type is for result files.

    Apply it with ``methods=[fit]`` to other data of the same model, or `Fit.save` it for ``"@fitted.npz"``.
    Raises InputError for data that is not valid and UsageError for options that do not fit it.
    """
    from longtail_cli.workflow import fit as workflow

    source, stated = _shards(predictions) if merge else _path_or(predictions), (head, background)
    if annotations is None and not paths_in(source):
        source, stated = _classifier_tensors(source, head), (head or "softmax", background or "none")
    options = workflow.FitOptions(
        method=method,
        seed=seed,
        target=_target(target),
        foreground_iou=foreground_iou,
        background_iou=background_iou,
        negatives=negatives,
        protocol=protocol,
        iou_type=iou_type,
        score_space=score_space,
        inputs=InputOptions(
            *stated,
            _ids(category_ids),
            convention=ConventionOptions(category_offset, contiguous, image_offset, box_format),
            keys=keys or {},
        ),
    )
    fitted = workflow.fit(
        source,
        _path_or(annotations),
        _path_or(labels),
        frequencies=_table_or_path(frequencies),
        held_out=_path_or(held_out),
        options=options,
    )
    _warn(fitted.record.notes)
    return fitted


@takes_urls("path")
def read_fit(path: str | os.PathLike[str]) -> Fit:
    """A fit from its file. Raises InputError if it is not one."""
    from longtail_cli.workflow.saved_method import read_fit as read

    return read(Path(path))


@takes_urls("path")
def read_tuning(path: str | os.PathLike[str]) -> Tuning:
    """A tuning from its JSON. Raises InputError if it is not one."""
    from longtail_cli.workflow.saved_method import read_tuning as read

    return read(Path(path))


@takes_urls("baseline")
def judge(
    report: Report,
    gates: Mapping[str, Mapping[str, float | str]],
    baseline: Report | str | os.PathLike[str] | None = None,
    *,
    on: JudgedOn = "value",
    allow_undefined: bool = False,
    allow_oracle: bool = False,
    runs: Sequence[str] = (),
) -> Report:
    """The report with a verdict of each gate on each run, in `Report.gates`; `Report.passed` sums them up.

    gates: limits by metric, by kind: ``{"fail_under": {"bbox/APr": 0.18}, "max_drop": {"bbox/AP": "1%"}}``.
    baseline: an earlier report, or the path of its JSON; differences are then to its first run.
    on: ``value``; ``interval`` to fail only if the whole 95% interval is beyond the limit too; ``significance`` to fail
        only if the difference also has a p-value below 0.05, adjusted for the gates of the run.
    allow_oracle: whether runs whose method was tuned on data of this report are judged like others; else they fail.
    runs: names of the runs to judge; empty means all.
    Raises UsageError for unknown metrics, kinds and runs.
    """
    from longtail_cli.workflow.judge import GatePlan, judged

    kinds = {kind.replace("-", "_"): kind for kind in GATE_KINDS}
    parsed = []
    for name, limits in gates.items():
        check_choice("gates", name, [*kinds])
        parsed += [parse_gate(kinds[name], f"{metric}={limit}", f"`{name}=`") for metric, limit in limits.items()]
    path = None if baseline is None or isinstance(baseline, Report) else Path(baseline)
    before = baseline if baseline is None or isinstance(baseline, Report) else read_report(baseline)
    return judged(report, GatePlan(tuple(parsed), on, allow_undefined, tuple(runs), before, path, allow_oracle))


@takes_urls("path")
def read_report(path: str | os.PathLike[str]) -> Report:
    """A report from its JSON, with the resamples beside it. Raises InputError if it is not one."""
    from longtail_cli.workflow.judge import read_report as read

    return read(Path(path))


@takes_urls("path")
def read_frequencies(path: str | os.PathLike[str]) -> FrequencyTable:
    """A frequency table from a .csv, .json or .parquet file, or a shipped one by its name, such as ``"lvis-v1"``.

    Raises InputError for anything else.
    """
    return _read_frequencies(Path(path))


def _resampling(resamples: int | None, seed: int, significance: bool) -> BootstrapOptions | None:
    if resamples is None and not significance:
        return None
    return BootstrapOptions(resamples or BootstrapOptions().resamples, seed, significance)


def _path_or(source: Any) -> Any:
    """A path if `source` is one, else `source`, such as a URL that is read in parts."""
    return Path(source) if isinstance(source, str | os.PathLike) and not is_url(source) else source


def _several(predictions: Any) -> tuple[list[Any], tuple[str, ...]]:
    """The inputs, and their names if they have any."""
    if isinstance(predictions, Mapping) and not {"image_id", "logits", "scores"} & set(predictions):
        return [_path_or(one) for one in predictions.values()], tuple(map(str, predictions))
    of_entries = isinstance(predictions, list) and (not predictions or isinstance(predictions[0], Mapping))
    if isinstance(predictions, list | tuple) and not of_entries:
        return [_path_or(one) for one in predictions], ()
    return [_path_or(predictions)], ()


def _shards(predictions: Any) -> tuple[Any, ...]:
    """The paths of shards, or of the files that fit a pattern; if some are URLs that are read in parts, all as given.

    Raises UsageError for anything else.
    """
    several = predictions if isinstance(predictions, list | tuple) else (predictions,)
    if any(map(is_url, several)):
        return tuple(several)
    paths = paths_in(predictions)
    if not paths:
        problem = Problem("`merge=`", "the paths of shards, or a pattern for them", type(predictions).__name__)
        raise UsageError("predictions", [problem], "join data in memory before, or save it")
    return expanded(paths)


def _several_shards(predictions: Any) -> tuple[list[Any], tuple[str, ...]]:
    """As `_several`, where every input consists of shards."""
    if isinstance(predictions, Mapping):
        return [_shards(one) for one in predictions.values()], tuple(map(str, predictions))
    return [_shards(predictions)], ()


def _run_names(titles: Sequence[str], methods: Sequence[Method]) -> tuple[str, ...]:
    """A name for each run of named inputs; empty for inputs without names."""
    return tuple(f"{title}: {method.spec}" for title in titles for method in methods) if methods else tuple(titles)


def _method(method: MethodLike, fit_name: str = "the fit") -> Method:
    """The method. fit_name: what a fit is called."""
    if isinstance(method, str):
        return method_of(method)
    from longtail_cli.workflow.saved_method import Fit, choice_of, method_of_fit

    if isinstance(method, Tuning):
        return choice_of(method, "the tuning")
    return method_of_fit(method, fit_name) if isinstance(method, Fit) else method


def _methods(methods: MethodLike | Sequence[MethodLike]) -> tuple[Method, ...]:
    """One or several methods; their fits are called fit 1, fit 2, ..."""
    from longtail_cli.workflow.saved_method import Fit

    several = methods if isinstance(methods, list | tuple) else (methods,)
    number = accumulate(isinstance(one, Fit) for one in several)
    return tuple(_method(one, f"fit {n}") for one, n in zip(several, number, strict=True))


def _target(target: Any) -> str:
    """A target as text. Raises UsageError for anything but a word or a path."""
    if not isinstance(target, str | os.PathLike):
        problem = Problem("`target=`", "balanced, as-is, or the path of a frequency table", type(target).__name__)
        raise UsageError("target distribution", [problem], "pass one that `ltcal compute-freq` wrote")
    return os.fspath(target)


def _table(frequencies: Frequencies | None) -> FrequencyTable | None:
    if frequencies is None or isinstance(frequencies, FrequencyTable):
        return frequencies
    if isinstance(frequencies, str | os.PathLike):
        return read_frequencies(frequencies)
    return count(counts=frequencies)


def _table_or_path(frequencies: Frequencies | None) -> FrequencyTable | Path | None:
    return Path(frequencies) if isinstance(frequencies, str | os.PathLike) else _table(frequencies)


def _ids(category_ids: Sequence[int] | None) -> npt.NDArray[np.int64] | None:
    return None if category_ids is None else np.asarray(category_ids, np.int64)


def _classifier_tensors(rows: Any, head: HeadName | None) -> Mapping[str, Any]:
    """The rows of a classifier as the tensors of a logits file. Raises UsageError for scores passed as logits."""
    if isinstance(rows, Mapping):
        return rows
    if head == "none":
        return {"scores": rows}
    values = rows.detach().float().cpu().numpy() if hasattr(rows, "detach") else np.asarray(rows)
    if values.ndim == 2 and len(values) and values.min() >= 0 and np.allclose(values.sum(axis=1), 1.0, atol=1e-3):
        problem = Problem("predictions", "logits", "rows that are not negative and sum to 1, as scores do")
        raise UsageError("evaluate_classification", [problem], "if they are scores, pass `head='none'`")
    return {"logits": rows}


def _warn(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note.removeprefix("warning: "), LtcalWarning, stacklevel=4)  # past `takes_urls`
