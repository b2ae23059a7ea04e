"""The parts of `ltcal inspect`: what values mean, which methods fit, how files are recognised, and how it is shown."""

from __future__ import annotations

import json
import pickle
import shlex
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

import longtail_cli as ltcal
from longtail_cli.cli.flags import shell_words
from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.logits.reader import open_logits
from longtail_cli.files.outline import Container
from longtail_cli.methods.registry import METHODS
from longtail_cli.reports.inspection.json import from_json, to_json
from longtail_cli.reports.inspection.model import Command, Fact, Inspection, Section, Step
from longtail_cli.reports.inspection.text import WIDTH, to_text
from longtail_cli.workflow import row_summary as summaries
from longtail_cli.workflow.inspect_words import counted, ids_fact, listed, rounded, share, size_text
from longtail_cli.workflow.inspected import CONTAINERS
from longtail_cli.workflow.methods_that_fit import logits_methods, score_only_methods
from longtail_cli.workflow.progress import no_progress
from longtail_cli.workflow.row_summary import row_summary

SCENES = Path(__file__).parents[2] / "examples" / "digit_scenes"

Z = np.random.default_rng(3).normal(0, 3, (200, 5)).astype(np.float32)
P = np.exp(Z) / np.exp(Z).sum(axis=1, keepdims=True)
COUNTS = [900, 200, 60, 20, 5]
REQUIRED = {"temperature": "t=2", "foreground": "offset=1", "ldam": "c=-3"}
"""Parameters without a default, of methods that need no file."""


@pytest.mark.parametrize(
    ("values", "meaning"),
    [
        (Z, "logits"),
        (P, "probabilities"),
        (P.astype(np.float16), "probabilities"),
        (1 / (1 + np.exp(-Z)), "independent probabilities"),
        (np.log(P), "log-probabilities"),
        (np.abs(Z) + 1, "logits"),
        (np.zeros((3, 1)), "independent probabilities"),
    ],
)
def test_what_values_look_like(values: np.ndarray[Any, Any], meaning: str) -> None:
    summary = row_summary(open_logits({"logits": torch.from_numpy(values)}), no_progress)
    assert summary is not None
    assert summary.meaning == meaning


def test_a_summary_does_not_depend_on_the_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_logits({"logits": Z, "labels": Z.argmax(axis=1)})
    whole = row_summary(file, no_progress)
    monkeypatch.setattr(summaries, "VALUES_PER_BATCH", 35)
    parts = row_summary(file, no_progress)
    assert whole is not None
    assert parts is not None
    np.testing.assert_array_equal(parts.sample, whole.sample)
    np.testing.assert_array_equal(parts.highest, Z.argmax(axis=1))
    assert (parts.value.least, parts.value.greatest) == (Z.min(), Z.max())
    np.testing.assert_allclose(whole.sum.greatest, Z.astype(float).sum(axis=1).max(), rtol=1e-6)
    np.testing.assert_allclose(whole.log_sum_exp.least, np.log(np.exp(Z).sum(axis=1)).min(), rtol=1e-5)
    assert parts.log_sum_exp == whole.log_sum_exp


def test_no_rows() -> None:
    assert row_summary(open_logits({"logits": np.zeros((0, 3), np.float32)}), no_progress) is None


def spec_of(name: str) -> str:
    return f"{name}:{REQUIRED[name]}" if name in REQUIRED else name


def applies(name: str, apply: Any) -> bool:
    try:
        apply(spec_of(name))
    except (UsageError, InputError):
        return False
    return True


@pytest.mark.parametrize("name", [name for name in METHODS if name not in ("lws", "disalign", "vector")])
def test_methods_fit_if_they_can_be_applied(name: str) -> None:
    """Those without parameters from a file are applied to detections, to logits, and to probabilities."""
    detections = {"image_id": [1, 2, 3], "category_id": [0, 1, 4], "score": [0.5, 0.4, 0.3], "bbox": [[0, 0, 1, 1]] * 3}
    table = ltcal.count(counts=dict(enumerate(COUNTS)))
    assert (name in score_only_methods()) == applies(name, lambda spec: ltcal.rescore(detections, table, spec))
    if name == "fracal":  # needs dimensions besides counts
        return
    counts = ltcal.count(counts=COUNTS)
    logits, scores = {"logits": Z, "labels": Z.argmax(axis=1)}, {"scores": P, "labels": Z.argmax(axis=1)}
    columns = open_logits(logits).columns

    def evaluate(data: Any) -> Any:
        return lambda spec: ltcal.evaluate_classification(data, frequencies=counts, methods=[spec])

    assert (name in logits_methods(columns, None, None)) == applies(name, evaluate(logits))
    if name not in ("prior2posterior", "logn"):  # they read rows, and are not promised to be exact
        assert (name in logits_methods(columns, None, None, exact=True)) == applies(name, evaluate(scores))


@pytest.mark.parametrize("name", ["lws", "disalign", "vector"])
def test_methods_with_files_fit(name: str) -> None:
    assert name in score_only_methods()
    assert name in logits_methods(open_logits({"logits": Z}).columns, None, None)


def test_features_allow_more() -> None:
    columns = open_logits({"logits": Z}).columns
    assert "tau-norm" in logits_methods(columns, 8, np.ones((5, 8), np.float32))
    assert "tau-norm" not in logits_methods(columns, None, None)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.00012345, "0.0001234"), (999.96, "1000"), (1234.5, "1,234"), (-2e6, "-2,000,000"), (1e16, "1e+16")],
)
def test_rounded(value: float, text: str) -> None:
    assert rounded(value) == text


def test_words() -> None:
    assert (counted(1, "image"), counted(1200, "image"), counted(2, "class", "classes")) == (
        "1 image",
        "1,200 images",
        "2 classes",
    )
    assert (size_text(999), size_text(1_080_000), size_text(5 * 10**15)) == ("999 bytes", "1.08 MB", "5e+03 TB")
    assert (share(1, 3), share(0, 0)) == ("1 of 3 (33.3%)", "0 of 0")
    assert listed(list("abcdefg")) == "a, b, c, d, e and 2 more"


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        ([], "none"),
        ([7], "1 id, 7"),
        ([0, 1, 2], "3 ids, 0 to 2, contiguous"),
        ([1, 1000], "2 ids, 1 to 1,000, with gaps"),
    ],
)
def test_ids(ids: list[int], text: str) -> None:
    assert ids_fact("classes", np.array(ids, np.int64)).text == text


METHODS_OF_LONG = tuple(("methods", f"norcal:gamma=0.{n}") for n in range(9))
LONG = Command("report", ("a b.json",), (("annotations", "it's val.json"), *METHODS_OF_LONG))
INSPECTION = Inspection(
    "1", "a b.json", "results", "COCO results",
    (Section("File", (Fact("size", "word " * 40, {"bytes": 3, "share": 0.5}),)),),
    ("One note that is long enough to be continued on a second line, as it has more words than fit on one line.",),
    (Step("Evaluate", LONG, "VAL.json: theirs"),),
)  # fmt: skip


def test_lines_fit_and_commands_can_be_pasted() -> None:
    text = to_text(INSPECTION, shell_words)
    assert max(map(len, text.splitlines())) <= WIDTH
    _, _, command = text.partition("theirs)\n")
    pasted = shlex.split(command.replace("\\\n", " "))
    assert pasted[:5] == ["ltcal", "report", "a b.json", "--annotations", "it's val.json"]
    assert pasted.count("--method") == 9


def test_the_text_in_python_names_parameters() -> None:
    assert "ltcal report a b.json `annotations=it's val.json` `methods=norcal:gamma=0.0`" in INSPECTION.to_text()


def test_json_reads_back() -> None:
    assert from_json(to_json([INSPECTION]), "x") == (INSPECTION,)
    with pytest.raises(InputError, match="ltcal-inspection/1"):
        from_json('{"format": "ltcal-report/1"}', "x")


def test_every_container_has_words() -> None:
    assert set(CONTAINERS) == set(get_args(Container))


def test_a_fact_by_its_name() -> None:
    assert INSPECTION.fact("size").values == {"bytes": 3, "share": 0.5}
    with pytest.raises(KeyError):
        INSPECTION.fact("other")


def saved(path: Path, content: Any) -> Path:
    """The file, written as its suffix says."""
    writers = {
        ".json": lambda: path.write_text(json.dumps(content)), ".npy": lambda: np.save(path, content),
        ".npz": lambda: np.savez(path, **content), ".pt": lambda: torch.save(content, path),
        ".pkl": lambda: path.write_bytes(pickle.dumps(content)), ".txt": lambda: path.write_text(content),
        ".csv": lambda: path.write_text(content),
    }  # fmt: skip
    writers[path.suffix]()
    return path


LABELLED = [{"id": n, "image_id": n, "category_id": n % 2} for n in range(4)]
INATURALIST = {
    "info": {"year": 2018}, "images": [{"id": n, "file_name": f"{n}.jpg"} for n in range(4)], "annotations": LABELLED,
    "categories": [{"id": n, "name": f"class {n}"} for n in range(2)],
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "content", "kind", "headline"),
    [
        ("cls_num_list.npy", np.array(COUNTS), "counts", "counts per class, 1,185 images of 5 classes"),
        ("counts.json", COUNTS, "counts", "counts per class, 1,185 images of 5 classes"),
        ("counts.json", {"cat": 5, "dog": 3}, "counts", "counts per class, 8 images of 2 classes"),
        ("labels.npy", np.array([0, 1, 2, 1]), "labels", "class labels, 4 labels of 3 classes"),
        ("labels.json", [0, 1, 2, 1], "labels", "class labels, 4 labels of 3 classes"),
        ("labels.pt", torch.tensor([0, 1, -1]), "labels", "class labels, 2 labels of 2 classes"),
        ("list.txt", "a/x.jpg cat\na/y z.jpg dog\n", "labels", "class labels, 2 labels of 2 classes"),
        ("inat.json", INATURALIST, "annotations", "annotations without boxes, 4 labels of 2 classes"),
        ("logits.npy", Z, "logits", "logits of a classifier, 200 rows of 5 classes"),
        ("logits.pt", torch.from_numpy(Z), "logits", "logits of a classifier, 200 rows of 5 classes"),
        ("probs.npz", {"probs": P}, "scores", "scores of a classifier, 200 rows of 5 classes"),
        ("freq.csv", "category_id,image_count,instance_count\n0,3,3\n", "frequencies", "frequency table of 1 class"),
        ("x.pkl", {"a": [1, {"b": 2}]}, "unknown", "a pickle that no command reads"),
        ("x.json", {"a": {"b": 2}}, "unknown", "a JSON object that no command reads"),
        ("model.pt", {"state": {"a": torch.ones(2)}}, "unknown", "a file of torch.save that no command reads"),
    ],
)
def test_files_are_recognised(name: str, content: Any, kind: str, headline: str, tmp_path: Path) -> None:
    found = ltcal.inspect(saved(tmp_path / name, content))
    assert (found.kind, found.headline) == (kind, headline)
    assert (found.problem is not None) == (kind == "unknown")


def test_prose_is_hardly_an_image_list(tmp_path: Path) -> None:
    found = ltcal.inspect(saved(tmp_path / "x.txt", "Dear reader,\nthis is text\n"))
    assert found.headline == "class labels, 2 labels of 2 classes"
    assert "The last word of each line is taken for a class" in " ".join(found.notes)


def test_a_folder_of_images(tmp_path: Path) -> None:
    for name in ("cat/1.jpg", "cat/2.jpg", "dog/3.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = ltcal.inspect(tmp_path)
    assert (found.kind, found.headline) == ("labels", "images by class, 3 images of 2 classes")


def test_what_nothing_reads_is_listed(tmp_path: Path) -> None:
    found = ltcal.inspect(saved(tmp_path / "x.pkl", {"answer": [1], "other": np.arange(3)}))
    assert found.fact("texts").text.startswith("answer, other")
    assert "numpy" in found.fact("objects").text
    assert "COCO results" in found.fact("detections").text
    assert found.problem is not None
    assert "Fix: see docs/inputs.md" in found.problem


def test_a_pickle_is_not_executed(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "executed",))

    found = ltcal.inspect(saved(tmp_path / "x.pkl", [Hostile()]))
    assert found.kind == "unknown"
    assert "touch" in found.fact("texts").text + found.fact("objects").text
    assert not (tmp_path / "executed").exists()


def test_probabilities_say_which_methods_are_exact(tmp_path: Path) -> None:
    found = ltcal.inspect(saved(tmp_path / "probs.npz", {"probs": P, "labels": Z.argmax(axis=1)}))
    assert "logit-adjust" in found.fact("that fit").text
    assert "iif" in found.fact("that do not").text
    assert any("Probabilities leave one constant in each row" in note for note in found.notes)
    (report,) = (step.command for step in found.steps if step.command.name == "report")
    assert ("methods", "iif") not in report.parameters


def test_rows_without_a_class(tmp_path: Path) -> None:
    labels = np.where(np.arange(200) % 4 == 0, -1, Z.argmax(axis=1))
    found = ltcal.inspect(saved(tmp_path / "logits.npz", {"logits": Z, "labels": labels}))
    assert found.fact("without a class").values == {"number": 50}
    assert found.fact("agreement").values == {"number": 150, "of": 150}


def test_outputs_of_other_commands(tmp_path: Path) -> None:
    scenes = Path(__file__).parents[2] / "examples" / "digit_scenes"
    report = ltcal.evaluate(scenes / "predictions.json", scenes / "val.json", tide="off")
    (tmp_path / "report.json").write_text(report.to_json())
    found = ltcal.inspect(tmp_path / "report.json")
    assert (found.kind, found.headline) == ("report", "report of 1 run on 180 images")
    rows = {"logits": Z, "labels": np.where(np.arange(200) % 3, Z.argmax(axis=1), np.arange(200) % 5)}
    fit = ltcal.fit(rows, method="bcts")
    fit.save(tmp_path / "fit.npz")
    found = ltcal.inspect(tmp_path / "fit.npz")
    assert found.kind == "fit"
    assert ("methods", f"@{tmp_path / 'fit.npz'}") in found.steps[0].command.parameters
    tuning = ltcal.tune(rows, spaces="temperature:t=1|2", bootstrap=None)
    (tmp_path / "tuned.json").write_text(tuning.to_json())
    found = ltcal.inspect(tmp_path / "tuned.json")
    assert (found.kind, found.headline) == ("tuning", f"tuning, which chose {tuning.chosen.spec}")


def test_python_states_what_a_file_does_not_say(tmp_path: Path) -> None:
    entries = json.loads((SCENES / "predictions.json").read_text())
    ids = sorted({entry["category_id"] for entry in entries})
    shifted = [{**entry, "category_id": ids.index(entry["category_id"])} for entry in entries]
    path = saved(tmp_path / "shifted.json", shifted)
    val = SCENES / "val.json"
    assert "`contiguous=" in ltcal.inspect(path, val).fact("verdict").text
    stated = ltcal.inspect(path, val, contiguous=True)
    assert stated.fact("verdict").text == ltcal.inspect(SCENES / "predictions.json", val).fact("verdict").text
    np.savez(tmp_path / "x.npz", strange=np.eye(4, dtype=np.float32))
    assert ltcal.inspect(tmp_path / "x.npz", keys={"logits": "strange"}).kind == "logits"
