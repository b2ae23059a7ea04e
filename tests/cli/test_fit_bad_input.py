"""`ltcal fit` on input and options that it cannot use: what it says, and that it writes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fit_files import Arrays, annotations, classifier, detections, detector, frequencies

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.errors import MissingExtraError, UsageError

PASSED, BAD_INPUT = 0, 2
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


def refused(*arguments: object) -> str:
    """The message of a fit that fails and writes nothing."""
    before = sorted(Path().iterdir())
    result = ltcal("fit", *arguments, "-o", "fit.npz")
    assert result.exit_code == BAD_INPUT, result.output
    assert sorted(Path().iterdir()) == before
    assert result.stdout == ""
    return result.stderr


def changed(name: str, row: int, value: float) -> Callable[[Arrays], Arrays]:
    def change(own: Arrays) -> Arrays:
        array = own[name].copy()
        array[(row, 1) if array.ndim == 2 else row] = value
        return {name: array}

    return change


FEATURES = "tensors: expected `features` [N, D], the input of the last layer, found none\n"
LABELS = "x.npz: tensor `labels`, row 3: expected a class index from 0 to 4, in column order, found "
MODEL: dict[str, tuple[str, Callable[[Arrays], Arrays], str]] = {
    "label above": ("temperature", changed("labels", 3, 7), f"{LABELS}7\n"),
    "label below": ("temperature", changed("labels", 3, -2), f"{LABELS}-2\n"),
    "labels of other length": ("temperature", lambda own: {"labels": own["labels"][:50]},
                               "x.npz: tensor `labels`: expected shape [95], found [50]\n"),
    "no labels": ("temperature", lambda own: {"labels": None},
                  "x.npz: tensors: expected `labels`, found none\nFix: pass the true classes: --labels\n"),
    "no rows": ("temperature", lambda own: {name: own[name][:0] for name in ("logits", "labels", "features")},
                "x.npz: content: expected at least one row, found none\n"),
    "no features": ("classifier", lambda own: {"features": None, "weight": None}, f"x.npz: {FEATURES}"
                    "Fix: save the features with the logits (docs/logits.md)\n"),
    "no features for ncm": ("ncm", lambda own: {"features": None}, f"x.npz: {FEATURES}"),
    "no features for disalign": ("disalign", lambda own: {"features": None}, f"x.npz: {FEATURES}"),
    "no weight": ("classifier:start=given", lambda own: {"weight": None}, "head: expected the weights of the last "
                  "layer, for start=given, found none\nFix: save `weight` with the features (docs/logits.md)\n"),
    "no weight for tau-norm": ("tau-norm", lambda own: {"weight": None},
                               "head: expected the weights of the last layer, for tau-norm, found none\n"),
    "another weight": ("tau-norm", lambda own: {"weight": own["weight"][::-1]},
                       "x.npz: `logits` - `features` · `weight`: expected the same bias in each row, found up to "),
    "too few weights": ("tau-norm", lambda own: {"weight": own["weight"][:4]},
                        "x.npz: tensor `weight`: expected shape [5, D], found [4, 6]\n"),
    "eql without background": ("classifier:loss=eql", lambda own: {},
                               "rows: expected some of the background, the only negatives of rare classes, found none\n"
                               "Fix: fit on proposals with background, or choose loss=seql\n"),
    "NaN in logits": ("temperature", changed("logits", 2, np.nan), "x.npz: tensor `logits`, row 2, column 1 (category "
                      "20): expected a finite number, found nan\n"),
    "infinity in logits": ("classifier:l2=0.1", changed("logits", 2, np.inf), "tensor `logits`, row 2, column 1 "
                           "(category 20): expected a finite number, found inf\n"),
    "NaN in features": ("classifier:l2=0.1", changed("features", 2, np.nan),
                        "x.npz: tensor `features`, row 2, column 1: expected a finite number, found nan\n"),
    "infinity in features": ("ncm", changed("features", 2, -np.inf),
                             "x.npz: tensor `features`, row 2, column 1: expected a finite number, found -inf\n"),
    "NaN in the weight": ("tau-norm", changed("weight", 2, np.nan),
                          "x.npz: tensor `weight`, row 2, column 1: expected a finite number, found nan\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", MODEL)
def test_rows_of_a_classifier_that_cannot_be_fitted_on(name: str) -> None:
    method, change, message = MODEL[name]
    classifier("x.npz", **change(classifier("c.npz")))
    assert message in refused("x.npz", *FREQ, "--method", method)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.where(np.arange(95) == 5, 5, 0), "labels.npy: label 5: expected a class from 0 to 4, found 5\n"),
        (np.arange(50) % 5, "labels.npy: labels: expected 95, one for each row, found 50\n"),
        (
            np.where(np.arange(95) == 0, -2, 0),
            "labels.npy: row 0: expected a class index from 0 to 10000000, or -1, found -2\n",
        ),
        (np.arange(95) / 5, "labels.npy: "),
    ],
)
def test_labels_in_a_file_that_do_not_fit(labels: np.ndarray, message: str) -> None:
    np.save("labels.npy", labels)
    assert message in refused("c.npz", "--labels", "labels.npy", "--method", "temperature")


def test_tables_that_do_not_fit() -> None:
    frequencies("other.csv", ids=(10, 20, 30, 40, 60))
    assert (
        "c.npz: frequency table: expected the 5 classes of the logits, found 5 classes; 50 are not in it, 60 are "
        "not in the logits\n" in refused("c.npz", "--freq", "other.csv", "--method", "temperature")
    )
    assert "other.csv: frequency table: expected the 5 classes" in refused(
        "c.npz", "--method", "temperature", "--target", "other.csv"
    )
    assert "--freq: frequency table: expected one, for loss=balanced-softmax, found none\n" in refused(
        "c.npz", "--method", "classifier:loss=balanced-softmax"
    )
    assert "--freq: image rates: expected the number of images that were counted, for sampler=rfs, found none\n" in (
        refused("c.npz", "--method", "classifier:sampler=rfs")
    )
    detections()
    assert "--freq: frequency table: expected one, for the classes and groups of platt, found none\n" in refused(
        "p.json", *TRUTH, "--method", "platt"
    )
    assert "p.json: category_id 50 (first in entry" in refused(
        "p.json", *TRUTH, "--freq", "other.csv", "--method", "platt"
    )


@pytest.mark.parametrize(("source", "method"), [("c.npz", "ncm"), ("c.npz", "disalign"), ("p.json", "platt")])
def test_a_target_that_the_method_does_not_use(source: str, method: str) -> None:
    detections()
    options = ("--method", method, "--target", "as-is", *(TRUTH if source == "p.json" else ()))
    expected = "--target: expected balanced, the default, as the method has weights of its own, found as-is"
    assert refused(source, *FREQ, *options) == f"Error: method {method}: {expected}\nFix: leave it out\n"


@pytest.mark.parametrize("seed", [-1, 1 << 63])
def test_seeds_out_of_range(seed: int) -> None:
    assert "seed" in refused("c.npz", "--method", "classifier:solver=sgd", "--seed", seed)
    with pytest.raises(
        UsageError, match=f"fit: `seed=`: expected a whole number from 0 to 9223372036854775807, found {seed}"
    ):
        package.fit("c.npz", method="temperature", seed=seed)


WRONG_KIND = {
    "a correction of a result file": (("p.json", *TRUTH), "temperature", "method temperature: input: expected full "
                                      "logits, found a result file\nFix: fit platt, beta, isotonic or spline\n"),
    "a head of a result file": (("p.json", *TRUTH), "ncm", "method ncm: input: expected full logits, found"),
    "a map of logits": (("d.npz", *TRUTH), "platt", "method platt: input: expected a result file with one score per "
                        "detection, found logits\nFix: fit temperature, bcts or vector on them\n"),
    "a map of a classifier": (("c.npz",), "isotonic", "expected a result file with one score per detection, found"),
    "a result file alone": (("p.json",), "platt", "method platt: --annotations: expected the objects that detections "
                            "are matched with, found none\n"),
    "a detector without annotations": (("d.npz",), "temperature", "d.npz: tensors: expected logits or scores of "
                                       "classification, found `image_id` and `boxes`, of detection\n"),
    "a classifier with annotations": (("c.npz", *TRUTH), "temperature", "c.npz: tensors: expected `image_id` and "
                                      "`boxes` of detection logits, found neither\n"),
    "both": (("d.npz", *TRUTH, "--labels", "c.npz"), "temperature", "--annotations is for detectors and --labels for "
             "classifiers: give one of them\n"),
    "held-out logits of a detector": (("d.npz", *TRUTH, "--held-out", "c.npz"), "temperature", "fit: --held-out: "
                                      "expected none for detectors, of which a fifth of the images is held out, found"),
    "masks that the file lacks": (("p.json", *TRUTH, *FREQ, "--iou-type", "segm"), "platt",
                                  "p.json: --iou-type: expected bbox, found segm\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG_KIND)
def test_inputs_of_another_kind(name: str) -> None:
    arguments, method, message = WRONG_KIND[name]
    detections()
    assert message in refused(*arguments, "--method", method)


HELD_OUT: dict[str, tuple[dict[str, Any], str, str]] = {
    "head": ({"head": "sigmoid"}, "bcts", "h.npz: head: expected softmax, as in c.npz, found sigmoid\n"),
    "order": ({"ids": (20, 10, 30, 40, 50)}, "bcts", "h.npz: categories: expected the 5 of c.npz in that order, found "
              "the same in another order\nFix: hold out logits of the same model, in the same order of columns\n"),
    "categories": ({"ids": (10, 20, 30, 40, 45)}, "bcts", "h.npz: categories: expected the 5 of c.npz in that order, "
                   "found others, 5 of them\n"),
    "features": ({"features": np.zeros((95, 4), "f4"), "weight": None}, "classifier",
                 "h.npz: features: expected 6 columns, as in c.npz, found 4 columns\n"),
    "no features": ({"features": None, "weight": None}, "ncm", "h.npz: features: expected 6 columns, as in c.npz, "
                    "found none\n"),
    "labels": ({"labels": None}, "bcts", "h.npz: tensors: expected `labels`, found none\n"
               "Fix: save the labels with the held-out logits\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", HELD_OUT)
def test_held_out_logits_of_another_model(name: str) -> None:
    changes, method, message = HELD_OUT[name]
    classifier("h.npz", seed=1, **changes)
    assert message in refused("c.npz", "--held-out", "h.npz", "--method", method)


def test_held_out_rows_that_are_fitted_on() -> None:
    message = refused("c.npz", "--held-out", "c.npz", "--method", "bcts")
    assert message.endswith(
        "fit: --held-out: expected rows that are not fitted on, found 95 of 95 that are\n"
        "Fix: pass other images, or leave it out: a fifth of the rows is then held out\n"
    )
    own, other = classifier("c.npz"), classifier("h.npz", seed=1)
    classifier("h.npz", seed=1, logits=np.vstack([own["logits"][:2], other["logits"][2:]]))
    assert "found 2 of 95 that are\n" in refused("c.npz", "--held-out", "h.npz", "--method", "bcts")


def test_held_out_logits_need_features_for_heads_alone() -> None:
    classifier("h.npz", seed=1, features=None, weight=None)
    assert ltcal("fit", "c.npz", "--held-out", "h.npz", "--method", "bcts", "-o", "fit.npz").exit_code == PASSED


INPUTS: dict[str, tuple[tuple[object, ...], str, str]] = {
    "logits of a classifier": (("c.npz",), "temperature", "--negatives --foreground-iou --background-iou --protocol "
                               "--iou-type --score-space"),
    "logits of a detector": (("d.npz", *TRUTH), "ncm", "--protocol --iou-type --score-space"),
    "a result file": (("p.json", *TRUTH, *FREQ), "platt", "--negatives --foreground-iou --background-iou"),
}  # fmt: skip
STATED = {
    "--foreground-iou": 0.7,
    "--background-iou": 0.3,
    "--negatives": -4,
    "--protocol": "coco",
    "--iou-type": "segm",
    "--score-space": "logit",
}
OPTIONS = [(given, option) for given, (_, _, options) in INPUTS.items() for option in options.split()]


@pytest.mark.parametrize(("given", "option"), OPTIONS)
def test_options_that_do_not_apply_to_the_input(given: str, option: str) -> None:
    detections()
    arguments, method, _ = INPUTS[given]
    message = refused(*arguments, "--method", method, option, STATED[option])
    only = "logits of a detector" if option in INPUTS["a result file"][2] else "a result file"
    assert f"fit: {option}: expected the default for {given}, as it is for {only}, found " in message
    assert message.endswith("\nFix: leave it out\n")


def test_labels_of_a_detector_are_refused() -> None:
    with pytest.raises(UsageError, match="`labels=`: expected none for detectors, whose annotations have the classes"):
        package.fit("d.npz", "d.json", labels=[0], method="temperature")


RANGES = "expected 0.1 <= background_iou <= foreground_iou <= 1, found"
PROPOSALS = {
    "thresholds in the wrong order": (("--foreground-iou", 0.4), f"{RANGES} 0.5 and 0.4\n"),
    "a threshold above 1": (("--foreground-iou", 1.5), f"{RANGES} 0.5 and 1.5\n"),
    "negatives below 0": (("--negatives", -1), "labels of proposals: --negatives: expected a number from 0, or inf, "
                          "found -1.0\n"),
    "negatives that are NaN": (("--negatives", "nan"), "--negatives: expected a number from 0, or inf, found nan\n"),
    "negatives that are no number": (("--negatives", "many"), "expected a number such as 3, or all, found 'many'\n"),
    "no proposal with a class": (("--foreground-iou", 0.99), "d.npz: tensor `boxes`: expected at least one with an IoU "
                                 "of 0.99 or more with an object in d.json, found none\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", PROPOSALS)
def test_options_of_proposals_that_do_not_fit(name: str) -> None:
    options, message = PROPOSALS[name]
    assert message in refused("d.npz", *TRUTH, "--method", "temperature", *options)


def test_proposals_of_other_annotations() -> None:
    own = detector("d.npz")
    detector("x.npz", image_id=np.where(own["image_id"] == 3, 77, own["image_id"]))
    assert "x.npz: `image_id` of 16 of 480 entries, first in entry 32: expected an id in d.json, found 77\n" in refused(
        "x.npz", *TRUTH, "--method", "temperature"
    )
    document = annotations(tuple(range(1, 31)), [(1, 0, [0, 0, 5, 5])])
    document["categories"] = document["categories"][:4]
    Path("few.json").write_text(json.dumps(document))
    assert (
        "d.npz: `category_id` of 1 of 5 entries, first in entry 4: expected an id in few.json, found 50\n"
        in refused("d.npz", "--annotations", "few.json", "--method", "temperature")
    )
    detector("x.npz", boxes=own["boxes"] + 1000)
    message = refused("x.npz", *TRUTH, "--method", "temperature")
    assert "expected at least one with an IoU of 0.5 or more with an object in d.json, found none\n" in message
    assert "Fix: check that the boxes are x1, y1, x2, y2 in pixels of the whole image\n" in message


def test_equalization_needs_background_rows() -> None:
    message = refused("d.npz", *TRUTH, *FREQ, "--method", "classifier:loss=eql", "--negatives", 0)
    assert "rows: expected some of the background, the only negatives of rare classes, found none\n" in message


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"image_id": 99},
            "q.json: `image_id` of 1 of 480 entries, first in entry 4: expected an id in d.json, found 99\n",
        ),
        (
            {"category_id": 11},
            "`category_id` of 1 of 480 entries, first in entry 4: expected an id in d.json, found 11\n",
        ),
        ({"score": 1.5}, "q.json: entry 4 (image_id 1): expected a score in [0, 1], found 1.5\n"),
    ],
)
def test_detections_that_cannot_be_fitted_on(change: dict[str, Any], message: str) -> None:
    entries = detections()
    entries[4] |= change
    Path("q.json").write_text(json.dumps(entries))
    assert message in refused("q.json", *TRUTH, *FREQ, "--method", "platt")


def test_a_result_file_without_detections() -> None:
    Path("q.json").write_text("[]")
    message = refused("q.json", *TRUTH, *FREQ, "--method", "platt")
    assert "q.json: detections: expected at least one that the annotations judge, found none\n" in message


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("iif", "found 'iif'\nFix: `ltcal methods` with --fit lists them all\n"),
        ("temperatur", "Fix: did you mean temperature? `ltcal methods` with --fit lists them all\n"),
        ("temperature:t=2", "parameter: expected none (the method has no parameters), found 't'\n"),
        ("vector:l2=-1", "method vector: l2: expected a number from 0 to 10000, or auto, found -1.0\n"),
        ("platt:iou=0.52", "method platt: iou: expected 0.5, 0.55, ..., 0.95, found 0.52\n"),
        (
            "classifier:tau=2",
            "tau: expected the default, as loss=ce, solver=lbfgs, norm=none does not use it, found 2.0\n",
        ),
        ("bcts+temperature", "--method: spec: expected one method, which is fitted alone, found bcts+temperature\n"),
        ("@fit.npz", "found '@fit.npz'\n"),
    ],
)
def test_specs_that_cannot_be_fitted(method: str, message: str) -> None:
    assert message in refused("c.npz", *FREQ, "--method", method)


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("c.npz", "c.npz: output: expected a path that is not in use, found that of an input\n"),
        ("nowhere/fit.npz", "nowhere/fit.npz: file: expected a path that can be written to, found no such folder\n"),
    ],
)
def test_outputs_that_cannot_be_written(output: str, message: str) -> None:
    before = Path("c.npz").read_bytes()
    result = ltcal("fit", "c.npz", "--method", "temperature", "-o", output)
    assert result.exit_code == BAD_INPUT
    assert message in result.stderr
    assert Path("c.npz").read_bytes() == before


def test_an_old_output_survives_a_failure() -> None:
    Path("fit.npz").write_bytes(b"old")
    assert (
        ltcal("fit", "c.npz", "--method", "tau-norm:tau=1", "--freq", "nowhere.csv", "-o", "fit.npz").exit_code
        == BAD_INPUT
    )
    assert Path("fit.npz").read_bytes() == b"old"


SCIPY_MAPS = ("isotonic", "histogram", "spline")


@pytest.mark.parametrize(
    ("package_name", "arguments", "extra"),
    [
        ("torch", ("c.npz", "--method", "temperature"), "logits"),
        *(("scipy", ("p.json", *TRUTH, *FREQ, "--method", spec), "fit") for spec in SCIPY_MAPS),
        ("matplotlib", ("c.npz", "--method", "temperature", "--plots", "plots"), "plots"),
    ],
)
def test_a_package_that_is_missing_is_named(
    package_name: str, arguments: tuple[str, ...], extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(name: str) -> object:
        return None if name == package_name else find_spec(name)

    for module in ("errors", "workflow.options"):
        monkeypatch.setattr(f"longtail_cli.{module}.find_spec", without)
    detections()
    message = refused(*arguments)
    assert f"pip install 'ltcal[{extra}]'" in message
    if package_name == "scipy":
        with pytest.raises(
            MissingExtraError, match="scipy: package: expected scipy, for the maps of isotonic, found none"
        ):
            package.fit("p.json", "d.json", method="isotonic", frequencies="freq.csv")


def test_a_result_that_is_not_finite_is_refused() -> None:
    message = refused("c.npz", "--method", "classifier:solver=sgd,lr=1000,weight_decay=10,epochs=200,batch=8")
    assert "head: expected finite weights, found NaN or infinity\nFix: choose a smaller learning rate (lr)" in message
