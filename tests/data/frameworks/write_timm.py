"""Writes timm_*.parquet and timm_*.csv by the function that saves results in timm's inference script.

usage: python write_timm.py path/to/pytorch-image-models/inference.py, with PYTHONPATH=tests. The script is not in the
package: it is huggingface/pytorch-image-models, inference.py at aa4b5850. Written with timm 1.0.31, pandas 3.1.1 and
torch 2.15.0.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pandas as pd
from classifier_rows import FILES, Rows

rows = Rows()
save_results = runpy.run_path(sys.argv[1], run_name="inference")["save_results"]
for name, outputs in (("logit", rows.logits), ("prob", rows.probabilities)):
    together = pd.DataFrame({"filename": rows.files, name: list(outputs)})
    apart = pd.DataFrame({"filename": rows.files} | {f"{name}_{column}": one for column, one in enumerate(outputs.T)})
    save_results(together, str(FILES / f"timm_{name}"), "parquet")
    save_results(apart, str(FILES / f"timm_{name}_separate"), "parquet")
save_results(apart.head(40), str(FILES / "timm_prob_separate"), "csv")
apart = pd.DataFrame({"filename": rows.files} | {f"logit_{column}": one for column, one in enumerate(rows.logits.T)})
save_results(apart, str(FILES / "timm_logit_separate"), "csv")
assert Path(FILES / "timm_logit.parquet").stat().st_size < 50_000
