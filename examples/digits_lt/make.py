"""Make scikit-learn's digits long-tailed, train a plain classifier, and write its logits.

    python examples/digits_lt/make.py [--out DIR]

Every run writes the same bytes. The README in this folder explains what is made and why.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

Integers = npt.NDArray[np.int64]

SEED = 0
TRAIN_COUNTS = (86, 57, 37, 25, 16, 11, 7, 5, 3, 2)  # 86 (2 / 86)^(k / 9); assigned to the digits by the seed
TEST_COUNT = 86  # test images of a digit, the same for all
FOLDS = 5
FULL_INK = 16  # the largest value of a digit image
WEIGHT_UNIT = 2.0**-8


def chosen(digit: Integers, counts: Integers) -> Integers:
    """Rows of the first `counts[d]` images of each digit d, ascending."""
    return np.sort(np.concatenate([np.flatnonzero(digit == d)[:count] for d, count in enumerate(counts)]))


def train(features: Integers, digit: Integers) -> Integers:
    """Weights [F, 10] of a multinomial logistic regression, scikit-learn's defaults, in units of `WEIGHT_UNIT`.

    The loss is strictly convex, so it has a single minimum, which Newton's method reaches to better than 1e-11. Further
    digits depend on the machine's linear algebra; rounding to the grid removes them. Features and weights are then
    integers, their products are exact, and the files are identical on every machine.
    """
    model = LogisticRegression(solver="newton-cholesky", fit_intercept=False, tol=1e-13)
    model.fit(features / FULL_INK, digit)
    return np.rint(model.coef_.T / WEIGHT_UNIT).astype(np.int64)


def exact_logits(features: Integers, weights: Integers) -> npt.NDArray[np.float16]:
    """Logits [N, 10]: sums of integers times a power of two, so free of rounding until they are stored."""
    return ((features @ weights) * (WEIGHT_UNIT / FULL_INK)).astype(np.float16)


def logits_out_of_fold(features: Integers, digit: Integers) -> npt.NDArray[np.float16]:
    """Logits [N, 10] of images of the train set, those of a fold from a classifier trained on the other folds.

    Images in the order of their digits are dealt to the folds in turn: those of a rare digit lie in different folds, so
    every classifier is trained on at least one of them.
    """
    fold = np.empty(len(digit), np.int64)
    fold[np.argsort(digit, kind="stable")] = np.arange(len(digit)) % FOLDS
    logits = np.empty((len(digit), 10), np.float16)
    for left_out in range(FOLDS):
        within, others = fold == left_out, fold != left_out
        logits[within] = exact_logits(features[within], train(features[others], digit[others]))
    return logits


def main(out: Path) -> None:
    bunch = load_digits()
    pixels, digit = bunch.data.astype(np.int64), bunch.target.astype(np.int64)
    features = np.pad(pixels, ((0, 0), (0, 1)), constant_values=FULL_INK)  # the last carries the bias
    middle = len(digit) // 2
    train_rows = chosen(digit[:middle], np.random.RandomState(SEED).permutation(TRAIN_COUNTS))
    test_rows = middle + chosen(digit[middle:], np.full(10, TEST_COUNT))
    weights = train(features[train_rows], digit[train_rows])
    out.mkdir(parents=True, exist_ok=True)
    write_train_list(out, train_rows, digit[train_rows])
    write_logits(out, "logits", exact_logits(features[test_rows], weights), digit[test_rows])
    held_out = logits_out_of_fold(features[train_rows], digit[train_rows])
    write_logits(out, "train_logits", held_out, digit[train_rows])


def write_train_list(out: Path, rows: Integers, labels: Integers) -> None:
    lines = [f"digits/{row:04}.png {label}\n" for row, label in zip(rows, labels, strict=True)]
    (out / "train.txt").write_text("".join(lines), encoding="utf-8", newline="\n")


def write_logits(out: Path, name: str, logits: npt.NDArray[np.float16], labels: Integers) -> None:
    # Not compressed: compressed bytes differ between versions of zlib.
    np.savez(out / f"{name}.npz", logits=logits, labels=labels)
    meta = {"format": "ltcal-logits/1", "head": "softmax", "background": "none", "category_ids": list(range(10))}
    text = json.dumps(meta, separators=(",", ":")) + "\n"
    (out / f"{name}.meta.json").write_text(text, encoding="utf-8", newline="\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description="Make the long-tailed digits and a classifier's logits of the test set."
    )
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, metavar="DIR", help="default: %(default)s")
    main(parser.parse_args().out)
