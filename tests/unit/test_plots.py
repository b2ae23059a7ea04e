"""The plots of a report: which are drawn, the same bytes for the same report, and figures for notebooks."""

import re
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from big_reports import big_report
from reports import BASELINE, classification_report, classification_run, report, run

from longtail_cli.errors import MissingExtraError, UsageError
from longtail_cli.reports.page.html import to_html
from longtail_cli.reports.plots.figures import plots_of, rendered
from longtail_cli.reports.plots.formats import as_file, as_svg

WEIGHTS = {"after": tuple(np.linspace(1, 6, 40).tolist())}
SMALL = replace(big_report(40), weights=WEIGHTS)


def names(of) -> list[str]:
    return [plot.name for plot in plots_of(of)]


def test_the_plots_of_a_detector():
    assert names(SMALL) == [
        "ap-by-group-bbox", "ap-by-training-frequency-bbox-after", "ap-changes-bbox-after", "reliability-bbox",
        "tide-bbox", "training-frequency",
    ]  # fmt: skip


def test_the_plots_of_a_classifier():
    both = classification_report(classification_run("before", 0.0), classification_run("after", 0.125))
    assert "recall-by-group" in names(both)
    assert "reliability" in names(both)
    assert not any("tide" in name for name in names(both))


def test_plots_without_data_are_omitted():
    bare = replace(run("only", 0.0), categories=(), tide={})
    assert "tide-bbox" not in names(report(bare))
    assert not any("changes" in name or "training" in name for name in names(report(bare)))


def test_the_baseline_is_the_reference():
    held = replace(report(run("after", 0.0)), baseline=BASELINE)
    assert "ap-changes-bbox-after" in names(held)
    other = replace(BASELINE, differences=("cap: 300 here, 100 in the baseline",))
    assert "ap-changes-bbox-after" not in names(replace(held, baseline=other))


@pytest.mark.parametrize(("file_format", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF")])
def test_plot_files_are_reproducible(file_format, magic):
    """Those with the most kinds of marks: bars with hatching and whiskers, and points with curves."""
    for plot in plots_of(SMALL)[:2]:
        first = as_file(plot, file_format)
        assert first.startswith(magic)
        assert as_file(plot, file_format) == first, plot.name


def test_every_class_is_a_point_with_its_name():
    plot = next(one for one in plots_of(SMALL) if one.name == "ap-by-training-frequency-bbox-after")
    root = ElementTree.fromstring(as_svg(plot, plot.name))
    labels = [element.get("data-label") for element in root.iter() if element.get("data-label")]
    defined = [row.name for row in SMALL.runs[0].categories if row.metrics["bbox"]["AP"] is not None]
    for name in defined[7:]:
        assert sum(label.split("\n")[0].startswith(name) for label in labels) >= 2, name  # before and after


@pytest.fixture(scope="module")
def page() -> str:
    return to_html(SMALL, "ltcal report")


def test_ids_are_unique_in_a_page_and_every_reference_finds_one(page):
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))
    found = re.findall(r'(?:href="#|url\(#|aria-describedby=")([^")]+)', page)
    assert {name.partition("-")[0] for name in found} == {"plot", "term"}
    assert set(found) <= set(ids)


def test_a_page_is_reproducible_and_loads_nothing(page):
    assert to_html(SMALL, "ltcal report") == page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in page.replace("https://example.org", "")  # part of a test name
    assert 'src="' not in page


def test_without_the_packages(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[html\]"):
        to_html(SMALL, "")
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"ltcal\[plots\]"):
        rendered(SMALL, "png")


# Single figures

BOTH = classification_report(classification_run("before", 0.0), classification_run("after", 0.125))


def test_a_figure_for_each_plot():
    from matplotlib.figure import Figure

    figures = [
        SMALL.plot_groups(), SMALL.plot_frequency(), SMALL.plot_changes(), SMALL.plot_reliability("bbox"),
        SMALL.plot_tide(), SMALL.plot_training_frequency(), BOTH.plot_groups(), BOTH.plot_changes(),
        BOTH.plot_frequency("before"), BOTH.plot_reliability("classification"),
    ]  # fmt: skip
    assert all(isinstance(figure, Figure) for figure in figures)
    assert [figure.axes[0].get_ylabel() for figure in figures[:1] + figures[6:7]] == ["AP (%)", "Recall (%)"]


def test_the_users_style_has_no_effect_and_is_not_changed():
    import matplotlib

    with matplotlib.rc_context({"axes.labelcolor": "red"}):
        axes = SMALL.plot_groups().axes[0]
        assert axes.yaxis.label.get_color() == "#1b1b1b"
        assert matplotlib.rcParams["axes.labelcolor"] == "red"


def legend_of(figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_a_run_is_shown_beside_the_reference():
    runs = [replace(run, name=name) for name in ("b", "c") for run in SMALL.runs[1:]]
    three = replace(SMALL, runs=(SMALL.runs[0], *runs))
    assert legend_of(three.plot_frequency())[:2] == ["before", "c"]
    assert legend_of(three.plot_frequency("b"))[:2] == ["before", "b"]
    assert "before" not in legend_of(three.plot_frequency("before"))
    based = replace(report(run("after", 0.0)), baseline=BASELINE)
    assert legend_of(based.plot_frequency())[:2] == ["baseline: main", "after"]
    assert based.plot_changes("after").axes


BARE = report(replace(run("only", 0.0), categories=(), tide={}, metrics={"bbox": {"AP": None}}))


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (
            lambda: BARE.plot_groups(),
            "AP of bbox in a frequency group, or of several runs, found none\nFix: eval",
        ),
        (lambda: BARE.plot_frequency(), "AP of bbox by category, found none\nFix: evaluate with `per_category=True`"),
        (lambda: BARE.plot_changes(), "one to compare with the reference, found the reference, only\n"),
        (lambda: SMALL.plot_changes("before"), "found the reference, before\nFix: compare with another run, or with a"),
        (lambda: BARE.plot_reliability(), "reliability of bbox, found none\nFix: evaluate detections with `reliabil"),
        (lambda: BARE.plot_tide(), "a TIDE breakdown of bbox, found none\nFix: evaluate detections with `tide='align"),
        (lambda: BOTH.plot_tide(), "a TIDE breakdown of classification, found none"),
        (lambda: BARE.plot_training_frequency(), "Fix: evaluate with `per_category=True` and `frequencies=`"),
        (lambda: SMALL.plot_groups("segm"), "`kind=`: value: expected one of bbox, found 'segm'"),
        (lambda: SMALL.plot_frequency("aftr"), "`run=`: value: expected one of before, after, found 'aftr'"),
    ],
)
def test_a_figure_without_data_is_refused_with_the_parameter_that_adds_it(draw, message):
    with pytest.raises(UsageError) as caught:
        draw()
    assert message in str(caught.value)


def test_a_figure_without_matplotlib(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib: package: .*\nFix: .*pip install 'ltcal\[plots\]'"):
        SMALL.plot_groups()
