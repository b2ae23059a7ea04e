"""What MMPretrain's ``tools/test.py --out`` writes; the file is by its own evaluator, see write_mmpretrain.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from classifier_rows import FILES, Rows, figures, frequencies, notes, refusal
from click.testing import CliRunner

from longtail_cli.cli import main
from longtail_cli.files.logits.reader import open_logits

DUMP = FILES / "mmpretrain.pkl"
COUNT = 40


def test_the_probabilities_are_scores(tmp_path: Path) -> None:
    rows = Rows()
    np.savez(tmp_path / "plain.npz", scores=rows.probabilities[:COUNT], labels=rows.labels[:COUNT])
    for method in ((), ("--freq", frequencies(tmp_path), "--method", "logit-adjust")):
        assert figures(tmp_path, DUMP, *method) == figures(tmp_path, tmp_path / "plain.npz", *method)
    assert open_logits(DUMP).row_names[0] == "data/val/digit_000.png"


@pytest.mark.parametrize("method", ["logit-adjust", "norcal", "balanced-softmax", "temperature:t=2", "target-prior"])
def test_methods_that_are_exact(tmp_path: Path, method: str) -> None:
    """They give the scores that they give on the logits."""
    rows, freq = Rows(), frequencies(tmp_path)
    np.save(tmp_path / "logits.npy", rows.logits[:COUNT])
    scores = []
    for source in (DUMP, tmp_path / "logits.npy"):
        arguments = ["rescore", str(source), "--freq", str(freq), "--method", method, "-o", str(tmp_path / "out.npz")]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        with np.load(tmp_path / "out.npz") as arrays:
            scores.append(arrays["scores"])
    assert scores[0] == pytest.approx(scores[1], abs=2e-6)
    assert f"{method.partition(':')[0]}" in notes(DUMP, "--freq", freq, "--method", method)
    assert "is exact on probabilities" in notes(DUMP, "--freq", freq, "--method", method)


@pytest.mark.parametrize("method", ["iif", "norcal:on=logits", "temperature:t=2+iif"])
def test_methods_that_weight_logits_are_refused(tmp_path: Path, method: str) -> None:
    freq = frequencies(tmp_path)
    for command in ("report", "rescore"):
        output = ("-o", tmp_path / "out.npz") if command == "rescore" else ()
        message = refusal(command, DUMP, "--freq", freq, "--method", method, *output)
        assert "which weights them, found probabilities, whose logits are known up to a constant in each row" in message
    assert not (tmp_path / "out.npz").exists()


def test_tune_and_fit_on_probabilities(tmp_path: Path) -> None:
    freq, out = frequencies(tmp_path), tmp_path / "tuned.json"
    arguments = [
        "tune",
        DUMP,
        "--freq",
        freq,
        "--method",
        "logit-adjust:tau=0|1",
        "--folds",
        "2",
        "--no-bootstrap",
        "-o",
        out,
    ]
    assert CliRunner().invoke(main, list(map(str, arguments))).exit_code == 0
    assert "is exact on probabilities" in notes(DUMP, "--freq", freq, "--method", f"@{out}")
    arguments = ["fit", DUMP, "--method", "temperature", "-o", tmp_path / "fit.npz"]
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 0, result.output
