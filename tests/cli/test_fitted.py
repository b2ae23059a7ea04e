"""`--method @fitted.npz`: what it does, what it applies to, and the mark of runs on what was fitted on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from fit_files import IDS, classifier, detections, detector, frequencies, ordered

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.methods.steps import Classify, ColumnAffine, ConfidenceAffine
from longtail_cli.workflow.saved_method import Fit

PASSED, BAD_INPUT, NOT_COMPARABLE = 0, 2, 3
REVERSED = (50, 20, 30, 10, 40)
FREQ = ("--freq", "freq.csv")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a frequency table."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    frequencies("freq.csv")
    return tmp_path


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def passed(*arguments: object) -> Result:
    result = ltcal(*arguments)
    assert result.exit_code == PASSED, result.output
    return result


def refused(*arguments: object) -> str:
    """The message of a call that fails and writes nothing."""
    before = sorted(Path().iterdir())
    result = ltcal(*arguments)
    assert result.exit_code == BAD_INPUT, result.output
    assert sorted(Path().iterdir()) == before
    return result.stderr


def fitted(method: str, source: str = "a.npz", *options: object) -> Fit:
    """What is fitted on a file is also in ``fit.npz``."""
    passed("fit", source, *FREQ, "--method", method, "-o", "fit.npz", *options)
    return package.read_fit("fit.npz")


def softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def by_hand(fit: Fit, logits: np.ndarray, features: np.ndarray) -> np.ndarray:
    """The scores of the classes, [N, C], all classes in order of id."""
    step, columns = fit.step.step, fit.step.columns
    z, f = logits.astype(np.float64), features.astype(np.float64)
    match step:
        case ColumnAffine():
            z = step.scale * z + step.shift
        case ConfidenceAffine():
            confidence = 1 / (1 + np.exp(-(f if step.of_features else z) @ step.weight - step.bias))[:, None]
            z = (1 + confidence * step.scale) * z + confidence * step.shift
        case Classify():
            f = f - step.center
            f = f / np.linalg.norm(f, axis=1, keepdims=True) if step.unit_length else f
            z, columns = f @ step.weight.T + step.bias, step.columns
    if columns.head == "bags":
        return of_slices(z, columns.bags, last=columns.background == "last")
    first = int(columns.background == "first")
    scores = softmax(z) if columns.head == "softmax" else 1 / (1 + np.exp(-z))
    return scores[:, first : first + len(IDS)]


def of_slices(z: np.ndarray, slices: Any, *, last: bool) -> np.ndarray:
    """The softmax of each class within its slice, times that of the foreground within its own."""
    scores, column = np.zeros((len(z), len(IDS))), 0 if last else 2
    for members in slices:
        inside = softmax(z[:, column : column + 1 + len(members)])
        scores[:, np.searchsorted(IDS, members)] = inside[:, 1:]
        column += 1 + len(members)
    return scores * (softmax(z[:, -2:])[:, :1] if last else softmax(z[:, :2])[:, 1:])


def scores_of(source: str) -> np.ndarray:
    """The scores that ``@fit.npz`` gives to the rows of a file, in its order of columns."""
    passed("rescore", source, "--method", "@fit.npz", "-o", "scores.npz")
    with np.load("scores.npz") as archive:
        return np.array(archive["scores"])


CORRECTIONS = (
    "temperature", "vector:l2=0.1", "bcts:l2=0.1", "class-temperature:l2=0.1", "lws:l2=0.1", "disalign:l2=0.1",
    "disalign:l2=0.1,confidence=logits", "disalign:l2=0.1,confidence=none",
)  # fmt: skip
HEADS = (
    "classifier:l2=0.1", "classifier:l2=0.1,loss=balanced-softmax", "classifier:l2=0.1,loss=iif,start=given",
    "classifier:l2=0.1,loss=logit-adjust", "classifier:norm=none,l2=0.1,loss=ldam", "classifier:loss=ldam",
    "classifier:l2=0.1,loss=class-balanced", "classifier:l2=0.1,loss=seql", "classifier:l2=0.1,loss=disalign",
    "classifier:norm=cosine", "classifier:solver=sgd", "crt:solver=lbfgs,l2=0.1", "ncm",
    "ncm:features=cl2n,metric=cosine", "tau-norm",
)  # fmt: skip
OF_CLASSIFIERS = [(method, "softmax") for method in (*CORRECTIONS, *HEADS, "classifier:l2=0.1,loss=bags")]
OF_CLASSIFIERS += [(method, "sigmoid") for method in ("temperature", "vector:l2=0.1", "disalign:l2=0.1", "tau-norm")]


@pytest.mark.parametrize(("method", "head"), OF_CLASSIFIERS)
def test_scores_of_a_classifier_are_those_by_hand(method: str, head: str) -> None:
    """The rows that it is applied to have their columns in another order."""
    classifier("a.npz", head=head)
    other = classifier("b.npz", head=head, ids=REVERSED, seed=1)
    fit = fitted(method)
    column = ordered("none", REVERSED)
    expected = by_hand(fit, other["logits"][:, np.argsort(column)], other["features"])[:, column]
    np.testing.assert_allclose(scores_of("b.npz"), expected, atol=2e-6)
    unadjusted = softmax(other["logits"]) if head == "softmax" else 1 / (1 + np.exp(-other["logits"]))
    assert np.abs(expected - unadjusted).max() > 0.01


OF_DETECTORS = [(method, "softmax", "last") for method in (*CORRECTIONS[:6], "ncm", "tau-norm")]
OF_DETECTORS += [(method, "softmax", "first") for method in ("vector:l2=0.1", "disalign:l2=0.1", "tau-norm")]
OF_DETECTORS += [("vector:l2=0.1", "sigmoid", "none"), ("tau-norm", "sigmoid", "none")]
OF_DETECTORS += [
    (f"classifier:l2=0.1,loss={loss}", head, background)
    for loss in ("balanced-softmax", "eql", "bags")
    for head, background in (("softmax", "last"), ("softmax", "first"), ("sigmoid", "none"))
]


@pytest.mark.parametrize(("method", "head", "background"), OF_DETECTORS)
def test_scores_of_a_detector_are_those_by_hand(method: str, head: str, background: str) -> None:
    """A classifier with the same columns shows the scores, which a detector's output keeps only in part."""
    detector("a.npz", head=head, background=background)
    other = classifier("b.npz", head=head, background=background, ids=REVERSED, seed=1)
    fit = fitted(method, "a.npz", "--annotations", "a.json")
    column = ordered(background, REVERSED)
    by_id = by_hand(fit, other["logits"][:, np.argsort(column)], other["features"])
    np.testing.assert_allclose(scores_of("b.npz"), by_id[:, np.searchsorted(IDS, REVERSED)], atol=2e-6)


def test_detections_of_a_detector_have_these_scores() -> None:
    own = detector("a.npz", ids=REVERSED)
    fit = fitted("classifier:l2=0.1,loss=balanced-softmax", "a.npz", "--annotations", "a.json")
    passed("rescore", "a.npz", "--method", "@fit.npz", "-o", "found.json", "--threshold", 0, "--nms", 1)
    found = json.loads(Path("found.json").read_text())
    column = np.argsort(ordered("last", REVERSED))
    scores = by_hand(fit, own["logits"][:, column], own["features"])
    expected = [(i, IDS[c], s) for i, row in zip(own["image_id"], scores, strict=True) for c, s in enumerate(row)]
    key = [(one["image_id"], one["category_id"], one["score"]) for one in found]
    assert len(key) == len(expected)
    np.testing.assert_allclose(sorted(key), sorted(expected), atol=2e-6)


MAPS = ("platt", "beta", "isotonic:least=2", "histogram:by=all,bins=4", "spline:by=group", "platt:sizes=2,fallback=all",
        "isotonic:by=all,fallback=keep,sizes=3")  # fmt: skip


@pytest.mark.parametrize("method", MAPS)
def test_detections_of_a_result_file_are_mapped(method: str) -> None:
    entries = detections()
    fit = fitted(method, "p.json", "--annotations", "d.json")
    assert fit.record.fitted_on.kind == "results"
    passed("rescore", "p.json", "--method", "@fit.npz", "-o", "mapped.json")
    mapped = json.loads(Path("mapped.json").read_text())
    assert [one | {"score": 0} for one in mapped] == [one | {"score": 0} for one in entries]
    before, after = (np.array([one["score"] for one in found]) for found in (entries, mapped))
    assert ((after >= 0) & (after <= 1)).all()
    assert np.abs(before - after).max() > 0.05
    right = package.rescore(entries, None, fit)  # the fit itself, in memory
    assert [one["score"] for one in right] == after.tolist()


def test_a_platt_map_is_its_formula() -> None:
    entries = detections()
    step = fitted("platt:by=all", "p.json", "--annotations", "d.json").step.step
    passed("rescore", "p.json", "--method", "@fit.npz", "-o", "mapped.json")
    score = np.array([one["score"] for one in entries])
    expected = 1 / (1 + np.exp(-step.rise[0, 0] * np.log(score / (1 - score)) - step.shift[0, 0]))
    assert (step.rise == step.fall).all()
    mapped = [one["score"] for one in json.loads(Path("mapped.json").read_text())]
    np.testing.assert_allclose(mapped, expected, atol=1e-12)


# The guard against reports on what was fitted on


def report(*arguments: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(passed("report", *arguments, *FREQ, "--json", "-").stdout)
    return document


def test_a_report_on_rows_that_were_fitted_on_is_marked() -> None:
    own = classifier("a.npz")
    fitted("bcts:l2=0.1")
    found = report("a.npz", "--method", "none", "--method", "@fit.npz")
    assert [(run["name"], run["oracle"]) for run in found["runs"]] == [("none", False), ("@fit.npz [oracle]", True)]
    assert found["runs"][1]["notes"][-2].startswith("fit.npz is bcts:l2=0.1 (l2 0.1, temperature ")
    assert found["runs"][1]["notes"][-1] == (
        "oracle: fit.npz was fitted on 95 of these 95 rows; on new rows the metrics are likely to be worse"
    )
    other = classifier("b.npz", seed=1)
    assert not report("b.npz", "--method", "@fit.npz")["runs"][0]["oracle"]
    both = {name: np.concatenate([own[name][:20], other[name]]) for name in ("logits", "labels")}
    np.savez("c.npz", **both)
    Path("c.meta.json").write_text(Path("a.meta.json").read_text())
    assert "fitted on 20 of these 115 rows" in report("c.npz", "--method", "@fit.npz")["runs"][0]["notes"][-1]


def test_gates_refuse_it() -> None:
    classifier("a.npz")
    classifier("b.npz", seed=1)
    fitted("ncm")
    gate = (*FREQ, "--method", "@fit.npz", "--fail-under", "classification/top1=0.1")
    result = ltcal("report", "a.npz", *gate, "--json", "out.json")
    assert result.exit_code == NOT_COMPARABLE
    assert "pass --allow-oracle on purpose" in result.stderr
    assert json.loads(Path("out.json").read_text())["gates"][0]["outcome"] == "oracle"
    passed("report", "a.npz", *gate, "--allow-oracle")
    passed("report", "b.npz", *gate)


def test_rows_that_settings_were_chosen_on_are_fitted_on() -> None:
    classifier("a.npz")
    classifier("h.npz", seed=1)
    fit = fitted("bcts", "a.npz", "--held-out", "h.npz")
    assert (fit.record.rows.used, fit.record.rows.held_out) == (190, 95)
    assert [one.role for one in fit.record.fitted_on.inputs] == ["predictions", "frequencies", "held-out"]
    assert report("h.npz", "--method", "@fit.npz")["runs"][0]["oracle"]
    nothing_chosen = fitted("temperature", "a.npz", "--held-out", "h.npz")
    assert (nothing_chosen.record.rows.used, nothing_chosen.record.rows.held_out) == (95, 0)
    assert not report("h.npz", "--method", "@fit.npz")["runs"][0]["oracle"]


@pytest.mark.parametrize("kind", ["logits", "results"])
def test_images_that_were_fitted_on(kind: str) -> None:
    if kind == "logits":
        detector("a.npz", images=tuple(range(1, 21)))
        source, truth, method = "a.npz", "a.json", "vector:l2=0.1"
    else:
        detections("a.json")
        source, truth, method = "a.json", "d.json", "platt"
    Path("freq.csv").write_text(
        Path("freq.csv").read_text().replace("many", "f").replace("medium", "c").replace("few", "r")
    )
    fit = fitted(method, source, "--annotations", truth)
    options = ("--annotations", truth, "--tide", "off", "--method", "@fit.npz")
    (run,) = report(source, *options)["runs"]
    assert run["oracle"]
    number = len(fit.record.fitted_on.images)
    assert f"was fitted on {number} of these {number} images" in run["notes"][-1]
    renamed = json.loads(Path(truth).read_text())
    for image in renamed["images"][3:]:
        image["file_name"] = f"other/{image['file_name']}"
    Path("renamed.json").write_text(json.dumps(renamed))
    options = ("--annotations", "renamed.json", *options[2:])
    assert f"was fitted on 3 of these {number} images" in report(source, *options)["runs"][0]["notes"][-1]


SPACES = ("--method", "@fit.npz", "--method", "logit-adjust:tau=0.5|1", "--no-bootstrap", "-o", "tuned.json")


def test_tune_refuses_what_was_fitted_on_its_rows() -> None:
    classifier("a.npz")
    fitted("vector:l2=0.1")
    message = refused("tune", "a.npz", *FREQ, *SPACES)
    assert "Error: --method: fit.npz: expected fitted on other rows, found fitted on 95 of these\n" in message


def test_tune_may_choose_a_fit_and_both_are_remembered() -> None:
    for seed, source in enumerate(("a.npz", "b.npz", "c.npz")):
        classifier(source, seed=seed)
    fitted("vector:l2=0.1")
    passed("tune", "b.npz", *FREQ, "--method", "@fit.npz", "--method", "temperature:t=20|30", *SPACES[4:])
    tuning = package.read_tuning("tuned.json")
    assert tuning.chosen.spec == "@fit.npz"
    for source, known_to in (("a.npz", "fit.npz was fitted"), ("b.npz", "tuned.json was tuned")):
        (run,) = report(source, "--method", "@tuned.json")["runs"]
        assert run["oracle"]
        assert f"oracle: {known_to} on 95 of these 95 rows" in " ".join(run["notes"])
    by_tuning, by_fit = (report("c.npz", "--method", one)["runs"][0] for one in ("@tuned.json", "@fit.npz"))
    assert not by_tuning["oracle"]
    assert by_tuning["classification"] == by_fit["classification"]
    in_memory = package.evaluate_classification("c.npz", methods=[tuning], frequencies="freq.csv")
    assert in_memory.runs[0].classification.nll == by_fit["classification"]["nll"]
    Path("fit.npz").unlink()
    assert "fit.npz: file: expected a file that can be read" in refused(
        "report", "c.npz", *FREQ, "--method", "@tuned.json"
    )


# What it does not apply to


def other_classes(path: str) -> None:
    classifier(path)
    meta = json.loads(Path(path).with_suffix(".meta.json").read_text())
    Path(path).with_suffix(".meta.json").write_text(json.dumps(meta | {"category_ids": [10, 20, 30, 40, 60]}))


OTHERS: dict[str, tuple[Callable[[str], object], str]] = {
    "classes": (other_classes, "fit.npz: fitted for other classes or another head: categories: expected the 5 "
                "fitted on, found 5: 50 missing, 60 unknown\n"
                "Fix: apply it to the model that it was fitted on (a.npz), or fit again on this one\n"),
    "head": (lambda path: classifier(path, head="sigmoid"), "head: expected softmax, background none, as fitted on, "
             "found sigmoid, background none\n"),
    "background": (lambda path: classifier(path, background="last"), "found softmax, background last\n"),
    "no features": (lambda path: classifier(path, features=None, weight=None), "method @fit.npz: tensors: expected "
                    "`features` [N, 6], as it was fitted on, found none\n"
                    "Fix: save the features of the same layer with the logits\n"),
    "other features": (lambda path: classifier(path, features=np.zeros((95, 4), "f4"), weight=None),
                       "expected `features` [N, 6], as it was fitted on, found 4 columns\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_another_model_is_refused(name: str) -> None:
    write, message = OTHERS[name]
    classifier("a.npz")
    fitted("classifier:l2=0.1")
    write("b.npz")
    assert message in refused("rescore", "b.npz", "--method", "@fit.npz", "-o", "scores.npz")


def test_another_kind_of_input_is_refused() -> None:
    classifier("a.npz")
    fitted("temperature")
    detections()
    message = refused("rescore", "p.json", "--method", "@fit.npz", "-o", "out.json")
    assert "input: expected full logits, as fitted on, found one score per detection (a result file)\n" in message
    fitted("platt", "p.json", "--annotations", "d.json")
    message = refused("rescore", "a.npz", "--method", "@fit.npz", "-o", "scores.npz")
    assert "input: expected one score per detection (a result file), as fitted on, found full logits\n" in message


def test_a_result_file_may_lack_classes_and_have_none_that_are_unknown() -> None:
    entries = detections()
    fitted("platt:by=all", "p.json", "--annotations", "d.json")
    Path("q.json").write_text(json.dumps([one for one in entries if one["category_id"] == 30]))
    passed("rescore", "q.json", "--method", "@fit.npz", "-o", "out.json")
    Path("q.json").write_text(json.dumps([{**entries[0], "category_id": 31}]))
    assert "found 1: 10, 20, 30, 40, 50 missing, 31 unknown" in refused(
        "rescore", "q.json", "--method", "@fit.npz", "-o", "other.json"
    )


@pytest.mark.parametrize("chain", ["@fit.npz+temperature:t=2", "temperature:t=2 + @fit.npz"])
def test_a_fit_in_a_chain_is_refused(chain: str) -> None:
    classifier("a.npz")
    fitted("temperature")
    message = refused("rescore", "a.npz", "--method", chain, "-o", "scores.npz")
    assert f"--method: spec: expected a file alone, such as @tuned.json, found {chain}\n" in message


def test_a_fit_is_an_input() -> None:
    classifier("a.npz")
    fitted("temperature")
    assert "found that of an input" in refused("rescore", "a.npz", "--method", "@fit.npz", "-o", "fit.npz")


def test_the_name_of_the_file_does_not_matter() -> None:
    classifier("a.npz")
    fitted("temperature")
    Path("fit.npz").rename("fit.json")
    passed("rescore", "a.npz", "--method", "@fit.json", "-o", "scores.npz")
