"""The plots of a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from longtail_cli.reports.fitting.model import ClassNorms, FitRecord, RowCounts, Tried
from longtail_cli.reports.origin import Origin
from longtail_cli.reports.plots.fitting_figures import plots_of, rendered
from longtail_cli.reports.plots.fitting_norms_chart import SMOOTHED
from longtail_cli.reports.plots.style import styled

PENALTIES = (Tried(1.0, 2.5), Tried(0.1, 2.1), Tried(0.01, 1.9), Tried(0.001, 1.8), Tried(1e-4, 1.85))


def record(classes: int = 5) -> FitRecord:
    """A head that was refitted: rare classes, which come first by id, had short weights and have no more."""
    count = tuple(range(1, classes + 1))
    norms = ClassNorms(count, tuple(0.5 + c / classes for c in count), tuple(1.2 + 0.1 * np.sin(c) for c in count))
    origin = Origin("logits", "softmax", "none", count, (), {}, ())
    rows = RowCounts(100, 20, None, None, 0, classes)
    curve = (2.5, 1.4, 1.1, 1.0)
    return FitRecord(
        "0", "classifier", 0, "train", {"l2": 0.001}, PENALTIES, curve, 9, True, rows, 0.5, norms, origin, ()
    )  # fmt: skip


def axes_of(fit: FitRecord, name: str) -> Any:
    with styled():
        (axes,) = next(plot for plot in plots_of(fit) if plot.name == name).draw().figure.axes
    return axes


def test_the_plots() -> None:
    assert [plot.name for plot in plots_of(record())] == ["fit-weight-norms", "fit-tried", "fit-curve"]


def test_plots_are_written_by_name() -> None:
    found = rendered(record(), "png")
    assert list(found) == ["fit-weight-norms", "fit-tried", "fit-curve"]
    assert all(content.startswith(b"\x89PNG") for content in found.values())


def test_plots_without_data_are_omitted() -> None:
    assert plots_of(replace(record(), norms=ClassNorms(), tried=(), curve=())) == []
    assert plots_of(replace(record(), norms=ClassNorms(), tried=PENALTIES[:1], curve=(1.0,))) == []
    assert plots_of(replace(record(), norms=replace(record().norms, image_count=()), tried=(), curve=())) == []
    assert [plot.name for plot in plots_of(replace(record(), settings={"temperature": 1.2}))] == [
        "fit-weight-norms",
        "fit-curve",
    ]


def test_classes_are_sorted_by_their_images() -> None:
    axes = axes_of(record(), "fit-weight-norms")
    before, after = (line.get_ydata() for line in axes.lines)
    assert list(before) == list(record().norms.before[::-1])
    assert list(after) == list(record().norms.after[::-1])
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["before", "after"]


def test_the_line_of_many_classes_is_a_running_mean() -> None:
    axes = axes_of(record(4 * SMOOTHED), "fit-weight-norms")
    before, after = (np.array(line.get_ydata()) for line in axes.lines)
    given = np.array(record(4 * SMOOTHED).norms.after[::-1])
    expected = [given[max(c - 4, 0) : c + 5].mean() for c in range(len(given))]
    np.testing.assert_allclose(after, expected)
    assert (np.diff(before) < 0).all()


def test_without_a_given_head_there_is_one_curve() -> None:
    fit = replace(record(), norms=replace(record().norms, before=()))
    axes = axes_of(fit, "fit-weight-norms")
    assert [text.get_text() for text in axes.figure.legends[0].get_texts()] == ["after"]
    assert "before" not in plots_of(fit)[0].alt


def test_the_choice_among_penalties_is_marked() -> None:
    axes = axes_of(record(), "fit-tried")
    assert axes.get_xscale() == "log"
    assert list(axes.lines[0].get_xdata()) == [1e-4, 0.001, 0.01, 0.1, 1.0]
    assert axes.collections[0].get_offsets().tolist() == [[0.001, 1.8]]
    assert axes.get_ylabel() == "negative log-likelihood (nats)"
    assert {"0.0001", "0.01", "1"} <= {label.get_text() for label in axes.get_xticklabels()}


def test_a_choice_of_tau_is_by_accuracy() -> None:
    fit = replace(record(), settings={"tau": 0.7}, tried=tuple(Tried(n / 10, 0.5 + n / 100) for n in range(8)))
    axes = axes_of(fit, "fit-tried")
    assert axes.get_xscale() == "linear"
    assert axes.get_ylabel() == "balanced accuracy (%)"
    np.testing.assert_allclose(axes.collections[0].get_offsets().tolist(), [[0.7, 57.0]])


def test_penalties_that_include_0_are_on_a_linear_scale() -> None:
    fit = replace(record(), tried=(Tried(0.0, 2.0), Tried(0.001, 1.0)))
    assert axes_of(fit, "fit-tried").get_xscale() == "linear"


def test_the_curve_says_if_it_did_not_converge() -> None:
    (*_, plot) = plots_of(replace(record(), converged=False))
    assert plot.caption.endswith("The search ended before it converged.")
    assert "converge" not in plots_of(record())[-1].caption
    assert list(axes_of(record(), "fit-curve").lines[0].get_ydata()) == [2.5, 1.4, 1.1, 1.0]
