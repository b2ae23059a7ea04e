"""`ltcal tune`: the choice, its figures and its outputs; applying it; bad input; an interrupted search."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.tuning.model import Tuning

EXAMPLES = Path(__file__).parents[2] / "examples"
SCENES, DIGITS = EXAMPLES / "digit_scenes", EXAMPLES / "digits_lt"
TRAIN, VAL, PREDICTIONS = SCENES / "train.json", SCENES / "val.json", SCENES / "predictions.json"
PASSED, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130
POOLED = ("--objective", "bbox/APpool/AP")


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def passed(*arguments: object) -> Result:
    result = ltcal(*arguments)
    assert result.exit_code == PASSED, result.output
    return result


@pytest.fixture(scope="module")
def tables() -> dict[str, str]:
    """Frequency tables of the detector and of the classifier."""
    return {
        "freq.csv": passed("compute-freq", TRAIN).stdout,
        "digits.csv": passed("compute-freq", DIGITS / "train.txt", "--groups", "10,30").stdout,
    }


@pytest.fixture
def folder(tables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with frequency tables."""
    monkeypatch.chdir(tmp_path)
    for name, text in tables.items():
        Path(name).write_text(text)
    return tmp_path


def results(*arguments: object) -> tuple[object, ...]:
    """The arguments to tune on the result file."""
    return ("tune", PREDICTIONS, "--annotations", VAL, "--freq", "freq.csv", "-o", "tuned.json", *arguments)


def classifier(*arguments: object) -> tuple[object, ...]:
    """The arguments to tune on the training rows of the classifier."""
    return ("tune", DIGITS / "train_logits.npz", "--freq", "digits.csv", "-o", "tuned.json", *arguments)


def reported(*arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(passed("report", *arguments, "--json", "-").stdout)
    return document


def tuned(name: str = "tuned.json") -> Tuning:
    return package.read_tuning(name)


# A detector, from its logits on training images to a report on others


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A folder with the outputs of a tuning on the logits of the training images, and what it printed."""
    folder = tmp_path_factory.mktemp("detector")
    passed("compute-freq", TRAIN, "-o", folder / "freq.csv")
    result = ltcal(
        "tune", SCENES / "train_logits.npz", "--annotations", TRAIN, "--freq", folder / "freq.csv",
        "--method", "norcal:gamma=0.25|0.5|1", "--method", "iif:variant=raw|smooth,scale=mean", "--folds", 3,
        "--seed", 4, "--resamples", 20, "-o", folder / "tuned.json", "--html", folder / "tuned.html",
        "--plots", folder / "plots",
    )  # fmt: skip
    return folder, result


def test_the_choice_is_printed_with_its_cross_fitted_figures(detector: tuple[Path, Result]) -> None:
    folder, result = detector
    assert result.exit_code == PASSED, result.output
    found = package.read_tuning(folder / "tuned.json")
    assert f"Chosen: {found.chosen.spec}" in result.stdout
    assert "3 folds, seed 4" in result.stdout
    for figure in ("no adjustment", "chosen, cross-fitted", "chosen, in-sample", "optimism"):
        assert figure in result.stdout


def test_the_file_holds_all_of_the_tuning(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    found = package.read_tuning(folder / "tuned.json")
    assert found.to_json() == (folder / "tuned.json").read_text("utf-8")
    assert (found.folds, found.seed, found.partial, found.heldout) == (3, 4, False, None)
    assert found.candidates[0].spec == "none"
    assert {one.space for one in found.candidates[1:]} == {
        "norcal:gamma=0.25|0.5|1",
        "iif:variant=raw|smooth,scale=mean",
    }
    assert len(found.candidates) == 1 + 3 + 2
    assert len(found.tuned_on.images) == 360
    assert [one.role for one in found.tuned_on.inputs] == ["predictions", "frequencies", "annotations"]
    chosen = found.chosen
    assert chosen.interval is not None
    assert chosen.cross_fitted is not None
    assert chosen.in_sample is not None
    assert chosen.interval.low < chosen.cross_fitted < chosen.interval.high
    assert found.optimism == chosen.in_sample - chosen.cross_fitted
    in_sample = {one.spec: one.objective for one in found.candidates}
    assert in_sample[chosen.spec] == chosen.in_sample


def test_the_in_sample_figures_are_those_of_a_report_on_the_same_images(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    found = package.read_tuning(folder / "tuned.json")
    methods = [one.spec for one in found.candidates[:3]]
    report = package.evaluate(
        SCENES / "train_logits.npz", TRAIN, frequencies=folder / "freq.csv", methods=methods, tide="off"
    )
    for one, run in zip(found.candidates, report.runs, strict=False):
        assert one.objective == pytest.approx(run.metrics["bbox"]["AP"], abs=1e-12)


def test_the_page_and_the_plots_are_written(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    found = package.read_tuning(folder / "tuned.json")
    page = (folder / "tuned.html").read_text("utf-8")
    assert found.chosen.spec in page
    assert "<svg" in page
    plots = sorted((folder / "plots").iterdir())
    assert {path.suffix for path in plots} == {".png", ".pdf"}
    assert all(path.read_bytes()[:4] in (b"\x89PNG", b"%PDF") for path in plots)


def test_the_choice_is_applied_to_other_images(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    spec = package.read_tuning(folder / "tuned.json").chosen.spec
    logits = (SCENES / "logits.npz", "--annotations", VAL, "--freq", folder / "freq.csv", "--tide", "off")
    by_file = reported(*logits, "--method", f"@{folder / 'tuned.json'}")
    assert by_file == reported(*logits, "--method", spec)
    assert not by_file["runs"][0]["oracle"]


def test_the_images_that_were_tuned_on_are_recognised(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    logits = (SCENES / "train_logits.npz", "--annotations", TRAIN, "--freq", folder / "freq.csv", "--tide", "off")
    assert reported(*logits, "--method", f"@{folder / 'tuned.json'}")["runs"][0]["oracle"]


def test_the_choice_of_logits_is_refused_for_a_result_file(detector: tuple[Path, Result]) -> None:
    folder, _ = detector
    arguments = ("--freq", folder / "freq.csv", "--method", f"@{folder / 'tuned.json'}")
    result = ltcal("report", PREDICTIONS, "--annotations", VAL, *arguments)
    assert result.exit_code == BAD_INPUT
    assert "tuned for other classes or another head: input: expected full logits" in result.stderr


# A classifier


def test_a_classifier_is_tuned_by_its_likelihood(folder: Path) -> None:
    passed(*classifier("--method", "logit-adjust:tau=0..2+temperature:t=fit", "--no-bootstrap"))
    found = tuned()
    assert (found.objective, found.target) == ("classification/nll", "balanced")
    assert found.chosen.interval is None
    assert "+temperature:t=" in found.chosen.spec
    assert len(found.tuned_on.rows) == 249
    other = (DIGITS / "logits.npz", "--freq", "digits.csv", "--method", "none", "--method", "@tuned.json")
    none, chosen = reported(*other)["runs"]
    assert not chosen["oracle"]
    assert chosen["classification"]["nll"] < none["classification"]["nll"]
    same = (DIGITS / "train_logits.npz", "--freq", "digits.csv", "--method", "@tuned.json")
    assert reported(*same)["runs"][0]["oracle"]


def test_labels_may_be_in_a_file_of_their_own(folder: Path) -> None:
    with np.load(DIGITS / "train_logits.npz") as archive:
        np.savez("logits.npz", logits=archive["logits"])
        np.save("labels.npy", archive["labels"])
    Path("logits.meta.json").write_text((DIGITS / "train_logits.meta.json").read_text())
    searched = ("--freq", "digits.csv", "--method", "logit-adjust:tau=0.5|1", "--no-bootstrap")
    passed("tune", "logits.npz", "--labels", "labels.npy", *searched, "-o", "apart.json")
    passed(*classifier(*searched[2:]))
    assert tuned("apart.json").chosen == tuned().chosen


def test_logits_in_a_folder_may_give_the_statistics_of_a_method(folder: Path) -> None:
    with (
        np.load(DIGITS / "train_logits.npz") as archive,
        package.LogitsWriter(
            Path("shards"), head="softmax", background="none", category_ids=range(10), dtype="float32"
        ) as writer,
    ):
        writer.append(archive["logits"], labels=archive["labels"])
    method = ("--method", "prior2posterior:file=shards+temperature:t=fit")
    passed("tune", "shards", "--freq", "digits.csv", *method, "--no-bootstrap", "-o", "tuned.json")
    assert tuned().chosen.spec.startswith("prior2posterior:file=shards+temperature")
    assert {one.role for one in tuned().tuned_on.inputs} == {"predictions", "frequencies"}


def test_a_target_is_a_word_or_a_table(folder: Path) -> None:
    searched = ("--method", "logit-adjust:tau=0|1+temperature:t=fit", "--no-bootstrap")
    tau = {}
    for target in ("balanced", "as-is", "digits.csv"):
        passed(*classifier(*searched, "--target", target))
        assert tuned().target == target
        tau[target] = tuned().chosen.spec
    assert tau["balanced"] != tau["as-is"]  # the training rows are as long-tailed as the table
    assert "logit-adjust" in tau["balanced"]


def test_a_choice_for_other_classes_is_refused(folder: Path) -> None:
    passed(*classifier("--method", "temperature:t=fit", "--no-bootstrap"))
    with np.load(DIGITS / "logits.npz") as archive:
        np.savez("nine.npz", logits=archive["logits"][:, :9], labels=np.minimum(archive["labels"], 8))
    result = ltcal("report", "nine.npz", "--head", "softmax", "--method", "@tuned.json")
    assert result.exit_code == BAD_INPUT
    assert "categories: expected the 10 tuned on, found 9: 9 missing, none unknown" in result.stderr
    result = ltcal("report", DIGITS / "logits.npz", "--head", "sigmoid", "--method", "@tuned.json")
    assert result.exit_code == BAD_INPUT


# Constraints


def test_a_constraint_excludes_what_loses_more(folder: Path) -> None:
    searched = (*POOLED, "--method", "norcal:gamma=0.25|0.5|1|1.5", "--no-bootstrap")
    passed(*results(*searched))
    free = tuned()
    figures = {one.spec: one.metrics for one in free.candidates}
    passed(*results(*searched, "--keep", "tide/bbox/Cls=+0.5", "--keep", "bbox/APpool/APf=-0.0001"))
    kept = tuned()
    assert kept.keep == ("tide/bbox/Cls=+0.5", "bbox/APpool/APf=-0.0001")
    assert {one.kept for one in kept.candidates} == {True, False}
    for one in kept.candidates:
        change = one.metrics["bbox/APpool/APf"] - kept.candidates[0].metrics["bbox/APpool/APf"]
        assert one.kept == (change >= -0.0001)
        assert one.metrics["bbox/APpool/AP"] == figures[one.spec]["bbox/APpool/AP"]
    assert {one.spec: one.kept for one in kept.candidates}[kept.chosen.spec]
    assert kept.chosen.spec != free.chosen.spec


# A split


def other_half(found: Tuning, ids: list[int]) -> set[int]:
    return set(ids) - set(found.tuned_on.images)


def test_half_of_the_images_are_tuned_on_and_the_others_reported_on(folder: Path) -> None:
    searched = (*POOLED, "--method", "norcal:gamma=0.5|1|1.5", "--no-bootstrap", "--split", "half:3")
    result = passed(*results(*searched))
    assert "On the other half, which was not tuned on (split half:3)" in result.stdout
    header = result.stdout.partition("On the other half")[2].splitlines()[1]
    assert header.split() == ["run", "bbox/APpool/AP", "AP", "APr", "APc", "APf", "FalsePos"]
    found, val, detections = tuned(), json.loads(VAL.read_text()), json.loads(PREDICTIONS.read_text())
    assert found.split == "half:3"
    assert found.report is not None
    assert found.heldout is not None
    assert found.report.signature.images == found.heldout.signature.images == len(found.tuned_on.images) == 90
    others = other_half(found, [one["id"] for one in val["images"]])
    half = {key: [one for one in val[key] if one["id" if key == "images" else "image_id"] in others]
            for key in ("images", "annotations")}  # fmt: skip
    Path("half.json").write_text(json.dumps({**val, **half}))
    Path("predictions.json").write_text(json.dumps([one for one in detections if one["image_id"] in others]))
    applied = ("--freq", "freq.csv", "--method", "none", "--method", "@tuned.json", "--pooled-ap")
    whole = reported(PREDICTIONS, "--annotations", VAL, *applied)
    assert [run["oracle"] for run in whole["runs"]] == [False, True]
    assert whole["runs"][1]["name"] == f"{found.chosen.spec} [oracle]"
    half_report = reported("predictions.json", "--annotations", "half.json", *applied)
    assert [run["oracle"] for run in half_report["runs"]] == [False, False]
    again = package.evaluate(
        "predictions.json", "half.json", frequencies="freq.csv", methods=["none", found.chosen.spec], pooled_ap=True
    )
    for held_out, run in zip(found.heldout.runs, again.runs, strict=True):
        assert metrics_of(held_out) == pytest.approx(metrics_of(run), abs=1e-12, nan_ok=True)


def test_half_of_the_images_of_logits(folder: Path) -> None:
    passed(
        "tune", SCENES / "logits.npz", "--annotations", VAL, "--freq", "freq.csv", "-o", "tuned.json",
        "--method", "norcal:gamma=0.5|1", "--no-bootstrap", "--split", "half:0", "--folds", 2,
    )  # fmt: skip
    found = tuned()
    assert found.heldout is not None
    assert found.heldout.signature.images == len(found.tuned_on.images) == 90
    with np.load(SCENES / "logits.npz") as archive:
        inside = ~np.isin(archive["image_id"], list(found.tuned_on.images))
        rows = {name: archive[name][inside] for name in archive.files if name != "weight"}
    np.savez("logits.npz", **rows)
    Path("logits.meta.json").write_text((SCENES / "logits.meta.json").read_text())
    val = json.loads(VAL.read_text())
    others = other_half(found, [one["id"] for one in val["images"]])
    val["images"] = [one for one in val["images"] if one["id"] in others]
    val["annotations"] = [one for one in val["annotations"] if one["image_id"] in others]
    again = package.evaluate("logits.npz", val, frequencies="freq.csv", methods=["none", found.chosen.spec])
    for held_out, run in zip(found.heldout.runs, again.runs, strict=False):
        assert metrics_of(held_out) == pytest.approx(metrics_of(run), abs=1e-12, nan_ok=True)


def test_half_of_the_rows_of_a_classifier(folder: Path) -> None:
    arguments = ("--freq", "digits.csv", "--method", "logit-adjust:tau=0.5|1|1.5+temperature:t=fit", "--no-bootstrap")
    passed("tune", DIGITS / "logits.npz", *arguments, "--split", "half:1", "-o", "tuned.json")
    found = tuned()
    assert found.heldout is not None
    assert found.heldout.signature.images == len(found.tuned_on.rows) == 430
    applied = reported(DIGITS / "logits.npz", "--freq", "digits.csv", "--method", "@tuned.json")
    assert "430 of these 860 rows" in applied["runs"][0]["notes"][-1]
    assert found.heldout.runs[1].classification is not None
    again = package.tune(
        DIGITS / "logits.npz", frequencies="digits.csv", spaces=arguments[3], split="half:2", bootstrap=None
    )
    assert set(again.tuned_on.rows) != set(found.tuned_on.rows)


# Bad input


def undefined_objective() -> None:
    """Annotations without small objects."""
    val = json.loads(VAL.read_text())
    for one in val["annotations"]:
        one["area"] = 5000.0
    Path("large.json").write_text(json.dumps(val))


def one_image_defines_it() -> None:
    """Annotations with one small object: the fold without its image does not define APs."""
    undefined_objective()
    val = json.loads(Path("large.json").read_text())
    val["annotations"][0]["area"] = 100.0
    Path("large.json").write_text(json.dumps(val))


NORCAL = ("--method", "norcal:gamma=0.5|1")
RESULTS = ("tune", PREDICTIONS, "--annotations", VAL, "--freq", "freq.csv", *NORCAL)
ROWS = ("tune", DIGITS / "train_logits.npz", "--freq", "digits.csv", "--method", "temperature:t=fit")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((*RESULTS, "--folds", 181), "--folds: expected a number from 2 to 180, so that no fold is empty, found 181"),
        ((*RESULTS, "--folds", 1), "--folds: expected a number from 2 to 180"),
        ((*ROWS, "--folds", 250), "--folds: expected a number from 2 to 249"),
        ((*RESULTS, "--seed", -1), "Invalid value for '--seed'"),
        ((*RESULTS, "--objective", "bbox/APq"), "--objective: metric: expected one of bbox/AP, "),
        ((*RESULTS, "--objective", "classification/top1"), "--objective: metric: expected one of bbox/AP, "),
        ((*ROWS, "--objective", "classification/ece"), "--objective: metric: expected one of classification/nll, "),
        ((*RESULTS, "--keep", "bbox/APf"), "--keep: value: expected metric=change"),
        ((*RESULTS, "--keep", "bbox/APf=0.1"), "at most 0: how far it may fall"),
        ((*RESULTS, "--keep", "tide/bbox/FalsePos=-0.1"), "at least 0: by how much the error may rise"),
        ((*RESULTS, "--method", "norcal:gamma=2..1"), "a range low..high with low < high"),
        ((*RESULTS, "--method", "norcals"), "norcals"),
        ((*RESULTS, "--method", "tau-norm"), "expected `weight` [K, D] of the classifier and `features` [N, D]"),
        ((*RESULTS, "--method", "norcal:gamma=1+temperature:t=fit"), "as detectors are tuned on AP, found t=fit"),
        ((*ROWS, "--method", "bags"), "head: expected bags, found softmax"),
        ((*ROWS, "--method", "norcal:renormalize=no"), "logits of a softmax, before and after, found sigmoid"),
        ((*RESULTS[:4], "--method", "none"), "at least one space of methods besides none"),
        (RESULTS[:4], "at least one space of methods besides none"),
        (RESULTS[:4] + NORCAL, "expected one, for the method norcal:gamma=0.5, found none"),
        ((*RESULTS, "--split", "half"), "--split: expected half:SEED, for example half:0, found 'half'"),
        ((*RESULTS, "--split", "half:x"), "--split: expected half:SEED"),
        ((*RESULTS, "--split", "third:0"), "--split: expected half:SEED"),
        ((*ROWS, "--target", "even"), "even: frequencies: expected the file of a frequency table"),
        ((*ROWS, "--target", "freq.csv"), "freq.csv: frequency table: expected the 10 classes of the logits"),
        ((*RESULTS, "--labels", "freq.csv"), "--annotations is for detections and --labels for classification"),
        (("tune", PREDICTIONS, *NORCAL), "Missing option '--annotations'"),
        ((*RESULTS, "--iou-type", "segm"), "choose other --iou-type"),
        ((*RESULTS, "--annotations", PREDICTIONS), "predictions.json"),
        (("tune", "nothing.json", "--annotations", VAL, *NORCAL), "nothing.json"),
        (("tune", SCENES / "train_logits.npz", "--annotations", VAL, *NORCAL, "--freq", "freq.csv"), "image_id"),
        ((*RESULTS, "--annotations", "digits.csv"), "digits.csv"),
        (("tune", SCENES / "logits.npz", *NORCAL, "--freq", "freq.csv"), "logits.npz"),
        ((*RESULTS, "--html", "out/page.html"), "expected a path that can be written to, found no such folder"),
        ((*RESULTS, "--html", "tuned.json"), "expected a path that is not in use"),
        ((*ROWS, "--target", "digits.csv", "--html", "digits.csv"), "expected a path that is not in use"),
    ],
)  # fmt: skip
def test_bad_input_is_refused_and_nothing_is_written(folder: Path, arguments: Any, message: str) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    result = ltcal(*arguments, "-o", "tuned.json", "--no-bootstrap")
    assert result.exit_code == BAD_INPUT, (result.output, result.exception)
    assert message in result.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize("output", ["freq.csv", "val.json"])
def test_no_input_is_overwritten(folder: Path, output: str) -> None:
    Path("val.json").write_bytes(VAL.read_bytes())
    before = Path(output).read_bytes()
    result = ltcal("tune", PREDICTIONS, "--annotations", "val.json", "--freq", "freq.csv", *NORCAL, "-o", output)
    assert result.exit_code == BAD_INPUT
    assert Path(output).read_bytes() == before


def test_the_target_is_not_overwritten(folder: Path) -> None:
    before = Path("digits.csv").read_bytes()
    result = ltcal(*ROWS[:2], *ROWS[4:], "--target", "digits.csv", "-o", "digits.csv")
    assert result.exit_code == BAD_INPUT
    assert Path("digits.csv").read_bytes() == before


@pytest.mark.parametrize("make", [undefined_objective, one_image_defines_it])
def test_an_objective_that_the_data_cannot_define_is_refused(folder: Path, make: Any) -> None:
    make()
    result = ltcal(*RESULTS, "--annotations", "large.json", "--objective", "bbox/APs", "-o", "tuned.json")
    assert result.exit_code == BAD_INPUT
    assert "objective: expected bbox/APs defined on the images" in result.stderr
    assert "Fix: choose another objective, fewer folds, or data that defines it; groups need --freq" in result.stderr
    assert not Path("tuned.json").exists()


def test_an_objective_of_groups_that_are_not_known_is_refused(folder: Path) -> None:
    val = json.loads(VAL.read_text())
    val["categories"] = [{"id": one["id"], "name": one["name"]} for one in val["categories"]]
    Path("ungrouped.json").write_text(json.dumps(val))
    searched = ("--method", "temperature:t=1..2", "--objective", "bbox/APr")
    result = ltcal("tune", PREDICTIONS, "--annotations", "ungrouped.json", *searched, "-o", "tuned.json")
    assert result.exit_code == BAD_INPUT
    assert "objective: expected bbox/APr defined on the images, found undefined" in result.stderr


def test_constraints_that_nothing_meets_say_how_near_the_nearest_came(folder: Path) -> None:
    searched = (*POOLED, "--method", "norcal:gamma=1|3", "--no-bootstrap", "--keep", "bbox/APpool/APf=-0.001")
    result = ltcal(*results(*searched))
    assert result.exit_code == BAD_INPUT
    assert (
        "--keep: candidates: expected at least one that keeps bbox/APpool/APf=-0.001, found none of 2" in result.stderr
    )
    assert "; the nearest is norcal:gamma=1.0 with bbox/APpool/APf -0.002" in result.stderr
    assert "Fix: allow 0.001" in result.stderr
    assert not Path("tuned.json").exists()


def test_a_temperature_to_be_fitted_is_refused_for_detectors_before_the_search(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures(*_: object) -> Iterator[object]:
        raise AssertionError("nothing is to be searched")

    monkeypatch.setattr("longtail_cli.workflow.tune_results.ResultData.figures", figures)
    assert ltcal(*results("--method", "norcal:gamma=1+temperature:t=fit")).exit_code == BAD_INPUT


# An interruption


DATA = {
    "results": "longtail_cli.workflow.tune_results.ResultData",
    "logits": "longtail_cli.workflow.tune_detector.DetectorData",
    "classifier": "longtail_cli.workflow.tune_classifier.ClassifierData",
}


def interrupted_after(monkeypatch: pytest.MonkeyPatch, kind: str, groups: int) -> None:
    """The evaluator is interrupted when it is asked for the figures of one more group of candidates."""
    module, _, name = DATA[kind].rpartition(".")
    data = getattr(__import__(module, fromlist=[name]), name)
    figures, asked = data.figures, []

    def interrupted(self: Any, methods: Any, progress: Any) -> Iterator[Any]:
        asked.append(methods)
        if len(asked) > groups:
            raise KeyboardInterrupt
        return figures(self, methods, progress)

    monkeypatch.setattr(data, "at_once", 2)
    monkeypatch.setattr(data, "figures", interrupted)


COMMANDS: dict[str, tuple[object, ...]] = {
    "results": (PREDICTIONS, "--annotations", VAL, "--freq", "freq.csv", *POOLED),
    "logits": (SCENES / "logits.npz", "--annotations", VAL, "--freq", "freq.csv"),
    "classifier": (DIGITS / "logits.npz", "--freq", "digits.csv"),
}
SPACE = {"results": "norcal:gamma=1|2|3", "logits": "norcal:gamma=0.5|1|3", "classifier": "logit-adjust:tau=1|2|3"}


@pytest.mark.parametrize("kind", DATA)
def test_an_interrupted_search_keeps_what_was_found(folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    interrupted_after(monkeypatch, kind, 1)
    result = ltcal("tune", *COMMANDS[kind], "--method", SPACE[kind], "-o", "tuned.json", "--html", "tuned.html")
    assert result.exit_code == INTERRUPTED, result.output
    assert "interrupted; tuned.json holds what was found" in result.stderr
    found = tuned()
    assert found.partial
    assert found.candidates[0].spec == "none"
    assert len(found.candidates) == 2
    assert found.chosen.spec in [one.spec for one in found.candidates]
    assert found.chosen.cross_fitted is None
    assert found.report is None
    assert Path("tuned.html").exists()
    inputs = COMMANDS[kind][: -len(POOLED)] if kind == "results" else COMMANDS[kind]
    (run,) = reported(*inputs, "--method", "@tuned.json")["runs"]
    assert run["method"] == found.chosen.spec
    assert "chosen by tuned.json, whose search was interrupted" in run["notes"]


@pytest.mark.parametrize("kind", DATA)
def test_an_interruption_before_anything_is_known_writes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    interrupted_after(monkeypatch, kind, 0)
    result = ltcal("tune", *COMMANDS[kind], "--method", SPACE[kind], "-o", "tuned.json")
    assert result.exit_code not in (PASSED, BAD_INPUT)
    assert not Path("tuned.json").exists()


@pytest.mark.parametrize("kind", DATA)
def test_an_interruption_of_the_report_keeps_the_candidates(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(f"{DATA[kind]}.report", interrupted)
    result = ltcal("tune", *COMMANDS[kind], "--method", SPACE[kind], "-o", "tuned.json")
    assert result.exit_code == INTERRUPTED
    assert tuned().partial
    assert len(tuned().candidates) == 4
    assert tuned().chosen.run == ""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_interrupts_the_search_too(folder: Path, number: signal.Signals) -> None:
    """The process sends itself what Ctrl-C or a CI service sends, while the second group is evaluated."""
    script = f"""
import os, signal, sys
from longtail_cli.workflow.tune_results import ResultData
figures, asked = ResultData.figures, []
def interrupted(self, methods, progress):
    asked.append(methods)
    if len(asked) == 2:
        os.kill(os.getpid(), {int(number)})
    return figures(self, methods, progress)
ResultData.figures, ResultData.at_once = interrupted, 1
from longtail_cli.cli.__main__ import run
run()
"""
    command = [sys.executable, "-c", script, *map(str, results("--method", "norcal:gamma=1|2|3", "--no-bootstrap"))]
    path = {"PYTHONPATH": str(Path(package.__file__).parents[1])}  # of this package, whatever is installed
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **path})
    assert done.returncode == INTERRUPTED, done.stderr
    assert tuned().partial
    assert len(tuned().candidates) < 4
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


# The Python API, and repetition


def test_arrays_in_memory_give_the_choice_of_files(folder: Path) -> None:
    passed(*classifier("--method", "logit-adjust:tau=0|1+temperature:t=fit", "--no-bootstrap"))
    with np.load(DIGITS / "train_logits.npz") as archive:
        logits, labels = archive["logits"], archive["labels"]
    found = package.tune(
        logits, labels=labels, frequencies=package.read_frequencies("digits.csv"), bootstrap=None,
        spaces="logit-adjust:tau=0|1+temperature:t=fit",
    )  # fmt: skip
    assert found.chosen == tuned().chosen
    assert found.candidates == tuned().candidates
    assert found.tuned_on.rows == tuned().tuned_on.rows
    report = package.evaluate_classification(logits, labels, methods=[found], frequencies="digits.csv")
    assert report.runs[0].oracle


@pytest.mark.parametrize("kind", ["results", "logits"])
def test_detections_in_memory_give_the_choice_of_files(folder: Path, kind: str) -> None:
    stated: dict[str, Any] = {}
    predictions: Any = json.loads(PREDICTIONS.read_text())
    objective = "bbox/APpool/AP" if kind == "results" else "bbox/AP"
    if kind == "logits":
        meta = json.loads((SCENES / "logits.meta.json").read_text())
        stated = {name: meta[name] for name in ("head", "background", "category_ids")}
        with np.load(SCENES / "logits.npz") as archive:
            predictions = dict(archive)
    passed("tune", *COMMANDS[kind], "--method", SPACE[kind], "-o", "tuned.json", "--no-bootstrap", "--folds", 2,
           "--keep", "bbox/APf=-0.9")  # fmt: skip
    found = package.tune(
        predictions, json.loads(VAL.read_text()), frequencies="freq.csv", spaces=SPACE[kind], objective=objective,
        keep={"bbox/APf": np.float64(-0.9)}, folds=2, bootstrap=None, **stated,
    )  # fmt: skip
    assert found.chosen == tuned().chosen
    assert found.candidates == tuned().candidates
    assert found.tuned_on.images == tuned().tuned_on.images
    applied = package.evaluate(
        predictions, json.loads(VAL.read_text()), methods=[found], frequencies="freq.csv", tide="off", **stated
    )
    assert applied.runs[0].oracle


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["logits", "classifier"])
def test_a_gpu_gives_the_figures_of_the_processor(folder: Path, kind: str) -> None:
    found = {}
    for device in ("cpu", "cuda"):
        passed(
            "tune", *COMMANDS[kind], "--method", SPACE[kind], "--no-bootstrap", "--device", device, "-o", "tuned.json"
        )
        found[device] = {one.spec: one.objective for one in tuned().candidates}
    assert found["cuda"] == pytest.approx(found["cpu"], abs=1e-4)


@pytest.mark.parametrize("kind", DATA)
def test_the_same_seed_gives_the_same_file(folder: Path, kind: str) -> None:
    texts = []
    for seed in (0, 0, 1):
        searched = ("--method", SPACE[kind], "--resamples", 10, "--seed", seed, "--folds", 2, "-o", "tuned.json")
        passed("tune", *COMMANDS[kind], *searched)
        texts.append(Path("tuned.json").read_bytes())
    assert texts[0] == texts[1]
    assert texts[0] != texts[2].replace(b'"seed": 1', b'"seed": 0')
