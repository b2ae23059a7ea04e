"""A linear head by `ltcal fit` compared with scikit-learn's LogisticRegression, on generated features with a long tail.

    python benchmarks/fit.py                                             # the size of ImageNet-LT
    python benchmarks/fit.py --rows 12000 --features 256 --classes 200   # a small run

ImageNet-LT has 115,846 rows of 1,000 classes; its features have 2,048 dimensions, as those of a ResNet-50.
Both minimise the mean cross entropy plus l2/2 |W|² until no partial derivative is above the tolerance. Each fit has a
process of its own, one after another, in turn for each run. A pass is one evaluation of the loss and its gradient on
all rows; for scikit-learn its iterations, which are at most as many. Memory is the largest resident set of the process,
which holds the features in float32 when the fit begins; scikit-learn with float64 is given a copy, as a caller has to.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tabulate import tabulate

from longtail_cli.fitting.head_losses import head_loss
from longtail_cli.fitting.heads import fit_head
from longtail_cli.fitting.linear_head import FeatureRows, LinearHead
from longtail_cli.fitting.linear_solver import TOLERANCE, MeanLoss, pack, training_rows
from longtail_cli.fitting.methods import Classifier
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.methods.steps import Classify
from longtail_cli.tables import LogitColumns

SOLVERS = ("ltcal", "scikit-learn float32", "scikit-learn float64")
IMBALANCE = 256
"""Rows of the most frequent class for each row of the rarest."""

DISTANCE = 8.0
"""Of two class means, in standard deviations of the noise, before the negative half of each feature is cut off."""


def generate(folder: Path, rows: int, features: int, classes: int) -> Path:
    """Features (float32) and labels, written when first used: class means plus noise along random axes whose variance
    falls as 1/j, with negative numbers set to 0, as after a ReLU.
    """
    path = folder / f"features-{rows}-{features}-{classes}"
    if path.exists():
        return path
    random = np.random.default_rng(0)
    share = IMBALANCE ** -(np.arange(classes) / max(classes - 1, 1))
    ends = np.rint(np.cumsum(share / share.sum()) * rows).astype(np.int64)
    label = np.searchsorted(ends, np.arange(rows), side="right")
    random.shuffle(label)
    spread = (1.0 + np.arange(features)) ** -0.5
    spread *= np.sqrt(features / (spread**2).sum())
    axes = np.linalg.qr(random.normal(size=(features, features)))[0]
    means = random.normal(size=(classes, features)) * (DISTANCE / np.sqrt(2 * features))
    found = np.empty((rows, features), np.float32)
    for first in range(0, rows, 4096):
        block = slice(first, first + 4096)
        noise = random.normal(size=(len(label[block]), features))
        found[block] = np.maximum((means[label[block]] + noise) * spread @ axes.T, 0)
    path.mkdir(parents=True)
    np.save(path / "features.npy", found)
    np.save(path / "label.npy", label)
    return path


def measure(path: Path, solver: str, l2: float, tolerance: float, passes: int) -> dict[str, Any]:
    """One fit: seconds, passes, memory, and the loss where it ended."""
    before = resident()
    features, label = np.load(path / "features.npy"), np.load(path / "label.npy")
    label = np.unique(label, return_inverse=True)[1]  # scikit-learn leaves out classes without rows
    begin = time.perf_counter()
    head, count = (ours if solver == "ltcal" else theirs)(features, label, solver, l2, tolerance, passes)
    seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    loss, gradient = objective_of(features, label, l2)(pack(head))
    return {
        "seconds": seconds,
        "passes": count,
        "memory": peak / features.nbytes,
        "memory of the fit": (peak - before) / features.nbytes,
        "loss": loss,
        "gradient": float(np.abs(gradient).max()),
    }


def ours(
    features: np.ndarray[Any, Any], label: np.ndarray[Any, Any], _: str, l2: float, tolerance: float, passes: int
) -> tuple[LinearHead, int]:
    fitted = fit_head(Classifier(l2=l2), labelled(features, label), None, None, 0, lambda task, share: None)
    step = fitted.steps[0]
    assert isinstance(step, Classify)
    return LinearHead(step.weight, step.bias), fitted.passes


def theirs(
    features: np.ndarray[Any, Any], label: np.ndarray[Any, Any], solver: str, l2: float, tolerance: float, passes: int
) -> tuple[LinearHead, int]:
    from sklearn.linear_model import LogisticRegression

    given = features.astype(np.float64) if solver.endswith("float64") else features
    model = LogisticRegression(C=1 / (l2 * len(label)), tol=tolerance, max_iter=passes).fit(given, label)
    return LinearHead(model.coef_.astype(np.float64), model.intercept_.astype(np.float64)), int(model.n_iter_[0])


def labelled(features: np.ndarray[Any, Any], label: np.ndarray[Any, Any]) -> LabelledRows:
    columns = LogitColumns("softmax", "none", np.arange(label.max() + 1))
    none = torch.zeros(len(label), dtype=torch.bool)
    return LabelledRows(columns, torch.from_numpy(label), none, None, torch.from_numpy(features))


def objective_of(features: np.ndarray[Any, Any], label: np.ndarray[Any, Any], l2: float) -> MeanLoss:
    rows = labelled(features, label)
    loss = head_loss(Classifier(), rows.columns, None, 0)
    whole = FeatureRows(torch.from_numpy(features), torch.arange(len(label)))
    data = training_rows(whole, rows.target, np.ones(loss.width), loss)
    return MeanLoss(data, loss, l2, None, lambda: None)


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=115_846)
    parser.add_argument("--features", type=int, default=2048)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--l2", type=float, default=1e-3)
    parser.add_argument("--most", type=int, default=1000, help="iterations of scikit-learn; default 1,000")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--solvers", nargs="+", choices=SOLVERS, default=SOLVERS)
    parser.add_argument("--cases", type=Path, default=Path(tempfile.gettempdir()) / "ltcal-cases")
    parser.add_argument("--only", choices=SOLVERS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    path = generate(options.cases, options.rows, options.features, options.classes)
    if options.only:
        print(json.dumps(measure(path, options.only, options.l2, TOLERANCE, options.most)))
        return
    size = ["--rows", str(options.rows), "--features", str(options.features), "--classes", str(options.classes)]
    same = [*size, "--l2", str(options.l2), "--most", str(options.most), "--cases", str(options.cases)]
    print(f"{platform.machine()}, {torch.get_num_threads()} threads, torch {torch.__version__}, l2 = {options.l2:g}\n")
    found: dict[str, list[dict[str, Any]]] = {solver: [] for solver in options.solvers}
    for _ in range(options.runs):
        for solver, results in found.items():
            run = subprocess.run(
                [sys.executable, __file__, *same, "--only", solver], check=True, stdout=subprocess.PIPE, text=True
            )
            results.append(json.loads(run.stdout))
            print(f"{solver}: {results[-1]['seconds']:.1f} s", file=sys.stderr, flush=True)
    rows = [[solver, *(statistics.median(one[key] for one in results) for key in results[0])]
            for solver, results in found.items()]  # fmt: skip
    headers = ["", "seconds", "passes", "peak / features", "peak of the fit / features", "loss", "largest derivative"]
    print(tabulate(rows, headers, tablefmt="github", floatfmt=("", ".1f", ".0f", ".2f", ".2f", ".5f", ".1e")))


if __name__ == "__main__":
    main()
