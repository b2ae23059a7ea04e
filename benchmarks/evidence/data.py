"""Fashion-MNIST with a long-tailed train set: reading it, and cutting train and held-out images from it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

CLASSES = 10
MOST = 6000  # images of the most frequent class: all there are
HELD_OUT_SHARE, LEAST_HELD_OUT = 0.2, 2
PREFIX = {"train": "train", "test": "t10k"}
UNSIGNED_BYTE = 8  # the type code in the header of an idx file


@dataclass(frozen=True, slots=True)
class Images:
    """pixels: uint8 [N, 28, 28]. label: int64 [N], 0..9."""

    pixels: npt.NDArray[np.uint8]
    label: Integers

    def take(self, rows: Integers) -> Images:
        return Images(self.pixels[rows], self.label[rows])


def read_images(folder: Path, split: str) -> Images:
    """`split` (train or test) from the four original files. Ends the program if one is missing."""
    pixels, label = (folder / f"{PREFIX[split]}-{kind}-ubyte.gz" for kind in ("images-idx3", "labels-idx1"))
    for path in (pixels, label):
        if not path.is_file():
            raise SystemExit(
                f"Fashion-MNIST: {path} is missing. Install Debian's package dataset-fashion-mnist, or name a folder "
                "with the four original .gz files: --data DIR, or the environment variable LTCAL_FASHION_MNIST."
            )
    return Images(read_idx(pixels), read_idx(label).astype(np.int64))


def read_idx(path: Path) -> npt.NDArray[np.uint8]:
    """An idx file of bytes: two zeros, the type, the number of axes, the length of each axis (big-endian), the data."""
    content = gzip.decompress(path.read_bytes())
    if len(content) < 4 or content[:3] != bytes((0, 0, UNSIGNED_BYTE)):
        raise SystemExit(f"{path} is not an idx file of bytes: download it again")
    begin = 4 + 4 * content[3]
    shape = np.frombuffer(content[4:begin], ">u4").tolist()
    return np.frombuffer(content, np.uint8, offset=begin).reshape(shape)


def long_tailed_rows(label: Integers, imbalance: int, seed: int) -> tuple[Integers, Integers]:
    """Rows of the images to train on, and of those held out, which are as long-tailed.

    The c-th class of C has MOST imbalance^(-c / (C - 1)) images. The seed shuffles the classes and the images, so each
    seed has other rare classes; for one seed, the set of a higher imbalance is part of the set of a lower one.
    """
    rng = np.random.RandomState(seed)
    train, held_out = [], []
    for c, rare in enumerate(rng.permutation(CLASSES)):
        rows = rng.permutation(np.flatnonzero(label == rare))[: round(MOST * imbalance ** (-c / (CLASSES - 1)))]
        cut = max(LEAST_HELD_OUT, round(HELD_OUT_SHARE * len(rows)))
        held_out.append(rows[:cut])
        train.append(rows[cut:])
    return np.concatenate(train), np.concatenate(held_out)
