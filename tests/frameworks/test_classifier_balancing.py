"""What classifier-balancing's ``--save_feat`` writes: features without logits; see write_classifier_balancing.py."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from classifier_rows import FILES, figures, frequencies, notes, refusal
from click.testing import CliRunner

from longtail_cli.cli import main
from longtail_cli.files.logits.reader import open_logits

TRAIN, TEST = FILES / "trainfeat_all.pkl", FILES / "testfeat_all.pkl"


def fitted(folder: Path, source: Path, method: str, *options: str | Path) -> Path:
    out = folder / f"{source.stem}.head.npz"
    out.unlink(missing_ok=True)
    given = ("fit", source, "--freq", frequencies(folder), "--method", method, *options, "-o", out)
    result = CliRunner().invoke(main, list(map(str, given)))
    assert result.exit_code == 0, result.output
    return out


def with_logits(path: Path, source: Path) -> Path:
    """The same rows with logits, which a new head does not use."""
    rows = pickle.loads(source.read_bytes())
    logits = np.random.default_rng(1).normal(size=(len(rows["labels"]), 10)).astype(np.float32)
    np.savez(path, logits=logits, features=rows["feats"], labels=rows["labels"])
    return path


def test_the_files_hold_features_and_labels() -> None:
    file = open_logits(TRAIN)
    assert (file.content, file.rows, file.features, file.width) == ("features", 249, 16, 16)
    assert (file.columns.head, file.columns.background, file.columns.category_id.tolist()) == (
        "softmax", "none", list(range(10))
    )  # fmt: skip


@pytest.mark.parametrize(
    "method", ["classifier:loss=balanced-softmax,start=new", "classifier:loss=bags,l2=0.01", "crt", "ncm:features=cl2n"]
)
def test_a_head_is_that_of_the_file_with_logits(tmp_path: Path, method: str) -> None:
    freq = frequencies(tmp_path)
    alone = fitted(tmp_path, TRAIN, method)
    both = fitted(tmp_path, with_logits(tmp_path / "train.npz", TRAIN), method)
    with np.load(alone) as one, np.load(both) as other:
        assert one.files == other.files
        assert all(np.array_equal(one[name], other[name]) for name in one.files if name != "document")
    test = with_logits(tmp_path / "test.npz", TEST)
    expected = figures(tmp_path, test, "--freq", freq, "--method", f"@{both}")
    assert figures(tmp_path, TEST, "--freq", freq, "--method", f"@{alone}") == expected
    assert (
        figures(tmp_path, TEST, "--method", f"@{alone}")[0]["classification"]["top1"]
        == (expected[0]["classification"]["top1"])
    )


def test_rows_that_a_head_was_fitted_on_are_found(tmp_path: Path) -> None:
    head = fitted(tmp_path, TRAIN, "ncm")
    assert "fitted on 249 of these 249 rows" in notes(TRAIN, "--method", f"@{head}")
    assert "oracle" not in notes(TEST, "--method", f"@{head}")
    message = refusal(
        "fit", TRAIN, "--freq", tmp_path / "freq.csv", "--held-out", TRAIN, "--method", "crt", "-o", tmp_path / "x.npz"
    )
    assert "expected rows that are not fitted on, found 249 of 249 that are" in message


def test_held_out_features(tmp_path: Path) -> None:
    """The classes are those of the rows that are fitted on, even if the held-out rows lack the last two."""
    rows = pickle.loads(TEST.read_bytes())
    held_out, kept = tmp_path / "valfeat_all.pkl", rows["labels"] < 8
    held_out.write_bytes(pickle.dumps({name: one[kept] for name, one in rows.items()}))
    assert len(open_logits(held_out).columns) == 8
    fitted(tmp_path, TRAIN, "classifier:loss=ce", "--held-out", held_out)
    with_logits(tmp_path / "val.npz", TEST)
    message = refusal(
        "fit", TRAIN, "--held-out", tmp_path / "val.npz", "--method", "classifier", "-o", tmp_path / "x.npz"
    )
    assert "content: expected features" in message


def test_rescored_features_are_scores(tmp_path: Path) -> None:
    head, out = fitted(tmp_path, TRAIN, "classifier:loss=balanced-softmax"), tmp_path / "scores.npz"
    given = ("rescore", TEST, "--method", f"@{head}", "-o", out, "--keep-logits")
    assert CliRunner().invoke(main, list(map(str, given))).exit_code == 0
    assert figures(tmp_path, out)[0] == figures(tmp_path, TEST, "--method", f"@{head}")[0]
    with np.load(out) as arrays:
        assert (arrays["logits"].shape, arrays["scores"].shape) == ((150, 10), (150, 10))


@pytest.mark.parametrize("method", ["none", "iif", "logit-adjust", "tau-norm", "target-prior", "temperature:t=2"])
def test_methods_that_need_logits_are_refused(tmp_path: Path, method: str) -> None:
    for command in ("report", "rescore"):
        output = ("-o", tmp_path / "out.npz") if command == "rescore" else ()
        message = refusal(command, TEST, "--freq", frequencies(tmp_path), "--method", method, *output)
        assert f"content: expected logits, for the method {method}" in message
        assert "found features alone" in message
        assert (
            "learn a head on the features of labelled rows with `ltcal fit`, and pass it: --method @head.npz" in message
        )


def test_a_report_and_a_tuning_need_logits(tmp_path: Path) -> None:
    assert "expected logits, for the method none, found features alone" in refusal("report", TEST)
    message = refusal("tune", TEST, "--freq", frequencies(tmp_path), "-o", tmp_path / "tuned.json")
    assert "write the scores of a fitted head with `ltcal rescore`, and tune on those" in message


@pytest.mark.parametrize(
    "method",
    [
        "classifier:start=given",
        "tau-norm",
        "bcts",
        "disalign:confidence=features",
        "classifier:loss=iif,solver=sgd,preset=iif-imagenet-lt",
    ],
)
def test_fits_that_need_logits_are_refused(tmp_path: Path, method: str) -> None:
    given = ("fit", TRAIN, "--freq", frequencies(tmp_path), "--method", method, "-o", tmp_path / "x.npz")
    message = refusal(*given)
    assert "content: expected logits, for the method" in message
    assert "learn a new head, such as classifier:start=new or ncm" in message
    assert not (tmp_path / "x.npz").exists()


def test_a_head_of_other_features_is_refused(tmp_path: Path) -> None:
    head = fitted(tmp_path, TRAIN, "ncm")
    rows = pickle.loads(TEST.read_bytes())
    other = tmp_path / "other.pkl"
    other.write_bytes(pickle.dumps({**rows, "feats": rows["feats"][:, :8]}))
    message = refusal("report", other, "--method", f"@{head}")
    assert "tensors: expected `features` [N, 16], as it was fitted on, found 8 columns" in message


def test_inspect_says_how_to_go_on(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["inspect", str(TRAIN)])
    assert result.exit_code == 0
    assert "features of a classifier, 249 rows of 10 classes" in result.output
    assert "There are features and no logits" in result.output
    assert "ltcal fit" in result.output
    assert "--method @head.npz" in result.output
