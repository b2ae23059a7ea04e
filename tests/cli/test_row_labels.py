"""Labels of a classifier as a user passes them, and what is said when they do not fit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from classifier_rows import ROWS, Rows, figures, frequencies, notes, plain, refusal

from longtail_cli.files.logits.reader import open_logits

NAMES = [f"digit {number}" for number in range(10)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_no_more_words_are_needed(folder: Path) -> None:
    """A softmax without background is the default, and is said."""
    logits, labels = plain(folder, Rows())
    said = notes("plain.npy", "--labels", "labels.npy")
    assert "plain.npy: read as a softmax without a background column, as nothing else is stated" in said
    assert "say otherwise by --head and --background" in said
    assert figures(folder, logits, "--labels", labels) == figures(
        folder, logits, "--labels", labels, "--head", "softmax"
    )


def test_forms_of_labels_give_the_same_report(folder: Path) -> None:
    rows = Rows()
    logits, labels = plain(folder, rows)
    expected = figures(folder, logits, "--labels", labels)
    np.save("column.npy", rows.labels[:, None].astype(float))
    np.save("one_hot.npy", np.eye(10)[rows.labels])
    torch.save(torch.from_numpy(rows.labels), "labels.pt")
    Path("labels.json").write_text(json.dumps(rows.labels.tolist()))
    Path("labels.txt").write_text("".join(f"{label}\n" for label in rows.labels))
    for name in ("column.npy", "one_hot.npy", "labels.pt", "labels.json", "labels.txt"):
        assert figures(folder, logits, "--labels", name) == expected, name


def test_names_of_classes_come_from_the_table_or_the_columns(folder: Path) -> None:
    rows = Rows()
    logits, labels = plain(folder, rows)
    Path("labels.txt").write_text("".join(f"{row}.png digit_{label}\n" for row, label in enumerate(rows.labels)))
    message = refusal("report", logits, "--labels", "labels.txt")
    assert "expected class indices, as neither the logits nor a frequency table name the classes" in message
    freq = frequencies(folder)
    lines = freq.read_text().splitlines()
    named = [lines[0], *(line.replace(",,", f",digit_{number},", 1) for number, line in enumerate(lines[1:]))]
    freq.write_text("\n".join(named) + "\n")
    given = figures(folder, logits, "--labels", "labels.txt", "--freq", freq)
    assert (
        given[0]["classification"] == figures(folder, logits, "--labels", labels, "--freq", freq)[0]["classification"]
    )
    Path("labels.txt").write_text("a.png digit_1\n" * (ROWS - 1) + "b.png digit_x\n")
    message = refusal("report", logits, "--labels", "labels.txt", "--freq", freq)
    assert "expected one of the classes, such as digit_0, digit_1" in message
    assert "found digit_x" in message


def test_rows_without_a_class_are_left_out(folder: Path) -> None:
    """Of several files alike, and with labels in the file or beside it."""
    rows = Rows()
    logits, _ = plain(folder, rows)
    present = np.arange(ROWS) % 7 != 2
    ignored = np.where(present, rows.labels, -1)
    np.save("ignored.npy", ignored)
    np.savez("with.npz", outputs=rows.logits, y=np.where(present, rows.labels, -100))
    np.savez("part.npz", logits=rows.logits[present], labels=rows.labels[present])
    expected = figures(folder, "part.npz")
    assert figures(folder, logits, "--labels", "ignored.npy") == expected
    assert figures(folder, "with.npz") == expected
    assert figures(folder, logits, "with.npz", "--labels", "ignored.npy") == [expected[0], expected[0]]
    assert "with.npz: 17 of 120 rows have no class (label -1 or -100) and are left out" in notes("with.npz")
    np.save("none.npy", np.full(ROWS, -1))
    assert "expected at least one class, found -1 in every row" in refusal("report", logits, "--labels", "none.npy")


def test_counts_per_class_are_no_labels(folder: Path) -> None:
    logits, _ = plain(folder, Rows())
    np.save("cls_num_list.npy", np.array([100, 60, 36, 22, 13, 8, 5, 3, 2, 1]))
    message = refusal("report", logits, "--labels", "cls_num_list.npy")
    assert "expected 120, one for each row, found 10, as many as there are classes: they seem to be counts" in message
    np.savez("ten.npz", logits=Rows().logits[:10])
    message = refusal("report", "ten.npz", "--labels", "cls_num_list.npy")
    assert "expected a class from 0 to 9, found 100" in message
    assert "if these are counts per class" in message


def test_labels_from_1(folder: Path) -> None:
    rows = Rows()
    logits, _ = plain(folder, rows)
    np.save("labels.npy", rows.labels + 1)
    assert "these run from 1 to 10, so subtract 1" in refusal("report", logits, "--labels", "labels.npy")


def test_a_background_column_has_to_be_stated(folder: Path) -> None:
    rows = Rows()
    np.savez("more.npz", logits=np.c_[rows.logits, rows.logits[:, :1] * 0], labels=rows.labels)
    freq = frequencies(folder)
    message = refusal("report", "more.npz", "--freq", freq)
    assert "expected the 11 classes of the logits, found 10 classes" in message
    assert "if one column is the background, say where it is: --background" in message
    assert figures(folder, "more.npz", "--freq", freq, "--background", "last")


def test_keys_on_the_command_line(folder: Path) -> None:
    rows = Rows()
    np.savez("odd.npz", cls=rows.logits, gt=rows.labels)
    assert "or say what it is called: --key logits=NAME" in refusal("report", "odd.npz")
    logits, labels = plain(folder, rows)
    given = figures(folder, "odd.npz", "--key", "logits=cls", "--key", "labels=gt")
    assert given == figures(folder, logits, "--labels", labels)
    np.savez("labels.npz", gt=rows.labels, other=rows.labels)
    given = figures(folder, "plain.npy", "--labels", "labels.npz", "--key", "labels=gt")
    assert given == figures(folder, logits, "--labels", labels)


def test_labels_of_other_names(folder: Path) -> None:
    """A dict of labels by file name needs the names of the rows."""
    rows = Rows()
    logits, labels = plain(folder, rows)
    by_name = dict(zip(rows.files, rows.labels.tolist(), strict=True))
    Path("labels.json").write_text(json.dumps(dict(reversed(by_name.items()))))
    with_names = "\n".join(
        ["filename," + ",".join(f"logit_{c}" for c in range(10))]
        + [f"{name},{','.join(map(str, row.tolist()))}" for name, row in zip(rows.files, rows.logits, strict=True)]
    )
    Path("logits.csv").write_text(with_names)
    assert open_logits(Path("logits.csv")).row_names == tuple(rows.files)
    assert figures(folder, "logits.csv", "--labels", "labels.json") == figures(folder, logits, "--labels", labels)
