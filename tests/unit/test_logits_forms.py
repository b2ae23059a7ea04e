"""Logits of a classifier in all forms that people save: the same rows, recognised by their content."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from longtail_cli.errors import InputError, LtcalError
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import LogitsFile, open_logits

LOGITS = np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32)
LABELS = np.arange(12) % 3
PROBABILITIES = torch.softmax(torch.from_numpy(LOGITS), 1).numpy()
Z, Y = torch.from_numpy(LOGITS), torch.from_numpy(LABELS)
HALVES = (slice(0, 7), slice(7, 12))


def rows_of(file: LogitsFile) -> np.ndarray:
    return np.concatenate([batch.logits.numpy() for batch in file.batches(5)])


def message_of(path: Path, **keys: str) -> str:
    with pytest.raises(LtcalError) as error:
        open_logits(path, keys=keys)
    assert "Fix: " in str(error.value)
    return str(error.value)


def pickled(path: Path, value: Any) -> Path:
    path.write_bytes(pickle.dumps(value))
    return path


def saved(path: Path, **arrays: np.ndarray) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("logits", ["logits", "outputs", "output", "predictions", "preds", "pred", "arr_0"])
@pytest.mark.parametrize("labels", ["labels", "targets", "target", "y", "y_true", "label_ids", "gt_label", "arr_1"])
def test_usual_names(tmp_path: Path, logits: str, labels: str) -> None:
    path = saved(tmp_path / "a.npz", **{logits: LOGITS, labels: LABELS, "epoch": np.array(3), "preds_top1": LABELS})
    file = open_logits(path)
    assert np.array_equal(rows_of(file), LOGITS)
    assert file.labels is not None
    assert file.labels.tolist() == LABELS.tolist()


@pytest.mark.parametrize("name", ["scores", "probs", "prob", "probabilities", "pred_score"])
def test_names_of_scores(tmp_path: Path, name: str) -> None:
    file = open_logits(saved(tmp_path / "a.npz", **{name: PROBABILITIES, "label": LABELS}))
    assert (file.content, file.columns.head, file.notes) == ("scores", "none", ())
    assert np.array_equal(rows_of(file), PROBABILITIES)


@pytest.mark.parametrize("name", ["feats", "embeddings", "features"])
def test_names_of_features(tmp_path: Path, name: str) -> None:
    file = open_logits(saved(tmp_path / "a.npz", logits=LOGITS, **{name: LOGITS[:, :2].astype(np.float64)}))
    assert file.features == 2
    features = next(file.batches(12)).features
    assert features is not None
    assert torch.equal(features, Z[:, :2])


FORMS: dict[str, Any] = {
    "a tensor": Z,
    "a pair": (Z, Y),
    "a list of two": [Z, Y],
    "a dict": {"preds": Z, "y": Y},
    "a dict of batches": {"logits": [Z[half] for half in HALVES], "targets": [Y[half] for half in HALVES]},
    "batches": [Z[half] for half in HALVES],
    "batches of pairs": [(Z[half], Y[half]) for half in HALVES],
    "batches of dicts": [{"output": Z[half], "target": Y[half], "loss": 0.5} for half in HALVES],
    "rows of dicts": [{"logits": z, "label": int(y)} for z, y in zip(Z, Y, strict=True)],
    "rows of pairs": [(z, y) for z, y in zip(Z, Y, strict=True)],
    "a split": {"val": {"logits": Z, "labels": Y}},
    "predictions": (Z, Y, {"test_loss": 0.5}),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("save", ["torch", "legacy", "numpy"])
def test_forms_of_objects(tmp_path: Path, form: str, save: str) -> None:
    """Whatever the name of the file; also as torch saved before 1.6, and pickled with NumPy arrays."""
    path, value = tmp_path / "saved.bin", FORMS[form]
    if save == "numpy":
        pickled(path, in_numpy(value))
    else:
        torch.save(value, path, _use_new_zipfile_serialization=save == "torch")
    file = open_logits(path)
    assert np.array_equal(rows_of(file), LOGITS)
    if form not in ("a tensor", "batches"):
        assert file.labels is not None
        assert file.labels.tolist() == LABELS.tolist()


def in_numpy(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.numpy()
    if isinstance(value, dict):
        return {name: in_numpy(one) for name, one in value.items()}
    return type(value)(map(in_numpy, value)) if isinstance(value, list | tuple) else value


def test_content_counts_and_not_the_suffix(tmp_path: Path) -> None:
    save_file({"logits": Z}, tmp_path / "a.npy")
    np.save(tmp_path / "b.npy", LOGITS)
    (tmp_path / "b.npy").rename(tmp_path / "b.pt")
    saved(tmp_path / "c.npz", logits=LOGITS).rename(tmp_path / "c.safetensors")
    torch.save({"logits": Z}, tmp_path / "d.npz")
    for name in ("a.npy", "b.pt", "c.safetensors", "d.npz"):
        assert np.array_equal(rows_of(open_logits(tmp_path / name)), LOGITS)


def test_fortran_order_and_big_endian_numbers(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.asfortranarray(LOGITS).astype(">f4"))
    assert np.array_equal(rows_of(open_logits(tmp_path / "a.npy")), LOGITS)


def test_keys_name_what_is_not_known(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", cls=LOGITS, gt=LABELS, logits=-LOGITS, p=PROBABILITIES)
    file = open_logits(path, keys={"logits": "cls", "labels": "gt"})
    assert np.array_equal(rows_of(file), LOGITS)
    assert file.labels is not None
    assert open_logits(path, keys={"scores": "p"}).content == "scores"
    assert "tensor `clz`, for logits: expected one of `cls`, `gt`, `logits`, `p`, found none" in message_of(
        path, logits="clz"
    )
    assert "expected one of logits, scores, labels" in message_of(path, logit="cls")
    assert np.array_equal(rows_of(open_logits({"z": LOGITS}, keys={"logits": "z"})), LOGITS)


def test_ambiguous_names_are_refused(tmp_path: Path) -> None:
    message = message_of(saved(tmp_path / "a.npz", outputs=LOGITS, preds=LOGITS))
    assert "expected one that can be the logits, found `outputs`, `preds`" in message
    assert "`keys='logits=outputs'`" in message
    assert "the labels, found `targets`, `y`" in message_of(
        saved(tmp_path / "b.npz", logits=LOGITS, y=LABELS, targets=LABELS)
    )


def test_splits(tmp_path: Path) -> None:
    """As the files of markus93/NN_calibration, and arrays called val_logits, test_logits."""
    path = pickled(tmp_path / "a.p", ((-LOGITS[:5], LABELS[:5, None]), (LOGITS, LABELS[:, None])))
    assert "expected those of one split, found the splits `val`, `test`" in message_of(path)
    for one in (path, saved(tmp_path / "a.npz", val_logits=-LOGITS, test_logits=LOGITS, test_labels=LABELS)):
        file = open_logits(one, keys={"split": "test"})
        assert np.array_equal(rows_of(file), LOGITS)
        assert file.labels is not None
    assert "those of the split dev, such as `dev_logits`" in message_of(path, split="dev")


@pytest.mark.parametrize(
    "labels",
    [
        LABELS[:, None],
        LABELS.astype(np.float64),
        np.eye(3)[LABELS],
        np.eye(3, dtype=bool)[LABELS],
        LABELS.astype(">i2"),
    ],
)
def test_forms_of_labels(tmp_path: Path, labels: np.ndarray) -> None:
    file = open_logits(saved(tmp_path / "a.npz", logits=LOGITS, labels=labels))
    assert file.labels is not None
    assert file.labels.tolist() == LABELS.tolist()
    assert open_logits({"logits": LOGITS, "labels": labels}).labels is not None


def test_labels_that_are_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", logits=LOGITS, labels=LABELS + 0.5)
    assert "tensor `labels`, row 0: expected a class index from 0 to 10000000, or -1, found 0.5" in message_of(path)
    path = saved(tmp_path / "b.npz", logits=LOGITS, labels=np.ones((12, 3)))
    assert "tensor `labels`, row 0: expected one-hot: a single 1" in message_of(path)
    path = saved(tmp_path / "c.npz", logits=LOGITS, labels=LABELS[:5])
    assert "tensor `labels`: expected shape [12], found [5]" in message_of(path)


def test_rows_without_a_class_can_be_left_out(tmp_path: Path) -> None:
    labels = np.where(np.arange(12) % 5 == 1, -100, LABELS)
    file = open_logits(saved(tmp_path / "a.npz", logits=LOGITS, labels=labels))
    assert file.labels is not None
    assert file.labels[1] == IGNORED
    present = file.labels != IGNORED
    kept = file.kept(present)
    for rows in (1, 3, 100):
        assert np.array_equal(np.concatenate([batch.logits.numpy() for batch in kept.batches(rows)]), LOGITS[present])
    assert kept.location(1) == (tmp_path / "a.npz", 2)
    bad = LOGITS.copy()
    bad[2, 1] = np.nan
    kept = open_logits(saved(tmp_path / "b.npz", logits=bad, labels=labels)).kept(present)
    with pytest.raises(InputError, match="row 2, column 1"):
        list(kept.batches(100))


def test_probabilities_of_an_unclear_name_are_scores(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", predictions=PROBABILITIES)
    file = open_logits(path)
    assert file.content == "scores"
    assert file.notes == (
        "`predictions`: the rows add up to 1, so they are read as probabilities; "
        "`keys='logits=predictions'` reads logits",
    )
    assert open_logits(path, keys={"logits": "predictions"}).content == "logits"
    assert open_logits(path, Declared("softmax")).content == "logits"
    (note, _) = open_logits(saved(tmp_path / "b.npz", logits=PROBABILITIES)).notes
    assert note.startswith("`logits`: the rows add up to 1, as probabilities do, but are read as logits")


def test_scores_of_a_sigmoid_are_noticed(tmp_path: Path) -> None:
    sigmoid = 1 / (1 + np.exp(-LOGITS))
    path = saved(tmp_path / "a.npz", predictions=sigmoid)
    (note, _) = open_logits(path).notes
    assert note == (
        "`predictions`: all numbers are from 0 to 1, as the scores of a sigmoid are, but they are read as logits; "
        "`keys='scores=predictions'` reads scores"
    )
    assert open_logits(path, keys={"scores": "predictions"}).content == "scores"
    assert len(open_logits({"logits": np.zeros((3, 2))}).notes) == 1


def test_scores_beyond_1_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", probs=np.array([[0.5, 0.5], [-3.0, 2.0]]))
    with pytest.raises(InputError, match="tensor `probs`, row 1, column 0: expected a score from 0 to 1, found -3"):
        open_logits(path)
    assert open_logits(path, keys={"logits": "probs"}).content == "logits"


def test_scores_as_logits(tmp_path: Path) -> None:
    """Ln s differs from the logits by a constant in each row."""
    file = open_logits(saved(tmp_path / "a.npz", probs=PROBABILITIES)).as_logits()
    assert (file.content, file.columns.head, file.log_scores) == ("logits", "softmax", True)
    assert np.ptp(LOGITS - rows_of(file), axis=1) == pytest.approx(0, abs=1e-6)
    certain = open_logits({"scores": np.eye(3)}).as_logits()
    assert np.isfinite(rows_of(certain)).all()
    with pytest.raises(InputError, match=r"row 0: expected scores from 0 to 1 that add up to 1, found 1\.5"):
        rows_of(open_logits({"scores": np.full((2, 3), 0.5)}).as_logits())


def test_float64_becomes_float32(tmp_path: Path) -> None:
    """There is a note only where the best class is decided by it."""
    wide = LOGITS.astype(np.float64) * (1 + 1e-12)
    assert open_logits(saved(tmp_path / "a.npz", logits=wide), Declared("softmax")).notes == ()
    wide[3] = [1, 1 + 1e-12, 0]
    wide[4] = [1, 1, 0]
    for source in (saved(tmp_path / "b.npz", logits=wide), {"logits": wide}):
        file = open_logits(source, Declared("softmax"))
        assert file.notes == (
            "`logits` of float64 became float32: in 1 of 12 rows the largest now equals another, "
            "and the class that comes first wins",
        )
        assert rows_of(file).dtype == np.float32
    wide[5, 1] = 1e39
    message = message_of(saved(tmp_path / "c.npz", logits=wide))
    assert "tensor `logits`, row 5, column 1: expected a number within 3.4e+38 of 0, found 1e+39" in message


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("text", "a str"),
        ([], "a list of 0: nothing"),
        ({}, "a dict with nothing"),
        ({"epoch": "3"}, "a dict with 'epoch'"),
        ([LOGITS, LOGITS[:, :2]], "a list of 2: ndarray"),
        ([{"logits": LOGITS}, 3], "a list of 2: dict, int"),
        (np.array(["a"]), "a ndarray"),
    ],
)
def test_objects_of_other_content(tmp_path: Path, value: Any, found: str) -> None:
    assert f"expected an array, (logits, labels), a dict of arrays, or a list of batches of these, found {found}" in (
        message_of(pickled(tmp_path / "a.pkl", value))
    )


def test_json_is_no_file_of_logits(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("[[0.5, 0.5]]")
    assert "content: expected logits or scores, found json list" in message_of(tmp_path / "a.json")
