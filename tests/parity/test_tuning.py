"""Tuning on detections against evaluations of smaller files, which hold what the tuning only weights."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest
from cases import Entry, make_case, write_case
from click.testing import CliRunner
from frequency_tables import table
from opened import read_annotations, read_results

import longtail_cli
from longtail_cli.choices import IouType
from longtail_cli.cli import main
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.methods.registry import parse_method
from longtail_cli.reports.format import is_count
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Run
from longtail_cli.tables import FrequencyTable, GroundTruth
from longtail_cli.tuning.folds import Folds, rarest_category, stratified_folds
from longtail_cli.tuning.goal import Goal, Keep
from longtail_cli.tuning.trials import Figures
from longtail_cli.workflow.detection_inputs import GEOMETRY
from longtail_cli.workflow.options import BootstrapOptions, InputOptions
from longtail_cli.workflow.prepare_methods import open_with_options
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.report_detection import DetectionReporter, evaluate, group_labels, prepared_evaluations
from longtail_cli.workflow.tune_detector import DetectorData
from longtail_cli.workflow.tune_results import ResultData

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"
TOLERANCE = 1e-12
OPTIONS = EvaluationOptions(fixed_ap=True, pooled_ap=True)
METHODS = ("none", "norcal:gamma=1", "temperature:t=2+norcal:gamma=0.5")
BY_ORDER = ("AP", "APr", "APf", "AP50", "APs", "APfixed/AP")


def folds_of(truth: GroundTruth, folds: int, seed: int = 0) -> Folds:
    strata = rarest_category(truth.image, truth.category, len(truth.image_id), len(truth.categories))
    return stratified_folds(strata, folds, seed)


def read_annotations_of(document: Entry) -> GroundTruth:
    with open_annotations(document) as file:
        return file.read(masks=False)


def of_images(annotations: Entry, found: list[Entry], images: Iterable[int]) -> tuple[Entry, list[Entry]]:
    """The files with these images only."""
    kept = set(images)
    return {
        **annotations,
        "images": [one for one in annotations["images"] if one["id"] in kept],
        "annotations": [one for one in annotations["annotations"] if one["image_id"] in kept],
    }, [one for one in found if one["image_id"] in kept]


def counts_of(annotations: Entry) -> FrequencyTable:
    """Counts for all categories, which fall from 500, and groups that go round."""
    ids = sorted(one["id"] for one in annotations["categories"])
    counts = table([500 // (1 + 3 * place) for place in range(len(ids))], ids=ids)
    return replace(counts, group=tuple("rcf"[place % 3] for place in range(len(ids))))


def data_of(
    files: tuple[Path, Path], counts: FrequencyTable, names: Iterable[str], iou_type: IouType, options: Any
) -> ResultData:
    """What a search on these files for a goal with all these metrics works on."""
    masks = iou_type == "segm"
    truth = read_annotations(files[0], masks=masks)
    results = read_results(files[1], fields=frozenset({GEOMETRY[iou_type]}))
    folds, groups = folds_of(truth, 2), group_labels(truth, counts)
    evaluations = prepared_evaluations(truth, [iou_type], groups, options, folds)
    goal = Goal(f"{iou_type}/AP", tuple(Keep(name, name, 0.0) for name in names))
    reporter = DetectionReporter(evaluations, groups, counts, None, str, None)
    return ResultData(results, _no_areas, lambda: None, truth, evaluations, folds, goal, counts, "prob", reporter)


def _no_areas() -> NoReturn:
    pytest.fail("no method here depends on the area of the boxes")


def check(found: Figures, part: int, expected: Run, names: Iterable[str]) -> None:
    values = metrics_of(expected)
    for name in names:
        wanted = values[name]
        value = found.lanes[name][part]
        assert value == pytest.approx(np.nan if wanted is None else wanted, abs=TOLERANCE, nan_ok=True), name


def check_parts(folder: Path, case: tuple[Entry, list[Entry]], iou_type: IouType, options: Any, every: bool) -> None:
    """Every metric of every method in every part equals that of files with the images of the part."""
    annotations, found = case
    counts = counts_of(annotations)
    files = write_case(folder, annotations, found)
    whole = evaluate([files[1]], files[0], frequencies=counts, options=replace(options, iou_types=(iou_type,)))
    weighted = [name for name in metrics_of(whole.runs[0]) if not is_count(name)]
    names = [name for name in weighted if every or name in {f"{iou_type}/{one}" for one in BY_ORDER}]
    assert len(names) >= (20 if every else 5)
    data = data_of(files, counts, names, iou_type, options)
    methods = [parse_method(spec) for spec in METHODS]
    figures = list(data.figures(methods, no_progress))
    ids = np.sort([one["id"] for one in annotations["images"]])
    for part in range(data.folds.parts):
        annotations_of_part, found_of_part = of_images(annotations, found, ids[data.folds.inside(part)].tolist())
        (folder / str(part)).mkdir()
        truth, predictions = write_case(folder / str(part), annotations_of_part, found_of_part)
        report = evaluate(
            [predictions], truth, frequencies=counts, methods=methods, options=replace(options, iou_types=(iou_type,))
        )
        for one, run in zip(figures, report.runs, strict=True):
            check(one, part, run, names)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("protocol", "masks"), [("lvis", False), ("lvis", True), ("coco", False), ("coco", True)])
def test_a_part_has_the_metrics_of_its_images(tmp_path: Path, protocol: Any, masks: bool, seed: int) -> None:
    """AP and AR, Fixed and pooled AP, and TIDE, all of them and by group."""
    case = make_case(seed, protocol=protocol, masks=masks, sure_hit=True)
    check_parts(tmp_path, case, "segm" if masks else "bbox", replace(OPTIONS, protocol=protocol), every=True)


@pytest.mark.parametrize("max_dets", [None, 2])
@pytest.mark.parametrize("protocol", ["lvis", "coco"])
def test_a_part_has_the_metrics_that_follow_from_the_order_alone(tmp_path: Path, protocol: Any, max_dets: Any) -> None:
    """They are not computed again unless the limit per image (LVIS) decides what counts."""
    for seed in range(3):
        case = make_case(seed, protocol=protocol, sure_hit=True)
        (tmp_path / str(seed)).mkdir()
        options = replace(OPTIONS, protocol=protocol, max_dets=max_dets)
        check_parts(tmp_path / str(seed), case, "bbox", options, every=False)


@pytest.mark.parametrize("limited", [False, True])
def test_metrics_that_follow_from_the_order_are_shared_unless_the_limit_decides(tmp_path: Path, limited: bool) -> None:
    annotations, found = make_case(0, protocol="lvis", sure_hit=True)
    files, counts = write_case(tmp_path, annotations, found), counts_of(annotations)
    options = EvaluationOptions(protocol="lvis", max_dets=1 if limited else None)
    data = data_of(files, counts, ["bbox/APr"], "bbox", options)
    assert data.only_order_matters == (not limited)
    first, other = data.figures([parse_method("none"), parse_method("norcal:gamma=1")], no_progress)
    assert (other.lanes is first.lanes) == (not limited)
    assert other.moved > first.moved == 0.0


# Detection logits


Tensors = dict[str, np.ndarray]


def scene(images: int) -> tuple[Entry, Tensors, FrequencyTable]:
    """The first images of the example: annotations, logits, and the counts of the training set."""
    annotations = json.loads((SCENES / "val.json").read_text())
    ids = sorted(one["id"] for one in annotations["images"])[:images]
    annotations, _ = of_images(annotations, [], ids)
    with np.load(SCENES / "logits.npz") as archive:
        kept = np.isin(archive["image_id"], ids)
        tensors = {name: archive[name][kept] for name in archive.files if name != "weight"}
    return annotations, tensors, longtail_cli.count(SCENES / "train.json")


LOGITS: dict[str, Any] = json.loads((SCENES / "logits.meta.json").read_text())
STATED: dict[str, Any] = {key: LOGITS[key] for key in ("head", "background", "category_ids")}


def test_a_part_of_logits_has_the_metrics_of_its_images(tmp_path: Path) -> None:
    annotations, tensors, counts = scene(16)
    truth = read_annotations(write_case(tmp_path, annotations, [])[0])
    folds, groups = folds_of(truth, 3), group_labels(truth, counts)
    names = ["bbox/AP", "bbox/APr", "bbox/APf", "bbox/APpool/AP", "bbox/APfixed/APc", "tide/bbox/FalsePos"]
    names += ["tide/bbox/Cls", "tide/bbox/f/Bkg"]
    goal = Goal(names[0], tuple(Keep(name, name, 0.0) for name in names))
    (evaluation,) = prepared_evaluations(truth, ["bbox"], groups, OPTIONS, folds)
    options = InputOptions(STATED["head"], STATED["background"], np.array(STATED["category_ids"]))
    file = open_with_options(tensors, options)
    reporter = DetectionReporter([evaluation], groups, counts, None, str, None)
    data = DetectorData(file, evaluation, truth.image_id, folds, goal, counts, options, reporter)
    methods = [parse_method(spec) for spec in METHODS]
    figures = list(data.figures(methods, no_progress))
    for part in range(folds.parts):
        ids = truth.image_id[folds.inside(part)]
        own = {name: one[np.isin(tensors["image_id"], ids)] for name, one in tensors.items()}
        annotations_of_part, _ = of_images(annotations, [], ids.tolist())
        report = longtail_cli.evaluate(
            own, annotations_of_part, methods=methods, frequencies=counts, fixed_ap=True, pooled_ap=True, **STATED
        )
        for one, run in zip(figures, report.runs, strict=True):
            check(one, part, run, names)


# The cross-fitted run


def rescored(folder: Path, predictions: Path, spec: str) -> list[Entry]:
    """The detections as `ltcal rescore` writes them."""
    out = folder / "rescored.json"
    arguments = ["rescore", predictions, "--freq", folder / "freq.csv", "--method", spec, "-o", out]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
    entries: list[Entry] = json.loads(out.read_text())
    return entries


def union(folder: Path, predictions: Path, fold_specs: Sequence[str], fold_of: dict[int, int]) -> list[Entry]:
    """Of each image the detections by the method of its fold, in the order of the images in the file."""
    by_spec = {spec: rescored(folder, predictions, spec) for spec in set(fold_specs)}
    own = [one for fold, spec in enumerate(fold_specs) for one in by_spec[spec] if fold_of[one["image_id"]] == fold]
    order = list(dict.fromkeys(one["image_id"] for found in by_spec.values() for one in found))
    return sorted(own, key=lambda one: order.index(one["image_id"]))


def check_runs(folder: Path, predictions: Path, annotations: Entry, tuning: Any) -> None:
    """Every run of the report equals the report of a file that was put together by hand."""
    truth = read_annotations(folder / "annotations.json")
    folds = folds_of(truth, tuning.folds, tuning.seed)
    fold_of = dict(zip(truth.image_id.tolist(), folds.fold.tolist(), strict=True))
    runs, pooled = {run.name: run for run in tuning.report.runs}, "APpool" in tuning.objective
    for choice in (tuning.unadjusted, tuning.chosen, *tuning.best):
        joined = union(folder, predictions, choice.fold_specs, fold_of)
        expected = longtail_cli.evaluate(joined, annotations, frequencies=folder / "freq.csv", pooled_ap=pooled)
        wanted, found = metrics_of(expected.runs[0]), metrics_of(runs[choice.run])
        for name in wanted:
            assert found[name] == pytest.approx(wanted[name], abs=TOLERANCE), name
        assert choice.cross_fitted == found.get(tuning.objective)


@pytest.fixture
def example(tmp_path: Path) -> tuple[Entry, Tensors, list[Entry]]:
    """48 images of the example in a folder with the frequency table."""
    annotations, tensors, _ = scene(48)
    ids = {one["id"] for one in annotations["images"]}
    found = [one for one in json.loads((SCENES / "predictions.json").read_text()) if one["image_id"] in ids]
    write_case(tmp_path, annotations, found)
    assert CliRunner().invoke(main, ["compute-freq", str(SCENES / "train.json"), "-o", str(tmp_path / "freq.csv")])
    np.savez(tmp_path / "logits.npz", **tensors)
    (tmp_path / "logits.meta.json").write_text(json.dumps(LOGITS))
    return annotations, tensors, found


def test_the_cross_fitted_run_of_a_result_file_is_that_of_its_rescored_folds(tmp_path: Path, example: Any) -> None:
    annotations = example[0]
    tuning = longtail_cli.tune(
        tmp_path / "predictions.json", tmp_path / "annotations.json", frequencies=tmp_path / "freq.csv",
        spaces=["norcal:gamma=0..1.5", "iif:variant=raw|base10"], objective="bbox/APpool/AP", folds=4, bootstrap=None,
    )  # fmt: skip
    assert len(set(tuning.chosen.fold_specs)) > 1
    check_runs(tmp_path, tmp_path / "predictions.json", annotations, tuning)


def test_the_cross_fitted_run_of_logits_is_that_of_its_decoded_folds(tmp_path: Path, example: Any) -> None:
    annotations = example[0]
    tuning = longtail_cli.tune(
        tmp_path / "logits.npz", tmp_path / "annotations.json", frequencies=tmp_path / "freq.csv",
        spaces="norcal:gamma=0..1.5", folds=3, bootstrap=None,
    )  # fmt: skip
    assert len(set(tuning.chosen.fold_specs)) > 1
    check_runs(tmp_path, tmp_path / "logits.npz", annotations, tuning)


@pytest.mark.parametrize("kind", ["logits", "results"])
def test_what_a_fold_is_scored_with_does_not_depend_on_its_own_annotations(example: Any, kind: str) -> None:
    annotations, tensors, found = example
    predictions, options = (tensors, STATED) if kind == "logits" else (found, {})
    counts = longtail_cli.count(SCENES / "train.json")

    def fold_specs(document: Entry) -> tuple[str, ...]:
        tuning = longtail_cli.tune(
            predictions, document, frequencies=counts, spaces="norcal:gamma=0|0.5|1|1.25|1.5",
            objective="tide/bbox/Cls", folds=3, bootstrap=None, **options,
        )  # fmt: skip
        return tuning.chosen.fold_specs

    truth = read_annotations_of(annotations)
    fold_of = dict(zip(truth.image_id.tolist(), folds_of(truth, 3).fold.tolist(), strict=True))
    before, changed = fold_specs(annotations), False
    for fold in range(3):
        moved = [
            {**one, "bbox": [0.0, 0.0, *one["bbox"][2:]]} if fold_of[one["image_id"]] == fold else one
            for one in annotations["annotations"]
        ]
        after = fold_specs({**annotations, "annotations": moved})
        assert after[fold] == before[fold]
        changed |= after != before
    assert changed  # what the other folds chose does depend on them


def test_the_images_of_a_file_need_not_be_in_order(tmp_path: Path, example: Any) -> None:
    """Detections of an image keep their order, in which those of equal score are ranked, in the cross-fitted run."""
    annotations, tensors, _ = example
    ids = np.random.default_rng(0).permutation(np.unique(tensors["image_id"]))
    row = np.concatenate([np.flatnonzero(tensors["image_id"] == id_) for id_ in ids])
    shuffled = {name: one[row] for name, one in tensors.items()}
    shuffled["logits"] = np.round(shuffled["logits"] / 4) * 4  # many equal scores
    np.savez(tmp_path / "logits.npz", **shuffled)
    tuning = longtail_cli.tune(
        tmp_path / "logits.npz", tmp_path / "annotations.json", frequencies=tmp_path / "freq.csv",
        spaces="norcal:gamma=0.25|0.5|0.75|1", folds=6, bootstrap=None,
    )  # fmt: skip
    assert 1 < len(set(tuning.chosen.fold_specs)) < 6  # folds with the same method have images of equal scores
    check_runs(tmp_path, tmp_path / "logits.npz", annotations, tuning)


def test_intervals_are_those_of_a_report_on_the_joined_file(tmp_path: Path, example: Any) -> None:
    annotations = example[0]
    tuning = longtail_cli.tune(
        tmp_path / "predictions.json", tmp_path / "annotations.json", frequencies=tmp_path / "freq.csv",
        spaces="norcal:gamma=0..1.5", objective="tide/bbox/Cls", folds=4, bootstrap=20,
    )  # fmt: skip
    truth = read_annotations(tmp_path / "annotations.json")
    fold_of = dict(zip(truth.image_id.tolist(), folds_of(truth, 4).fold.tolist(), strict=True))
    joined = union(tmp_path, tmp_path / "predictions.json", tuning.chosen.fold_specs, fold_of)
    unadjusted = json.loads((tmp_path / "predictions.json").read_text())
    report = evaluate(
        [unadjusted, joined], annotations, frequencies=tmp_path / "freq.csv", bootstrap=BootstrapOptions(20)
    )
    name = "tide/bbox/Cls"
    for found, expected in [
        (tuning.unadjusted.interval, report.runs[0].intervals[name]),
        (tuning.chosen.interval, report.runs[1].intervals[name]),
        (tuning.chosen.gain, report.runs[1].deltas[name]),
    ]:
        assert found is not None
        assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=TOLERANCE)
