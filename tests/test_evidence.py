"""The parts of benchmarks/evidence that need neither Fashion-MNIST nor minutes."""

from __future__ import annotations

import gzip
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import longtail_cli as ltcal
from longtail_cli.metrics import Classification

FOLDER = Path(__file__).parents[1] / "benchmarks" / "evidence"


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"evidence_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


choose, data, tables = map(load, ("choose", "data", "tables"))


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + np.array(values.shape, ">u4").tobytes()
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


def test_the_original_files_are_read(tmp_path: Path) -> None:
    pixels, label = np.random.RandomState(0).randint(0, 256, (5, 28, 28)), np.array([3, 1, 4, 1, 5])
    write_idx(tmp_path / "t10k-images-idx3-ubyte.gz", pixels)
    write_idx(tmp_path / "t10k-labels-idx1-ubyte.gz", label)
    found = data.read_images(tmp_path, "test")
    np.testing.assert_array_equal(found.pixels, pixels)
    np.testing.assert_array_equal(found.label, label)


def test_without_the_files_a_message_says_how_to_get_them(tmp_path: Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    with pytest.raises(SystemExit, match=re.escape(f"{path} is missing. Install Debian's package")):
        data.read_images(tmp_path, "train")


@pytest.mark.parametrize("imbalance", [10, 200])
def test_train_and_held_out_images_are_long_tailed_alike(imbalance: int) -> None:
    label = np.repeat(np.arange(10), 6000)
    train, held_out = data.long_tailed_rows(label, imbalance, seed=0)
    assert len(np.unique(np.concatenate([train, held_out]))) == len(train) + len(held_out)
    left, cut = np.bincount(label[train]), np.bincount(label[held_out])
    assert sorted(left + cut, reverse=True) == [round(6000 * imbalance ** (-c / 9)) for c in range(10)]
    np.testing.assert_allclose(cut / (left + cut), 0.2, atol=0.01)


def test_a_higher_imbalance_leaves_images_out_and_adds_none() -> None:
    label = np.repeat(np.arange(10), 6000)
    more, less = (np.concatenate(data.long_tailed_rows(label, imbalance, seed=1)) for imbalance in (10, 100))
    assert set(less) < set(more)


def test_the_oracle_is_the_best_candidate_on_the_test_set(tmp_path: Path) -> None:
    """Exact log posteriors under a long-tailed prior: on balanced data, tau = 1 is right."""
    rng, counts = np.random.RandomState(0), np.array([800, 400, 200, 100])

    def rows(labels: np.ndarray) -> np.ndarray:
        x = rng.normal(0, 1, (len(labels), 4)) + 1.5 * np.eye(4)[labels]
        return (1.5 * x + np.log(counts / counts.sum())).astype(np.float32)

    held_out, test = np.repeat(np.arange(4), counts), np.repeat(np.arange(4), 500)
    freq, path = ltcal.count(counts=counts), tmp_path / "test.npz"
    np.savez(path, logits=rows(test), labels=test)
    path.with_suffix(".meta.json").write_text('{"format": "ltcal-logits/1", "head": "softmax", "background": "none"}')
    tuning = ltcal.tune(
        rows(held_out), labels=held_out, frequencies=freq, spaces="logit-adjust:tau=0..2", bootstrap=None
    )
    specs = [one.spec for one in tuning.candidates]
    top1 = [
        run.classification.top1 for run in ltcal.evaluate_classification(path, frequencies=freq, methods=specs).runs
    ]
    assert choose.oracle_spec(path, tuning, freq) == specs[int(np.argmax(top1))]
    assert choose.best_of(tuning, "logit-adjust") == tuning.chosen.spec
    assert float(tuning.chosen.spec.rpartition("=")[2]) == pytest.approx(1, abs=0.3)


def test_tables_show_means_spread_and_gains() -> None:
    blank = Classification(*[0.5] * 10, confusion={}, reliability=())
    networks = [
        {"softmax": replace(blank, top1=top1), "other": replace(blank, top1=top1 + gain)}
        for top1, gain in ((0.5, 0.01), (0.6, 0.03))
    ]
    assert tables.top1_table({10: networks, 50: networks[:1]}).splitlines() == [
        "| top-1, percent   |   imbalance 10 |   imbalance 50 |",
        "|:-----------------|---------------:|---------------:|",
        "| softmax          |     55.0 ± 7.1 |           50.0 |",
        "| other            |     57.0 ± 8.5 |           51.0 |",
    ]
    assert tables.detail_table(networks).splitlines()[-1].split("|")[5].strip() == "+2.0 (+1.0 to +3.0)"
