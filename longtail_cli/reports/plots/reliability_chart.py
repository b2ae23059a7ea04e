"""Reliability diagrams: on the diagonal a score is the probability that the prediction is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.metrics import Value
from longtail_cli.reports.format import percent
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.plots.plot import Drawing, Plot, lone, printed, short, stem_of, title_of
from longtail_cli.reports.plots.style import HANDLE, MUTED, Look, legend, letters, looks_of, sheet
from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.text_tables import sides_of

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes


@dataclass(frozen=True, slots=True)
class Bin:
    """Predictions whose score lies in a bin."""

    score: float
    """Mean score."""
    accuracy: float
    """Share of correct predictions: accuracy, or precision for detections."""
    count: int


@dataclass(frozen=True, slots=True)
class Curve:
    """The curve of a run."""

    run: str
    look: Look
    bins: tuple[Bin, ...]
    """Those that are not empty."""
    bin_count: int
    """Empty bins too."""

    @property
    def error(self) -> float:
        """The calibration error of the curve: sum_j n_j / N |score_j - accuracy_j| over its bins."""
        total = sum(one.count for one in self.bins)
        return sum(one.count * abs(one.score - one.accuracy) for one in self.bins) / total


def reliability_plots(report: Report, kind: str) -> list[Plot]:
    """One plot of all runs, or none without bins. kind: ``bbox``, ``segm`` or ``classification``."""
    threshold = None if kind == "classification" else _threshold(report.runs[-1], kind)
    looks = looks_of(report)
    found = [_curve(side, looks[side], run, kind, threshold) for side, run in sides_of(report)]
    curves = [curve for curve in found if curve is not None and curve.bins]
    if not curves:
        return []
    label = "accuracy" if kind == "classification" else f"precision at IoU {threshold:.2f}"
    title = title_of(report, kind, "Reliability of scores", lone([curve.run for curve in curves]))
    alt = f"Curves of {label} against mean score for {len(curves)} runs."
    return [Plot(stem_of("reliability", kind), title, _caption(kind), alt, partial(_draw, curves, label))]


def _caption(kind: str) -> str:
    if kind == "classification":
        weighted, tables = "its predictions", "The tables show the same."
    else:
        weighted = "its detections, all categories together"
        tables = (
            "The tables show D-ECE, the mean of the errors of the categories, which is not the error of this curve."
        )
    return (
        "Scores are too low above the dashed diagonal, and too high below it. Lower part: predictions in each bin. "
        f"ECE: the mean distance of the curve from the diagonal, each bin weighted by {weighted}. {tables}"
    )


def _threshold(run: Run, kind: str) -> float | None:
    found = run.reliability.get(kind)
    return None if found is None else found.iou_threshold


def _curve(side: str, look: Look, run: Run, kind: str, threshold: float | None) -> Curve | None:
    """None if the run has no bins, or if they count true positives at another IoU than the last run."""
    if kind == "classification":
        if run.classification is None:
            return None
        shares = [(one.confidence, one.accuracy, one.count) for one in run.classification.reliability]
        return Curve(side, look, _bins(shares), len(shares))
    found = run.reliability.get(kind)
    if found is None or found.iou_threshold != threshold:
        return None
    shares = [(one.confidence, one.precision, one.count) for one in found.bins.get("all", ())]
    return Curve(side, look, _bins(shares), len(shares))


def _bins(shares: Sequence[tuple[Value, Value, int]]) -> tuple[Bin, ...]:
    return tuple(
        Bin(score, accuracy, count) for score, accuracy, count in shares if score is not None and accuracy is not None
    )


def _draw(curves: Sequence[Curve], label: str) -> Drawing:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = sheet(height=3.9)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    above.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    entries: list[tuple[Artist, str]] = []
    labels: dict[str, list[str]] = {}
    room = letters(figure) - HANDLE - len(", ECE 100.00")
    names = short_names([printed(curve.run) for curve in curves], room)
    for side, (curve, name) in enumerate(zip(curves, names, strict=True)):
        labels[f"bins-{side}"] = [_label(curve, one, label) for one in curve.bins]
        entries.append((_draw_curve(above, below, curve, side), f"{name}, ECE {percent(curve.error)}"))
    above.set(xlim=(0, 1), ylim=(0, 1), ylabel=label)
    below.set(xlabel="score", ylabel="count", yscale="log")
    below.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    below.yaxis.set_minor_formatter(NullFormatter())
    figure.align_ylabels()
    legend(figure, entries)
    return Drawing(figure, labels)


def _draw_curve(above: Axes, below: Axes, curve: Curve, side: int) -> Artist:
    from matplotlib.lines import Line2D

    look = curve.look
    colour, style = look.colour, look.line
    scores, accuracies = [one.score for one in curve.bins], [one.accuracy for one in curve.bins]
    above.plot(scores, accuracies, color=colour, linestyle=style, linewidth=1.2)
    points = above.scatter(
        scores, accuracies, s=14, color=colour, marker=look.marker, zorder=3, clip_on=False, linewidths=0
    )
    points.set_gid(f"bins-{side}")
    counts = [0] * curve.bin_count
    for one in curve.bins:
        counts[min(int(one.score * curve.bin_count), curve.bin_count - 1)] += one.count
    edges = [index / curve.bin_count for index in range(curve.bin_count + 1)]
    below.stairs([count or 0.5 for count in counts], edges, color=colour, linestyle=style, linewidth=1.0, baseline=None)
    return Line2D([], [], color=colour, linestyle=style, linewidth=1.2, marker=look.marker, markersize=4)


def _label(curve: Curve, one: Bin, label: str) -> str:
    return f"{short(curve.run)}\nmean score {one.score:.3f}, {label} {one.accuracy:.3f}\n{one.count:,} predictions"
