"""Checks that outputs can be read. Each returns what is wrong with a file, or None."""

from __future__ import annotations

import csv
import json
import math
import xml.etree.ElementTree
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet

import longtail_cli
from longtail_cli.errors import LtcalError
from longtail_cli.files.source import plain_file
from longtail_cli.reports.inspection.json import from_json


def _results(path: Path) -> str | None:
    if path.suffix == ".parquet":
        scores = pyarrow.parquet.read_table(path)["score"].to_pylist()
    else:
        with plain_file(path) as plain:
            entries = _json(plain.read_bytes())
        scores = [float(entry["score"]) for entry in entries]
    return None if all(map(math.isfinite, scores)) else "scores that are not finite"


def _json(content: bytes) -> Any:
    """Integers may have more digits than Python converts, so numbers stay text."""
    return json.loads(content, parse_int=str, parse_float=str, parse_constant=str)


def _scores(path: Path) -> str | None:
    with np.load(path) as arrays:
        finite = all(np.isfinite(arrays[name]).all() for name in arrays.files if arrays[name].dtype.kind == "f")
    return None if finite else "scores that are not finite"


def _report(path: Path) -> str | None:
    longtail_cli.read_report(path)
    return None


def _tuning(path: Path) -> str | None:
    longtail_cli.read_tuning(path)
    return None


def _fit(path: Path) -> str | None:
    longtail_cli.read_fit(path)
    return None


def _frequencies(path: Path) -> str | None:
    longtail_cli.read_frequencies(path)
    return None


def _csv(path: Path) -> str | None:
    with path.open(encoding="utf-8", newline="") as file:
        widths = {len(row) for row in csv.reader(file)}
    return None if len(widths) == 1 else "rows of different lengths"


def _xml(path: Path) -> str | None:
    xml.etree.ElementTree.parse(path)
    return None


def _latex(path: Path) -> str | None:
    *_, end = path.read_text(encoding="utf-8").splitlines()
    return None if end == r"\end{tabular}" else "not a whole table"


def _metrics(path: Path) -> str | None:
    found = json.loads(path.read_text(encoding="utf-8")).values()
    numbers = all(isinstance(value, int | float) and math.isfinite(value) for value in found)
    return None if numbers else "values that are not finite numbers"


def _finite_json(path: Path) -> str | None:
    constants: list[str] = []
    json.loads(path.read_text(encoding="utf-8"), parse_constant=constants.append)
    return "numbers that are not finite" if constants else None


def _parquet(path: Path) -> str | None:
    pyarrow.parquet.read_table(path)
    return None


def _inspection(path: Path) -> str | None:
    from_json(path.read_text(encoding="utf-8"), str(path))
    return None


def _readable(check: Callable[[Path], str | None]) -> Callable[[Path], str | None]:
    def checked(path: Path) -> str | None:
        try:
            return check(path)
        except (LtcalError, ValueError, LookupError, TypeError, OSError, pyarrow.ArrowException) as error:
            return f"{type(error).__name__} when it is read"
        except (csv.Error, xml.etree.ElementTree.ParseError) as error:
            return f"{type(error).__name__} when it is read"

    return checked


CHECKS: dict[str, Callable[[Path], str | None]] = {
    name: _readable(check)
    for name, check in {
        "results": _results,
        "scores": _scores,
        "report": _report,
        "tuning": _tuning,
        "fit": _fit,
        "inspection": _inspection,
        "frequencies": _frequencies,
        "csv": _csv,
        "xml": _xml,
        "latex": _latex,
        "metrics": _metrics,
        "json": _finite_json,
        "parquet": _parquet,
    }.items()
}
"""Check by kind of output."""
