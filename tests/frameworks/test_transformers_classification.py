"""What people save of `Trainer.predict`; the files are of a real trainer, see write_transformers_classifier.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from classifier_rows import FILES, Rows, figures, frequencies, plain

from longtail_cli.files.logits.reader import open_logits


@pytest.mark.parametrize("name", ["transformers.npz", "transformers.pkl", "transformers.pt"])
def test_predictions_with_labels(tmp_path: Path, name: str) -> None:
    logits, labels = plain(tmp_path, Rows())
    given = ("--freq", frequencies(tmp_path), "--method", "none", "--method", "iif")
    assert figures(tmp_path, FILES / name, *given) == figures(tmp_path, logits, "--labels", labels, *given)


def test_predictions_alone(tmp_path: Path) -> None:
    logits, labels = plain(tmp_path, Rows())
    given = figures(tmp_path, FILES / "transformers_predictions.npy", "--labels", labels)
    assert given == figures(tmp_path, logits, "--labels", labels)


def test_metrics_are_left_out() -> None:
    assert set(open_logits(FILES / "transformers.npz").parts[0].tensors) >= {"logits", "labels"}
