"""What the plots of a report show: values, axes, labels and captions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from big_reports import big_report
from reports import classification_report, classification_run, reliable, report, run

from longtail_cli.errors import UsageError
from longtail_cli.metrics import CategoryMetrics, DetectionBin, Interval, Reliability, ReliabilityBin, category_title
from longtail_cli.reports.markdown import to_markdown
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.page.html import grid_of
from longtail_cli.reports.plots.figures import plots_of
from longtail_cli.reports.plots.frequency_chart import table_plot
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.smoothing import LEAST_CLASSES, running_mean
from longtail_cli.reports.plots.style import GROUP_MARKERS, LOOKS, look_of, looks_of, styled
from longtail_cli.tables import FrequencyTable


def plot_named(of: Report, name: str) -> Plot:
    return next(plot for plot in plots_of(of) if plot.name == name)


def drawn(plot: Plot) -> Any:
    with styled():
        return plot.draw().figure


def legend_of(figure: Any) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def with_categories(name: str, values: list[float | None], names: list[str] | None = None) -> Run:
    """A run with a category for each AP; the n-th has 2^n training images, and ids begin at 10."""
    rows = [
        CategoryMetrics(10 + n, names[n] if names else f"c{n}", "rcf"[n % 3], 1, 1, {"bbox": {"AP": ap}}, 2**n, 2**n)
        for n, ap in enumerate(values)
    ]
    return replace(run(name, 0.0), categories=tuple(rows))


def with_groups(name: str, **metrics: float | None) -> Run:
    """A run with these metrics of boxes."""
    return replace(run(name, 0.0), metrics={"bbox": {"AP": 0.25, **metrics}})


# Classes without names


def test_a_class_without_a_name_is_called_by_its_id_everywhere():
    before, after = (with_categories(name, values, ["", " ", "cat"]) for name, values in
                     (("before", [0.25, 0.5, 0.5]), ("after", [0.5, 0.25, 0.5])))  # fmt: skip
    both = report(before, after)
    (axes,) = both.plot_changes().axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 10", "class 11"]
    plot = plot_named(both, "ap-by-training-frequency-bbox-after")
    with styled():
        labels = [label for own in plot.draw().labels.values() for label in own]
    assert {label.split("\n")[0] for label in labels} == {"class 10", "class 11", "cat"}
    assert "| class 10 " in to_markdown(both)
    grid = grid_of(both)
    assert grid is not None
    assert [row[0].text for row in grid.rows] == ["class 10", "class 11", "cat"]


def test_a_name_is_kept_as_it_is():
    (row,) = with_categories("one", [None], ["  a cat "]).categories
    assert category_title(row) == "  a cat "


# AP against frequency


def test_all_scatter_plots_have_the_same_axis_and_so_have_all_plots_of_changes():
    runs = [with_categories(name, values) for name, values in
            (("a", [0.25, 0.25]), ("b", [0.875, 0.25]), ("c", [0.25, 0.125]))]  # fmt: skip
    three = report(*runs)
    assert {three.plot_frequency(name).axes[0].get_ylim() for name in ("b", "c")} == {(0, 1.04 * 87.5)}
    (limits,) = {three.plot_changes(name).axes[0].get_xlim() for name in ("b", "c")}
    assert limits == pytest.approx((-12.5 - 0.16 * 75, 62.5 + 0.16 * 75))
    assert "the same axis" in plot_named(three, "ap-changes-bbox-b").caption


def test_a_mark_has_the_colour_of_its_run_and_the_shape_of_its_group():
    from matplotlib.colors import to_hex
    from matplotlib.markers import MarkerStyle

    both = report(with_categories("a", [0.5] * 6), with_categories("b", [0.25] * 6))
    marks = {one.get_gid(): one for one in both.plot_frequency().axes[0].collections}
    assert sorted(marks) == [f"points-{which}-{group}" for which in ("after", "before") for group in range(3)]
    for gid, one in marks.items():
        side, group = ("a" if "before" in gid else "b"), "fcr"[int(gid[-1])]
        assert to_hex(one.get_edgecolors()[0]) == looks_of(both)[side].colour
        shape = MarkerStyle(GROUP_MARKERS[group])
        assert np.array_equal(one.get_paths()[0].vertices, shape.get_path().transformed(shape.get_transform()).vertices)
    assert legend_of(both.plot_frequency()) == ["a", "b", "frequent", "common", "rare"]
    assert not {look.marker for look in LOOKS} & set(GROUP_MARKERS.values())


def test_more_marks_are_more_transparent_and_those_before_the_lightest():
    def opacity(categories: int) -> dict[str, float]:
        collections = big_report(categories).plot_frequency().axes[0].collections
        return {gid.rsplit("-", 1)[0]: one.get_alpha() for one in collections if (gid := one.get_gid())}

    few, many = opacity(40), opacity(1203)
    assert few["points-after"] == 0.9
    assert many["points-after"] < 0.35
    assert many["points-before"] < many["points-after"]


def test_a_running_mean_for_each_run_that_the_caption_explains():
    figure = big_report(60).plot_frequency()
    curves = [line for line in figure.axes[0].lines if len(line.get_xdata()) == 200]
    assert [line.get_color() for line in curves if line.get_color() != "#ffffff"] == [
        look_of(0).colour,
        look_of(1).colour,
    ]
    assert "running mean" in plot_named(big_report(60), "ap-by-training-frequency-bbox-after").caption
    assert "running mean" not in plot_named(big_report(12), "ap-by-training-frequency-bbox-after").caption


def test_the_running_mean():
    rng = np.random.default_rng(0)
    counts = (10 ** rng.uniform(0, 4, 300)).astype(int)
    values = np.log10(1 + counts)
    found = running_mean(counts.tolist(), values.tolist())
    assert found is not None
    x, y = found
    assert (x[0], x[-1]) == pytest.approx((counts.min(), counts.max()))
    inner = (x > 30) & (x < 2000)
    assert np.abs(y - np.log10(1 + x))[inner].max() < 0.1  # as smooth as the data
    order = rng.permutation(300)
    again = running_mean(counts[order].tolist(), values[order].tolist())
    assert again is not None
    np.testing.assert_allclose(again[1], y, rtol=1e-12)
    middle = 100
    distance = np.abs(np.log10(1 + x[middle]) - values)
    weight = np.maximum(0, 1 - (distance / max(0.5, 1.5 * np.sort(distance)[9])) ** 2)
    assert y[middle] == pytest.approx(np.average(values, weights=weight))


def test_the_running_mean_of_few_frequent_classes_is_theirs_in_spite_of_many_rare_ones():
    counts = [1000, 900, 800, 700, 600, 500, 400, 300, 200, 100, *[1] * 900]
    values = [90.0] * 10 + [10.0] * 900
    found = running_mean(counts, values)
    assert found is not None
    x, y = found
    np.testing.assert_allclose(y[x > 300], 90.0)
    np.testing.assert_allclose(y[x < 2], 10.0)


def test_no_running_mean_of_few_classes_or_one_count():
    assert running_mean(range(LEAST_CLASSES - 1), range(LEAST_CLASSES - 1)) is None
    assert running_mean([7] * 100, list(range(100))) is None


# Pareto


def test_the_pareto_plot_shows_every_run_and_the_front():
    runs = [with_groups(name, APf=f, APc=0.5, APr=r) for name, f, r in
            (("a", 0.5, 0.125), ("b", 0.25, 0.25), ("c", 0.25, 0.125), ("d", 0.375, 0.1875))]  # fmt: skip
    runs[1] = replace(runs[1], intervals={"bbox/APr": Interval(0.125, 0.5)})
    plot = plot_named(report(*runs), "pareto-bbox")
    assert plot.title == "AP of rare categories against AP of frequent categories"
    assert "Whiskers: 95% intervals." in plot.caption
    figure = drawn(plot)
    (axes,) = figure.axes
    assert legend_of(figure) == ["a", "b", "c", "d"]
    assert [tuple(one.get_offsets()[0]) for one in axes.collections] == [
        (50, 12.5),
        (25, 25),
        (25, 12.5),
        (37.5, 18.75),
    ]
    whisker, front = axes.lines
    assert whisker.get_xydata().tolist() == [[25, 12.5], [25, 50]]
    assert front.get_xydata()[1:-1].tolist() == [[25, 25], [37.5, 18.75], [50, 12.5]]
    with styled():
        assert plot.draw().labels["run-1"] == [
            "b\nAP of frequent categories 25.00\nAP of rare categories 25.00 (12.50 to 50.00)"
        ]


@pytest.mark.parametrize(
    ("defined", "axes"),
    [
        ({"APf": 0.5, "APc": 0.25, "APr": None}, ("AP of frequent categories (%)", "AP of common categories (%)")),
        ({"APf": None, "APc": 0.25, "APr": 0.5}, ("AP of common categories (%)", "AP of rare categories (%)")),
    ],
)
def test_an_undefined_group_is_replaced_by_the_one_between(defined, axes):
    figure = report(*(with_groups(name, **defined) for name in "abc")).plot_pareto()
    assert (figure.axes[0].get_xlabel(), figure.axes[0].get_ylabel()) == axes


def test_no_pareto_plot_of_two_runs_or_without_groups():
    two = report(*(with_groups(name, APf=0.5, APr=0.25) for name in "ab"))
    with pytest.raises(UsageError, match="expected 3 runs with a defined metric of bbox in two frequency groups"):
        two.plot_pareto()
    assert not any("pareto" in plot.name for plot in plots_of(report(*(with_groups(name) for name in "abc"))))


# Reliability


def test_the_legend_of_reliability_is_the_error_of_the_curve_drawn():
    bins = (DetectionBin(30, 0.5, 0.25, 0.75), DetectionBin(10, 0.875, 0.75, 0.75), DetectionBin(0, None, None, None))
    found = {"bbox": Reliability(0.5, {"all": {"D-ECE": 0.0625, "LaECE": 0.25}}, {"all": bins})}
    one = report(replace(run("one", 0.0), reliability=found))
    assert legend_of(one.plot_reliability()) == ["one, ECE 21.88"]  # (30 * 0.25 + 10 * 0.125) / 40, not D-ECE, 6.25
    caption = plot_named(one, "reliability-bbox").caption
    assert "all categories together" in caption
    assert "The tables show D-ECE, the mean of the errors of the categories" in caption


def test_for_a_classifier_it_is_the_ece_of_the_tables():
    bins = (ReliabilityBin(6, 0.5, 0.25), ReliabilityBin(2, 0.875, 1.0))
    one = classification_run("one", 0.0)
    assert one.classification is not None
    one = replace(one, classification=replace(one.classification, reliability=bins, ece=0.21875))
    both = classification_report(one)
    assert legend_of(both.plot_reliability()) == ["one, ECE 21.88"]
    assert "The tables show the same." in plot_named(both, "reliability").caption


def test_counts_below_the_curves_are_plain_numbers():
    figure = report(reliable(run("one", 0.0))).plot_reliability()
    figure.draw_without_rendering()
    below = figure.axes[1].yaxis
    assert not any("$" in label.get_text() for label in below.get_ticklabels(which="both"))


# Weights


WEIGHTS = tuple(np.linspace(1, 5, 40).tolist())


def test_no_weights_without_a_method_that_uses_them():
    figure = big_report(40).plot_training_frequency()
    assert len(figure.axes) == 1
    assert legend_of(figure) == ["images", "objects"]


def test_the_weights_of_a_run_in_its_colour_and_equal_ones_once():
    three = big_report(40)
    three = replace(three, runs=(*three.runs, replace(three.runs[1], name="again")))
    both = replace(three, weights={"after": WEIGHTS, "again": WEIGHTS})
    figure = both.plot_training_frequency()
    assert legend_of(figure) == ["images", "objects", "after"]
    (line,) = figure.axes[1].lines
    assert (line.get_color(), line.get_linestyle()) == (look_of(1).colour, "--")
    assert "the weight that after gives the logit" in plot_named(both, "training-frequency").caption


def test_the_plot_of_a_table_names_groups_and_variants_in_words():
    count = np.array([500, 50, 5])
    table = FrequencyTable(np.arange(3), ("",) * 3, count, 2 * count, ("f", "c", "r"), 1000)
    figure = drawn(table_plot(table, {"iif_raw": np.arange(3.0), "iif_smooth": np.ones(3)}))
    assert legend_of(figure) == ["images", "objects", "IIF raw", "IIF smooth"]
    assert [text.get_text() for text in figure.axes[0].texts] == ["frequent", "common", "rare"]
    figure.draw_without_rendering()
    assert {"10", "100"} <= {label.get_text() for label in figure.axes[0].get_yticklabels()}


def test_names_of_narrow_groups_stand_beside_one_another():
    small = big_report(300)
    rows = [replace(row, group="f" if row.id < 3 else "c" if row.id < 9 else "r") for row in small.runs[0].categories]
    figure = replace(small, runs=(replace(small.runs[0], categories=tuple(rows)),)).plot_training_frequency()
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert [text.get_text() for text in figure.axes[0].texts] == ["frequent", "common", "rare"]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_the_shades_of_groups_are_grey():
    figure = big_report(40).plot_training_frequency()
    shades = {patch.get_facecolor()[:3] for patch in figure.axes[0].patches}
    assert all(len(set(shade)) == 1 for shade in shades)
    assert shades


# Classifiers


def test_confusion_between_groups_is_a_heat_map_for_each_run():
    both = classification_report(classification_run("before", 0.0), classification_run("after", 0.125))
    figure = both.plot_confusion()
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["before", "after"]
    assert [[text.get_text() for text in axes.texts] for axes in figure.axes] == [
        ["75.0", "25.0", "50.0", "50.0"], ["75.0", "25.0", "37.5", "62.5"],
    ]  # fmt: skip
    assert [label.get_text() for label in figure.axes[1].get_yticklabels()] == ["many", "few"]
    opacity = [patch.get_alpha() for patch in figure.axes[1].patches]
    assert np.argsort(opacity).tolist() == [1, 2, 3, 0]  # the larger the share, the darker


def test_a_detector_has_no_confusion_between_groups():
    with pytest.raises(UsageError, match="expected the confusion between groups, found none"):
        big_report(12).plot_confusion()


def test_the_plots_of_a_classifier_speak_of_classes():
    runs = [classification_run(name, shift) for name, shift in (("a", 0.0), ("b", 0.125), ("c", 0.25))]
    three = classification_report(*runs)
    assert [plot.title for plot in plots_of(three)][:4] == [
        "Recall by frequency group",
        "Recall of few-shot classes against recall of many-shot classes",
        "Recall by class: a \N{RIGHTWARDS ARROW} b",
        "Recall by class: a \N{RIGHTWARDS ARROW} c",
    ]
    assert (
        plot_named(three, "recall-changes-c").title
        == "Classes whose recall gained and lost most: a \N{RIGHTWARDS ARROW} c"
    )


# TIDE


@pytest.mark.parametrize(("runs", "columns"), [(3, 2), (4, 1), (8, 1)])
def test_panels_of_many_runs_are_below_one_another(runs, columns):
    first = big_report(12)
    many = replace(first, runs=tuple(replace(first.runs[0], name=f"run {n}") for n in range(runs)))
    figure = many.plot_tide()
    assert len({axes.get_subplotspec().colspan.start for axes in figure.axes}) == columns
    width = min(bar.get_width() for bar in figure.axes[0].patches)
    inches = width / np.ptp(figure.axes[0].get_xlim()) * figure.get_figwidth() / columns
    assert inches > 0.09  # so wide that its hatching can be seen
