"""What helps a long-tailed classifier, in training and after it: trains small networks and prints tables.

    python benchmarks/evidence/run.py [--data DIR] [--cache DIR] [--seeds 3]

Fashion-MNIST with imbalance 10 to 200. DIR has its four original files; Debian's package dataset-fashion-mnist installs
them where they are looked for. The outputs of the networks are kept as logits files in the cache folder, so that a
second call only makes the tables again. The test set is balanced: top-1 is balanced accuracy.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from choose import best_of, oracle_spec, tuning_of
from networks import CROSS_ENTROPY, Network, train_missing
from rows import CORRECTIONS, END_TO_END, EQUALLY_MANY, FIXED, HEADS, ORACLE
from safetensors.numpy import load_file
from tables import Results, detail_table, top1_table

import longtail_cli as ltcal
from longtail_cli.metrics import Classification

DATA = Path("/usr/share/datasets/fashion-mnist")  # where Debian's package puts it
IMBALANCES = (10, 50, 100, 200)
TRAINED = (100,)  # those with networks for each loss
DETAILED = 100  # the imbalance of the second table
GROUPS = (149, 1000)  # few: below 150 train images; many: above 1,000. At imbalance 100: 3, 3 and 4 classes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    data = Path(os.environ.get("LTCAL_FASHION_MNIST", DATA))
    parser.add_argument("--data", type=Path, default=data, metavar="DIR", help="default: %(default)s")
    cache = Path(tempfile.gettempdir(), "ltcal-evidence")
    parser.add_argument("--cache", type=Path, default=cache, metavar="DIR", help="default: %(default)s")
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    networks = [
        Network(recipe, imbalance, seed)
        for recipe in (CROSS_ENTROPY, *(one.recipe for one in END_TO_END.values()))
        for imbalance in (IMBALANCES if recipe == CROSS_ENTROPY else TRAINED)
        for seed in range(options.seeds)
    ]
    train_missing(networks, options.cache, options.data)
    results = {
        imbalance: [evaluated(imbalance, seed, options.cache) for seed in range(options.seeds)]
        for imbalance in IMBALANCES
    }
    print(top1_table(results), f"Imbalance {DETAILED}:", detail_table(results[DETAILED]), sep="\n\n")


def evaluated(imbalance: int, seed: int, cache: Path) -> Results:
    """All rows of the tables for one train set: adjusted, corrected, with another classifier, trained otherwise."""
    folder = Network(CROSS_ENTROPY, imbalance, seed).folder(cache)
    freq = ltcal.count(arrays(folder / "train")["labels"], groups=GROUPS)
    with tempfile.TemporaryDirectory() as scratch:
        part = part_like(folder / "train", folder / "held-out", Path(scratch, "part.npz"))
        found = {
            **adjusted(folder, freq, adjustments(folder, freq)),
            **fitted(folder, freq, folder / "held-out", CORRECTIONS, "learned"),
            **fitted(folder, freq, folder / "held-out", HEADS, "on held-out features"),
            **fitted(folder, freq, part, {name: HEADS[name] for name in EQUALLY_MANY}, "on as many train features"),
            **fitted(folder, freq, folder / "train", HEADS, "on train features"),
        }
    for name, trained in END_TO_END.items() if imbalance in TRAINED else ():
        own = Network(trained.recipe, imbalance, seed).folder(cache)
        found |= adjusted(own, freq, {f"trained with {name}": trained.spec})
    return found


def adjustments(folder: Path, freq: ltcal.FrequencyTable) -> dict[str, str]:
    """Specs; those that are chosen are chosen on the held-out images."""
    tuning = tuning_of(folder / "held-out", freq)
    specs = {
        **FIXED,
        "IIF, tuned": best_of(tuning, "iif"),
        "logit adjustment, tuned": best_of(tuning, "logit-adjust"),
        "tuned": tuning.chosen.spec,
        ORACLE: oracle_spec(folder / "test", tuning, freq),
    }
    print(f"{folder.name}: tuned {specs['tuned']}; oracle {specs[ORACLE]}", file=sys.stderr)
    return specs


def adjusted(folder: Path, freq: ltcal.FrequencyTable, specs: Mapping[str, str]) -> Results:
    """The metrics of some methods on the test set of a network."""
    chosen = {name: ltcal.parse_method(spec).spec for name, spec in specs.items()}
    distinct = list(dict.fromkeys(chosen.values()))  # the oracle may agree with the choice
    found = dict(zip(distinct, metrics(folder, freq, distinct), strict=True))
    return {name: found[spec] for name, spec in chosen.items()}


def part_like(train: Path, held_out: Path, part: Path) -> Path:
    """Write as many of the train rows of each class as there are held-out ones; returns `part`, a logits file."""
    tensors = arrays(train)
    wanted = np.bincount(arrays(held_out)["labels"])
    rows = np.concatenate([np.flatnonzero(tensors["labels"] == c)[:count] for c, count in enumerate(wanted)])
    np.savez(part, **{name: values if name == "weight" else values[rows] for name, values in tensors.items()})
    part.with_suffix(".meta.json").write_text('{"format": "ltcal-logits/1", "head": "softmax", "background": "none"}')
    return part


def fitted(folder: Path, freq: ltcal.FrequencyTable, rows: Path, specs: Mapping[str, str], how: str) -> Results:
    """The same of corrections and classifiers that are learned on some rows of the network's outputs."""
    found = {}
    for name, spec in specs.items():
        fit = ltcal.fit(rows, method=spec, frequencies=freq)
        (found[f"{name}, {how}"],) = metrics(folder, freq, [fit])
    return found


def metrics(folder: Path, freq: ltcal.FrequencyTable, methods: Sequence[str | ltcal.Fit]) -> list[Classification]:
    runs = ltcal.evaluate_classification(folder / "test", frequencies=freq, methods=methods).runs
    return [run.classification for run in runs]


def arrays(folder: Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors of a folder of logits with one shard, as all of these are."""
    return load_file(folder / "logits-00000.safetensors")


if __name__ == "__main__":
    main()
