"""A generated report of the size of LVIS, for the tests of the page."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from reports import HOSTILE, MAIN, SPECIAL, report

from longtail_cli.metrics import CategoryMetrics, DetectionBin, Interval, Reliability, Tide, TideGains
from longtail_cli.reports.model import GroupSize, Report, Run

CATEGORIES = 1203
GROUPS = ("r", "c", "f")


def big_report(categories: int = CATEGORIES) -> Report:
    """Two runs over `categories` categories; the first few have hostile names, the others are ``category 17``."""
    before, after = _run("before", 0.0, categories), _run("after", 0.02, categories)
    intervals = {f"bbox/{name}": Interval(0.2, 0.4) for name in ("AP", "APr", "APc", "APf", "AP50")}
    deltas = {name: Interval(0.01, 0.03) for name in intervals}
    sizes = {name: GroupSize(categories // 3, 5000, 80000) for name in ("all", *GROUPS)}
    runs = replace(before, intervals=intervals), replace(after, intervals=intervals, deltas=deltas)
    return replace(report(*runs), groups=sizes)


def _run(name: str, shift: float, categories: int) -> Run:
    rng = np.random.default_rng(0)
    train = np.maximum(1, np.sort(rng.pareto(0.7, categories) * 3)[::-1]).astype(int).tolist()
    ap = np.clip(rng.normal(0.3, 0.15, categories) + shift * rng.random(categories), 0, 1).tolist()
    rows = tuple(_row(n, train[n], ap[n] if n % 50 else None) for n in range(categories))
    metrics = {"AP": 0.3 + shift, "AP50": 0.5 + shift, "AP75": 0.3, "APs": 0.2, "APm": 0.3, "APl": None}
    metrics |= {"APr": 0.2 + shift, "APc": 0.3 + shift, "APf": 0.4}
    gains = TideGains(0.5, MAIN, SPECIAL)
    tide = Tide("aligned", 0.5 + shift, MAIN, SPECIAL, dict.fromkeys(GROUPS, gains))
    bins = tuple(DetectionBin(1000 - 30 * b, (b + 0.5) / 25, b / 25, 0.8) for b in range(25))
    errors = {group: {"D-ECE": 0.1, "LaECE": 0.12} for group in ("all", *GROUPS)}
    return Run(
        name=name,
        source=f"{name}.json",
        sha256="00ff",
        method=None,
        metrics={"bbox": metrics},
        tide={"bbox": tide},
        categories=rows,
        notes=("a note",),
        reliability={"bbox": Reliability(0.5, errors, dict.fromkeys(("all", *GROUPS), bins))},
    )


def _row(number: int, train: int, ap: float | None) -> CategoryMetrics:
    name = HOSTILE[number] if number < len(HOSTILE) else f"category {number}"
    group = "f" if train > 100 else "c" if train > 10 else "r"
    return CategoryMetrics(number, name, group, 40, 60, {"bbox": {"AP": ap, "AP50": ap}}, train, 2 * train)
