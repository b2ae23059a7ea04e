"""Writes mmpretrain.pkl as ``tools/test.py --out`` does: the samples of a head, dumped by MMEngine's `DumpResults`.

Run with PYTHONPATH=tests. Written with mmpretrain 1.2.0, mmengine 0.10.7 and torch 2.15.0; open-mmlab/mmpretrain,
tools/test.py and mmpretrain/structures/data_sample.py.
"""

from __future__ import annotations

from classifier_rows import FILES, Rows
from mmengine.evaluator import Evaluator
from mmpretrain.evaluation import Accuracy  # noqa: F401  (registers the metrics)
from mmpretrain.structures import DataSample

COUNT = 40  # a sample takes a kilobyte

rows = Rows()
samples = []
for number, name in enumerate(rows.files[:COUNT]):
    sample = DataSample(metainfo={"img_path": f"data/val/{name}", "img_shape": (8, 8), "num_classes": 10})
    sample.set_gt_label(int(rows.labels[number]))
    sample.set_pred_score(rows.probabilities[number]).set_pred_label(int(rows.logits[number].argmax()))
    samples.append(sample)
evaluator = Evaluator([{"type": "DumpResults", "out_file_path": str(FILES / "mmpretrain.pkl")}])
evaluator.process(samples)
evaluator.evaluate(COUNT)
