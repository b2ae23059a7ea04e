"""`ltcal fit`: what it learns and prints, its options, interruptions and repetition."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fit_files import classifier, detections, detector, frequencies

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.workflow.saved_method import Fit

EXAMPLES = Path(__file__).parents[2] / "examples"
DIGITS = EXAMPLES / "digits_lt"
PASSED, INTERRUPTED = 0, 130
FREQ, TRUTH = ("--freq", "freq.csv"), ("--annotations", "d.json")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a frequency table, labelled rows of a classifier, and proposals of a detector."""
    monkeypatch.chdir(tmp_path)
    frequencies("freq.csv")
    classifier("c.npz")
    detector("d.npz")
    return tmp_path


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def fitted(*arguments: object) -> tuple[Fit, Result]:
    """What ``fit.npz`` holds, and the result of the command that wrote it."""
    result = ltcal("fit", *arguments, "-o", "fit.npz")
    assert result.exit_code == PASSED, result.output
    return package.read_fit("fit.npz"), result


# What is learned


def test_a_correction_of_a_classifier() -> None:
    fit, result = fitted("c.npz", *FREQ, "--method", "bcts", "--seed", 3)
    record = fit.record
    assert (record.method, record.seed, record.target) == ("bcts", 3, "balanced")
    assert list(record.settings) == ["l2", "temperature"]
    assert [one.value for one in record.tried] == [1.0, 0.1, 0.01, 0.001, 0.0001]
    assert record.settings["l2"] == min(record.tried, key=lambda one: one.score).value
    assert (record.rows.used, record.rows.held_out, record.rows.classes) == (95, 19, 5)
    assert (record.rows.images, record.rows.background, record.rows.left_out) == (None, None, 0)
    assert record.converged
    assert record.curve[-1] < record.curve[0]
    assert len(record.fitted_on.rows) == 95
    assert [(one.role, one.name) for one in record.fitted_on.inputs] == [
        ("predictions", "c.npz"),
        ("frequencies", "freq.csv"),
    ]
    assert result.stdout == fit.to_text()
    assert result.stderr == "apply it with --method @fit.npz\n"


def test_a_head_of_a_detector() -> None:
    fit, result = fitted("d.npz", *TRUTH, *FREQ, "--method", "classifier:loss=balanced-softmax")
    rows = fit.record.rows
    assert (rows.used, rows.images, rows.background, rows.left_out, rows.classes) == (480, 30, 360, 0, 5)
    assert rows.held_out == 96  # six images of 16 proposals
    assert "480 rows of 30 images, 5 classes, 360 of them background, 96 held out to choose\n" in result.stdout
    norms = fit.record.norms
    assert norms.image_count == (60, 30, 12, 5, 3)
    np.testing.assert_allclose(norms.before, np.linalg.norm(detector("x.npz")["weight"][:5], axis=1), rtol=1e-6)
    np.testing.assert_allclose(norms.after, np.linalg.norm(fit.step.step.weight[:5], axis=1))
    assert dict(fit.record.fitted_on.images) == {image: f"{image}.jpg" for image in range(1, 31)}


def test_a_map_of_scores() -> None:
    detections()
    fit, result = fitted("p.json", *TRUTH, *FREQ, "--method", "isotonic:by=group")
    rows = fit.record.rows
    assert (rows.used, rows.images, rows.held_out, rows.classes) == (480, 30, 0, 5)
    assert rows.background is not None
    assert 240 < rows.background < 480
    assert f"480 detections of 30 images, 5 classes, {rows.background} of them matched to nothing\n" in result.stdout
    assert fit.record.target is None


def test_labels_may_be_in_a_file_of_their_own() -> None:
    expected, _ = fitted("c.npz", "--method", "temperature")
    own = classifier("x.npz", labels=None)
    np.save("labels.npy", classifier("c.npz")["labels"])
    fit, _ = fitted("x.npz", "--labels", "labels.npy", "--method", "temperature")
    assert fit.record.settings == expected.record.settings
    assert [one.role for one in fit.record.fitted_on.inputs] == ["predictions", "labels"]
    found = package.fit(own["logits"], labels=np.load("labels.npy"), method="temperature")
    assert found.record.settings == expected.record.settings


def test_a_folder_of_shards() -> None:
    whole = classifier("c.npz")
    Path("shards").mkdir()
    for number, part in enumerate((slice(0, 40), slice(40, None))):
        np.savez(
            f"shards/{number}.npz", **{name: one if name == "weight" else one[part] for name, one in whole.items()}
        )
    Path("shards/meta.json").write_text(Path("c.meta.json").read_text())
    expected, _ = fitted("c.npz", "--method", "classifier:l2=0.1")
    fit, _ = fitted("shards", "--method", "classifier:l2=0.1")
    np.testing.assert_array_equal(fit.step.step.weight, expected.step.step.weight)
    classifier("other.npz", seed=1)
    fit, _ = fitted("other.npz", "--held-out", "shards", "--method", "bcts")
    assert fit.record.fitted_on.inputs[-1].name == "shards"


def test_the_target_weighs_the_classes() -> None:
    frequencies("train.csv", counts=(100, 5, 3, 1, 1))
    fits = {
        one: fitted("c.npz", "--method", "temperature", "--target", one)[0].record for one in ("as-is", "train.csv")
    }
    balanced, _ = fitted("c.npz", "--method", "temperature")
    assert len({balanced.record.settings["temperature"], *(one.settings["temperature"] for one in fits.values())}) == 3
    assert fits["train.csv"].target == "train.csv"
    assert fits["train.csv"].fitted_on.inputs[-1].role == "target"


def test_as_is_weighs_the_rows_alike() -> None:
    """The temperature is where the derivative of the mean log-likelihood of the rows is 0."""
    own = classifier("c.npz")
    fit, _ = fitted("c.npz", "--method", "temperature", "--target", "as-is")
    z = own["logits"].astype(np.float64)
    z /= fit.record.settings["temperature"]
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    assert abs((z[np.arange(95), own["labels"]] - (p * z).sum(axis=1)).mean()) < 1e-5


def test_proposals_by_their_overlap() -> None:
    every, _ = fitted("d.npz", *TRUTH, "--method", "temperature", "--negatives", "all")
    none, _ = fitted("d.npz", *TRUTH, "--method", "temperature", "--negatives", 0)
    between, _ = fitted("d.npz", *TRUTH, "--method", "temperature", "--foreground-iou", 0.93, "--background-iou", 0.3)
    assert (every.record.rows.background, every.record.rows.left_out) == (360, 0)
    assert (none.record.rows.background, none.record.rows.left_out, none.record.rows.used) == (0, 360, 120)
    kept = between.record.rows
    assert 0 < kept.used - kept.background < 120
    assert kept.background == 3 * (kept.used - kept.background)


def test_a_model_that_has_seen_the_rows_is_suspected() -> None:
    own = classifier("c.npz")
    classifier("seen.npz", logits=np.eye(5, dtype="f4")[own["labels"]] * 9, features=None, weight=None)
    fit, result = fitted("seen.npz", "--method", "temperature")
    assert fit.record.accuracy == 1
    seen = "the model is right about 100.0% of these rows: they look like those that it was trained on"
    assert seen in result.stdout
    classifier("new.npz", seed=1, features=None, weight=None)
    classifier("newer.npz", seed=2, features=None, weight=None)
    _, result = fitted("seen.npz", "--held-out", "new.npz", "--method", "temperature")
    assert seen in result.stdout
    assert "the model has a balanced accuracy of 100.0% on these rows and of" in result.stdout
    assert "trained" not in fitted("newer.npz", "--held-out", "new.npz", "--method", "temperature")[1].stdout


@pytest.mark.parametrize("method", ["ncm", "crt", "classifier:l2=0.1", "classifier:loss=iif,solver=sgd"])
def test_a_weight_that_did_not_make_the_logits_is_ignored_where_none_is_needed(method: str) -> None:
    own = classifier("c.npz")
    classifier("x.npz", weight=own["weight"][::-1])
    fit, _ = fitted("x.npz", *FREQ, "--method", method)
    assert fit.record.norms.before == ()
    assert len(fit.record.norms.after) == 5


def test_plots_are_written(folder: Path) -> None:
    fitted("c.npz", *FREQ, "--method", "classifier:start=given", "--plots", "plots")
    assert sorted(path.name for path in Path("plots").iterdir()) == [
        f"fit-{name}.{suffix}" for name in ("curve", "tried", "weight-norms") for suffix in ("pdf", "png")
    ]


def test_without_anything_to_draw_a_line_says_so() -> None:
    _, result = fitted("c.npz", "--method", "ncm", "--plots", "plots")
    assert result.stderr.startswith("no plots: ncm has no curve, nothing that was tried, and no norms to draw\n")
    assert not Path("plots").exists()


def test_the_examples() -> None:
    """The digits of the example: `ltcal fit` on the training half, and a report on the other."""
    assert ltcal("compute-freq", DIGITS / "train.txt", "--groups", "10,30", "-o", "digits.csv").exit_code == PASSED
    fitted(DIGITS / "train_logits.npz", "--freq", "digits.csv", "--method", "bcts")
    shown = ltcal("report", DIGITS / "logits.npz", "--method", "none", "--method", "@fit.npz", "--json", "-")
    none, by_fit = (run["classification"] for run in json.loads(shown.stdout)["runs"])
    assert by_fit["nll"] < none["nll"]
    assert by_fit["balanced"] > none["balanced"]


# Classes without rows, and fits that do not converge

WITHOUT_ROWS = {
    "vector:l2=0.1": "they get no scale and no shift of their own",
    "classifier:l2=0.1": "nothing raises their logits, so they are hardly ever predicted",
    "classifier:l2=0.1,loss=bags": "nothing raises their logits within their slice, and a slice without rows stays "
    "where it started",
    "ncm": "without a mean they get a logit below all others",
}


@pytest.mark.parametrize("method", WITHOUT_ROWS)
def test_a_class_without_rows_is_named(method: str) -> None:
    classifier("x.npz", rows=(30, 25, 20, 0, 8))
    fit, result = fitted("x.npz", *FREQ, "--method", method)
    assert f"- 1 of 5 classes have no rows to learn from; {WITHOUT_ROWS[method]}: 40 c40\n" in result.stdout
    assert fit.record.rows.classes == 4
    assert ltcal("rescore", "c.npz", "--method", "@fit.npz", "-o", "scores.npz").exit_code == PASSED


def test_a_rare_class_without_rows_of_equalization_is_named() -> None:
    document = json.loads(Path("d.json").read_text())
    document["annotations"] = [one for one in document["annotations"] if one["category_id"] != 50]
    Path("d.json").write_text(json.dumps(document))
    _, result = fitted("d.npz", *TRUTH, *FREQ, "--method", "classifier:l2=0.1,loss=eql")
    named = "have no rows to learn from; the scores of rare ones are lowered by background rows alone: 50 c50"
    assert named in result.stdout


def test_a_class_with_few_detections_is_named() -> None:
    detections()
    _, result = fitted("p.json", *TRUTH, *FREQ, "--method", "platt:least=12")
    named = "classes with fewer than 12 right or 12 wrong detections take the map of"
    assert f"- 2 of 5 {named} their frequency group: 40 c40, 50 c50\n" in result.stdout
    assert f"- 1 of 5 {named} all classes: 30 c30\n" in result.stdout


@pytest.mark.parametrize("loss", ["iif", "balanced-softmax", "ldam", "class-balanced"])
def test_a_class_that_never_occurs_is_noted(loss: str) -> None:
    frequencies("zero.csv", counts=(60, 30, 12, 5, 0))
    _, result = fitted("c.npz", "--freq", "zero.csv", "--method", f"classifier:norm=none,l2=0.1,loss={loss}")
    counted = "never occur; counted as the rarest class that does, n = 5 (zero_count=max): 50 c50"
    assert f"\n- 1 of 5 classes {counted}\n" in result.stdout
    assert result.stderr == "apply it with --method @fit.npz\n"


def separable() -> None:
    """Rows that a head is right about, so that without a penalty its loss falls for ever."""
    label = np.arange(40) % 5
    features = np.eye(5, 6)[label] * 8 + np.random.default_rng(0).normal(size=(40, 6)) / 100
    weight = np.eye(5, 6).astype("f4")
    features = features.astype("f4")
    classifier("x.npz", logits=features @ weight.T, labels=label, features=features, weight=weight)


def test_a_fit_that_does_not_converge_says_so() -> None:
    separable()
    fit, result = fitted("x.npz", "--method", "classifier:l2=0")
    assert not fit.record.converged
    assert f"{fit.record.passes} passes over the rows, not converged\n" in result.stdout
    assert (
        f"- stopped after {fit.record.passes} passes over the rows before it converged. A stronger penalty (l2) makes "
        "it converge sooner\n" in result.stdout
    )
    assert ltcal("rescore", "x.npz", "--method", "@fit.npz", "-o", "scores.npz").exit_code == PASSED


# Output to stdout, interruptions, repetition


def test_the_file_may_go_to_stdout() -> None:
    fitted("c.npz", "--method", "temperature")
    done = ltcal("fit", "c.npz", "--method", "temperature", "-o", "-")
    assert done.stdout_bytes == Path("fit.npz").read_bytes()
    assert done.stderr == ""


MOMENTS = {
    "while it reads": "longtail_cli.workflow.fit_logits.labelled_rows",
    "while it learns": "longtail_cli.fitting.corrections.minimise",
    "while it writes": "longtail_cli.workflow.saved_method.write_fitted",
}


@pytest.mark.parametrize(
    ("moment", "number"), list(zip(MOMENTS, (signal.SIGINT, signal.SIGTERM, signal.SIGINT), strict=True))
)
def test_an_interruption_leaves_nothing(folder: Path, moment: str, number: signal.Signals) -> None:
    """The process sends itself what Ctrl-C or a CI service sends."""
    module, _, name = MOMENTS[moment].rpartition(".")
    script = f"""
import os, signal, sys, {module}
def interrupted(*arguments, **options):
    os.kill(os.getpid(), {int(number)})
    while True: pass
{module}.{name} = interrupted
from longtail_cli.cli.__main__ import run
run()
"""
    Path("fit.npz").write_bytes(b"old")
    Path("tmp").mkdir()
    before = sorted(folder.iterdir())
    own = {"PYTHONPATH": str(Path(package.__file__).parents[1]), "TMPDIR": str(folder / "tmp")}
    command = [sys.executable, "-c", script, "fit", "c.npz", "--method", "bcts", "-o", "fit.npz", "--plots", "plots"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **own})
    assert (done.returncode, done.stdout) == (INTERRUPTED, "")
    assert done.stderr == "interrupted; no output was left half-written\n"
    assert sorted(folder.iterdir()) == before
    assert list((folder / "tmp").iterdir()) == []
    assert Path("fit.npz").read_bytes() == b"old"


REPEATED = {
    "temperature": ("c.npz",),
    "vector": ("c.npz",),
    "disalign": ("c.npz",),
    "classifier:loss=seql": ("c.npz", *FREQ),
    "classifier:norm=cosine": ("c.npz",),
    "classifier:solver=sgd": ("c.npz",),
    "classifier:loss=bags": ("d.npz", *TRUTH, *FREQ),
    "vector:l2=0.1": ("d.npz", *TRUTH, "--negatives", 1),
    "isotonic": ("p.json", *TRUTH, *FREQ),
}
FIXED = {"temperature", "isotonic"}
"""Of which nothing is random, but the seed, which the file states."""


@pytest.mark.parametrize("method", REPEATED)
def test_the_same_seed_gives_the_same_bytes(method: str) -> None:
    detections()
    contents, arrays = [], []
    for seed in (5, 5, 6):
        fit, _ = fitted(*REPEATED[method], "--method", method, "--seed", seed)
        contents.append(Path("fit.npz").read_bytes())
        arrays.append({name: one.tobytes() for name, one in fit.step.to_arrays().items()})
    assert contents[0] == contents[1]
    assert contents[0] != contents[2]
    assert (arrays[0] == arrays[2]) == (method in FIXED)
