"""The same rows of a classifier as a plain file and as frameworks save them, and what their reports must agree on."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from click.testing import CliRunner

from longtail_cli.cli import main

EXAMPLE = Path(__file__).parents[1] / "examples" / "digits_lt"
FILES = Path(__file__).parent / "data" / "frameworks"
"""Files that frameworks wrote, each by the script beside it."""
ROWS = 120


class Rows:
    """Logits of 120 images of the digits, float32 [120, 10], with labels and file names."""

    @cached_property
    def logits(self) -> np.ndarray:
        with np.load(EXAMPLE / "logits.npz") as arrays:
            return arrays["logits"][::7][:ROWS].astype(np.float32)

    @cached_property
    def labels(self) -> np.ndarray:
        with np.load(EXAMPLE / "logits.npz") as arrays:
            return arrays["labels"][::7][:ROWS].astype(np.int64)

    @cached_property
    def probabilities(self) -> np.ndarray:
        return torch.softmax(torch.from_numpy(self.logits), 1).numpy()

    @property
    def files(self) -> list[str]:
        return [f"digit_{row:03d}.png" for row in range(ROWS)]


def plain(folder: Path, rows: Rows) -> tuple[Path, Path]:
    """The logits and the labels as arrays of their own."""
    np.save(folder / "plain.npy", rows.logits)
    np.save(folder / "labels.npy", rows.labels)
    return folder / "plain.npy", folder / "labels.npy"


def frequencies(folder: Path) -> Path:
    """The counts of the training set."""
    path = folder / "freq.csv"
    CliRunner().invoke(
        main, ["compute-freq", str(EXAMPLE / "train.txt"), "--groups", "10,30", "-o", str(path)], catch_exceptions=False
    )
    return path


def figures(folder: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """The metrics of each run of a report, to the last digit."""
    out = folder / "figures.json"
    result = CliRunner().invoke(main, ["report", *map(str, arguments), "--per-category", "--json", str(out)])
    assert result.exit_code == 0, result.output
    return [
        {name: run[name] for name in ("classification", "categories")} for run in json.loads(out.read_bytes())["runs"]
    ]


def notes(*arguments: str | Path) -> str:
    """What a report says on stderr."""
    result = CliRunner().invoke(main, ["report", *map(str, arguments)])
    assert result.exit_code == 0, result.output
    return result.stderr


def refusal(*arguments: str | Path) -> str:
    """The message of a command that ends with exit code 2."""
    result = CliRunner().invoke(main, list(map(str, arguments)))
    assert result.exit_code == 2, result.output
    return result.stderr
