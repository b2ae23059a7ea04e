"""`ltcal rescore` and `ltcal report` of classifiers, as a user calls them, on examples/digits_lt."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from longtail_cli.cli import main
from longtail_cli.files.logits.writer import LogitsWriter
from longtail_cli.workflow import logit_batches as batches

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits_lt"
LOGITS = str(EXAMPLE / "logits.npz")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    made = ltcal("compute-freq", str(EXAMPLE / "train.txt"), "--groups", "10,30", "-o", "freq.csv")
    assert made.exit_code == 0
    return tmp_path


def arrays(path: str) -> dict[str, np.ndarray]:
    """All arrays of an archive."""
    with np.load(path) as archive:
        return dict(archive)


def ltcal(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def report(*arguments: str) -> dict:
    result = ltcal("report", *arguments, "--json", "-")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*arguments: str) -> str:
    before = sorted(Path().iterdir())
    result = ltcal(*arguments)
    assert result.exit_code == 2, result.output
    assert sorted(Path().iterdir()) == before
    return result.stderr


def test_logits_become_scores(folder: Path) -> None:
    result = ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "none", "--keep-logits", "-o", "scores.npz")
    assert result.stderr == "wrote 860 rows (none) to scores.npz\n"
    given, written = arrays(LOGITS), arrays("scores.npz")
    assert sorted(written) == ["category_id", "labels", "logits", "scores"]
    assert (written["labels"] == given["labels"]).all()
    assert (written["logits"] == given["logits"]).all()
    softmax = torch.softmax(torch.from_numpy(given["logits"]).double(), 1).numpy()
    assert written["scores"].dtype == np.float32
    assert written["scores"] == pytest.approx(softmax, abs=1e-6)


def test_batches_are_written_before_their_memory_is_reused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(batches.LOGITS_PER_BATCH, "cpu", 64)
    logits = np.random.default_rng(0).normal(size=(5000, 10)).astype(np.float32)
    with LogitsWriter(
        Path("logits"), head="softmax", background="none", category_ids=range(10), dtype="float32"
    ) as writer:
        writer.append(logits)
    assert ltcal("rescore", "logits", "--method", "none", "--keep-logits", "-o", "scores.npz").exit_code == 0
    written = arrays("scores.npz")
    assert (written["logits"] == logits).all()
    assert written["scores"] == pytest.approx(torch.softmax(torch.from_numpy(logits), 1).numpy(), abs=1e-6)


def test_top_1_by_hand(folder: Path) -> None:
    given = arrays(LOGITS)
    run = report(LOGITS, "--freq", "freq.csv")["runs"][0]
    right = given["logits"].argmax(1) == given["labels"]
    assert run["classification"]["top1"] == pytest.approx(right.mean())
    recalls = [right[given["labels"] == c].mean() for c in range(10)]
    assert run["classification"]["balanced"] == pytest.approx(np.mean(recalls))


def test_several_methods_give_the_results_of_single_runs(folder: Path) -> None:
    specs = ["none", "logit-adjust:tau=1.0", "iif", "target-prior:prior=em"]
    methods = [part for spec in specs for part in ("--method", spec)]
    together = report(LOGITS, "--freq", "freq.csv", *methods, "--per-category")["runs"]
    assert [run["method"] for run in together] == specs
    for run in together:
        alone = report(LOGITS, "--freq", "freq.csv", "--method", run["method"], "--per-category")["runs"][0]
        assert alone["classification"] == run["classification"]
        assert alone["categories"] == run["categories"]


def test_the_labelled_file_of_bbse_must_be_of_the_same_head(folder: Path) -> None:
    with LogitsWriter(Path("val"), head="softmax", background="last", category_ids=range(10)) as writer:
        writer.append(np.zeros((20, 11)), labels=np.arange(20) % 10)
    spec = "temperature:t=2+target-prior:prior=bbse,file=val"
    message = refused("report", LOGITS, "--freq", "freq.csv", "--method", spec)
    assert "val: columns: expected logits of the head and the category ids of" in message


def test_scores_are_evaluated_as_they_are(folder: Path) -> None:
    ltcal("rescore", LOGITS, "--freq", "freq.csv", "--method", "iif", "-o", "scores.npz")
    written = report("scores.npz", "--freq", "freq.csv")["runs"][0]
    direct = report(LOGITS, "--freq", "freq.csv", "--method", "iif")["runs"][0]
    assert written["classification"] == direct["classification"]
    assert written["method"] is None


def test_labels_may_be_in_a_separate_file(folder: Path) -> None:
    given = arrays(LOGITS)
    np.savez("bare.npz", logits=given["logits"])
    Path("bare.meta.json").write_text('{"head": "softmax", "background": "none"}')
    assert "--labels" in refused("report", "bare.npz")
    np.save("labels.npy", given["labels"])
    apart, together = report("bare.npz", "--labels", "labels.npy"), report(LOGITS)
    assert apart["runs"][0]["classification"] == together["runs"][0]["classification"]
    np.save("labels.npy", given["labels"][:-1])
    assert "expected 860, one for each row, found 859" in refused("report", "bare.npz", "--labels", "labels.npy")
    np.save("labels.npy", given["labels"] + 1)
    assert "expected a class from 0 to 9, found 10" in refused("report", "bare.npz", "--labels", "labels.npy")


def test_the_signature_and_the_tables_state_what_was_measured(folder: Path) -> None:
    signature = report(LOGITS, "--freq", "freq.csv")["signature"]
    assert signature["protocol"] == "classification"
    assert (signature["images"], signature["categories"], signature["max_dets"]) == (860, 10, None)
    command = ("report", LOGITS, "--freq", "freq.csv", "--method", "none", "--method", "iif")
    text = ltcal(*command).stdout
    assert text.startswith("Classification of 860 images, 10 classes; ltcal ")
    assert max(map(len, text.splitlines())) <= 100
    assert "Mass of the scores by group, percent, iif" in ltcal(*command, "--verbose").stdout
    without = ltcal("report", LOGITS)
    assert "no frequency groups: pass --freq for many, medium, few" in without.stderr


def test_bad_input_is_refused(folder: Path) -> None:
    scenes = EXAMPLE.parent / "digit_scenes"
    assert "pass the annotations to evaluate detections: --annotations" in refused("report", str(scenes / "logits.npz"))
    assert "`image_id` and `boxes` of detection logits" in refused(
        "report", LOGITS, "--annotations", str(scenes / "val.json")
    )
    ltcal("compute-freq", str(scenes / "train.json"), "-o", "scenes.csv")
    assert "expected the 10 classes of the logits" in refused("report", LOGITS, "--freq", "scenes.csv")
    assert "name it scores.npz" in refused("rescore", LOGITS, "--method", "none", "-o", "out.json")
    ltcal("rescore", LOGITS, "--method", "none", "-o", "scores.npz")
    message = refused("report", "scores.npz", "--freq", "freq.csv", "--method", "iif")
    assert "expected logits, for the method iif, which weights them, found probabilities" in message
    assert "found that of an input" in refused("rescore", "scores.npz", "--method", "none", "-o", "scores.npz")
    assert "--fixed-ap: for detections" in refused("report", LOGITS, "--fixed-ap")
    assert "give one of them" in refused("report", LOGITS, "--annotations", "a.json", "--labels", "b.npy")


def test_the_reference_may_come_after_other_runs(folder: Path) -> None:
    """As in a report whose first run it is, to the last bit."""
    given = (LOGITS, "--freq", "freq.csv", "--resamples", "5", "--significance")
    chosen = report(*given, "--method", "iif", "--method", "none", "--reference", "none")
    first = report(*given, "--method", "none", "--method", "iif")
    assert [run["name"] for run in chosen["runs"]] == ["iif", "none"]
    assert chosen["compared_to"] == "none"
    assert chosen["runs"] == first["runs"][::-1]
    assert chosen["runs"][0]["p_values"]
