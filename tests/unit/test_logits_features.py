"""Files of features without logits: their forms, their classes, and what is refused."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import longtail_cli as ltcal
from longtail_cli.errors import LtcalError, UsageError
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.logits.digests import row_digests
from longtail_cli.files.logits.metadata import Declared
from longtail_cli.files.logits.reader import LogitsFile, open_logits

FEATURES = np.random.default_rng(0).normal(size=(12, 5)).astype(np.float32)
LABELS = np.arange(12) % 3
ALONE = {"features": FEATURES, "labels": LABELS}


def features_of(file: LogitsFile) -> np.ndarray:
    return np.concatenate([batch.features.float().numpy() for batch in file.batches(5) if batch.features is not None])


def message_of(source: Any, **keys: str) -> str:
    with pytest.raises(LtcalError) as error:
        open_logits(source, keys=keys)
    assert "Fix: " in str(error.value)
    return str(error.value)


def written(folder: Path, suffix: str) -> Path:
    path = folder / f"a{suffix}"
    tensors = {"embeddings": torch.from_numpy(FEATURES), "targets": torch.from_numpy(LABELS)}
    if suffix == ".npz":
        np.savez(path, **{name: one.numpy() for name, one in tensors.items()})
    elif suffix == ".safetensors":
        save_file(tensors, path)
    elif suffix == ".pkl":
        path.write_bytes(pickle.dumps({name: one.numpy() for name, one in tensors.items()}))
    else:
        torch.save(tensors, path)
    return path


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pkl", ".pt"])
def test_forms(tmp_path: Path, suffix: str) -> None:
    file = open_logits(written(tmp_path, suffix))
    assert (file.content, file.rows, file.features, file.classifier) == ("features", 12, 5, None)
    assert np.array_equal(features_of(file), FEATURES)
    assert file.labels is not None
    assert file.labels.tolist() == LABELS.tolist()


def test_a_folder_of_shards(tmp_path: Path) -> None:
    for number, rows in enumerate((slice(0, 7), slice(7, 12))):
        np.savez(tmp_path / f"{number}.npz", **{name: one[rows] for name, one in ALONE.items()})
    assert np.array_equal(features_of(open_logits(tmp_path)), FEATURES)
    np.savez(tmp_path / "2.npz", **ALONE, logits=FEATURES)
    assert "tensor `logits`: expected none, as in 0.npz" in message_of(tmp_path)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_types(dtype: torch.dtype) -> None:
    file = open_logits({**ALONE, "features": torch.from_numpy(FEATURES).to(dtype)})
    assert np.array_equal(features_of(file), torch.from_numpy(FEATURES).to(dtype).float().numpy())


def test_there_are_no_logits_to_evaluate() -> None:
    assert [tuple(batch.logits.shape) for batch in open_logits(ALONE).batches(5)] == [(5, 0), (5, 0), (2, 0)]


def test_a_name_and_a_split(tmp_path: Path) -> None:
    file = open_logits({"penultimate": FEATURES, "labels": LABELS}, keys={"features": "penultimate"})
    assert (file.content, file.features) == ("features", 5)
    splits = {"train": {"feats": FEATURES, "y": LABELS}, "val": {"feats": FEATURES[:4], "y": LABELS[:4]}}
    (tmp_path / "a.pkl").write_bytes(pickle.dumps(splits))
    assert "those of one split, found the splits `train`, `val`" in message_of(tmp_path / "a.pkl")
    assert open_logits(tmp_path / "a.pkl", keys={"split": "val"}).rows == 4
    assert "one that can be the features" in message_of({"feats": FEATURES, "embeddings": FEATURES})


def test_the_classes() -> None:
    """Those stated, else those declared for features alone, else as many as the largest label says."""
    assert open_logits(ALONE).columns.category_id.tolist() == [0, 1, 2]
    assert "3 classes, as the largest label is 2" in open_logits(ALONE).notes[0]
    counted = Declared(classes=np.array([4, 5, 6, 9]))
    assert open_logits(ALONE, counted).columns.category_id.tolist() == [4, 5, 6, 9]
    assert open_logits(ALONE, counted).notes == ()
    stated = Declared(category_id=np.array([7, 3, 1]), classes=np.array([4, 5, 6, 9]))
    assert open_logits(ALONE, stated).columns.category_id.tolist() == [7, 3, 1]
    both = {**ALONE, "logits": FEATURES}
    assert len(open_logits(both, counted).columns) == 5


def test_rows_without_a_class() -> None:
    file = open_logits({**ALONE, "labels": np.where(LABELS == 2, -100, LABELS)})
    assert file.labels is not None
    assert len(file.columns) == 2
    assert (file.labels == IGNORED).sum() == 4
    assert np.array_equal(features_of(file.kept(file.labels != IGNORED)), FEATURES[LABELS != 2])


def test_the_digests_are_those_of_the_features() -> None:
    logits = open_logits({"logits": FEATURES, "labels": LABELS})
    assert row_digests(open_logits(ALONE)).tolist() == row_digests(logits).tolist()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"labels": None}, "classes: expected a label, or a parameter that says how many there are"),
        ({"labels": np.full(12, -1)}, "classes: expected a label, or a parameter that says how many there are"),
        ({"labels": np.full(12, 2**40)}, "expected a class index from 0 to 999999"),
        ({"labels": np.full(12, -3)}, "expected a class index from 0 to 999999"),
        ({"labels": LABELS + 0.5}, "row 0: expected"),
        ({"labels": LABELS[:5]}, "tensor `labels`: expected shape [12], found [5]"),
        ({"features": FEATURES[:, :0]}, "expected shape [N, D], D at least 1, found [12, 0]"),
        ({"features": FEATURES[:, 0]}, "expected shape [N, D], D at least 1, found [12]"),
        ({"features": LABELS[:, None]}, "expected float16 or bfloat16 or float32, found int64"),
        ({"image_id": LABELS, "boxes": np.ones((12, 4))}, "tensors: expected `logits`, found"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    arrays = {name: one for name, one in (ALONE | changes).items() if one is not None}
    assert message in message_of(arrays)


def test_a_feature_that_is_no_number() -> None:
    features = FEATURES.copy()
    features[7, 2] = np.nan
    with pytest.raises(LtcalError, match=r"tensor `features`, row 7, column 2: expected a finite number, found nan"):
        ltcal.fit({**ALONE, "features": features}, method="ncm")


def test_arrays_in_memory() -> None:
    """A head that is fitted on arrays has the classes of the table, and is applied to features alone."""
    head = ltcal.fit({"features": FEATURES}, labels=LABELS, frequencies=_counts(3), method="ncm")
    assert len(head.record.fitted_on.category_ids) == 3
    assert head.record.accuracy is None
    some = np.flatnonzero(LABELS < 2)
    report = ltcal.evaluate_classification({"test": {"features": FEATURES[some]}}, labels=LABELS[some], methods=[head])
    assert report.signature.categories == 3
    with pytest.raises(UsageError, match="expected logits, for the method none, found features alone"):
        ltcal.evaluate_classification({"test": ALONE})


def _counts(classes: int) -> ltcal.FrequencyTable:
    return ltcal.count(np.append(np.zeros(9, np.int64), np.arange(classes)))
