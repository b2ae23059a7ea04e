"""Writes what people save of `Trainer.predict`, here of a model that returns the rows that it is given.

Run with PYTHONPATH=tests. Written with transformers 5.23.0, accelerate 1.15.0 and torch 2.15.0;
huggingface/transformers, src/transformers/trainer_utils.py (PredictionOutput).
"""

from __future__ import annotations

import pickle
import tempfile
from typing import Any

import numpy as np
import torch
from classifier_rows import FILES, ROWS, Rows
from transformers import PretrainedConfig, PreTrainedModel, Trainer, TrainingArguments


class Identity(PreTrainedModel):
    """A classifier whose logits are its inputs."""

    config_class = PretrainedConfig

    def __init__(self, config: PretrainedConfig) -> None:
        super().__init__(config)
        self.scale = torch.nn.Parameter(torch.ones(1))
        self.post_init()

    def forward(self, pixel_values: torch.Tensor, labels: torch.Tensor) -> dict[str, Any]:
        logits = self.scale * pixel_values
        return {"loss": torch.nn.functional.cross_entropy(logits, labels), "logits": logits}


rows = Rows()
data = [{"pixel_values": rows.logits[row], "labels": int(rows.labels[row])} for row in range(ROWS)]
with tempfile.TemporaryDirectory() as folder:
    arguments = TrainingArguments(folder, per_device_eval_batch_size=50, use_cpu=True, report_to=[])
    found = Trainer(Identity(PretrainedConfig()), arguments).predict(data)
np.savez(FILES / "transformers.npz", **found._asdict())
np.save(FILES / "transformers_predictions.npy", found.predictions)
torch.save(found, FILES / "transformers.pt")
(FILES / "transformers.pkl").write_bytes(pickle.dumps(found))
