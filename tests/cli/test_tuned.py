"""`--method @tuned.json`: what it applies to, and the mark of runs that were tuned on what they report."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from tunings import tuning_of

import longtail_cli as package
from longtail_cli.cli import main
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.logits.digests import row_digests
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.reports.origin import InputDigest, Origin
from longtail_cli.reports.tuning.json import to_json

EXAMPLES = Path(__file__).parents[2] / "examples"
SCENES, DIGITS = EXAMPLES / "digit_scenes", EXAMPLES / "digits_lt"
VAL, PREDICTIONS = SCENES / "val.json", SCENES / "predictions.json"
PASSED, FAILED, BAD_INPUT, NOT_COMPARABLE = range(4)
SPEC = "norcal:gamma=0.5"
MARKED = f"{SPEC} [oracle]"
DETECTION = ("--annotations", VAL, "--max-dets", 20, "--tide", "off")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with frequency tables, and tunings on the examples."""
    monkeypatch.chdir(tmp_path)
    for variable in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(variable, raising=False)
    assert ltcal("compute-freq", SCENES / "train.json", "-o", "freq.csv").exit_code == PASSED
    assert ltcal("compute-freq", DIGITS / "train.txt", "--groups", "10,30", "-o", "digits.csv").exit_code == PASSED
    ids = tuple(json.loads((SCENES / "logits.meta.json").read_text())["category_ids"])
    with open_annotations(VAL) as file:
        images = file.image_names()
    results = Origin("results", "sigmoid", "none", ids, (InputDigest("predictions", "p.json", "00ff"),), images)
    write("tuned.json", results)
    write("half.json", results, images={id_: name for id_, name in images.items() if id_ % 2})
    write("elsewhere.json", results, images={id_: f"train/{name}" for id_, name in images.items()})
    write("logits.json", results, kind="logits", head="softmax", background="last")
    return tmp_path


def write(name: str, tuned_on: Origin, spec: str = SPEC, **changes: object) -> None:
    Path(name).write_text(to_json(tuning_of(spec, replace(tuned_on, **changes))), encoding="utf-8")


def ltcal(*arguments: object) -> Result:
    return CliRunner().invoke(main, list(map(str, arguments)))


def report(*arguments: object) -> Result:
    return ltcal("report", PREDICTIONS, *DETECTION, "--freq", "freq.csv", *arguments)


def document(result: Result) -> dict:
    assert result.exit_code == PASSED, result.output
    return json.loads(result.stdout)


def test_the_choice_of_a_tuning_is_applied(folder: Path) -> None:
    by_file = document(report("--method", "none", "--method", "@elsewhere.json", "--json", "-"))
    by_spec = document(report("--method", "none", "--method", SPEC, "--json", "-"))
    assert by_file == by_spec  # no image of that name was tuned on
    assert ltcal("rescore", PREDICTIONS, "--freq", "freq.csv", "--method", "@tuned.json", "-o", "a.json").exit_code == 0
    assert ltcal("rescore", PREDICTIONS, "--freq", "freq.csv", "--method", SPEC, "-o", "b.json").exit_code == PASSED
    assert Path("a.json").read_bytes() == Path("b.json").read_bytes()


def test_a_report_on_images_that_were_tuned_on_is_marked(folder: Path) -> None:
    found = document(report("--method", "none", "--method", "@half.json", "--json", "-"))
    assert [(run["name"], run["method"], run["oracle"]) for run in found["runs"]] == [
        ("none", "none", False),
        (MARKED, SPEC, True),
    ]
    assert found["signature"]["oracle"] == [MARKED]
    assert found["runs"][1]["notes"][-1] == (
        "oracle: half.json was tuned on 90 of these 180 images; on new images the metrics are likely to be worse"
    )


def test_every_output_of_the_command_shows_the_mark(folder: Path) -> None:
    names = ("--name", "before", "--name", "after")
    files = ("--json", "r.json", "--markdown", "r.md", "--csv", "r.csv", "--html", "r.html", "--junit", "r.xml")
    gates = ("--fail-under", "bbox/APr=0.0", "--allow-oracle", "--resamples", 20)
    result = report("--method", "none", "--method", "@tuned.json", *names, *files, *gates)
    assert result.exit_code == PASSED, result.output
    assert "after [oracle]" in result.stdout
    assert "after [oracle]: oracle: tuned.json was tuned on 180 of these 180 images" in result.stderr
    for name in ("r.json", "r.csv", "r.html"):
        assert "after [oracle]" in Path(name).read_text("utf-8"), name
    assert "after \\[oracle\\]" in Path("r.md").read_text("utf-8")
    cases = ElementTree.parse("r.xml").getroot().findall(".//testcase")
    assert [case.get("classname") for case in cases] == ["before", "after [oracle]"]


def test_gates_refuse_an_oracle_after_everything_is_written(folder: Path) -> None:
    gates = ("--fail-under", "bbox/APr=0.0", "--json", "out.json", "--junit", "out.xml")
    result = report("--method", "@tuned.json", *gates)
    assert result.exit_code == NOT_COMPARABLE
    assert f"gate: {MARKED}: expected a method that was tuned on other images" in result.stderr
    assert "pass --allow-oracle on purpose" in result.stderr
    assert json.loads(Path("out.json").read_text("utf-8"))["gates"][0]["outcome"] == "oracle"
    assert ElementTree.parse("out.xml").getroot().find(".//error") is not None
    assert report("--method", "@tuned.json", *gates, "--allow-oracle").exit_code == PASSED
    assert report("--method", "@tuned.json", *gates, "--no-gate").exit_code == PASSED
    assert report("--method", "none", "--method", "@tuned.json", *gates, "--gate-run", "none").exit_code == PASSED
    assert report("--method", "@elsewhere.json", *gates).exit_code == PASSED


def test_the_gate_table_may_allow_oracles(folder: Path) -> None:
    table = '[tool.ltcal.gate]\nallow-oracle = {}\nruns = ["after"]\n[tool.ltcal.gate.fail-under]\n"bbox/APr" = 0.0\n'
    tuned = ("--method", "@tuned.json", "--name", "after")
    Path("ltcal.toml").write_text(table.format("true"))
    assert report(*tuned).exit_code == PASSED
    assert report(*tuned, "--no-allow-oracle").exit_code == NOT_COMPARABLE
    Path("ltcal.toml").write_text(table.format("false"))
    assert report(*tuned).exit_code == NOT_COMPARABLE


def test_logits_of_a_detector(folder: Path) -> None:
    logits = (SCENES / "logits.npz", "--freq", "freq.csv", "--method", "@logits.json")
    found = document(ltcal("report", *logits, *DETECTION, "--json", "-"))
    assert found["signature"]["oracle"] == [MARKED]
    wrong = ltcal("report", *logits[:3], "--method", "@tuned.json", *DETECTION)
    assert wrong.exit_code == BAD_INPUT
    assert (
        "tuned.json: tuned for other classes or another head: input: expected one score per detection" in wrong.stderr
    )


def classify(*arguments: object) -> Result:
    return ltcal("report", *arguments, "--freq", "digits.csv")


def digits_tuned_on(rows: tuple[int, ...]) -> Origin:
    inputs = (InputDigest("predictions", "logits.npz", "00ff"),)
    return Origin("logits", "softmax", "none", tuple(range(10)), inputs, {}, rows)


def test_rows_of_a_classifier(folder: Path) -> None:
    digests = row_digests(open_logits(DIGITS / "logits.npz"))
    assert len(set(digests.tolist())) == len(digests) == 860
    write("rows.json", digits_tuned_on(tuple(digests[100:300].tolist())), "logit-adjust:tau=1.0")
    gate = ("--fail-under", "classification/top1=0.1")
    marked = classify(DIGITS / "logits.npz", "--method", "@rows.json", *gate)
    assert marked.exit_code == NOT_COMPARABLE
    assert "oracle: rows.json was tuned on 200 of these 860 rows" in marked.stderr
    assert "expected a method that was tuned on other rows" in marked.stderr
    with np.load(DIGITS / "logits.npz") as archive:
        np.savez("others.npz", logits=archive["logits"][300:], labels=archive["labels"][300:])
    assert classify("others.npz", "--head", "softmax", "--method", "@rows.json", *gate).exit_code == PASSED


def test_two_classifiers_of_which_one_was_tuned_on(folder: Path) -> None:
    with np.load(DIGITS / "logits.npz") as archive:
        np.savez("model.npz", logits=archive["logits"] + np.float32(0.5), labels=archive["labels"])
    rows = tuple(row_digests(open_logits(DIGITS / "logits.npz")).tolist())
    write("rows.json", digits_tuned_on(rows), "logit-adjust:tau=1.0")
    both = (DIGITS / "logits.npz", "model.npz", "--head", "softmax", "--method", "none", "--method", "@rows.json")
    found = document(classify(*both, "--json", "-"))
    assert [run["oracle"] for run in found["runs"]] == [False, True, False, False]


def test_a_tuning_is_an_input(folder: Path) -> None:
    before = Path("tuned.json").read_bytes()
    refused = [
        report("--method", "@tuned.json", "--json", "tuned.json"),
        ltcal("rescore", PREDICTIONS, "--freq", "freq.csv", "--method", "@tuned.json", "-o", "tuned.json"),
    ]
    assert [one.exit_code for one in refused] == [BAD_INPUT, BAD_INPUT]
    assert "found that of an input" in refused[1].stderr
    assert Path("tuned.json").read_bytes() == before


def test_a_tuning_in_a_chain_is_refused(folder: Path) -> None:
    result = report("--method", "@tuned.json+temperature:t=2")
    assert result.exit_code == BAD_INPUT
    assert "--method: spec: expected a file alone" in result.stderr


def test_a_search_that_was_interrupted_is_noted(folder: Path) -> None:
    text = Path("elsewhere.json").read_text("utf-8").replace('"partial": false', '"partial": true')
    Path("partial.json").write_text(text, encoding="utf-8")
    notes = document(report("--method", "@partial.json", "--json", "-"))["runs"][0]["notes"]
    assert notes[-1] == "chosen by partial.json, whose search was interrupted"


def test_the_python_api_marks_and_judges(folder: Path) -> None:
    found = package.evaluate(PREDICTIONS, VAL, methods="@tuned.json", frequencies="freq.csv", max_dets=20, tide="off")
    assert (found.runs[0].name, found.runs[0].oracle) == (MARKED, True)
    gates = {"fail_under": {"bbox/APr": 0.0}}
    assert not package.judge(found, gates).passed
    assert package.judge(found, gates, allow_oracle=True).passed


def test_a_report_without_tunings_does_not_read_the_names(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("longtail_cli.files.annotations.reader.AnnotationFile.image_names", None)
    assert report("--method", SPEC).exit_code == PASSED
