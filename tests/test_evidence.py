"""The parts of benchmarks/evidence that need neither Fashion-MNIST nor minutes."""

from __future__ import annotations

import gzip
import importlib.util
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.numpy import load_file

import longtail_cli as ltcal
from longtail_cli.cli import main
from longtail_cli.losses import GroupSoftmaxLoss, LDAMLoss
from longtail_cli.metrics import Classification

FOLDER = Path(__file__).parents[1] / "benchmarks" / "evidence"
NAMES = ("data", "tables", "choose", "train", "networks", "rows")  # each after those that it imports


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)  # where the other modules look for it
    spec.loader.exec_module(module)
    return module


data, tables, choose, train, networks, rows = map(load, NAMES)
for name in NAMES:
    del sys.modules[name]


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


def few_images(number: int) -> Any:
    rng = np.random.RandomState(0)
    label = np.resize(np.repeat(np.arange(10), [3, 1, 1, 1, 1, 1, 1, 1, 1, 1]), number)
    return data.Images(rng.randint(0, 256, (number, 28, 28)).astype(np.uint8), label)


RECIPES = [networks.CROSS_ENTROPY, *{str(one.recipe): one.recipe for one in rows.END_TO_END.values()}.values()]


@pytest.mark.parametrize("recipe", RECIPES, ids=str)
def test_a_network_is_trained_with_each_loss_and_its_outputs_are_logits_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, recipe: Any
) -> None:
    """Two steps on a dozen random images. Features, weight and a bias give the logits."""
    monkeypatch.setattr(train, "EPOCHS", 2)
    images, folder = few_images(12), tmp_path / "outputs"
    networks.train_and_save(networks.Network(recipe, 100, seed=0), {"train": images, "test": images}, folder)
    tensors = load_file(folder / "test" / "logits-00000.safetensors")
    bias = tensors["logits"] - tensors["features"] @ tensors["weight"].T
    np.testing.assert_allclose(bias, np.broadcast_to(bias[0], bias.shape), atol=1e-4)
    (run,) = ltcal.evaluate_classification(folder / "test", frequencies=np.bincount(images.label)).runs
    assert 0 <= run.classification.top1 <= 1


@torch.inference_mode()
def test_the_logits_of_ldam_are_its_cosines_times_the_scale() -> None:
    loss = LDAMLoss([30, 20, 10], scale=30)
    model = train.network(train.CosineLayer, loss.width).eval()
    pixels = train.inputs(few_images(12))
    cosines = model(pixels)
    assert 0 < cosines.abs().max() <= 1
    torch.testing.assert_close(train.with_linear_layer(model, loss)(pixels), 30 * cosines)


@torch.inference_mode()
def test_the_logits_of_bags_give_the_scores_of_its_loss(tmp_path: Path) -> None:
    images, scores = few_images(12), tmp_path / "scores.npz"
    loss = GroupSoftmaxLoss([3, 20, 30, 200, 300, 400, 2000, 3000, 4000, 5000])
    model = train.network(torch.nn.Linear, loss.width)
    columns = loss.columns(networks.CATEGORY_ID)
    train.save_outputs(train.with_linear_layer(model, loss), columns, {"test": images}, tmp_path)
    result = CliRunner().invoke(main, ["rescore", str(tmp_path / "test"), "--method", "none", "-o", str(scores)])
    assert result.exit_code == 0, result.output
    np.testing.assert_allclose(np.load(scores)["scores"], loss.decode(model(train.inputs(images))), atol=1e-6)


def test_outputs_of_networks_with_other_recipes_lie_apart(tmp_path: Path) -> None:
    folders = [networks.Network(recipe, 10, seed=0).folder(tmp_path) for recipe in RECIPES]
    assert len(set(folders)) == len(folders) == 7


def test_tables_show_means_spread_and_gains() -> None:
    blank = Classification(*[0.5] * 10, confusion={}, reliability=())
    networks = [
        {"softmax": replace(blank, top1=top1), "other": replace(blank, top1=top1 + gain)}
        for top1, gain in ((0.5, 0.01), (0.6, 0.03))
    ]
    alone = {"softmax": networks[0]["softmax"]}
    assert tables.top1_table({10: [alone], 50: networks[:1], 100: networks}).splitlines() == [
        "| top-1, percent   |   imbalance 10 |   imbalance 50 |   imbalance 100 |",
        "|:-----------------|---------------:|---------------:|----------------:|",
        "| softmax          |           50.0 |           50.0 |      55.0 ± 7.1 |",
        "| other            |                |           51.0 |      57.0 ± 8.5 |",
    ]
    assert tables.detail_table(networks).splitlines()[-1].split("|")[5].strip() == "+2.0 (+1.0 to +3.0)"
