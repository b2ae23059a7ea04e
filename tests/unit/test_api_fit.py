"""`fit`, `read_fit` and fits as methods in the Python API."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fit_files import IDS, Arrays, classifier, detections, detector, frequencies

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.errors import InputError, LtcalWarning, UsageError
from longtail_cli.workflow.saved_method import Fit

FREQ, TRUTH = ("--freq", "freq.csv"), ("--annotations", "d.json")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a frequency table, labelled rows of a classifier, and proposals of a detector."""
    monkeypatch.chdir(tmp_path)
    frequencies("freq.csv")
    classifier("c.npz")
    detector("d.npz")
    return tmp_path


def fitted(*arguments: str) -> Fit:
    """What the command writes to ``fit.npz``."""
    result = CliRunner().invoke(main, ["fit", *arguments, "-o", "fit.npz"])
    assert result.exit_code == 0, result.output
    return package.read_fit("fit.npz")


def loaded(path: str) -> Arrays:
    with np.load(path) as archive:
        return dict(archive)


@pytest.mark.parametrize("method", ["bcts", "classifier:loss=bags", "tau-norm", "crt"])
def test_the_function_gives_the_fit_of_the_command(method: str) -> None:
    expected = fitted("c.npz", *FREQ, "--method", method)
    by_path = package.fit("c.npz", method=method, frequencies="freq.csv")
    assert by_path.record == expected.record
    by_path.save("saved.npz")
    assert Path("saved.npz").read_bytes() == Path("fit.npz").read_bytes()


def test_arrays_in_memory_give_the_fit_of_files() -> None:
    expected = fitted("c.npz", *FREQ, "--method", "bcts")
    own = classifier("c.npz")
    found = package.fit(
        own["logits"],
        labels=own["labels"],
        method="bcts",
        frequencies=package.read_frequencies("freq.csv"),
        category_ids=IDS,
    )
    assert found.record.settings == expected.record.settings
    assert found.record.fitted_on.rows == expected.record.fitted_on.rows
    assert found.step.to_arrays()["scale"].tobytes() == expected.step.to_arrays()["scale"].tobytes()


@pytest.mark.parametrize("method", ["vector", "classifier:loss=balanced-softmax,start=given"])
def test_proposals_in_memory_give_the_fit_of_files(method: str) -> None:
    expected = fitted("d.npz", *TRUTH, *FREQ, "--method", method)
    stated: dict[str, Any] = {"head": "softmax", "background": "last", "category_ids": IDS}
    own, truth = loaded("d.npz"), json.loads(Path("d.json").read_text())
    found = package.fit(own, truth, method=method, frequencies="freq.csv", **stated)
    assert found.record.settings == expected.record.settings
    assert found.record.rows == expected.record.rows
    assert found.record.fitted_on.images == expected.record.fitted_on.images
    by_file, in_memory = expected.step.to_arrays(), found.step.to_arrays()
    assert {name: one.tobytes() for name, one in in_memory.items()} == {n: one.tobytes() for n, one in by_file.items()}


def test_detections_in_memory_give_the_fit_of_files() -> None:
    entries = detections()
    expected = fitted("p.json", *TRUTH, *FREQ, "--method", "beta:sizes=2")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LtcalWarning)
        found = package.fit(
            entries, json.loads(Path("d.json").read_text()), method="beta:sizes=2", frequencies="freq.csv"
        )
    np.testing.assert_array_equal(found.step.step.rise, expected.step.step.rise)


def test_a_fit_is_a_method() -> None:
    fit = package.fit("c.npz", method="vector:l2=0.1")
    fit.save("fit.npz")
    for methods in (fit, [fit], ["@fit.npz"], package.read_fit("fit.npz")):
        report = package.evaluate_classification("c.npz", methods=methods)
        assert report.runs[0].oracle
    other = classifier("b.npz", seed=1)
    unseen = package.evaluate_classification("b.npz", methods=["none", fit])
    assert [run.oracle for run in unseen.runs] == [False, False]
    assert unseen.runs[1].name == "@fit 1"
    scale, shift = fit.step.step.scale, fit.step.step.shift
    adjusted = package.adjust(other["logits"], None, fit, category_ids=IDS)
    np.testing.assert_allclose(adjusted, other["logits"] * scale + shift, rtol=1e-5)


def test_fits_are_compared_under_their_numbers() -> None:
    fits = [package.fit("c.npz", method=method) for method in ("temperature", "vector:l2=0.1")]
    classifier("b.npz", seed=1)
    report = package.evaluate_classification("b.npz", methods=["none", *fits])
    assert [run.name for run in report.runs] == ["none", "@fit 1", "@fit 2"]
    assert [note for run in report.runs for note in run.notes if note.startswith("fit ")] == [
        f"fit 1 is temperature (temperature {fits[0].record.settings['temperature']:.4g})",
        "fit 2 is vector:l2=0.1 (l2 0.1)",
    ]
    assert fits[0] != fits[1]
    assert fits[0] == fits[0]


def test_held_out_rows_may_be_in_memory() -> None:
    own = classifier("c.npz")
    classifier("h.npz", seed=1)
    held_out = {name: one for name, one in loaded("h.npz").items() if name != "weight"}
    expected = package.fit("c.npz", method="classifier", held_out="h.npz")
    in_memory = {name: one for name, one in own.items() if name != "weight"}
    for predictions, ids in (("c.npz", None), (in_memory, IDS)):
        found = package.fit(predictions, method="classifier", held_out=held_out, category_ids=ids)
        assert found.record.tried == expected.record.tried
        assert found.record.fitted_on.inputs[-1].name == "held-out logits"


@pytest.mark.parametrize("function", [package.fit, package.tune])
def test_a_target_is_a_word_or_a_path(function: Callable[..., object]) -> None:
    named = {"method": "temperature"} if function is package.fit else {"frequencies": "freq.csv"}
    with pytest.raises(UsageError, match=r"`target=`: expected balanced, as-is, or the path .* found FrequencyTable"):
        function("c.npz", target=package.read_frequencies("freq.csv"), **named)
    with pytest.raises(InputError, match=r"missing\.csv"):
        function("c.npz", target=Path("missing.csv"), **named)


def test_a_fit_of_a_detector_is_a_method() -> None:
    detector("e.npz", seed=1, images=tuple(range(101, 121)))
    text = Path("freq.csv").read_text().replace("many", "f").replace("medium", "c").replace("few", "r")
    Path("freq.csv").write_text(text)
    fit = package.fit("d.npz", "d.json", method="classifier:loss=balanced-softmax", frequencies="freq.csv")
    none, by_fit = package.evaluate("e.npz", "e.json", methods=["none", fit], frequencies="freq.csv", tide="off").runs
    assert not by_fit.oracle
    assert by_fit.metrics["bbox"]["AP"] != none.metrics["bbox"]["AP"]
    assert package.evaluate("d.npz", "d.json", methods=[fit], frequencies="freq.csv", tide="off").runs[0].oracle


def test_notes_are_warnings() -> None:
    classifier("x.npz", rows=(30, 25, 20, 0, 8))
    with pytest.warns(LtcalWarning, match="1 of 5 classes have no rows to learn from; without a mean"):
        package.fit("x.npz", method="ncm")


def test_the_function_raises() -> None:
    with pytest.raises(UsageError, match="`frequencies=`: frequency table: expected one, for loss=iif, found none"):
        package.fit("c.npz", method="classifier:loss=iif")
    with pytest.raises(InputError, match="`features`"):
        package.fit(classifier("c.npz")["logits"], labels=classifier("c.npz")["labels"], method="ncm")
    with pytest.raises(InputError, match=r"c.npz: arrays: expected `document` among them, found `logits`"):
        package.read_fit("c.npz")


def test_a_fit_is_shown_on_one_line() -> None:
    assert repr(package.fit("c.npz", method="temperature")) == "<Fit: temperature, 95 rows>"
