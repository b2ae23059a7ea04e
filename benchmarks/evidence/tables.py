"""Tables of several networks, one row for each method, in Markdown as GitHub shows it."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence

from tabulate import tabulate

from longtail_cli.metrics import Classification

Results = dict[str, Classification]
"""Metrics of one network on its test set, by the name of the method."""


SOFTMAX = "softmax"  # the row that the others are compared with


def top1_table(results: Mapping[int, Sequence[Results]]) -> str:
    """Top-1 by imbalance, in percent: mean and standard deviation over the seeds; empty where there is no result."""
    headers = ["top-1, percent", *(f"imbalance {imbalance}" for imbalance in results)]
    rows = []
    for method in dict.fromkeys(method for networks in results.values() for method in networks[0]):
        found = [[one[method].top1 for one in networks if method in one] for networks in results.values()]
        rows.append([method, *(spread(values) if values else "" for values in found)])
    return markdown(headers, rows)


def detail_table(networks: Sequence[Results]) -> str:
    """Recall by group and gain in percent, and calibration: means over the seeds, for the gain its least and greatest.

    The gain is that over the network of the same train set with cross entropy and without adjustment. But for networks
    with another loss it is that of a network over itself, free of the differences between networks.
    """
    headers = ["method", "many", "medium", "few", "gain in top-1", "ECE", "NLL"]
    rows = []
    for method in networks[0]:
        found = [one[method] for one in networks]
        gains = [100 * (one[method].top1 - one[SOFTMAX].top1) for one in networks]
        gain = "" if method == SOFTMAX else f"{statistics.mean(gains):+.1f} ({min(gains):+.1f} to {max(gains):+.1f})"
        groups = [percent(getattr(one, group) for one in found) for group in ("many", "medium", "few")]
        calibration = [percent(one.ece for one in found), f"{statistics.mean(one.nll for one in found):.3f}"]
        rows.append([method, *groups, gain, *calibration])
    return markdown(headers, rows)


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation in percent; the mean alone of a single value."""
    found = [100 * value for value in values]
    deviation = f" ± {statistics.stdev(found):.1f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.1f}{deviation}"


def percent(values: Iterable[float]) -> str:
    return f"{100 * statistics.mean(values):.1f}"


def markdown(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    alignment = ["left", *["right"] * (len(headers) - 1)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=alignment, disable_numparse=True)
