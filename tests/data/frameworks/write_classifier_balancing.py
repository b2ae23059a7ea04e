"""Writes trainfeat_all.pkl and testfeat_all.pkl as classifier-balancing's ``main.py --save_feat`` does.

The framework is no package, so the files are built to the structure of `eval` in run_networks.py
(facebookresearch/classifier-balancing, 22370c6): batches are concatenated, labels and indices of the images are int64,
protocol 4. The network is an average pool, whose 16 features are those of the digits of examples/digits_lt.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits

FILES = Path(__file__).parent
TRAIN = FILES.parents[2] / "examples" / "digits_lt" / "train.txt"
TEST_ROWS, BATCH = 150, 64

digits = load_digits()
images, classes = torch.from_numpy(digits.images).float() / 16, digits.target.astype(np.int64)
train = np.array([int(line.removeprefix("digits/")[:4]) for line in TRAIN.read_text().splitlines()])
test = np.setdiff1d(np.arange(len(images)), train)[:TEST_ROWS]

for name, rows in (("train", train), ("test", test)):
    feats_all, labels_all, idxs_all = [], [], []
    for idxs in torch.arange(len(rows)).split(BATCH):
        batch = rows[idxs.numpy()]
        feats_all.append(torch.nn.functional.avg_pool2d(images[batch][:, None], 2).flatten(1).numpy())
        labels_all.append(torch.from_numpy(classes[batch]).numpy())
        idxs_all.append(idxs.numpy())
    with (FILES / f"{name}feat_all.pkl").open("wb") as file:
        content = {
            "feats": np.concatenate(feats_all),
            "labels": np.concatenate(labels_all),
            "idxs": np.concatenate(idxs_all),
        }
        pickle.dump(content, file, protocol=4)
