"""What timm's inference.py writes with ``--topk 0``; the files are by its own function, see write_timm.py."""

from __future__ import annotations

from pathlib import Path

import pytest
from classifier_rows import FILES, Rows, figures, frequencies, notes, plain, refusal

METHODS = ("--method", "none", "--method", "logit-adjust")


@pytest.mark.parametrize("name", ["timm_logit.parquet", "timm_logit_separate.parquet", "timm_logit_separate.csv"])
def test_logits(tmp_path: Path, name: str) -> None:
    logits, labels = plain(tmp_path, Rows())
    freq = frequencies(tmp_path)
    given = ("--labels", labels, "--freq", freq, *METHODS)
    assert figures(tmp_path, FILES / name, *given) == figures(tmp_path, logits, *given)


@pytest.mark.parametrize("name", ["timm_prob.parquet", "timm_prob_separate.parquet"])
def test_probabilities(tmp_path: Path, name: str) -> None:
    """They are scores; methods that shift logits give on them what they give on the logits."""
    logits, labels = plain(tmp_path, Rows())
    given = ("--labels", labels, "--freq", frequencies(tmp_path))
    (scores,), (softmax,) = figures(tmp_path, FILES / name, *given), figures(tmp_path, logits, *given)
    assert scores["classification"]["nll"] == pytest.approx(softmax["classification"]["nll"], abs=1e-6)
    assert scores["classification"]["top1"] == softmax["classification"]["top1"]
    adjusted, expected = (
        figures(tmp_path, one, *given, *METHODS)[1]["classification"] for one in (FILES / name, logits)
    )
    assert adjusted["balanced"] == expected["balanced"]
    assert adjusted["nll"] == pytest.approx(expected["nll"], abs=1e-5)
    said = notes(FILES / name, *given, *METHODS)
    assert "logit-adjust:tau=1.0: the method is exact on probabilities" in said
    message = refusal("report", FILES / name, *given, "--method", "iif")
    assert "expected logits, for the method iif, which weights them, found probabilities" in message


def test_labels_go_by_file_name(tmp_path: Path) -> None:
    """In any order, with the folders of another machine."""
    rows = Rows()
    logits, labels = plain(tmp_path, rows)
    shuffled = sorted(zip(rows.files, rows.labels.tolist(), strict=True), key=lambda pair: pair[0][::-1])
    listed = tmp_path / "val.txt"
    listed.write_text("".join(f"val/n01/{name} {label}\n" for name, label in shuffled))
    given = figures(tmp_path, FILES / "timm_logit.parquet", "--labels", listed)
    assert given == figures(tmp_path, logits, "--labels", labels)
    listed.write_text("".join(f"{name} {label}\n" for name, label in shuffled[1:]))
    missing = shuffled[0][0]
    message = refusal("report", FILES / "timm_logit.parquet", "--labels", listed)
    assert f"{missing}: expected a label for this file name, found none" in message


def test_the_best_classes_alone_are_refused(tmp_path: Path) -> None:
    """As ``--topk 5 --include-index --results-separate-col`` saves them, and ``--topk 5`` without the indices."""
    path = tmp_path / "top.csv"
    path.write_text("filename,index_0,index_1,prob_0,prob_1\na.jpg,3,1,0.5,0.25\n")
    assert "found the best classes alone" in refusal("report", path, "--labels", path)
    rows = ["filename,prob_0,prob_1,prob_2", *("a.jpg,0.5,0.3,0.1" for _ in range(20))]
    path.write_text("\n".join(rows))
    message = refusal("report", path, "--labels", path)
    assert "found scores that fall from left to right in every row" in message
    assert "--topk 0" in message
