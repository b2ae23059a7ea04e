"""Post-hoc adjustments on Fashion-MNIST with imbalance 10 to 200: trains small networks and prints tables.

    python benchmarks/evidence/run.py [--data DIR] [--cache DIR] [--seeds 3]

DIR has the four original files of Fashion-MNIST; Debian's package dataset-fashion-mnist installs them where they are
looked for. The outputs of the networks are kept as logits files in the cache folder, so that a second call only makes
the tables again. The test set is balanced: top-1 is balanced accuracy.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy.typing as npt
from choose import best_of, oracle_spec, tuning_of
from data import long_tailed_rows, read_images
from safetensors.numpy import load_file
from tables import SOFTMAX, Results, detail_table, top1_table
from train import save_outputs, trained

import longtail_cli as ltcal
from longtail_cli.choices import VARIANTS

HERE = Path(__file__).parent
DATA = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
IMBALANCES = (10, 50, 100, 200)
DETAILED = 100  # the imbalance of the second table
GROUPS = (149, 1000)  # few: below 150 train images; many: above 1,000. At imbalance 100: 3, 3 and 4 classes
FIXED = {
    SOFTMAX: "none",
    **{f"IIF {variant}": f"iif:variant={variant}" for variant in VARIANTS},
    "logit adjustment, tau = 1": "logit-adjust",
    "balanced softmax": "balanced-softmax",
    "tau-norm, tau = 1": "tau-norm",
}

ORACLE = "oracle (chosen on the test set)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("LTCAL_FASHION_MNIST", DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="default: %(default)s")
    cache = Path(tempfile.gettempdir(), "ltcal-evidence")
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    cases = [(imbalance, seed) for imbalance in IMBALANCES for seed in range(options.seeds)]
    folders = {case: options.cache / recipe() / f"imbalance-{case[0]}-seed-{case[1]}" for case in cases}
    train_missing(folders, options.data)
    results = {
        imbalance: [evaluated(folders[imbalance, seed]) for seed in range(options.seeds)] for imbalance in IMBALANCES
    }
    print(top1_table(results), f"Imbalance {DETAILED}:", detail_table(results[DETAILED]), sep="\n\n")


def recipe() -> str:
    """A name for what the networks are made from, so that outputs of an older recipe are not taken for the newer."""
    return hashlib.sha256(b"".join((HERE / name).read_bytes() for name in ("data.py", "train.py"))).hexdigest()[:12]


def train_missing(folders: Mapping[tuple[int, int], Path], data: Path) -> None:
    """Train the networks whose outputs are not there, by imbalance and seed."""
    missing = {case: folder for case, folder in folders.items() if not folder.exists()}
    if not missing:
        return
    images, test = read_images(data, "train"), read_images(data, "test")
    for (imbalance, seed), folder in missing.items():
        begin = time.perf_counter()
        rows, held_out_rows = long_tailed_rows(images.label, imbalance, seed)
        splits = {"train": images.take(rows), "held-out": images.take(held_out_rows), "test": test}
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:  # so that a folder is complete or not there
            outputs = Path(scratch, "outputs")
            outputs.mkdir()
            save_outputs(trained(splits["train"], seed), splits, outputs)
            outputs.rename(folder)
        print(f"{folder.name}: {time.perf_counter() - begin:.0f} s", file=sys.stderr)


def evaluated(folder: Path) -> Results:
    """All methods on the test set of one network; what is chosen or fitted is so on its held-out images."""
    freq = ltcal.count(arrays(folder / "train")["labels"], groups=GROUPS)
    tuning = tuning_of(folder / "held-out", freq)
    specs = {
        **FIXED,
        "temperature, fitted": best_of(tuning, "temperature"),
        "IIF, tuned": best_of(tuning, "iif"),
        "logit adjustment, tuned": best_of(tuning, "logit-adjust"),
        "tuned": tuning.chosen.spec,
        ORACLE: oracle_spec(folder / "test", tuning, freq),
    }
    chosen = {name: ltcal.parse_method(spec).spec for name, spec in specs.items()}
    print(f"{folder.name}: tuned {chosen['tuned']}; oracle {chosen[ORACLE]}", file=sys.stderr)
    distinct = list(dict.fromkeys(chosen.values()))  # the oracle may agree with the choice
    runs = ltcal.evaluate_classification(folder / "test", frequencies=freq, methods=distinct).runs
    metrics = {spec: run.classification for spec, run in zip(distinct, runs, strict=True)}
    return {name: metrics[spec] for name, spec in chosen.items()}


def arrays(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a folder of logits with one shard, as all of these are."""
    return load_file(folder / "logits-00000.safetensors")


if __name__ == "__main__":
    main()
